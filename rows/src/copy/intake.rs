//! Receives one window's rows: checks them, counts and hashes them, and assigns each to its day.

use super::fault::RowFault;
use super::frame::Framer;
use super::rules::Rules;
use super::strays::Strays;
use super::tally::Tally;
use crate::error::Result;
use crate::schema::Column;
use crate::unit::{TimeRange, Window};
use bytes::Bytes;

/// Receives one window's COPY stream, in chunks split anywhere.
pub struct Intake {
    framer: Framer,
    rules: Rules,
    columns: Vec<String>,
    time_column: String,
    window: Window,
    /// The part of the window's only day that is received, if not all of it.
    range: Option<TimeRange>,
    days: Vec<Tally>,
    strays: Strays,
}

impl Intake {
    /// `time_column` is the position of the time column in `columns`.
    pub fn new(columns: &[Column], time_column: usize, window: Window) -> Intake {
        Intake {
            framer: Framer::new(columns.len()),
            rules: Rules::new(columns, time_column),
            columns: columns.iter().map(|c| c.name.clone()).collect(),
            time_column: columns
                .get(time_column)
                .map_or_else(String::new, |c| c.name.clone()),
            window,
            range: None,
            days: vec![Tally::default(); window.len()],
            strays: Strays::default(),
        }
    }

    /// Also refuses values that servers of these versions (as `server_version_num`) read differently.
    #[must_use]
    pub fn between(mut self, columns: &[Column], source: u32, warehouse: u32) -> Intake {
        self.rules.between(columns, source, warehouse);
        self
    }

    /// Receives only a part of the window's only day.
    #[must_use]
    pub fn within(mut self, range: TimeRange) -> Intake {
        self.range = Some(range);
        self
    }

    /// Receives a chunk. Calls `each` with every tuple that it completes, and the index of the tuple's day in the window.
    ///
    /// Rows outside the window, or outside its range, are counted and not passed on; [`Intake::finish`] reports them.
    ///
    /// # Errors
    /// [`Kind::Protocol`](crate::error::Kind::Protocol) when the stream is not a binary COPY of these columns;
    /// [`Kind::Data`](crate::error::Kind::Data), with the day, when a value does not fit its column.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(usize, &[u8])) -> Result<()> {
        self.framer.feed(chunk);
        while let Some(mut tuple) = self.framer.next_tuple()? {
            let day = match self.rules.day(&tuple) {
                Ok(day) => day,
                Err(RowFault::NullTime) => {
                    self.strays.add_null_time();
                    continue;
                }
                Err(RowFault::InfiniteTime) => {
                    self.strays.add_infinite_time();
                    continue;
                }
                Err(fault) => return Err(fault.error(&self.columns, None)),
            };
            let is_elsewhere = |range| !self.rules.is_within(range, &tuple);
            if !self.window.contains(day) || self.range.is_some_and(is_elsewhere) {
                self.strays.add(day);
                continue;
            }
            self.rules
                .apply(&mut tuple)
                .map_err(|fault| fault.error(&self.columns, Some(day)))?;
            let index = usize::try_from(day.pg_days() - self.window.from.pg_days()).unwrap_or(0);
            self.days[index].add(tuple.bytes);
            each(index, tuple.bytes);
        }
        Ok(())
    }

    /// Bytes that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.framer.complete()
    }

    /// Whether a row outside the window was received. If so, nothing of this stream may be published.
    pub fn has_strays(&self) -> bool {
        !self.strays.is_empty()
    }

    /// The tuples since the last call, one after another.
    pub fn take(&mut self) -> Bytes {
        self.framer.take()
    }

    /// Drops the tuples since the last call, which `each` has already seen.
    pub fn discard(&mut self) {
        self.framer.discard();
    }

    /// The tallies of the window's days, in order.
    ///
    /// # Errors
    /// [`Kind::Protocol`](crate::error::Kind::Protocol) when the trailer is missing;
    /// [`Kind::Data`](crate::error::Kind::Data) when rows outside the window were received, with their number and first day.
    pub fn finish(&self) -> Result<&[Tally]> {
        self.framer.finish()?;
        match self.range {
            Some(range) => self.strays.refuse(&self.time_column, &range)?,
            None => self.strays.refuse(&self.time_column, &self.window)?,
        }
        Ok(&self.days)
    }
}

#[cfg(test)]
mod tests;
