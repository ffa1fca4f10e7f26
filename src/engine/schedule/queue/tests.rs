use super::*;
use crate::engine::schedule::task::Task;
use crate::engine::schedule::window_size::WindowSize;
use crate::warehouse::Destination;

const LIMITS: Limits = Limits {
    jobs: 4,
    per_server: 2,
    window_bytes: 16 << 20,
    lands: false,
    max_failures: 4,
    max_failures_per_tenant: 2,
};

fn window(from: i32, to: i32) -> Window {
    Window::new(Day::from_pg_days(from), Day::from_pg_days(to))
}

fn work(tenant: &str, server: &str, runs: &[(Destination, Window)]) -> PairWork<Task> {
    PairWork {
        tenant: tenant.into(),
        server: server.into(),
        runs: runs
            .iter()
            .map(|(destination, window)| {
                let destination = *destination;
                (Task::Load { destination }, *window)
            })
            .collect(),
        builds: runs
            .iter()
            .filter_map(|(d, _)| match d {
                Destination::Staging(year) => Some((*year, Task::BuildYear { year: *year })),
                _ => None,
            })
            .collect(),
        bytes_per_day: None,
        one_day_windows: true,
        replaced_years: BTreeSet::new(),
    }
}

#[test]
fn a_server_that_has_given_a_window_is_asked_for_the_next() {
    let first = work("a", "s", &[(Destination::DayTable, window(0, 10))]);
    let mut queue = Queue::new(LIMITS, vec![first]);
    let given = take_window(&mut queue).unwrap();
    take_window(&mut queue).unwrap();
    assert_eq!(queue.take(), Next::Wait);
    queue.release_source(0, given.window);
    queue.release_source(0, given.window);
    let third = take_window(&mut queue).unwrap();
    assert_eq!(queue.take(), Next::Wait);
    // Fetched again, it counts again, and leaves once.
    queue.retake_source(&given);
    queue.done(&given, 1);
    assert_eq!(queue.take(), Next::Wait);
    queue.done(&third, 1);
    assert!(take_window(&mut queue).is_some());
}

fn take_window(queue: &mut Queue<Task>) -> Option<Job<Task>> {
    match queue.take() {
        Next::Job(job) if job.task.is_window() => Some(job),
        _ => None,
    }
}

fn taken(job: &Job<Task>) -> (PairIndex, Window) {
    (job.pair, job.window)
}

#[test]
fn a_server_shared_by_tenants_gets_no_more_windows_than_its_limit() {
    let run = [(Destination::DayTable, window(0, 9))];
    let mut queue = Queue::new(
        LIMITS,
        vec![
            work("a", "s1", &run),
            work("b", "s1", &run),
            work("c", "s2", &run),
        ],
    );
    let jobs: Vec<_> = std::iter::from_fn(|| take_window(&mut queue)).collect();
    let pairs: Vec<_> = jobs.iter().map(|job| job.pair).collect();
    assert_eq!(pairs, [0, 1, 2, 2]);
    assert_eq!(queue.take(), Next::Wait);
    queue.done(&jobs[0], 10);
    let next = take_window(&mut queue).unwrap();
    assert_eq!(taken(&next), (0, window(1, 2)));
}

#[test]
fn a_year_is_built_when_its_last_window_is_through() {
    let run = [(Destination::Staging(2023), window(0, 2))];
    let mut queue = Queue::new(LIMITS, vec![work("a", "s1", &run)]);
    let first = take_window(&mut queue).unwrap();
    let second = take_window(&mut queue).unwrap();
    queue.done(&first, 1);
    assert_eq!(queue.take(), Next::Wait);
    queue.failed(&second, FailureScope::Counted);
    let Next::Job(build) = queue.take() else {
        panic!("the year is to be built");
    };
    assert_eq!(build.task, Task::BuildYear { year: 2023 });
    assert_eq!(queue.take(), Next::Wait);
    queue.done(&build, 0);
    assert_eq!(queue.take(), Next::Finished);
}

#[test]
fn failures_in_a_row_open_the_circuit_and_leave_the_year_staged() {
    let run = [(Destination::Staging(2023), window(0, 9))];
    let mut queue = Queue::new(LIMITS, vec![work("a", "s1", &run), work("b", "s2", &run)]);
    let first = take_window(&mut queue).unwrap();
    assert!(queue.failed(&first, FailureScope::Counted).is_empty());
    queue.cursor = 0;
    let second = take_window(&mut queue).unwrap();
    let dropped = queue.failed(&second, FailureScope::Counted);
    assert_eq!(dropped, [(0, window(2, 9))]);
    assert_eq!(queue.down, BTreeSet::from(["a".to_owned()]));
    let build = loop {
        let Next::Job(job) = queue.take() else {
            panic!("the other tenant's year is to be built");
        };
        assert_eq!(job.pair, 1);
        if !job.task.is_window() {
            break job;
        }
        queue.done(&job, 1);
    };
    assert_eq!(
        queue.take(),
        Next::Wait,
        "the other tenant's year is being built"
    );
    queue.done(&build, 0);
    assert_eq!(queue.take(), Next::Finished);
}

#[test]
fn a_window_that_goes_back_in_pieces_comes_next() {
    let mut queue = Queue::new(
        LIMITS,
        vec![work("a", "s1", &[(Destination::DayTable, window(0, 8))])],
    );
    queue.pairs[0].work.one_day_windows = false;
    queue.pairs[0].size = WindowSize::new(Some(1));
    let first = take_window(&mut queue).unwrap();
    assert_eq!(first.window, window(0, 2));
    queue.put_back(&first, &[window(0, 1), window(1, 2)]);
    let next = take_window(&mut queue).unwrap();
    assert_eq!(taken(&next), (0, window(0, 1)));
}
