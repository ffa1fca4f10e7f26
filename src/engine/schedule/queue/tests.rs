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
        source: tenant.bytes().map(u64::from).sum(),
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
        latest_first: false,
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
    assert_eq!(queue.take(0), Next::Wait);
    queue.release_source(0, given.window);
    queue.release_source(0, given.window);
    let third = take_window(&mut queue).unwrap();
    assert_eq!(queue.take(0), Next::Wait);
    // Fetched again, it counts again, and leaves once.
    queue.retake_source(&given);
    queue.done(&given, 1);
    assert_eq!(queue.take(0), Next::Wait);
    queue.done(&third, 1);
    assert!(take_window(&mut queue).is_some());
}

#[test]
fn who_helps_at_a_server_counts_as_a_window_there() {
    let first = work("a", "s", &[(Destination::DayTable, window(0, 10))]);
    let mut queue = Queue::new(LIMITS, vec![first]);
    let own = take_window(&mut queue).unwrap();
    assert!(queue.join_source(0));
    assert!(!queue.join_source(0));
    assert_eq!(queue.take(0), Next::Wait);
    queue.quit_source(0);
    take_window(&mut queue).unwrap();
    assert!(!queue.join_source(0));
    queue.done(&own, 500);
    assert_eq!(queue.bytes_per_day(0), Some(500));
}

fn take_window(queue: &mut Queue<Task>) -> Option<Job<Task>> {
    window_of(queue, 0)
}

