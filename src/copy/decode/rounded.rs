//! How many values a decoder could not keep exactly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count that a decoder shares with its builders.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounded(Arc<AtomicU64>);

impl Rounded {
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}
