//! Which window comes next: fair between pairs, limited per source server, stopped where the circuit is open.

use super::task::Errand;
use super::window_size::Pace;
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Position of a pair in the run.
pub type PairIndex = usize;

/// A piece of work for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    Window {
        pair: PairIndex,
        window: Window,
        errand: Errand,
    },
    /// Every window of a staged year is through: build and reveal it.
    Year { pair: PairIndex, year: i32 },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Job(Job),
    /// Others are at work, and may leave something to do.
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
    /// Days land: what streams into a table is held for its files.
    pub lands: bool,
    /// Failed windows in a row after which the circuit opens for all.
    pub max_failures: usize,
    /// Failed windows in a row after which it opens for their tenant.
    pub max_failures_per_tenant: usize,
}

/// A pair's part of the work.
#[derive(Debug)]
pub struct PairWork {
    pub tenant: String,
    /// `host:port` of the source.
    pub server: String,
    /// Consecutive days of one errand, in order.
    pub runs: VecDeque<(Errand, Window)>,
    /// Staged years that are touched, each to be built when nothing of it is left.
    pub years: BTreeSet<i32>,
    pub pace: Pace,
    /// The template asks for `{day}`: a window is a day.
    pub one_day_windows: bool,
    pub running: BTreeMap<Window, Errand>,
    /// Of these, the windows whose source has given all.
    pub pulled: BTreeSet<Window>,
    /// Staged years that are to take the place of a table: all of their days, or none.
    pub replaced_years: BTreeSet<i32>,
    /// Years of which something was not tried: they stay staged, for the next run to go on.
    pub postponed: BTreeSet<i32>,
}

#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    pairs: Vec<PairWork>,
    /// Where the search for work begins, for fairness.
    cursor: usize,
    servers: HashMap<String, usize>,
    years_running: usize,
    failures: usize,
    failures_of: HashMap<String, usize>,
    down: BTreeSet<String>,
    all_down: bool,
}

impl Queue {
    pub fn new(limits: Limits, pairs: Vec<PairWork>) -> Queue {
        Queue {
            limits,
            pairs,
            cursor: 0,
            servers: HashMap::new(),
            years_running: 0,
            failures: 0,
            failures_of: HashMap::new(),
            down: BTreeSet::new(),
            all_down: false,
        }
    }

    pub fn next(&mut self) -> Next {
        if let Some(job) = self.next_year() {
            self.years_running += 1;
            return Next::Job(job);
        }
        let n = self.pairs.len();
        for step in 0..n {
            let pair = (self.cursor + step) % n;
            if let Some(job) = self.next_window(pair) {
                self.cursor = (pair + 1) % n;
                return Next::Job(job);
            }
        }
        let at_work = self.years_running > 0 || self.pairs.iter().any(|p| !p.running.is_empty());
        if at_work { Next::Wait } else { Next::Finished }
    }

    fn next_year(&mut self) -> Option<Job> {
        for (pair, work) in self.pairs.iter_mut().enumerate() {
            let open: BTreeSet<i32> = work
                .runs
                .iter()
                .map(|(errand, _)| errand)
                .chain(work.running.values())
                .filter_map(|errand| errand.staged_year())
                .collect();
            let ready = work.years.difference(&open).next().copied();
            if let Some(year) = ready {
                work.years.remove(&year);
                if !work.postponed.contains(&year) {
                    return Some(Job::Year { pair, year });
                }
            }
        }
        None
    }

