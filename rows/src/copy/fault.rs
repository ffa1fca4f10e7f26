//! Why a row cannot be loaded.

use crate::error::{Error, Kind};
use crate::unit::Day;

/// What is wrong with a tuple. Contains no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowFault {
    NullTime,
    InfiniteTime,
    /// More characters than the column's length.
    TooLong {
        column: usize,
    },
    /// More decimal places than the column's scale.
    TooManyDecimals {
        column: usize,
    },
    /// An interval that one of the two servers takes for infinite and the other for a finite one.
    InfiniteInterval {
        column: usize,
    },
    /// Bytes that are not a value of the column's type.
    Malformed {
        column: usize,
    },
}

impl RowFault {
    /// The error, which names the column and, if known, the day.
    pub fn error(self, columns: &[String], day: Option<Day>) -> Error {
        let (column, what, hint) = match self {
            RowFault::TooLong { column } => (
                column,
                "a value is longer than the column allows",
                "declare a greater length or `text`, or shorten the value in the query",
            ),
            RowFault::TooManyDecimals { column } => (
                column,
                "a value has more decimal places than the column's scale",
                "declare a greater scale, or set `round = true` for the column",
            ),
            RowFault::InfiniteInterval { column } => (
                column,
                "an interval at its limit, which is infinite for PostgreSQL 17 and newer and finite for older versions",
                "replace it in the query, for example with `CASE WHEN isfinite(c) THEN c END`",
            ),
            RowFault::Malformed { column } => (
                column,
                "a value's bytes do not match the column's type",
                "compare the column's type in the template with the source",
            ),
            RowFault::NullTime | RowFault::InfiniteTime => (0, "no time", ""),
        };
        let name = columns.get(column).map_or("?", String::as_str);
        let error = Error::new(Kind::Data, format!("column `{name}`: {what}")).with_hint(hint);
        match day {
            Some(day) => error.on_day(day),
            None => error,
        }
    }
}
