//! Windows that are to be compared, fetched from their source into memory.

use super::context::WindowLoad;
use super::day_buffer::DayBuffer;
use super::drain::{RowSink, drain};
use crate::copy::Tally;
use crate::error::Result;
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::Destination;
use std::ops::ControlFlow;

/// A day as the source gives it.
pub struct FetchedDay {
    pub day: Day,
    pub destination: Destination,
    pub tally: Tally,
    /// `None` when they do not fit the budget.
    pub rows: Option<DayBuffer>,
}

/// The rows of a window's days, held up to a budget.
struct HeldDays {
    days: Vec<Option<DayBuffer>>,
    /// Bytes of other windows that are held in the same transaction.
    before: usize,
    budget: usize,
    /// It is a single day, alone in its transaction: beyond the budget it is only counted and digested.
    may_forget: bool,
    /// Bytes of this window's rows, held or forgotten.
    bytes: usize,
}

impl RowSink for HeldDays {
    fn row(&mut self, day: usize, tuple: &[u8]) {
        if let Some(buffer) = &mut self.days[day] {
            buffer.push(tuple);
        }
    }

    async fn settle(&mut self, bytes: usize) -> Result<ControlFlow<()>> {
        self.bytes = bytes;
        if self.before + bytes > self.budget && self.days[0].is_some() {
            if !self.may_forget {
                return Ok(ControlFlow::Break(()));
            }
            self.days[0] = None;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl WindowLoad<'_> {
    /// Fetches the windows of `parts` in one transaction: several see the source at one moment. `None` when they exceed
    /// the budget together; a single day that does so alone is only counted and digested.
    pub async fn fetch_all(
        &self,
        from: &Session,
        parts: &[WindowLoad<'_>],
    ) -> Result<Option<Vec<FetchedDay>>> {
        self.transaction().begin(from).await?;
        let mut held = 0;
        let mut fetched = Vec::new();
        for part in parts {
            match part.fetch(from, parts.len() == 1, &mut held).await? {
                Some(days) => fetched.extend(days),
                None => return Ok(None),
            }
        }
        from.batch("COMMIT").await?;
        // A day that is only counted and digested may be fetched again. The session stays: rows that moved are looked for in it.
        if fetched.iter().all(|day: &FetchedDay| day.rows.is_some()) {
            self.release_source(held as u64);
        }
        Ok(Some(fetched))
    }

    /// `held`: bytes that are buffered already. `alone`: nothing else is in the same transaction.
    async fn fetch(
        &self,
        from: &Session,
        alone: bool,
        held: &mut usize,
    ) -> Result<Option<Vec<FetchedDay>>> {
        let rows = self.rows(from).await?;
        let buffers = self.window.days().map(|_| Some(DayBuffer::default()));
        let mut sink = HeldDays {
            days: buffers.collect(),
            before: *held,
            budget: self.budget(),
            may_forget: alone && self.window.len() == 1,
            bytes: 0,
        };
        let mut intake = self.intake(from);
        let drained = drain(rows, &mut intake, self.progress, &mut sink).await?;
        let Some(tallies) = drained else {
            return Ok(None);
        };
        *held += sink.bytes;
        let days = self.window.days().zip(tallies).zip(sink.days);
        let fetched = days.map(|((day, tally), rows)| FetchedDay {
            day,
            destination: self.destination_of(day),
            tally,
            rows,
        });
        Ok(Some(fetched.collect()))
    }
}
