//! Dates, times of day, timestamps, intervals.
//!
//! # Layout
//!
//! `date_send` and `time_send` in PostgreSQL's `src/backend/utils/adt/date.c`, `timestamp_send`, `timestamptz_send` and
//! `interval_send` in `timestamp.c`; all integers big-endian:
//!
//! ```text
//! date         days since 2000-01-01: i32                         ±infinity is the greatest or least value
//! time         microseconds since midnight: i64                   0 … 86 400 000 000, which is 24:00:00
//! timestamp    microseconds since 2000-01-01 00:00: i64           ±infinity is the greatest or least value
//! timestamptz  the same, in UTC
//!
//!               0                 8          12         16
//!              ┌─────────────────┬──────────┬──────────┐
//! interval     │microseconds: i64│days: i32 │months:i32│          all greatest or all least: ±infinity (PostgreSQL 17)
//!              └─────────────────┴──────────┴──────────┘
//! ```

use super::super::epoch;
use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use super::primitive::exactly;
use crate::schema::arrow::interval_fields;
use arrow_array::{ArrayRef, Int32Array, Int64Array, StructArray};
use arrow_buffer::NullBufferBuilder;
use std::sync::Arc;

/// Days since 1970-01-01.
pub(super) fn date(field: &[u8]) -> Result<i32, DecodeFault> {
    match i32::from_be_bytes(exactly(field)?) {
        i32::MIN | i32::MAX => Err(DecodeFault::Infinite),
        days => days.checked_add(epoch::DAYS).ok_or(DecodeFault::OutOfRange),
    }
}

/// Microseconds since midnight.
pub(super) fn time(field: &[u8]) -> Result<i64, DecodeFault> {
    match i64::from_be_bytes(exactly(field)?) {
        micros @ 0..epoch::DAY_MICROS => Ok(micros),
        epoch::DAY_MICROS => Err(DecodeFault::EndOfDay),
        _ => Err(DecodeFault::Malformed),
    }
}

/// Microseconds since 1970-01-01 00:00, in UTC for timestamptz.
pub(super) fn timestamp(field: &[u8]) -> Result<i64, DecodeFault> {
    match i64::from_be_bytes(exactly(field)?) {
        i64::MIN | i64::MAX => Err(DecodeFault::Infinite),
        micros => micros
            .checked_add(epoch::MICROS)
            .ok_or(DecodeFault::OutOfRange),
    }
}

/// Intervals, part by part.
pub(super) struct Intervals {
    months: Vec<i32>,
    days: Vec<i32>,
    micros: Vec<i64>,
    nulls: NullBufferBuilder,
}

impl Intervals {
    pub fn builder() -> Box<dyn ColumnBuilder> {
        Box::new(Intervals {
            months: Vec::new(),
            days: Vec::new(),
            micros: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        })
    }
}

/// Microseconds, days, months.
fn interval(field: &[u8]) -> Result<(i64, i32, i32), DecodeFault> {
    let (micros, rest) = field
        .split_first_chunk::<8>()
        .ok_or(DecodeFault::Malformed)?;
    let (days, months) = rest
        .split_first_chunk::<4>()
        .ok_or(DecodeFault::Malformed)?;
    let parts = (
        i64::from_be_bytes(*micros),
        i32::from_be_bytes(*days),
        i32::from_be_bytes(exactly(months)?),
    );
    match parts {
        (i64::MIN, i32::MIN, i32::MIN) | (i64::MAX, i32::MAX, i32::MAX) => {
            Err(DecodeFault::Infinite)
        }
        _ => Ok(parts),
    }
}

impl ColumnBuilder for Intervals {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault> {
        let (micros, days, months) = field.map_or(Ok((0, 0, 0)), interval)?;
        self.micros.push(micros);
        self.days.push(days);
        self.months.push(months);
        self.nulls.append(field.is_some());
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.months.len() * 16 + self.months.len() / 8
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeFault> {
        let rows = self.months.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(std::mem::replace(
                &mut self.months,
                Vec::with_capacity(rows),
            ))),
            Arc::new(Int32Array::from(std::mem::replace(
                &mut self.days,
                Vec::with_capacity(rows),
            ))),
            Arc::new(Int64Array::from(std::mem::replace(
                &mut self.micros,
                Vec::with_capacity(rows),
            ))),
        ];
        let array = StructArray::new(interval_fields(), columns, self.nulls.finish());
        Ok(Arc::new(array))
    }
}
