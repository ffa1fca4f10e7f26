//! Which window comes next: fair between pairs, limited per source server, stopped where the circuit is open. Which pair
//! suits a worker is decided in `queue/choice.rs`.

pub use super::pair_work::{Job, PairIndex, PairWork, by_pair, runs_of, source_number};

mod choice;

use super::decision::Decision;
use super::pair_work::PairState;
use super::task::QueueTask;
use super::visit::Visit;
use crate::unit::{Day, Window};
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    Job(Job<T>),
    /// Other jobs are running, and may put something back.
    Wait,
    Finished,
}

/// Limits on how much runs at once, and how much may fail.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub jobs: usize,
    /// Windows at once from one source server.
    pub per_server: usize,
    /// Bytes a window that is held in memory aims at.
    pub window_bytes: usize,
    /// Days land: rows that stream into a table are also held for its files.
    pub lands: bool,
    /// Failed windows in a row after which the circuit opens for all.
    pub max_failures: usize,
    /// Failed windows in a row after which it opens for their tenant.
    pub max_failures_per_tenant: usize,
}

/// What the failure of a window means for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureScope {
    /// Nothing: the cause is in the window alone.
    Window,
    /// It counts, for its tenant and for all.
    Counted,
    /// Its tenant cannot be reached.
    Tenant,
    /// No window can be done.
    All,
}

impl FailureScope {
    /// What the last decision about a window means for others.
    pub fn of(decision: Decision) -> FailureScope {
        match decision {
            Decision::GiveUpTenant => FailureScope::Tenant,
            Decision::EndRun => FailureScope::All,
            _ => FailureScope::Counted,
        }
    }
}

#[derive(Debug)]
pub struct Queue<T> {
    limits: Limits,
    pairs: Vec<PairState<T>>,
    /// Where the search for work begins, for fairness.
    cursor: usize,
    /// Where each worker was last.
    visits: Vec<Option<Visit>>,
    servers: HashMap<String, usize>,
    /// Windows at once of a server that had no connection left for more.
    places: HashMap<String, usize>,
    failures: usize,
    failures_of: HashMap<String, usize>,
    down: BTreeSet<String>,
    all_down: bool,
}

impl<T: QueueTask> Queue<T> {
    pub fn new(limits: Limits, pairs: Vec<PairWork<T>>) -> Queue<T> {
        Queue {
            limits,
            pairs: pairs.into_iter().map(PairState::new).collect(),
            cursor: 0,
            visits: Vec::new(),
            servers: HashMap::new(),
            places: HashMap::new(),
            failures: 0,
            failures_of: HashMap::new(),
            down: BTreeSet::new(),
            all_down: false,
        }
    }

    /// What the worker `slot` does next.
    pub fn take(&mut self, slot: usize) -> Next<T> {
        if let Some(job) = self.next_build() {
            return Next::Job(job);
        }
        if let Some(job) = self.next_window(slot) {
            return Next::Job(job);
        }
        let at_work = self.pairs.iter().any(|pair| !pair.running.is_empty());
        if at_work { Next::Wait } else { Next::Finished }
    }

    fn next_build(&mut self) -> Option<Job<T>> {
        for (pair, state) in self.pairs.iter_mut().enumerate() {
            if let Some((year, task)) = state.next_build() {
                let window = Window::new(Day::first_of_year(year), Day::first_of_year(year + 1));
                return Some(state.hand_out(pair, window, task));
            }
        }
        None
    }

    /// The pair is ready: its work takes the place of the job that made it so. Gives its first window to the worker `slot`,
    /// whose session with the source is still open.
    /// And gives the windows that will not be tried, because the circuit has opened meanwhile.
    pub fn prepared(
        &mut self,
        job: &Job<T>,
        work: PairWork<T>,
        slot: usize,
    ) -> (Option<Job<T>>, Vec<(PairIndex, Window)>) {
        self.leave(job);
        self.pairs[job.pair] = PairState::new(work);
        if self.all_down {
            return (None, self.open_for_all());
        }
        if self.is_down(job.pair) {
            let tenant = self.pairs[job.pair].work.tenant.clone();
            return (None, self.drop_runs(|work| work.tenant == tenant));
        }
        (self.window_of(job.pair, slot), Vec::new())
    }

    /// `None` for a job that the queue did not hand out.
    fn leave(&mut self, job: &Job<T>) -> Option<T> {
        if job.nested {
            return None;
        }
        let state = &mut self.pairs[job.pair];
        let task = state.running.remove(&job.window)?;
        let at_source = !state.released.remove(&job.window) && task.reads_source();
        if at_source {
            self.leave_server(job.pair);
        }
        Some(task)
    }

    fn leave_server(&mut self, pair: PairIndex) {
        if let Some(n) = self.servers.get_mut(&self.pairs[pair].work.server) {
            *n = n.saturating_sub(1);
        }
    }

    /// The source has sent all of a window: its server may get another one.
    pub fn release_source(&mut self, pair: PairIndex, window: Window) {
        let state = &mut self.pairs[pair];
        let reads = state.running.get(&window).is_some_and(T::reads_source);
        if reads && state.released.insert(window) {
            self.leave_server(pair);
        }
    }

    /// A worker without a job reads a part of another's window: takes a place at the pair's server, if one is free, until
    /// [`Queue::quit_source`].
    pub fn join_source(&mut self, pair: PairIndex) -> bool {
        let free = self.has_place(pair);
        if free {
            self.enter_server(pair);
        }
        free
    }

    pub fn quit_source(&mut self, pair: PairIndex) {
        self.leave_server(pair);
    }

    fn enter_server(&mut self, pair: PairIndex) {
        let server = self.pairs[pair].work.server.clone();
        *self.servers.entry(server).or_default() += 1;
    }

