//! Finds the tuples that only one side has: both sides are read again, and tuples with equal digests cancel out.

use crate::copy::Digest;
use crate::engine::report::progress::WindowProgress;
use crate::engine::verify::read::WindowRows;
use crate::error::Result;
use std::collections::HashMap;

/// Memory of a row's counter: 16 bytes of digest, the counter, and the free space of a hash map.
const COUNTER_BYTES: usize = 64;

/// How often each tuple occurs.
type Counters = HashMap<Digest, u32>;

pub type Tuple = Box<[u8]>;

/// Tuples that only one side has.
#[derive(Default)]
pub struct Unmatched {
    pub source: Vec<Tuple>,
    pub warehouse: Vec<Tuple>,
}

/// A day of both sides, to be read in open transactions.
pub struct DayOfBothSides<'a> {
    pub source: WindowRows<'a>,
    pub warehouse: WindowRows<'a>,
    pub progress: &'a WindowProgress<'a>,
}

impl DayOfBothSides<'_> {
    /// The tuples that only one side has; `None` when they, or the counters, do not fit into `budget` bytes.
    pub async fn unmatched(&self, budget: usize) -> Result<Option<Unmatched>> {
        let Some(mut counters) = self.count_warehouse(budget).await? else {
            return Ok(None);
        };
        let mut kept = Kept {
            left: budget.saturating_sub(counters.len() * COUNTER_BYTES),
            fits: true,
        };
        let mut unmatched = Unmatched::default();
        self.source
            .for_each(self.progress, |tuple| {
                if !take(&mut counters, tuple) {
                    kept.keep(&mut unmatched.source, tuple);
                }
            })
            .await?;
        if !counters.is_empty() {
            self.warehouse
                .for_each(self.progress, |tuple| {
                    if take(&mut counters, tuple) {
                        kept.keep(&mut unmatched.warehouse, tuple);
                    }
                })
                .await?;
        }
        Ok(kept.fits.then_some(unmatched))
    }

    /// How often the warehouse has each tuple; `None` when the counters do not fit into `budget` bytes.
    async fn count_warehouse(&self, budget: usize) -> Result<Option<Counters>> {
        let mut counters = Counters::new();
        let most = budget / COUNTER_BYTES;
        let mut fits = true;
        self.warehouse
            .for_each(self.progress, |tuple| {
                if counters.len() < most {
                    *counters.entry(Digest::of(tuple)).or_default() += 1;
                } else {
                    fits = false;
                }
            })
            .await?;
        Ok(fits.then_some(counters))
    }
}

/// Memory left for tuples, in bytes.
struct Kept {
    left: usize,
    fits: bool,
}

impl Kept {
    fn keep(&mut self, kept: &mut Vec<Tuple>, tuple: &[u8]) {
        match self.left.checked_sub(tuple.len()) {
            Some(left) => {
                self.left = left;
                kept.push(tuple.into());
            }
            None => self.fits = false,
        }
    }
}

/// Removes one such tuple. Returns whether there was one.
fn take(counters: &mut Counters, tuple: &[u8]) -> bool {
    let digest = Digest::of(tuple);
    match counters.get_mut(&digest) {
        None => false,
        Some(1) => counters.remove(&digest).is_some(),
        Some(n) => {
            *n -= 1;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_removed_one_by_one() {
        let row = b"\x00\x01\x00\x00\x00\x011".as_slice();
        let mut counters = Counters::from([(Digest::of(row), 2)]);
        assert!(take(&mut counters, row) && take(&mut counters, row));
        assert!(!take(&mut counters, row));
        assert!(counters.is_empty());
    }
}
