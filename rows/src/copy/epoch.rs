//! PostgreSQL counts time from 2000-01-01 (POSTGRES_EPOCH_JDATE in `src/include/datatype/timestamp.h`), Arrow from
//! 1970-01-01; both in UTC, in days or microseconds.

/// Days from 1970-01-01 to 2000-01-01.
pub(super) const DAYS: i32 = 10_957;

/// Microseconds from 1970-01-01 to 2000-01-01.
pub(super) const MICROS: i64 = DAYS as i64 * DAY_MICROS;

/// Microseconds of a day, one more than the last time of day.
pub(super) use crate::unit::DAY_MICROS;