    fn next_window(&mut self, pair: PairIndex) -> Option<Job> {
        let limits = self.limits;
        let work = &mut self.pairs[pair];
        let lanes = limits.jobs.min(limits.per_server).max(1);
        let at_server = self.servers.entry(work.server.clone()).or_default();
        let (errand, _) = work.runs.front()?;
        if errand.reads_source() && *at_server >= limits.per_server.max(1) {
            return None;
        }
        let left: usize = work.runs.iter().map(|(_, w)| w.len()).sum();
        let (errand, run) = work.runs.pop_front()?;
        let days = if work.one_day_windows && errand.reads_source() {
            1
        } else {
            // Towards the end windows get shorter, so that no lane waits long for another.
            work.pace
                .days(limits.window_bytes, errand.streams() && !limits.lands)
                .min(left.div_ceil(2 * lanes))
                .max(1)
        };
        let cut = run
            .from
            .plus(i32::try_from(days).unwrap_or(i32::MAX))
            .min(run.to);
        let window = Window::new(run.from, cut);
        if cut < run.to {
            work.runs.push_front((errand, Window::new(cut, run.to)));
        }
        work.running.insert(window, errand);
        if errand.reads_source() {
            *at_server += 1;
        }
        Some(Job::Window {
            pair,
            window,
            errand,
        })
    }

    /// `None` for a window that the queue did not hand out: a worker may look after a day that its own window needs.
    fn leave(&mut self, pair: PairIndex, window: Window) -> Option<Errand> {
        let work = &mut self.pairs[pair];
        let errand = work.running.remove(&window)?;
        let at_source = !work.pulled.remove(&window) && errand.reads_source();
        if at_source {
            self.leave_server(pair);
        }
        Some(errand)
    }

    fn leave_server(&mut self, pair: PairIndex) {
        if let Some(n) = self.servers.get_mut(&self.pairs[pair].server) {
            *n = n.saturating_sub(1);
        }
    }

    /// The source has given all of a window: another may be asked of its server.
    pub fn pulled(&mut self, pair: PairIndex, window: Window) {
        let work = &mut self.pairs[pair];
        let reads = work.running.get(&window).is_some_and(|e| e.reads_source());
        if reads && work.pulled.insert(window) {
            self.leave_server(pair);
        }
    }

    /// A window is asked for again. When its server has work for as many as it may meanwhile, it is one more.
    pub fn pulls_again(&mut self, pair: PairIndex, window: Window) {
        let work = &mut self.pairs[pair];
        if work.pulled.remove(&window) {
            *self.servers.entry(work.server.clone()).or_default() += 1;
        }
    }

    /// Whether other windows of the pair are at work, or still to come.
    pub fn has_others(&self, pair: PairIndex, window: Window) -> bool {
        let work = &self.pairs[pair];
        !work.runs.is_empty() || work.running.keys().any(|other| *other != window)
    }

    /// Whether the circuit is open for a pair.
    pub fn is_down(&self, pair: PairIndex) -> bool {
        self.all_down || self.down.contains(&self.pairs[pair].tenant)
    }

    /// The window is loaded: `bytes` of tuples passed.
    pub fn loaded(&mut self, pair: PairIndex, window: Window, bytes: u64) {
        self.leave(pair, window);
        let work = &mut self.pairs[pair];
        work.pace.saw(bytes, window.len());
        self.failures = 0;
        self.failures_of.remove(&work.tenant);
    }

    /// The window goes back in `pieces`, which come next.
    pub fn put_back(&mut self, pair: PairIndex, window: Window, pieces: &[Window]) {
        let Some(errand) = self.leave(pair, window) else {
            return;
        };
        let work = &mut self.pairs[pair];
        for piece in pieces.iter().rev() {
            work.runs.push_front((errand, *piece));
        }
    }

    /// The window goes back with another errand, and comes next.
    pub fn put_back_as(&mut self, pair: PairIndex, window: Window, errand: Errand) {
        self.leave(pair, window);
        self.pairs[pair].runs.push_front((errand, window));
    }

    /// Further work, which comes next.
    pub fn add(&mut self, pair: PairIndex, errand: Errand, windows: &[Window]) {
        for window in windows.iter().rev() {
            self.pairs[pair].runs.push_front((errand, *window));
        }
    }

    /// Like [`Queue::put_back`], and windows of this pair get shorter from now on.
    pub fn cut(&mut self, pair: PairIndex, window: Window) {
        self.pairs[pair].pace.slow_down(window.len());
        self.put_back(pair, window, &[window]);
    }

