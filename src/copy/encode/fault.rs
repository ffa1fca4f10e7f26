//! Why a landed value cannot go back.

use crate::error::{Error, Kind};

/// What is wrong with a value. Names no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A text that is not as PostgreSQL prints the column's type.
    Unreadable,
    /// Beyond what PostgreSQL's type holds.
    OutOfRange,
    /// More bytes than a field's length can say.
    TooLong,
}

impl Fault {
    /// The error that names the column.
    #[cold]
    pub fn error(self, column: &str) -> Error {
        let what = match self {
            Fault::Unreadable => "a value is not written as PostgreSQL writes the column's type",
            Fault::OutOfRange => "a value lies beyond what PostgreSQL's type holds",
            Fault::TooLong => "a value is longer than PostgreSQL takes",
        };
        Error::new(Kind::Data, format!("column `{column}`: {what}")).with_hint(
            "the file was not written by Dayhaul, or was changed since: land the day again",
        )
    }
}
