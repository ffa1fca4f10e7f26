//! The task of a verification.

use crate::engine::schedule::task::QueueTask;

/// The task of a verification: the days of a window, within a year, are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompareDays {
    pub year: i32,
}

impl QueueTask for CompareDays {
    fn reads_source(&self) -> bool {
        true
    }

    fn streams(&self) -> bool {
        false
    }

    fn staged_year(&self) -> Option<i32> {
        None
    }
}
