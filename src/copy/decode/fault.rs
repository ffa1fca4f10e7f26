//! Why a value does not land.

use super::super::numeric;
use crate::error::{Error, Kind};

/// What is wrong with a value. Names no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Bytes that are no value of the column's type, or not as PostgreSQL writes it.
    Malformed,
    NotUtf8,
    /// ±infinity where the Arrow type has none.
    Infinite,
    NotANumber,
    /// Beyond the years that the Arrow type counts.
    OutOfRange,
    /// 24:00:00.
    EndOfDay,
    /// More digits than the decimal's precision.
    TooManyDigits,
    /// Digits beyond the decimal's scale.
    TooManyDecimals,
    /// A display scale that is not the column's.
    DisplayScale,
    /// A numeric that no double is near.
    BeyondDouble,
    Dimensions,
    LowerBound,
    /// More than a batch can address.
    BatchFull,
}

impl From<numeric::Malformed> for Fault {
    fn from(_: numeric::Malformed) -> Fault {
        Fault::Malformed
    }
}

impl Fault {
    /// The error that names the column.
    #[cold]
    pub fn error(self, column: &str) -> Error {
        let (what, hint) = self.words();
        Error::new(Kind::Data, format!("column `{column}`: {what}")).with_hint(hint)
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Fault::Malformed => (
                "a value's bytes are not what PostgreSQL writes for the column's type",
                "compare the column's type in the template with the table's",
            ),
            Fault::NotUtf8 => (
                "a text is not valid UTF-8",
                "the database it comes from takes any bytes for text: mend them there, or cast to `bytea`",
            ),
            Fault::Infinite => (
                "a value is infinite, which Parquet cannot hold",
                "turn it into null in the query: `nullif(c, 'infinity')`",
            ),
            Fault::NotANumber => (
                "a value is NaN, which a decimal cannot hold",
                "turn it into null in the query (`nullif(c, 'NaN')`), or declare `numeric` with `land = \"text\"`",
            ),
            Fault::OutOfRange => (
                "a time lies beyond the years that Parquet can hold",
                "turn it into null in the query, or cast it to text there",
            ),
            Fault::EndOfDay => (
                "a time is 24:00:00, which Parquet cannot hold",
                "turn it into null in the query: `nullif(c, '24:00')`",
            ),
            Fault::TooManyDigits => (
                "a value has more digits than the decimal it lands as",
                "declare a greater precision, or `land = \"text\"`",
            ),
            Fault::TooManyDecimals => (
                "a value has more decimals than the decimal it lands as",
                "declare a greater scale, or `land = \"text\"`, or round it in the query",
            ),
            Fault::DisplayScale => (
                "a value's display scale is not the column's",
                "compare the column's type in the template with the table's",
            ),
            Fault::BeyondDouble => (
                "a value is too large or too small for a double",
                "declare `land = \"text\"`",
            ),
            Fault::Dimensions => (
                "an array has more than one dimension, which a Parquet list cannot hold",
                "cast it to text in the query, or take it apart there",
            ),
            Fault::LowerBound => (
                "an array does not begin at 1, which a Parquet list cannot hold",
                "renumber it in the query: `ARRAY(SELECT unnest(c))`",
            ),
            Fault::BatchFull => (
                "the values between two batches take more than 2 GiB",
                "this is a mistake of Dayhaul's: it must end a batch earlier",
            ),
        }
    }
}
