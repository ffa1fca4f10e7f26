use super::*;
use crate::engine::schedule::decision::decide_finally;
use crate::engine::schedule::task::Task;
use crate::error::Side;
use crate::unit::Day;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const LIMITS: Limits = Limits {
    jobs: 2,
    per_server: 2,
    window_bytes: 1 << 20,
    lands: false,
    max_failures: 9,
    max_failures_per_tenant: 9,
};

fn window(from: i32, to: i32) -> Window {
    Window::new(Day::from_pg_days(from), Day::from_pg_days(to))
}

fn pool() -> Arc<Pool<Task>> {
    let work = PairWork {
        tenant: "a".into(),
        server: "s".into(),
        source: 0,
        runs: VecDeque::from([(Task::FilesOnly, window(0, 4))]),
        builds: BTreeMap::new(),
        bytes_per_day: None,
        latest_first: false,
        one_day_windows: true,
        replaced_years: BTreeSet::new(),
    };
    Arc::new(Pool::new(LIMITS, vec![work]))
}

#[derive(Default)]
struct Log {
    done: Mutex<Vec<Window>>,
    interrupted: Mutex<Vec<Window>>,
    not_tried: Mutex<Vec<Window>>,
    resets: Mutex<usize>,
    rests: Mutex<usize>,
    retries: Notify,
}

/// Does what `step` gives.
struct Scripted<F> {
    log: Arc<Log>,
    step: F,
}

impl<F: AsyncFn(&Job<Task>, u32) -> NextStep<Task>> Handler for Scripted<F> {
    type Task = Task;

    async fn attempt(&mut self, job: &Job<Task>, tries: u32) -> NextStep<Task> {
        let step = (self.step)(job, tries).await;
        if matches!(step, NextStep::Done { .. }) {
            lock(&self.log.done).push(job.window);
        }
        step
    }

    async fn reset(&mut self) {
        *lock(&self.log.resets) += 1;
    }

    fn rest(&mut self) {
        *lock(&self.log.rests) += 1;
    }

    fn retries(&self, _: &Job<Task>, _: u32, _: Duration, _: &Error) {
        self.log.retries.notify_one();
    }

    async fn failed(&mut self, _: &Job<Task>, _: u32, error: Error) -> FailureScope {
        FailureScope::of(decide_finally(&error))
    }

    fn interrupted(&self, job: &Job<Task>, _: &str) {
        lock(&self.log.interrupted).push(job.window);
    }

    fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, _: &str, _: Kind) {
        let windows = dropped.into_iter().map(|(_, window)| window);
        lock(&self.log.not_tried).extend(windows);
    }

    fn took(&self, _: PairIndex, _: Duration) {}
}

fn done() -> NextStep<Task> {
    NextStep::Done {
        bytes: 1,
        more: Vec::new(),
    }
}

fn unreachable() -> NextStep<Task> {
    NextStep::Retry(Error::new(Kind::Connect, "no").with_transient(true))
}

/// A worker that never ends with the first day's window.
fn first_hangs(
    log: Arc<Log>,
    others: fn() -> NextStep<Task>,
) -> Scripted<impl AsyncFn(&Job<Task>, u32) -> NextStep<Task>> {
    Scripted {
        log,
        step: async move |job: &Job<Task>, _: u32| {
            if job.window.from.pg_days() == 0 {
                std::future::pending().await
            } else {
                others()
            }
        },
    }
}

#[tokio::test]
async fn every_window_is_done_once_whatever_its_tries() {
    let (pool, log) = (pool(), Arc::new(Log::default()));
    let mut workers = pool.start(|_| Scripted {
        log: Arc::clone(&log),
        step: async |job: &Job<Task>, tries: u32| match (job.window.from.pg_days(), tries) {
            (0, 1) => unreachable(),
            (1, 1) => NextStep::Again(Task::FilesOnly),
            (2, 1) if !job.nested => NextStep::After {
                first: vec![(Task::FilesOnly, window(9, 10))],
                then: Task::FilesOnly,
            },
            _ => done(),
        },
    });
    assert_eq!(workers.death().await, None);
    let mut seen = lock(&log.done).clone();
    seen.sort();
    let expected = [0, 1, 2, 3, 9].map(|day| window(day, day + 1));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_try_and_a_wait_end_when_the_pool_is_stopped() {
    let (pool, log) = (pool(), Arc::new(Log::default()));
    let mut workers = pool.start(|_| first_hangs(Arc::clone(&log), unreachable));
    log.retries.notified().await;
    let begun = Instant::now();
    let dropped = pool.stop("interrupted");
    assert_eq!(workers.death().await, None);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(dropped, [(0, window(2, 4))]);
    let interrupted: BTreeSet<Window> = lock(&log.interrupted).iter().copied().collect();
    assert_eq!(interrupted, BTreeSet::from([window(0, 1), window(1, 2)]));
    assert_eq!(*lock(&log.resets), 2);
}

#[tokio::test]
async fn trouble_that_all_share_ends_the_others_at_once() {
    let (pool, log) = (pool(), Arc::new(Log::default()));
    let of_all = || NextStep::Failed(Error::new(Kind::Connect, "no").on(Side::Warehouse));
    let mut workers = pool.start(|_| first_hangs(Arc::clone(&log), of_all));
    assert_eq!(workers.death().await, None);
    assert_eq!(*lock(&log.interrupted), [window(0, 1)]);
    assert_eq!(*lock(&log.not_tried), [window(2, 4)]);
    assert!(pool.stopped().is_cancelled());
}

#[tokio::test]
async fn a_window_without_a_connection_waits_for_the_others() {
    let (pool, log) = (pool(), Arc::new(Log::default()));
    let busy = Arc::new(tokio::sync::Semaphore::new(1));
    let mut workers = pool.start(|_| Scripted {
        log: Arc::clone(&log),
        step: {
            let busy = Arc::clone(&busy);
            async move |_: &Job<Task>, _: u32| {
                let Ok(_place) = busy.try_acquire() else {
                    let full = Error::new(Kind::Connect, "no").on(Side::Source);
                    return NextStep::WaitForPlace(full);
                };
                tokio::time::sleep(Duration::from_millis(20)).await;
                done()
            }
        },
    });
    assert_eq!(workers.death().await, None);
    assert_eq!(lock(&log.done).len(), 4);
    assert!(*lock(&log.rests) > 0, "nobody gave a connection back");
}

#[tokio::test]
async fn a_worker_that_dies_is_reported() {
    let (pool, log) = (pool(), Arc::new(Log::default()));
    let mut workers = pool.start(|_| Scripted {
        log: Arc::clone(&log),
        step: async |job: &Job<Task>, _: u32| {
            assert!(job.window.from.pg_days() > 0, "this worker dies");
            done()
        },
    });
    let death = workers.death().await;
    assert!(death.is_some_and(|why| why.contains("a worker died")));
    pool.stop("a worker died");
    assert_eq!(workers.death().await, None);
}
