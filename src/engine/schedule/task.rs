//! The tasks of a run, and what the queue has to know about any task.

use crate::unit::Day;
use crate::warehouse::Destination;
use std::collections::BTreeSet;
use std::fmt;

/// What the queue has to know about a task.
pub trait QueueTask: Clone + PartialEq + fmt::Debug + Send + 'static {
    /// Whether a source is read, whose server has a limit.
    fn reads_source(&self) -> bool;

    /// Whether rows stream into one table, however many days they are of.
    fn streams(&self) -> bool;

    /// The staged year that it is a part of: the year is built when nothing of it is left.
    fn staged_year(&self) -> Option<i32>;

    /// Whether it is about a window that the queue cuts, rather than about a whole year or pair.
    fn is_window(&self) -> bool {
        true
    }
}

/// A task of a run that loads units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// The days are not in the warehouse, or are loaded whatever is there.
    Load { destination: Destination },
    /// The days may be in the warehouse, in tables that readers see: only what differs is written.
    Refresh(Refresh),
    /// As [`Task::Load`], but from files.
    Restore {
        destination: Destination,
        /// Days that exchanged keys with the window: they are restored in the same transaction.
        with: BTreeSet<Day>,
    },
    /// The days are in the warehouse, in the staging table of a year if there is one, and are landed from there.
    LandFromWarehouse { staged_year: Option<i32> },
    /// The days go into files alone.
    FilesOnly,
    /// Every window of a staged year is through: the year is built and revealed.
    BuildYear { year: i32 },
    /// Nothing was done for the pair yet: its query is described at its source, if it is to read it, and its tables are
    /// created. What is to be done with its days follows.
    Prepare { at_source: bool },
}

/// How days are compared with their source, and brought up to date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refresh {
    /// So much is new that the day is replaced whole.
    pub replace: bool,
    /// Days that are refreshed in the same transactions, at the source and in the warehouse: rows moved between them and
    /// the window.
    pub with: BTreeSet<Day>,
    /// The day is refreshed separately, though rows moved between it and others: together they do not fit into memory, or
    /// do not work. It waits for no other day.
    pub separate: bool,
}

impl QueueTask for Task {
    fn reads_source(&self) -> bool {
        !matches!(
            self,
            Task::LandFromWarehouse { .. }
                | Task::BuildYear { .. }
                | Task::Prepare { at_source: false }
        )
    }

    fn streams(&self) -> bool {
        matches!(self, Task::Load { destination } if *destination != Destination::DayTable)
    }

    fn staged_year(&self) -> Option<i32> {
        match self {
            Task::Load { destination } | Task::Restore { destination, .. } => {
                destination.staged_year()
            }
            Task::LandFromWarehouse { staged_year } => *staged_year,
            Task::Refresh(_) | Task::FilesOnly | Task::BuildYear { .. } | Task::Prepare { .. } => {
                None
            }
        }
    }

    fn is_window(&self) -> bool {
        !matches!(self, Task::BuildYear { .. } | Task::Prepare { .. })
    }
}
