//! How a try of a window ended, if not with an error: with its days, or with the need for another try.

use crate::catalog::ledger::units::LoadedDay;
use crate::engine::report::event::{Change, Outcome};
use crate::engine::schedule::task::Refresh;
use crate::unit::{Day, Window};
use std::collections::BTreeSet;

/// How a try of a window ended.
#[derive(Debug)]
pub enum WindowOutcome {
    Done(DoneDays),
    /// An earlier try's commit did it, though its answer was lost.
    AlreadyLoaded,
    /// The rows of a window of several days do not fit the budget.
    TooLarge,
    /// These windows are to be tried separately.
    Split(Vec<Window>),
    /// It must be restored together with these days, which hold its keys now.
    RestoreWith(BTreeSet<Day>),
    /// It must be refreshed in another way: together with days from which rows moved into it; or replaced whole, because
    /// so much of a day is new.
    RefreshAs(Refresh),
}

/// The days of a window that is done.
#[derive(Debug, Default)]
pub struct DoneDays {
    pub days: Vec<DayResult>,
    /// The keys of new rows were looked up in the pair's other tables.
    pub keys_checked: bool,
    /// Days from which keys vanished, left as they were: perhaps rows moved to days that come later.
    pub waiting: BTreeSet<Day>,
}

/// How a day of a window was found, and what was done.
#[derive(Debug, Clone)]
pub struct DayResult {
    pub loaded: LoadedDay,
    pub outcome: Outcome,
    /// With [`Outcome::Changed`], of a day that has rows in the warehouse.
    pub change: Option<Change>,
    /// Its rows are right, but its file is missing.
    pub lacks_file: bool,
}

impl DoneDays {
    /// Days that were loaded without a look at the pair's other tables.
    pub fn loaded(days: Vec<LoadedDay>) -> DoneDays {
        let days = days.into_iter();
        DoneDays {
            days: days
                .map(|day| DayResult::new(day, Outcome::Loaded))
                .collect(),
            ..DoneDays::default()
        }
    }
}

impl DayResult {
    pub fn new(loaded: LoadedDay, outcome: Outcome) -> DayResult {
        DayResult {
            loaded,
            outcome,
            change: None,
            lacks_file: false,
        }
    }

    pub fn changed(loaded: LoadedDay, change: Change) -> DayResult {
        DayResult {
            change: Some(change),
            ..DayResult::new(loaded, Outcome::Changed)
        }
    }

    /// Whether rows of a table changed.
    pub fn changed_rows(&self) -> bool {
        self.outcome == Outcome::Loaded || self.change.is_some()
    }
}

impl WindowOutcome {
    /// Days that were loaded without a look at the pair's other tables.
    pub fn loaded(days: Vec<LoadedDay>) -> WindowOutcome {
        WindowOutcome::Done(DoneDays::loaded(days))
    }

    /// Days that were compared with their source, or landed.
    pub fn compared(days: Vec<DayResult>) -> WindowOutcome {
        WindowOutcome::Done(DoneDays {
            days,
            keys_checked: true,
            waiting: BTreeSet::new(),
        })
    }
}
