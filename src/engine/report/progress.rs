//! How far a window is, for whoever watches and for the watchdog.

use super::event::{Event, Observer, Silent};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what moves in one try. Cheap to call; called per block of rows, never per row.
pub struct WindowProgress<'a> {
    observer: &'a dyn Observer,
    slot: usize,
    reports: AtomicU64,
}

impl<'a> WindowProgress<'a> {
    /// `slot` is the worker, from 0.
    pub fn new(observer: &'a dyn Observer, slot: usize) -> WindowProgress<'a> {
        WindowProgress {
            observer,
            slot,
            reports: AtomicU64::new(0),
        }
    }

    /// For work that only the watchdog watches.
    pub fn silent() -> WindowProgress<'static> {
        WindowProgress::new(&Silent, 0)
    }

    /// Rows and bytes that passed since the last call.
    pub fn moved(&self, rows: u64, bytes: u64) {
        self.alive();
        let slot = self.slot;
        self.observer.event(&Event::Moved { slot, rows, bytes });
    }

    /// The work continues, though no row moved.
    pub fn alive(&self) {
        self.reports.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes with every report.
    pub fn count(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }
}