    /// The window failed for good. Gives what will not be tried because of it: (pair, window).
    pub fn failed(
        &mut self,
        pair: PairIndex,
        window: Window,
        tenant_down: bool,
    ) -> Vec<(PairIndex, Window)> {
        self.failed_alone(pair, window);
        let tenant = self.pairs[pair].tenant.clone();
        self.failures += 1;
        let of_tenant = self.failures_of.entry(tenant.clone()).or_default();
        *of_tenant += 1;
        if self.failures >= self.limits.max_failures.max(1) {
            return self.open_for_all();
        }
        if tenant_down || *of_tenant >= self.limits.max_failures_per_tenant.max(1) {
            self.down.insert(tenant.clone());
            return self.drain(|work| work.tenant == tenant);
        }
        Vec::new()
    }

    /// The window failed for good, for a reason that says nothing about others.
    pub fn failed_alone(&mut self, pair: PairIndex, window: Window) {
        let year = self.leave(pair, window).and_then(Errand::staged_year);
        let work = &mut self.pairs[pair];
        if let Some(year) = year.filter(|year| work.replaced_years.contains(year)) {
            // Readers see the day in the old table: it must not be lost.
            work.postponed.insert(year);
        }
    }

    /// Ends it for everybody: the warehouse is gone, or the user asked. Gives what will not be tried.
    pub fn open_for_all(&mut self) -> Vec<(PairIndex, Window)> {
        self.all_down = true;
        self.drain(|_| true)
    }

    /// The running window ends without having been tried to its end.
    pub fn abandoned(&mut self, pair: PairIndex, window: Window) {
        if let Some(year) = self.leave(pair, window).and_then(Errand::staged_year) {
            self.pairs[pair].postponed.insert(year);
        }
    }

    pub fn year_done(&mut self) {
        self.years_running = self.years_running.saturating_sub(1);
    }

    fn drain(&mut self, of: impl Fn(&PairWork) -> bool) -> Vec<(PairIndex, Window)> {
        let mut dropped = Vec::new();
        for (pair, work) in self.pairs.iter_mut().enumerate() {
            if !of(work) {
                continue;
            }
            for (errand, window) in work.runs.drain(..) {
                if let Some(year) = errand.staged_year() {
                    work.postponed.insert(year);
                }
                dropped.push((pair, window));
            }
        }
        if self.all_down {
            for work in &mut self.pairs {
                work.years.clear();
            }
        }
        dropped
    }
}

