//! How far a window is, for whoever watches and for the watchdog.

use super::event::{Event, Observer, Silent};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what moves in one try. Cheap to touch from the work; called for blocks of rows, never for a row.
pub struct Progress<'a> {
    observer: &'a dyn Observer,
    slot: usize,
    reports: AtomicU64,
}

impl<'a> Progress<'a> {
    /// `slot` is the worker, from 0.
    pub fn new(observer: &'a dyn Observer, slot: usize) -> Progress<'a> {
        Progress {
            observer,
            slot,
            reports: AtomicU64::new(0),
        }
    }

    /// For work that nobody watches but the watchdog.
    pub fn silent() -> Progress<'static> {
        Progress::new(&Silent, 0)
    }

    /// More passed through, since the last call.
    pub fn moved(&self, rows: u64, bytes: u64) {
        self.alive();
        let slot = self.slot;
        self.observer.event(&Event::Moved { slot, rows, bytes });
    }

    /// Something went on that moved no row.
    pub fn alive(&self) {
        self.reports.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes with every report.
    pub fn count(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }
}