fn window_of(queue: &mut Queue<Task>, slot: usize) -> Option<Job<Task>> {
    match queue.take(slot) {
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
    let jobs: Vec<_> = (0..4)
        .filter_map(|slot| window_of(&mut queue, slot))
        .collect();
    let pairs: Vec<_> = jobs.iter().map(|job| job.pair).collect();
    assert_eq!(pairs, [0, 1, 2, 2]);
    assert_eq!(queue.take(0), Next::Wait);
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
    assert_eq!(queue.take(0), Next::Wait);
    queue.failed(&second, FailureScope::Counted);
    let Next::Job(build) = queue.take(0) else {
        panic!("the year is to be built");
    };
    assert_eq!(build.task, Task::BuildYear { year: 2023 });
    assert_eq!(queue.take(0), Next::Wait);
    queue.done(&build, 0);
    assert_eq!(queue.take(0), Next::Finished);
}

#[test]
fn failures_in_a_row_open_the_circuit_and_leave_the_year_staged() {
    let run = [(Destination::Staging(2023), window(0, 9))];
    let mut queue = Queue::new(LIMITS, vec![work("a", "s1", &run), work("b", "s2", &run)]);
    let first = take_window(&mut queue).unwrap();
    assert!(queue.failed(&first, FailureScope::Counted).is_empty());
    let second = take_window(&mut queue).unwrap();
    let dropped = queue.failed(&second, FailureScope::Counted);
    assert_eq!(dropped, [(0, window(2, 9))]);
    assert_eq!(queue.down, BTreeSet::from(["a".to_owned()]));
    let build = loop {
        let Next::Job(job) = queue.take(0) else {
            panic!("the other tenant's year is to be built");
        };
        assert_eq!(job.pair, 1);
        if !job.task.is_window() {
            break job;
        }
        queue.done(&job, 1);
    };
    assert_eq!(
        queue.take(0),
        Next::Wait,
        "the other tenant's year is being built"
    );
    queue.done(&build, 0);
    assert_eq!(queue.take(0), Next::Finished);
}

#[test]
fn a_window_that_goes_back_in_pieces_comes_next() {
    let mut queue = Queue::new(
        LIMITS,
        vec![work("a", "s1", &[(Destination::DayTable, window(0, 8))])],
    );
    queue.pairs[0].work.one_day_windows = false;
    // Two days are worth their round trip.
    queue.pairs[0].size = WindowSize::new(Some(128 << 10));
    let first = take_window(&mut queue).unwrap();
    assert_eq!(first.window, window(0, 2));
    queue.put_back(&first, &[window(0, 1), window(1, 2)]);
    let next = take_window(&mut queue).unwrap();
    assert_eq!(taken(&next), (0, window(0, 1)));
}

/// The pairs that workers go to, one after the other, if each window is done before the next is taken.
fn visits(queue: &mut Queue<Task>, slots: &[usize]) -> Vec<PairIndex> {
    let mut pairs = Vec::new();
    for slot in slots {
        let job = window_of(queue, *slot).unwrap();
        pairs.push(job.pair);
        queue.done(&job, 1);
    }
    pairs
}

#[test]
fn a_worker_stays_with_its_pair_and_others_go_elsewhere() {
    let run = [(Destination::DayTable, window(0, 3))];
    let works = ["a", "b", "c"].map(|tenant| work(tenant, tenant, &run));
    let mut queue = Queue::new(LIMITS, Vec::from(works));
    let pairs = visits(&mut queue, &[0, 1, 0, 1, 0, 1, 0]);
    assert_eq!(pairs, [0, 1, 0, 1, 0, 1, 2]);
}

#[test]
fn pairs_of_one_source_follow_each_other_in_one_session() {
    let run = [(Destination::DayTable, window(0, 1))];
    let tenants = ["a", "b", "a", "b", "a"];
    let works = tenants.map(|tenant| work(tenant, tenant, &run));
    let mut queue = Queue::new(LIMITS, Vec::from(works));
    let pairs = visits(&mut queue, &[0, 1, 0, 1, 0]);
    assert_eq!(pairs, [0, 1, 2, 3, 4]);
}

#[test]
fn a_large_tenant_does_not_keep_small_ones_waiting() {
    let large = [(Destination::DayTable, window(0, 1000))];
    let small = [(Destination::DayTable, window(0, 1))];
    let works = vec![
        work("large", "s1", &large),
        work("b", "s2", &small),
        work("c", "s3", &small),
    ];
    let mut queue = Queue::new(LIMITS, works);
    let pairs = visits(&mut queue, &[0; 100]);
    let came = |pair| pairs.iter().position(|p| *p == pair).unwrap();
    assert!(came(1) > 10, "it stays for a while");
    assert!(came(1) < 50 && came(2) < 50);
}

#[test]
fn small_days_are_fetched_together_even_when_workers_are_idle() {
    let mut small = work("a", "s1", &[(Destination::DayTable, window(0, 15))]);
    small.one_day_windows = false;
    small.bytes_per_day = Some(1000);
    let mut queue = Queue::new(LIMITS, vec![small]);
    assert_eq!(take_window(&mut queue).unwrap().window, window(0, 15));
}

#[test]
fn a_pair_that_was_prepared_goes_on_with_the_same_worker() {
    let first = |tenant: &str| PairWork {
        runs: [(Task::Prepare { at_source: true }, window(0, 1))].into(),
        ..work(tenant, "s1", &[])
    };
    let mut queue = Queue::new(LIMITS, ["a", "b", "c"].map(first).into());
    let (Next::Job(one), Next::Job(two)) = (queue.take(0), queue.take(1)) else {
        panic!("two pairs are to be prepared");
    };
    assert_eq!(queue.take(2), Next::Wait, "the server has no place left");
    let run = [(Destination::DayTable, window(0, 9))];
    let (job, dropped) = queue.prepared(&one, work("a", "s1", &run), 0);
    assert_eq!((job.unwrap().pair, dropped), (0, Vec::new()));
    assert_eq!(
        queue.take(2),
        Next::Wait,
        "its place was not free in between"
    );
    queue.failed(&two, FailureScope::All);
    let (job, dropped) = queue.prepared(&two, work("b", "s1", &run), 1);
    assert_eq!((job, dropped), (None, vec![(1, window(0, 9))]));
}

#[test]
fn the_latest_days_come_first_where_readers_wait_for_them() {
    let runs = [
        (Destination::Year(2000), window(0, 3)),
        (Destination::DayTable, window(5, 8)),
    ];
    let latest_first = PairWork {
        latest_first: true,
        ..work("a", "s", &runs)
    };
    let mut queue = Queue::new(LIMITS, vec![latest_first]);
    let first = take_window(&mut queue).unwrap();
    assert_eq!(first.window, window(7, 8));
    // What goes back comes next, in the same order.
    queue.put_back(&first, &[window(7, 8)]);
    let mut taken = Vec::new();
    while let Some(job) = take_window(&mut queue) {
        taken.push(job.window.from.pg_days());
        queue.done(&job, 1);
    }
    assert_eq!(taken, [7, 6, 5, 2, 1, 0]);
}

#[test]
fn halves_of_a_window_come_in_the_order_of_the_pair() {
    for (latest_first, order) in [(false, [0, 2, 4]), (true, [2, 0, 4])] {
        let pair = PairWork {
            one_day_windows: false,
            bytes_per_day: Some(1 << 20),
            latest_first,
            ..work("a", "s", &[(Destination::DayTable, window(0, 4))])
        };
        let limits = Limits { jobs: 2, ..LIMITS };
        let other = work("b", "s", &[(Destination::DayTable, window(4, 5))]);
        let mut queue = Queue::new(limits, vec![pair, other]);
        let whole = take_window(&mut queue).unwrap();
        assert_eq!(whole.window, window(0, 4));
        queue.put_back(&whole, &[window(0, 2), window(2, 4)]);
        let mut taken = Vec::new();
        while let Some(job) = take_window(&mut queue) {
            taken.push(job.window.from.pg_days());
            queue.done(&job, 1);
        }
        assert_eq!(taken, order);
    }
}
