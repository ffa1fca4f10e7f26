//! Which pair a worker goes to next, and how long its window is.
//!
//! A session with a source is expensive to open, so a worker stays with its pair, then with other pairs of the same
//! database and login. After [`VISIT`] windows pairs that nobody is at come first: a large tenant does not keep small ones
//! waiting.

use super::{Job, PairIndex, Queue};
use crate::engine::schedule::task::QueueTask;
use crate::engine::schedule::visit::{VISIT, Visit};
use std::collections::BTreeSet;

/// A shorter window is not worth its round trips, even if a worker is idle.
const WORTHWHILE_BYTES: u64 = 256 << 10;

/// How well a pair suits a worker; the least is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suits {
    /// The worker was there just now.
    Stay,
    /// The worker's session serves it, and nobody is at it.
    SameSource,
    /// Nobody reads its source.
    FreeSource,
    /// Nobody is at it.
    FreePair,
    /// Others are at it, too.
    Shared,
}

impl<T: QueueTask> Queue<T> {
    /// The next window for the worker `slot`, from the pair that suits it best.
    pub(super) fn next_window(&mut self, slot: usize) -> Option<Job<T>> {
        let busy: BTreeSet<u64> = self
            .pairs
            .iter()
            .filter(|pair| !pair.running.is_empty())
            .map(|pair| pair.work.source)
            .collect();
        let visit = self.visits.get(slot).copied().flatten();
        let n = self.pairs.len();
        let candidates = (0..n)
            .map(|step| (self.cursor + step) % n)
            .filter(|pair| self.may_start(*pair));
        let suited = candidates.map(|pair| (self.suits(pair, visit, &busy), pair));
        // The first of those that suit equally well.
        let (suits, pair) = suited.min_by_key(|(suits, _)| *suits)?;
        if suits != Suits::Stay {
            self.cursor = (pair + 1) % n;
        }
        self.window_of(pair, slot)
    }

    fn suits(&self, pair: PairIndex, visit: Option<Visit>, busy: &BTreeSet<u64>) -> Suits {
        let state = &self.pairs[pair];
        let stays = visit.filter(|visit| visit.windows < VISIT);
        let free = state.running.is_empty();
        match stays {
            Some(visit) if visit.pair == pair => Suits::Stay,
            Some(visit) if visit.source == state.work.source && free => Suits::SameSource,
            _ if !busy.contains(&state.work.source) => Suits::FreeSource,
            _ if free => Suits::FreePair,
            _ => Suits::Shared,
        }
    }

    /// Whether a pair has a window, and its server a place for it.
    fn may_start(&self, pair: PairIndex) -> bool {
        let work = &self.pairs[pair].work;
        let Some((task, _)) = work.next_run() else {
            return false;
        };
        !task.reads_source() || self.has_place(pair)
    }

    /// Whether the server of a pair may be read once more at the same time.
    pub(super) fn has_place(&self, pair: PairIndex) -> bool {
        let work = &self.pairs[pair].work;
        let at_server = self.servers.get(&work.server).copied().unwrap_or_default();
        let places = self.places.get(&work.server);
        let most = places.map_or(self.limits.per_server, |n| self.limits.per_server.min(*n));
        at_server < most.max(1)
    }

    /// The next window of a pair, for the worker `slot`.
    pub(super) fn window_of(&mut self, pair: PairIndex, slot: usize) -> Option<Job<T>> {
        if !self.may_start(pair) {
            return None;
        }
        let lanes = self.lanes();
        let limits = self.limits;
        let state = &mut self.pairs[pair];
        let left: usize = state.work.runs.iter().map(|(_, w)| w.len()).sum();
        let (task, _) = state.work.next_run()?;
        let days = if state.work.one_day_windows && task.reads_source() {
            1
        } else {
            let streams = task.streams() && !limits.lands;
            // Without a source there is no round trip to save.
            let least = if task.reads_source() {
                state.size.days_of(WORTHWHILE_BYTES)
            } else {
                1
            };
            let share = left.div_ceil(lanes).max(least);
            state
                .size
                .days(limits.window_bytes, streams)
                .min(share)
                .max(1)
        };
        let (task, window) = state.work.take_next(days)?;
        if task.reads_source() {
            self.enter_server(pair);
        }
        self.visited(slot, pair);
        Some(self.pairs[pair].hand_out(pair, window, task))
    }

    /// In how many parts what is left of a pair is cut: towards the end windows get shorter, so that no worker waits long
    /// for another. While there are enough pairs for all, they need not.
    fn lanes(&self) -> usize {
        let workers = self.limits.jobs.min(self.limits.per_server).max(1);
        let waiting = self.pairs.iter().filter(|pair| !pair.work.runs.is_empty());
        let waiting = waiting.take(workers).count().max(1);
        if waiting >= workers && workers > 1 {
            1
        } else {
            2 * workers.div_ceil(waiting)
        }
    }

    /// The worker `slot` is at `pair` from now on.
    fn visited(&mut self, slot: usize, pair: PairIndex) {
        let source = self.pairs[pair].work.source;
        if self.visits.len() <= slot {
            self.visits.resize(slot + 1, None);
        }
        let before = self.visits[slot].filter(|visit| visit.source == source);
        self.visits[slot] = Some(Visit {
            pair,
            source,
            windows: before.map_or(0, |visit| visit.windows) + 1,
        });
    }
}