    /// Bytes per day of a pair: of the windows of this run or, before the first, of the latest days in the ledger.
    pub fn bytes_per_day(&self, pair: PairIndex) -> Option<u64> {
        self.pairs[pair].size.per_day()
    }

    /// A window is fetched again. If its server is fully used meanwhile, it exceeds the limit by one.
    pub fn retake_source(&mut self, job: &Job<T>) {
        if !job.nested && self.pairs[job.pair].released.remove(&job.window) {
            self.enter_server(job.pair);
        }
    }

    /// Whether other windows of the pair are running, or still to come.
    pub fn has_others(&self, pair: PairIndex, window: Window) -> bool {
        let state = &self.pairs[pair];
        let running = state.running.iter();
        let mut others = running.filter(|(other, task)| **other != window && task.is_window());
        !state.work.runs.is_empty() || others.next().is_some()
    }

    /// Whether the circuit is open for a pair.
    pub fn is_down(&self, pair: PairIndex) -> bool {
        self.all_down || self.down.contains(&self.pairs[pair].work.tenant)
    }

    /// The job is done: `bytes` of tuples passed.
    pub fn done(&mut self, job: &Job<T>, bytes: u64) {
        self.leave(job);
        if !job.task.is_window() {
            return;
        }
        let state = &mut self.pairs[job.pair];
        state.size.record(bytes, job.window.len());
        self.failures = 0;
        self.failures_of.remove(&state.work.tenant);
    }

    /// The source had no connection left for the window. While others are at work there, it goes back, and the server gets
    /// no more windows at once than those others. Otherwise `false`: nobody here will give a connection back.
    pub fn crowded(&mut self, job: &Job<T>) -> bool {
        let server = self.pairs[job.pair].work.server.clone();
        let counted = !job.nested && !self.pairs[job.pair].released.contains(&job.window);
        let at_server = self.servers.get(&server).copied().unwrap_or_default();
        let others = at_server.saturating_sub(usize::from(counted));
        let most = self.places.get(&server).copied().unwrap_or(usize::MAX);
        self.places.insert(server, most.min(others.max(1)));
        if job.nested || others == 0 {
            return false;
        }
        self.put_back(job, &[job.window]);
        true
    }

    /// Whether a source had no connection left.
    pub fn is_crowded(&self) -> bool {
        !self.places.is_empty()
    }

    /// The window goes back in `pieces`, which come next.
    pub fn put_back(&mut self, job: &Job<T>, pieces: &[Window]) {
        let Some(task) = self.leave(job) else {
            return;
        };
        let pieces = pieces.iter().map(|piece| (task.clone(), *piece));
        self.add(job.pair, pieces.collect());
    }

    /// The window goes back with another task, and comes next.
    pub fn put_back_as(&mut self, job: &Job<T>, task: T) {
        self.leave(job);
        self.add(job.pair, vec![(task, job.window)]);
    }

    /// Further work, in the order of its days, which comes next.
    pub fn add(&mut self, pair: PairIndex, mut more: Vec<(T, Window)>) {
        let work = &mut self.pairs[pair].work;
        if !work.latest_first {
            more.reverse();
        }
        for (task, run) in more {
            work.put_next(task, run);
        }
    }

    /// Like [`Queue::put_back`], and windows of this pair get shorter from now on.
    pub fn shorten(&mut self, job: &Job<T>) {
        self.pairs[job.pair].size.shorten(job.window.len());
        self.put_back(job, &[job.window]);
    }

    /// The job failed for good. Returns what will not be tried because of it.
    pub fn failed(&mut self, job: &Job<T>, scope: FailureScope) -> Vec<(PairIndex, Window)> {
        let year = self.leave(job).and_then(|task| task.staged_year());
        let state = &mut self.pairs[job.pair];
        if let Some(year) = year.filter(|year| state.work.replaced_years.contains(year)) {
            // Readers see the day in the old table: it must not be lost.
            state.postponed.insert(year);
        }
        let tenant = state.work.tenant.clone();
        if scope == FailureScope::Window {
            return Vec::new();
        }
        self.failures += 1;
        let of_tenant = self.failures_of.entry(tenant.clone()).or_default();
        *of_tenant += 1;
        let tenant_is_down = *of_tenant >= self.limits.max_failures_per_tenant.max(1);
        if scope == FailureScope::All || self.failures >= self.limits.max_failures.max(1) {
            return self.open_for_all();
        }
        if scope == FailureScope::Tenant || tenant_is_down {
            self.down.insert(tenant.clone());
            return self.drop_runs(|work| work.tenant == tenant);
        }
        Vec::new()
    }

    /// Ends the work of all pairs: the warehouse cannot be reached, or the user interrupted. Returns what will not be tried.
    pub fn open_for_all(&mut self) -> Vec<(PairIndex, Window)> {
        self.all_down = true;
        let dropped = self.drop_runs(|_| true);
        for state in &mut self.pairs {
            state.work.builds.clear();
        }
        dropped
    }

    /// The running job ends without having been tried to its end.
    pub fn abandoned(&mut self, job: &Job<T>) {
        if let Some(year) = self.leave(job).and_then(|task| task.staged_year()) {
            self.pairs[job.pair].postponed.insert(year);
        }
    }

    fn drop_runs(&mut self, of: impl Fn(&PairWork<T>) -> bool) -> Vec<(PairIndex, Window)> {
        let mut dropped = Vec::new();
        for (pair, state) in self.pairs.iter_mut().enumerate() {
            if !of(&state.work) {
                continue;
            }
            for (task, window) in state.work.runs.drain(..) {
                state.postponed.extend(task.staged_year());
                dropped.push((pair, window));
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests;
