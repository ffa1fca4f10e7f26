//! Restore: days come back from their Parquet files instead of their tenants, through the same queue, staging, ledger
//! and reveal as any load.
//!
//! ```text
//! list the places ─▶ catalog from snapshot or footers ─▶ run: file ─▶ tuples ─▶ COPY IN ─▶ digest = footer's? ─▶ ledger
//! ```

pub mod adopt;
pub mod day_file;
mod find;
mod fit;
mod pair_files;
pub mod snapshots;

pub use find::{Found, check_readable, find};
pub use pair_files::PairFiles;

use crate::catalog::Pair;
use crate::catalog::snapshot::Snapshot;
use crate::error::Result;
use crate::landing::Landing;
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that a restore is told before its run begins.
#[derive(Debug)]
pub struct Restoring {
    /// Where the files are, the preferred place first.
    pub places: Vec<Landing>,
    /// Position of the place that the warehouse itself lands in: its ledger may name these files as its own.
    pub home: Option<usize>,
    pub found: Found,
    /// What the ledger was when the snapshot was taken.
    pub snapshot: Option<Snapshot>,
    /// The days that were asked for; `None`: all there are.
    pub days: Option<Window>,
    /// Load days again that the ledger has.
    pub reload: bool,
    /// The row of `_wh.restored` that this restore is.
    pub record: i64,
}

impl Restoring {
    /// No place has to be waited for: decoding takes as long as the warehouse.
    pub fn is_local(&self) -> bool {
        self.places.iter().all(Landing::is_folder)
    }
}

/// The days of a pair, told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Days with a file.
    pub there: BTreeSet<Day>,
    /// Days that should have one: the snapshot's ledger has them, or they lie between days that do.
    pub lacking: BTreeSet<Day>,
}

impl Restoring {
    /// The days of a pair.
    ///
    /// # Errors
    /// The snapshot holds a day that is none.
    pub fn wanted(&self, pair: &Pair) -> Result<Wanted> {
        let asked = |day: &Day| self.days.is_none_or(|days| days.contains(*day));
        let none = BTreeMap::new();
        let there: BTreeSet<Day> = self
            .found
            .days_of(&pair.template.name, &pair.tenant.schema)
            .unwrap_or(&none)
            .keys()
            .copied()
            .filter(asked)
            .collect();
        let expected: BTreeSet<Day> = match &self.snapshot {
            Some(snapshot) => {
                let units = snapshot.units(&pair.tenant.name, &pair.template.name)?;
                units.into_keys().filter(asked).collect()
            }
            None => match (there.first(), there.last()) {
                (Some(first), Some(last)) => Window::new(*first, last.next()).days().collect(),
                _ => BTreeSet::new(),
            },
        };
        Ok(Wanted {
            lacking: expected.difference(&there).copied().collect(),
            there,
        })
    }

    /// Whether anything of a pair is to come back.
    ///
    /// # Errors
    /// As `Restoring::wanted`.
    pub fn concerns(&self, pair: &Pair) -> Result<bool> {
        let wanted = self.wanted(pair)?;
        Ok(!wanted.there.is_empty() || !wanted.lacking.is_empty())
    }

    /// The files of a pair, for its workers.
    ///
    /// # Errors
    /// As `Restoring::wanted`.
    pub fn files(self: &Arc<Self>, pair: &Pair) -> Result<PairFiles> {
        PairFiles::new(Arc::clone(self), pair)
    }
}

impl PartialEq for Restoring {
    /// The very same restore: there is one a process.
    fn eq(&self, other: &Restoring) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Restoring {}
