//! A day that several workers read at once: each takes one range of its time after the other, and all of their tuples go to
//! the worker whose day it is.
//!
//! ```text
//! ranges left ─▶ take ─▶ COPY OUT, in any worker ─▶ tuples ─▶ COPY IN, in the day's own worker
//!                                                └▶ tally  ─▶ sum: the day's
//! ```
//!
//! All sessions read the snapshot that the day's worker exported, so the ranges are of one moment. What fails, fails the day.

use crate::copy::Tally;
use crate::engine::schedule::queue::PairIndex;
use crate::error::{Error, Kind, Result};
use crate::pg::Snapshot;
use crate::unit::{TimeRange, Window};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Blocks of tuples that wait for the warehouse: enough that no reader waits for it to wake up.
const BLOCKS: usize = 4;

/// A day that several workers read at once.
pub struct SharedDay {
    pub pair: PairIndex,
    /// The day.
    pub window: Window,
    /// What the day's worker exported.
    pub snapshot: Snapshot,
    state: Mutex<State>,
    /// The day is done, or has failed.
    over: CancellationToken,
}

struct State {
    left: VecDeque<TimeRange>,
    /// Gone when no range is left: the stream of tuples ends with its last reader.
    tuples: Option<mpsc::Sender<Bytes>>,
    /// Workers without a job may take ranges.
    open: bool,
    /// Ranges that were not read to their end yet.
    unread: usize,
    tally: Tally,
    failure: Option<Error>,
}

impl SharedDay {
    /// The day, and the tuples of all of its `ranges`.
    pub fn new(
        pair: PairIndex,
        window: Window,
        snapshot: Snapshot,
        ranges: Vec<TimeRange>,
    ) -> (SharedDay, mpsc::Receiver<Bytes>) {
        let (tuples, arriving) = mpsc::channel(BLOCKS);
        let state = State {
            unread: ranges.len(),
            left: ranges.into(),
            tuples: Some(tuples),
            open: true,
            tally: Tally::default(),
            failure: None,
        };
        let day = SharedDay {
            pair,
            window,
            snapshot,
            state: Mutex::new(state),
            over: CancellationToken::new(),
        };
        (day, arriving)
    }

    /// The next range, and where its tuples go. The sender is to be dropped after [`SharedDay::read`].
    pub fn take(&self) -> Option<(TimeRange, mpsc::Sender<Bytes>)> {
        let mut state = self.state();
        let range = state.left.pop_front()?;
        let tuples = state.tuples.clone()?;
        if state.left.is_empty() {
            state.tuples = None;
        }
        Some((range, tuples))
    }

    /// A range was read to its end.
    pub fn read(&self, range: Tally) {
        let mut state = self.state();
        state.unread -= 1;
        state.tally.join(range);
    }

    /// Another worker can help.
    pub fn needs_help(&self) -> bool {
        let state = self.state();
        state.open && !state.left.is_empty()
    }

    /// Other workers cannot read this snapshot: the day's own reads what is left.
    pub fn close(&self) {
        self.state().open = false;
    }

    /// A range could not be read: nothing of the day counts, and all who read it end.
    pub fn fail(&self, error: Error) {
        let mut state = self.state();
        state.left.clear();
        state.tuples = None;
        state.failure.get_or_insert(error);
        self.over.cancel();
    }

    /// Waits until the day is done, or has failed.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// The day's tally, when all of its ranges are read.
    ///
    /// # Errors
    /// Why one was not.
    pub fn tally(&self) -> Result<Tally> {
        let mut state = self.state();
        match state.failure.take() {
            Some(failure) => Err(failure),
            None if state.unread == 0 => Ok(state.tally),
            None => Err(Error::new(Kind::Bug, "a part of the day was not read")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The days that are being read by several workers, or could be.
#[derive(Default)]
pub struct SharedDays(Mutex<Vec<Arc<SharedDay>>>);

impl SharedDays {
    /// Others may help with the day, for as long as what is returned lives.
    pub fn share(&self, day: SharedDay) -> Shared<'_> {
        let day = Arc::new(day);
        lock(&self.0).push(Arc::clone(&day));
        Shared { days: self, day }
    }

    /// The days that need help.
    pub fn in_need(&self) -> Vec<Arc<SharedDay>> {
        let days = lock(&self.0);
        let in_need = days.iter().filter(|day| day.needs_help());
        in_need.cloned().collect()
    }
}

/// A day that others may help with; over when it is dropped.
pub struct Shared<'a> {
    days: &'a SharedDays,
    pub day: Arc<SharedDay>,
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        self.day.over.cancel();
        lock(&self.days.0).retain(|day| !Arc::ptr_eq(day, &self.day));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Day;

    fn day(ranges: usize) -> (SharedDay, mpsc::Receiver<Bytes>) {
        let day = Day::from_pg_days(0);
        let ranges = TimeRange::of_day(day, ranges);
        SharedDay::new(0, Window::single(day), Snapshot::default(), ranges)
    }

    fn of_rows(rows: u64) -> Tally {
        Tally {
            rows,
            ..Tally::default()
        }
    }

    #[tokio::test]
    async fn the_tuples_end_with_the_last_reader_and_the_tally_is_of_all_ranges() {
        let (day, mut arriving) = day(2);
        let (_, first) = day.take().unwrap();
        assert!(day.needs_help());
        let (_, second) = day.take().unwrap();
        assert!(!day.needs_help() && day.take().is_none());
        first.send(Bytes::from_static(b"1")).await.unwrap();
        day.read(of_rows(1));
        drop(first);
        assert!(day.tally().is_err());
        day.read(of_rows(2));
        drop(second);
        assert_eq!(arriving.recv().await.as_deref(), Some(&b"1"[..]));
        assert!(arriving.recv().await.is_none());
        assert_eq!(day.tally().unwrap().rows, 3);
    }

    #[tokio::test]
    async fn the_first_failure_ends_the_day_for_all() {
        let (day, mut arriving) = day(3);
        let (_, tuples) = day.take().unwrap();
        day.fail(Error::new(Kind::Sql, "first"));
        day.fail(Error::new(Kind::Sql, "second"));
        day.over().await;
        assert!(day.take().is_none() && !day.needs_help());
        drop(tuples);
        assert!(arriving.recv().await.is_none());
        assert_eq!(day.tally().unwrap_err().message(), "first");
    }

    #[test]
    fn a_day_is_found_while_it_needs_help() {
        let days = SharedDays::default();
        let shared = days.share(day(2).0);
        assert_eq!(days.in_need().len(), 1);
        shared.day.close();
        assert!(days.in_need().is_empty());
        assert!(shared.day.take().is_some(), "its own worker goes on");
        drop(shared);
        let shared = days.share(day(1).0);
        let helper = days.in_need().pop().unwrap();
        drop(shared);
        assert!(days.in_need().is_empty() && helper.over.is_cancelled());
    }
}
