//! What is to be done with a window, and where its rows live.

use crate::warehouse::Destination;

/// What is to be done with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Its days are not in the warehouse, or are loaded whatever is there.
    Load,
    /// Its days may be in the warehouse: only what differs is written.
    Refresh,
    /// As [`Work::Load`], but from files.
    Restore,
    /// Its days are in the warehouse, and are landed from there.
    Land,
    /// Its days go into files alone.
    Alone,
}

impl Work {
    pub fn on(self, destination: Destination) -> Errand {
        Errand {
            work: self,
            destination,
        }
    }
}

/// A window's work, and where its rows live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand {
    pub work: Work,
    pub destination: Destination,
}

impl Errand {
    /// Whether a source is asked.
    pub fn reads_source(self) -> bool {
        self.work != Work::Land
    }

    /// Whether rows stream into one table, however many days they are of.
    pub fn streams(self) -> bool {
        self.work == Work::Load && self.destination != Destination::DayTable
    }

    /// The year whose staging table the rows go into, or come from.
    pub fn staged_year(self) -> Option<i32> {
        match self.destination {
            Destination::Staging(year) => Some(year),
            _ => None,
        }
    }
}
