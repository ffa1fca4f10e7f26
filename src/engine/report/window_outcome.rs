//! How a haul ends: with days, each as it was found; with the need for another try; or with an error, and whose it is.

use super::event::Change;
use crate::catalog::ledger::units::LoadedDay;
use crate::error::{self, Error};
use crate::unit::{Day, Window};
use std::collections::BTreeSet;

/// Which server an error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Warehouse,
    /// The files, or rows that no file can hold.
    Landing,
    /// The rows themselves, or ourselves.
    Rows,
}

/// An error of a haul, and whose it is.
#[derive(Debug)]
pub struct Fault {
    pub side: Side,
    pub error: Error,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault {
            side: Side::Rows,
            error,
        }
    }
}

pub fn source(error: Error) -> Fault {
    Fault {
        side: Side::Source,
        error: error.on(error::Side::Source),
    }
}

pub fn target(error: Error) -> Fault {
    Fault {
        side: Side::Warehouse,
        error: error.on(error::Side::Warehouse),
    }
}

pub fn landing(error: Error) -> Fault {
    Fault {
        side: Side::Landing,
        error: error.on(error::Side::Landing),
    }
}

/// How a haul ended.
#[derive(Debug)]
pub enum Hauled {
    Loaded(Vec<LoadedDay>),
    /// An earlier try's commit had done it, though its answer was lost.
    AlreadyThere,
    /// Days, each as it was found.
    Refreshed(Vec<Refreshed>),
    /// The same; but days whose keys vanish were left as they are: perhaps rows moved to days that come later.
    Waiting(Vec<Refreshed>, BTreeSet<Day>),
    /// The rows of a window of several days do not fit the budget.
    TooMuch,
    /// These are to be tried by themselves.
    Pieces(Vec<Window>),
    /// Rows moved into the window from these days, which must be refreshed with it.
    Elsewhere(BTreeSet<Day>),
    /// So much of a day is new that it is cheaper to replace it whole.
    Replace,
}

/// How a refresh found a day.
#[derive(Debug)]
pub enum Refreshed {
    /// It was never loaded before.
    New(LoadedDay),
    Unchanged(LoadedDay),
    Changed(LoadedDay, Change),
    /// It is unchanged, and its file is missing.
    Unlanded(LoadedDay),
    /// Its file was written; in the warehouse nothing was.
    Landed(LoadedDay),
    /// Its file was another, and there is nothing but the file.
    Rewritten(LoadedDay),
}

impl Refreshed {
    pub fn loaded(&self) -> &LoadedDay {
        match self {
            Refreshed::New(loaded)
            | Refreshed::Unchanged(loaded)
            | Refreshed::Unlanded(loaded)
            | Refreshed::Landed(loaded)
            | Refreshed::Rewritten(loaded)
            | Refreshed::Changed(loaded, _) => loaded,
        }
    }
}
