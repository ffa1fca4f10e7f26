//! The worker pool: workers take jobs from one queue until none is left, retry what may pass, and end when the pool is stopped.
//!
//! ```text
//! queue ─▶ job ─▶ try ─▶ next step ─▶ done · again · later · in pieces · failed ─▶ queue
//! ```
//!
//! What a job does is its [`Handler`]'s business, one for each worker. A try and every wait end as soon as the pool is
//! stopped: the try is dropped where it stands, as if the process had died there, and what it used is reset.

use super::next_step::NextStep;
use super::queue::{FailureScope, Job, Limits, Next, PairIndex, PairWork, Queue};
use super::retry;
use super::task::QueueTask;
use crate::error::{Error, Kind};
use crate::unit::Window;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Does the jobs of one worker.
#[expect(
    async_fn_in_trait,
    reason = "a worker's futures stay on its own thread"
)]
pub trait Handler {
    type Task: QueueTask;

    /// One try. Dropped at any await when the pool is stopped.
    async fn attempt(&mut self, job: &Job<Self::Task>, tries: u32) -> NextStep<Self::Task>;

    /// A try was dropped: its sessions are in an unknown state.
    async fn reset(&mut self);

    /// There is nothing to do now, and others wait for a connection to a source: gives its own back.
    fn rest(&mut self);

    /// The job is tried again after `wait`.
    fn retries(&self, job: &Job<Self::Task>, tries: u32, wait: Duration, error: &Error);

    /// The job failed for good. Returns what that means for others.
    async fn failed(&mut self, job: &Job<Self::Task>, tries: u32, error: Error) -> FailureScope;

    /// The pool was stopped while the job was running.
    fn interrupted(&self, job: &Job<Self::Task>, why: &str);

    /// Windows that will not be tried, and why.
    fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind);

    /// Reports how long a job of a pair took, with all tries and waits.
    fn took(&self, pair: PairIndex, time: Duration);
}

/// What the workers of a pool have in common.
#[derive(Debug)]
pub struct Pool<T> {
    limits: Limits,
    queue: Mutex<Queue<T>>,
    /// Notified whenever the queue changed.
    changed: Notify,
    stop: CancellationToken,
    why_stopped: Mutex<String>,
}

impl<T: QueueTask> Pool<T> {
    pub fn new(limits: Limits, works: Vec<PairWork<T>>) -> Pool<T> {
        Pool {
            limits,
            queue: Mutex::new(Queue::new(limits, works)),
            changed: Notify::new(),
            stop: CancellationToken::new(),
            why_stopped: Mutex::default(),
        }
    }

