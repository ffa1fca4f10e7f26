//! Why a value cannot be landed.

use super::super::numeric;
use crate::error::{Error, Kind};

/// What is wrong with a value. Contains no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeFault {
    /// Bytes that are not a value of the column's type as PostgreSQL writes it.
    Malformed,
    NotUtf8,
    /// ±infinity where the Arrow type has none.
    Infinite,
    NotANumber,
    /// Beyond the range of the Arrow type.
    OutOfRange,
    /// 24:00:00.
    EndOfDay,
    /// More digits than the decimal's precision.
    TooManyDigits,
    /// More decimal places than the decimal's scale.
    TooManyDecimals,
    /// Another display scale than the column's.
    DisplayScale,
    /// A numeric outside the range of double.
    BeyondDouble,
    Dimensions,
    LowerBound,
    /// More than a batch can address.
    BatchFull,
}

impl From<numeric::Malformed> for DecodeFault {
    fn from(_: numeric::Malformed) -> DecodeFault {
        DecodeFault::Malformed
    }
}

impl DecodeFault {
    /// The error, which names the column.
    #[cold]
    pub fn error(self, column: &str) -> Error {
        let (what, hint) = self.message_and_hint();
        Error::new(Kind::Data, format!("column `{column}`: {what}")).with_hint(hint)
    }

    fn message_and_hint(self) -> (&'static str, &'static str) {
        match self {
            DecodeFault::Malformed => (
                "a value's bytes are not what PostgreSQL writes for the column's type",
                "compare the column's type in the template with the table's",
            ),
            DecodeFault::NotUtf8 => (
                "a text is not valid UTF-8",
                "the source database accepts any bytes as text: fix them there, or cast to `bytea`",
            ),
            DecodeFault::Infinite => (
                "a value is infinite, which Parquet cannot hold",
                "turn it into null in the query: `nullif(c, 'infinity')`",
            ),
            DecodeFault::NotANumber => (
                "a value is NaN, which a decimal cannot hold",
                "turn it into null in the query (`nullif(c, 'NaN')`), or declare `numeric` with `land = \"text\"`",
            ),
            DecodeFault::OutOfRange => (
                "a time is beyond the range of Parquet",
                "turn it into null in the query, or cast it to text there",
            ),
            DecodeFault::EndOfDay => (
                "a time is 24:00:00, which Parquet cannot hold",
                "turn it into null in the query: `nullif(c, '24:00')`",
            ),
            DecodeFault::TooManyDigits => (
                "a value has more digits than the decimal it is landed as",
                "declare a greater precision, or `land = \"text\"`",
            ),
            DecodeFault::TooManyDecimals => (
                "a value has more decimal places than the decimal it is landed as",
                "declare a greater scale or `land = \"text\"`, or round it in the query",
            ),
            DecodeFault::DisplayScale => (
                "a value's display scale differs from the column's",
                "compare the column's type in the template with the table's",
            ),
            DecodeFault::BeyondDouble => (
                "a value is too large or too small for a double",
                "declare `land = \"text\"`",
            ),
            DecodeFault::Dimensions => (
                "an array has more than one dimension, which a Parquet list cannot hold",
                "cast it to text in the query, or unnest it there",
            ),
            DecodeFault::LowerBound => (
                "an array does not begin at 1, which a Parquet list cannot hold",
                "renumber it in the query: `ARRAY(SELECT unnest(c))`",
            ),
            DecodeFault::BatchFull => (
                "the values between two batches take more than 2 GiB",
                "this is a bug in Dayhaul, which must end batches earlier: please report it",
            ),
        }
    }
}
