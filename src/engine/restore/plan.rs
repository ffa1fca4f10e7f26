//! What a restore is to bring back: places, files, snapshot, and the days of each pair.

use super::find::FoundFiles;
use super::remarks::Remarks;
use crate::catalog::Pair;
use crate::catalog::snapshot::Snapshot;
use crate::error::Result;
use crate::landing::Landing;
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet};

/// Everything a restore knows before its run begins.
#[derive(Debug)]
pub struct Restoring {
    /// Where the files are, in order of preference.
    pub places: Vec<Landing>,
    /// Position of the place that this warehouse lands in. Its ledger may name these files as its own.
    pub home: Option<usize>,
    pub found: FoundFiles,
    /// Holds the ledger as it was when the snapshot was taken.
    pub snapshot: Option<Snapshot>,
    /// The days that were requested; `None` for all days with files.
    pub days: Option<Window>,
    /// Load days again that are in the ledger.
    pub reload: bool,
    /// Take files that hold rounded values.
    pub allow_lossy: bool,
    /// Take only what the snapshot's ledger records.
    pub exact: bool,
    pub remarks: Remarks,
    /// This restore's row in `_wh.restored`.
    pub record: i64,
}

impl Restoring {
    /// Whether all places are local folders. Then no worker waits for the network: decoding takes as long as the warehouse.
    pub fn is_local(&self) -> bool {
        self.places.iter().all(Landing::is_folder)
    }
}

/// A pair's days, with and without a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreDays {
    /// Days with a file.
    pub there: BTreeSet<Day>,
    /// Days that should have a file: they are in the snapshot's ledger or, without a snapshot, between days with files.
    pub lacking: BTreeSet<Day>,
}

impl Restoring {
    /// The days of a pair.
    ///
    /// # Errors
    /// The snapshot holds an invalid day.
    pub fn wanted(&self, pair: &Pair) -> Result<RestoreDays> {
        let requested = |day: &Day| self.days.is_none_or(|days| days.contains(*day));
        let none = BTreeMap::new();
        let mut there: BTreeSet<Day> = self
            .found
            .days_of(&pair.template.name, &pair.tenant.schema)
            .unwrap_or(&none)
            .keys()
            .copied()
            .filter(requested)
            .collect();
        let expected: BTreeSet<Day> = match &self.snapshot {
            Some(snapshot) => {
                let units = snapshot.units(&pair.tenant.name, &pair.template.name)?;
                if self.exact {
                    there.retain(|day| units.contains_key(day));
                }
                units.into_keys().filter(requested).collect()
            }
            None => match (there.first(), there.last()) {
                (Some(first), Some(last)) => Window::new(*first, last.next()).days().collect(),
                _ => BTreeSet::new(),
            },
        };
        Ok(RestoreDays {
            lacking: expected.difference(&there).copied().collect(),
            there,
        })
    }

    /// Whether any day of a pair is to be restored.
    ///
    /// # Errors
    /// As [`Restoring::wanted`].
    pub fn concerns(&self, pair: &Pair) -> Result<bool> {
        let wanted = self.wanted(pair)?;
        Ok(!wanted.there.is_empty() || !wanted.lacking.is_empty())
    }
}

impl PartialEq for Restoring {
    /// The same restore: a process has one.
    fn eq(&self, other: &Restoring) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Restoring {}