    pub fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        lock(&self.queue)
    }

    /// Fills the queue again, after all workers have ended.
    pub fn refill(&self, works: Vec<PairWork<T>>) {
        *self.queue() = Queue::new(self.limits, works);
    }

    /// Cancelled when the pool is stopped.
    pub fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Ends the workers early: what is running is dropped, what is left in the queue is not tried. Returns the latter.
    pub fn stop(&self, why: &str) -> Vec<(PairIndex, Window)> {
        why.clone_into(&mut lock(&self.why_stopped));
        // In this order: a worker that ends takes no other window.
        let dropped = self.queue().open_for_all();
        self.stop.cancel();
        self.changed.notify_waiters();
        dropped
    }

    /// Starts workers, each on a thread of its own: both connections of a window are served there, so that no byte has to
    /// wake another thread.
    pub fn start<H>(self: &Arc<Pool<T>>, handler: impl Fn(usize) -> H) -> Workers
    where
        H: Handler<Task = T> + Send + 'static,
    {
        let mut workers = JoinSet::new();
        for slot in 0..self.limits.jobs.max(1) {
            let (pool, handler) = (Arc::clone(self), handler(slot));
            workers.spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(pool.work(handler));
                Ok(())
            });
        }
        Workers(workers)
    }

    async fn work<H: Handler<Task = T>>(&self, mut handler: H) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the queue is read, so that no change is missed.
            changed.as_mut().enable();
            let next = self.queue().take();
            match next {
                Next::Finished => return,
                Next::Wait => {
                    if self.queue().is_crowded() {
                        handler.rest();
                    }
                    tokio::select! {
                        () = changed => {}
                        () = self.stop.cancelled() => return,
                    }
                }
                Next::Job(job) => {
                    let (pair, begun) = (job.pair, Instant::now());
                    self.run(&mut handler, job).await;
                    handler.took(pair, begun.elapsed());
                    self.changed.notify_waiters();
                }
            }
        }
    }

    /// Tries a job until it is done, has failed, or goes back into the queue.
    async fn run<H: Handler<Task = T>>(&self, handler: &mut H, mut job: Job<T>) {
        let mut waits = retry::of_window();
        let mut tries = 0;
        loop {
            tries += 1;
            if tries > 1 {
                self.queue().retake_source(&job);
            }
            let step = tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.interrupted(handler, &job).await,
                step = handler.attempt(&job, tries) => step,
            };
            let step = match step {
                NextStep::WaitForPlace(error) if !self.queue().crowded(&job) => {
                    NextStep::Retry(error)
                }
                step => step,
            };
            let error = match step {
                NextStep::WaitForPlace(_) => return,
                NextStep::Done { bytes, more } => {
                    let mut queue = self.queue();
                    queue.done(&job, bytes);
                    queue.add(job.pair, more);
                    return;
                }
                NextStep::Split(pieces) => return self.queue().put_back(&job, &pieces),
                NextStep::Shorten => return self.queue().shorten(&job),
                NextStep::PutBackAs(task) => return self.queue().put_back_as(&job, task),
                NextStep::Again(task) => {
                    job.task = task;
                    continue;
                }
                NextStep::After { first, then } => {
                    self.run_nested(handler, job.pair, first).await;
                    job.task = then;
                    continue;
                }
                NextStep::Retry(error) => match waits.next() {
                    Some(wait) => {
                        handler.retries(&job, tries, wait, &error);
                        self.wait(wait).await;
                        continue;
                    }
                    None => error,
                },
                NextStep::Failed(error) => error,
            };
            return self.failed(handler, &job, tries, error).await;
        }
    }

    async fn run_nested<H: Handler<Task = T>>(
        &self,
        handler: &mut H,
        pair: PairIndex,
        tasks: Vec<(T, Window)>,
    ) {
        for (task, window) in tasks {
            let job = Job {
                pair,
                window,
                task,
                nested: true,
            };
            Box::pin(self.run(handler, job)).await;
        }
    }

    async fn wait(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn interrupted<H: Handler<Task = T>>(&self, handler: &mut H, job: &Job<T>) {
        handler.reset().await;
        self.queue().abandoned(job);
        let why = lock(&self.why_stopped).clone();
        handler.interrupted(job, &why);
        self.changed.notify_waiters();
    }

    async fn failed<H: Handler<Task = T>>(
        &self,
        handler: &mut H,
        job: &Job<T>,
        tries: u32,
        error: Error,
    ) {
        let why = format!("not tried after other failures, the last: {error}");
        let scope = handler.failed(job, tries, error).await;
        let mut dropped = self.queue().failed(job, scope);
        if scope == FailureScope::All {
            // The others would meet the same trouble, each by itself.
            dropped.extend(self.stop(&why));
        }
        if !dropped.is_empty() {
            handler.not_tried(dropped, &why, Kind::Refused);
        }
        self.changed.notify_waiters();
    }
}

/// The place of a running window at its source's server.
#[derive(Debug)]
pub struct SourceSlot<'a, T> {
    pub pool: &'a Pool<T>,
    pub pair: PairIndex,
    pub window: Window,
}

impl<T: QueueTask> SourceSlot<'_, T> {
    /// The source has sent all of the window: its server may get another one.
    pub fn release(&self) {
        self.pool.queue().release_source(self.pair, self.window);
        self.pool.changed.notify_waiters();
    }
}

impl<T> Clone for SourceSlot<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SourceSlot<'_, T> {}

/// The workers of a pool.
pub struct Workers(JoinSet<std::io::Result<()>>);

impl Workers {
    /// Why a worker died; `None` when all have ended normally. The window of a dead worker would stay running forever, and
    /// the others would wait for it. Cancel safe.
    pub async fn death(&mut self) -> Option<String> {
        loop {
            match self.0.join_next().await? {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(format!("failed to start a worker: {error}")),
                Err(died) => return Some(format!("a worker died: {died}")),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
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
            runs: VecDeque::from([(Task::FilesOnly, window(0, 4))]),
            builds: BTreeMap::new(),
            bytes_per_day: None,
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
        let mut workers = pool.start(|_| Scripted {
            log: Arc::clone(&log),
            step: async |job: &Job<Task>, _: u32| {
                if job.window.from.pg_days() == 0 {
                    std::future::pending().await
                } else {
                    unreachable()
                }
            },
        });
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
        let mut workers = pool.start(|_| Scripted {
            log: Arc::clone(&log),
            step: async |job: &Job<Task>, _: u32| {
                if job.window.from.pg_days() == 0 {
                    std::future::pending().await
                } else {
                    NextStep::Failed(Error::new(Kind::Connect, "no").on(Side::Warehouse))
                }
            },
        });
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
}
