//! The worker pool: workers take jobs from one queue until none is left, retry what may pass, and end when the pool is stopped.
//!
//! ```text
//! queue ─▶ job ─▶ try ─▶ next step ─▶ done · prepared · again · later · in pieces · failed ─▶ queue
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

    /// There is no job: reads a part of another worker's window, if there is one to help with; returns whether there was.
    /// Ends when the pool is stopped.
    async fn help(&mut self) -> bool {
        false
    }

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
                runtime.block_on(pool.work(handler, slot));
                Ok(())
            });
        }
        Workers(workers)
    }

    async fn work<H: Handler<Task = T>>(&self, mut handler: H, slot: usize) {
        let mut follows = None;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the queue is read, so that no change is missed.
            changed.as_mut().enable();
            let next = match follows.take() {
                Some(job) => Next::Job(job),
                None => self.queue().take(slot),
            };
            match next {
                Next::Finished => return,
                Next::Wait => {
                    if handler.help().await {
                        continue;
                    }
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
                    follows = self.run(&mut handler, job, slot).await;
                    handler.took(pair, begun.elapsed());
                    self.changed.notify_waiters();
                }
            }
        }
    }

    /// Tries a job until it is done, has failed, or goes back into the queue. Gives what follows when that was decided in
    /// the same moment, so that no other worker gets the session's place in between.
    async fn run<H: Handler<Task = T>>(
        &self,
        handler: &mut H,
        mut job: Job<T>,
        slot: usize,
    ) -> Option<Job<T>> {
        let mut waits = retry::of_window();
        let mut tries = 0;
        loop {
            tries += 1;
            if tries > 1 {
                self.queue().retake_source(&job);
            }
            let step = tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.interrupted(handler, &job).await;
                    return None;
                }
                step = handler.attempt(&job, tries) => step,
            };
            let step = match step {
                NextStep::WaitForPlace(error) if !self.queue().crowded(&job) => {
                    NextStep::Retry(error)
                }
                step => step,
            };
            let error = match step {
                NextStep::WaitForPlace(_) => return None,
                NextStep::Done { bytes, more } => {
                    let mut queue = self.queue();
                    queue.done(&job, bytes);
                    queue.add(job.pair, more);
                    if job.nested {
                        return None;
                    }
                    return match queue.take(slot) {
                        Next::Job(next) => Some(next),
                        Next::Wait | Next::Finished => None,
                    };
                }
                NextStep::Prepared(work) => return self.prepared(handler, &job, *work, slot),
                NextStep::Split(pieces) => {
                    self.queue().put_back(&job, &pieces);
                    return None;
                }
                NextStep::Shorten => {
                    self.queue().shorten(&job);
                    return None;
                }
                NextStep::PutBackAs(task) => {
                    self.queue().put_back_as(&job, task);
                    return None;
                }
                NextStep::Again(task) => {
                    job.task = task;
                    continue;
                }
                NextStep::After { first, then } => {
                    self.run_nested(handler, job.pair, first, slot).await;
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
            self.failed(handler, &job, tries, error).await;
            return None;
        }
    }

    async fn run_nested<H: Handler<Task = T>>(
        &self,
        handler: &mut H,
        pair: PairIndex,
        tasks: Vec<(T, Window)>,
        slot: usize,
    ) {
        for (task, window) in tasks {
            let job = Job {
                pair,
                window,
                task,
                nested: true,
            };
            Box::pin(self.run(handler, job, slot)).await;
        }
    }

    fn prepared<H: Handler<Task = T>>(
        &self,
        handler: &mut H,
        job: &Job<T>,
        work: PairWork<T>,
        slot: usize,
    ) -> Option<Job<T>> {
        let (first, dropped) = self.queue().prepared(job, work, slot);
        if first.is_none() {
            // Its session with the source is of no use for now.
            handler.rest();
        }
        if !dropped.is_empty() {
            handler.not_tried(dropped, "not tried after other failures", Kind::Refused);
        }
        first
    }

    /// Lets a worker read a part of another's window, if the server of the pair has a place for it.
    pub fn join_source(&self, pair: PairIndex) -> Option<SourceGuest<'_, T>> {
        let joined = self.queue().join_source(pair);
        joined.then_some(SourceGuest { pool: self, pair })
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

    /// Parts of the window may be read by workers that wait for a job.
    pub fn call_for_help(&self) {
        self.pool.changed.notify_waiters();
    }
}

/// The place at a source's server of a worker that reads a part of another's window; given back when dropped.
#[derive(Debug)]
pub struct SourceGuest<'a, T: QueueTask> {
    pool: &'a Pool<T>,
    pair: PairIndex,
}

impl<T: QueueTask> Drop for SourceGuest<'_, T> {
    fn drop(&mut self) {
        self.pool.queue().quit_source(self.pair);
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
mod tests;
