//! Why a landed value cannot be restored.

use crate::error::{Error, Kind};

/// What is wrong with a value. Contains no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EncodeFault {
    /// A text that PostgreSQL would not print for the column's type.
    Unreadable,
    /// Beyond the range of PostgreSQL's type.
    OutOfRange,
    /// More bytes than a field can have.
    TooLong,
}

impl EncodeFault {
    /// The error, which names the column.
    #[cold]
    pub fn error(self, column: &str) -> Error {
        let what = match self {
            EncodeFault::Unreadable => {
                "a value is not in the format that PostgreSQL prints for the column's type"
            }
            EncodeFault::OutOfRange => "a value is beyond the range of PostgreSQL's type",
            EncodeFault::TooLong => "a value is longer than PostgreSQL allows",
        };
        Error::new(Kind::Data, format!("column `{column}`: {what}")).with_hint(
            "the file was not written by Dayhaul, or it was changed since: land the day again",
        )
    }
}