/// Consecutive days of one kind each, in order.
pub fn runs_of<K: PartialEq>(
    days: impl IntoIterator<Item = Day>,
    kind: impl Fn(Day) -> K,
) -> VecDeque<(K, Window)> {
    let mut runs: VecDeque<(K, Window)> = VecDeque::new();
    for day in days {
        let kind = kind(day);
        match runs.back_mut() {
            Some((last, window)) if *last == kind && window.to == day => window.to = day.next(),
            _ => runs.push_back((kind, Window::single(day))),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schedule::task::Work;
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

    fn work(tenant: &str, server: &str, runs: &[(Destination, Window)]) -> PairWork {
        PairWork {
            tenant: tenant.into(),
            server: server.into(),
            runs: runs.iter().map(|(d, w)| (Work::Load.on(*d), *w)).collect(),
            years: runs
                .iter()
                .filter_map(|(d, _)| match d {
                    Destination::Staging(year) => Some(*year),
                    _ => None,
                })
                .collect(),
            pace: Pace::new(None),
            one_day_windows: true,
            running: BTreeMap::new(),
            pulled: BTreeSet::new(),
            replaced_years: BTreeSet::new(),
            postponed: BTreeSet::new(),
        }
    }

    #[test]
    fn a_server_that_has_given_a_window_is_asked_for_the_next() {
        let first = work("a", "s", &[(Destination::DayTable, window(0, 10))]);
        let mut queue = Queue::new(LIMITS, vec![first]);
        let (_, given) = take_window(&mut queue).unwrap();
        take_window(&mut queue).unwrap();
        assert_eq!(queue.next(), Next::Wait);
        queue.pulled(0, given);
        queue.pulled(0, given);
        let (_, third) = take_window(&mut queue).unwrap();
        assert_eq!(queue.next(), Next::Wait);
        // Asked for again, it counts again, and leaves once.
        queue.pulls_again(0, given);
        queue.loaded(0, given, 1);
        assert_eq!(queue.next(), Next::Wait);
        queue.loaded(0, third, 1);
        assert!(take_window(&mut queue).is_some());
    }

    fn take_window(queue: &mut Queue) -> Option<(PairIndex, Window)> {
        match queue.next() {
            Next::Job(Job::Window { pair, window, .. }) => Some((pair, window)),
            _ => None,
        }
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
        let pairs: Vec<_> = std::iter::from_fn(|| take_window(&mut queue))
            .map(|(p, _)| p)
            .collect();
        assert_eq!(pairs, [0, 1, 2, 2]);
        assert_eq!(queue.next(), Next::Wait);
        queue.loaded(0, window(0, 1), 10);
        assert_eq!(take_window(&mut queue), Some((0, window(1, 2))));
    }

    #[test]
    fn a_year_is_built_when_its_last_window_is_through() {
        let run = [(Destination::Staging(2023), window(0, 2))];
        let mut queue = Queue::new(LIMITS, vec![work("a", "s1", &run)]);
        let (_, first) = take_window(&mut queue).unwrap();
        let (_, second) = take_window(&mut queue).unwrap();
        queue.loaded(0, first, 1);
        assert_eq!(queue.next(), Next::Wait);
        queue.failed(0, second, false);
        assert_eq!(
            queue.next(),
            Next::Job(Job::Year {
                pair: 0,
                year: 2023
            })
        );
        assert_eq!(queue.next(), Next::Wait);
        queue.year_done();
        assert_eq!(queue.next(), Next::Finished);
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_and_leave_the_year_staged() {
        let run = [(Destination::Staging(2023), window(0, 9))];
        let mut queue = Queue::new(LIMITS, vec![work("a", "s1", &run), work("b", "s2", &run)]);
        let (_, first) = take_window(&mut queue).unwrap();
        assert!(queue.failed(0, first, false).is_empty());
        queue.cursor = 0;
        let (_, second) = take_window(&mut queue).unwrap();
        assert_eq!(queue.failed(0, second, false), [(0, window(2, 9))]);
        assert_eq!(queue.down, BTreeSet::from(["a".to_owned()]));
        while let Some((pair, window)) = take_window(&mut queue) {
            assert_eq!(pair, 1);
            queue.loaded(pair, window, 1);
        }
        assert_eq!(
            queue.next(),
            Next::Wait,
            "the other tenant's year is being built"
        );
        queue.year_done();
        assert_eq!(queue.next(), Next::Finished);
    }

    #[test]
    fn a_window_that_goes_back_in_pieces_comes_next() {
        let mut queue = Queue::new(
            LIMITS,
            vec![work("a", "s1", &[(Destination::DayTable, window(0, 8))])],
        );
        queue.pairs[0].one_day_windows = false;
        queue.pairs[0].pace = Pace::new(Some(1));
        let (_, first) = take_window(&mut queue).unwrap();
        assert_eq!(first, window(0, 2));
        queue.put_back(0, first, &[window(0, 1), window(1, 2)]);
        assert_eq!(take_window(&mut queue), Some((0, window(0, 1))));
    }

    #[test]
    fn runs_break_at_gaps_and_at_the_fold_line() {
        let days = [1, 2, 4, 5, 6].map(Day::from_pg_days);
        let runs = runs_of(days, |d| {
            if d.pg_days() < 5 {
                Destination::Year(2000)
            } else {
                Destination::DayTable
            }
        });
        assert_eq!(
            Vec::from(runs),
            [
                (Destination::Year(2000), window(1, 3)),
                (Destination::Year(2000), window(4, 5)),
                (Destination::DayTable, window(5, 7)),
            ]
        );
    }
}
