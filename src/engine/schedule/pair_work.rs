//! A pair's share of the work: what is left of it, and what is running.

use super::task::QueueTask;
use super::window_size::WindowSize;
use crate::catalog::Tenant;
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Position of a pair in the run.
pub type PairIndex = usize;

/// A piece of work for a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job<T> {
    pub pair: PairIndex,
    pub window: Window,
    pub task: T,
    /// The queue did not hand it out: a worker does it before another job that needs it.
    pub nested: bool,
}

/// A pair's share of the work, as it is planned.
#[derive(Debug)]
pub struct PairWork<T> {
    pub tenant: String,
    /// `host:port` of the source.
    pub server: String,
    /// Pairs with the same number read the same database with the same login: one session serves them all.
    pub source: u64,
    /// Consecutive days of one task, in order.
    pub runs: VecDeque<(T, Window)>,
    /// The latest days come first: readers miss today's rows most.
    pub latest_first: bool,
    /// For each staged year of the work, the task that follows when its windows are done.
    pub builds: BTreeMap<i32, T>,
    /// Bytes per day of the latest days, when there are any.
    pub bytes_per_day: Option<u64>,
    /// The template has a `{day}` placeholder: a window is a day.
    pub one_day_windows: bool,
    /// Staged years that will replace a table: with all of their days, or not at all.
    pub replaced_years: BTreeSet<i32>,
}

impl<T: Clone> PairWork<T> {
    /// The run of days that comes next.
    pub fn next_run(&self) -> Option<&(T, Window)> {
        if self.latest_first {
            self.runs.back()
        } else {
            self.runs.front()
        }
    }

    /// Takes up to `days` days of the run that comes next.
    pub fn take_next(&mut self, days: usize) -> Option<(T, Window)> {
        let (task, run) = if self.latest_first {
            self.runs.pop_back()?
        } else {
            self.runs.pop_front()?
        };
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        let ((taken_from, taken_to), (rest_from, rest_to)) = if self.latest_first {
            let cut = run.to.plus(-days).max(run.from);
            ((cut, run.to), (run.from, cut))
        } else {
            let cut = run.from.plus(days).min(run.to);
            ((run.from, cut), (cut, run.to))
        };
        if rest_from < rest_to {
            self.put_next(task.clone(), Window::new(rest_from, rest_to));
        }
        Some((task, Window::new(taken_from, taken_to)))
    }

    /// Puts a run of days where it comes next.
    pub fn put_next(&mut self, task: T, run: Window) {
        if self.latest_first {
            self.runs.push_back((task, run));
        } else {
            self.runs.push_front((task, run));
        }
    }
}

/// A number that tenants with the same database and login share. Sessions are compared by more than it.
pub fn source_number(tenant: &Tenant) -> u64 {
    let mut hasher = DefaultHasher::new();
    match &tenant.url {
        Some(url) => (url, &tenant.password).hash(&mut hasher),
        None => tenant.name.as_str().hash(&mut hasher),
    }
    hasher.finish()
}

/// What is left of a pair's work, and what is running.
#[derive(Debug)]
pub struct PairState<T> {
    pub work: PairWork<T>,
    pub size: WindowSize,
    pub running: BTreeMap<Window, T>,
    /// Of these, the windows that the source has sent completely.
    pub released: BTreeSet<Window>,
    /// Years of which something was not tried: they stay staged, for the next run to continue.
    pub postponed: BTreeSet<i32>,
}

impl<T: QueueTask> PairState<T> {
    pub fn new(work: PairWork<T>) -> PairState<T> {
        PairState {
            size: WindowSize::new(work.bytes_per_day),
            work,
            running: BTreeMap::new(),
            released: BTreeSet::new(),
            postponed: BTreeSet::new(),
        }
    }

    /// The build of a year whose windows are done, unless something of it was postponed.
    pub fn next_build(&mut self) -> Option<(i32, T)> {
        loop {
            let waiting = self.work.runs.iter().map(|(task, _)| task);
            let open: BTreeSet<i32> = waiting
                .chain(self.running.values())
                .filter_map(QueueTask::staged_year)
                .collect();
            let year = *self.work.builds.keys().find(|year| !open.contains(year))?;
            let task = self.work.builds.remove(&year)?;
            if !self.postponed.contains(&year) {
                return Some((year, task));
            }
        }
    }

    /// A window is running from now on.
    pub fn hand_out(&mut self, pair: PairIndex, window: Window, task: T) -> Job<T> {
        self.running.insert(window, task.clone());
        Job {
            pair,
            window,
            task,
            nested: false,
        }
    }
}

/// Windows, grouped by their pair.
pub fn by_pair(windows: Vec<(PairIndex, Window)>) -> BTreeMap<PairIndex, Vec<Window>> {
    let mut by_pair: BTreeMap<PairIndex, Vec<Window>> = BTreeMap::new();
    for (pair, window) in windows {
        by_pair.entry(pair).or_default().push(window);
    }
    by_pair
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
    use crate::warehouse::Destination;

    fn window(from: i32, to: i32) -> Window {
        Window::new(Day::from_pg_days(from), Day::from_pg_days(to))
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
