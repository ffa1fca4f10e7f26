//! Windows that are to be compared, pulled from their source into memory.

use super::day_buffer::DayBuffer;
use super::load::{Haul, begin_source, begin_source_snapshot};
use crate::copy::{SEND_BYTES, Tally};
use crate::engine::report::window_outcome::{Fault, source};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::Destination;
use futures::StreamExt;

/// A day as the source gives it.
pub struct Pulled {
    pub day: Day,
    pub destination: Destination,
    pub tally: Tally,
    /// `None` when they do not fit the budget.
    pub rows: Option<DayBuffer>,
}

impl Haul<'_> {
    /// Pulls the windows of `parts` in one transaction: several see the source at one moment. `None` when they exceed the
    /// budget together; a single day that does so alone is only counted and digested.
    pub async fn pull_all(
        &self,
        from: &Session,
        parts: &[Haul<'_>],
        moved: &mut impl FnMut(u64, u64),
    ) -> Result<Option<Vec<Pulled>>, Fault> {
        let begin = match parts.len() {
            1 => begin_source(self.statement_timeout),
            _ => begin_source_snapshot(self.statement_timeout),
        };
        from.batch(&begin).await.map_err(source)?;
        let mut held = 0;
        let mut pulled = Vec::new();
        for part in parts {
            match part.pull(from, parts.len() == 1, &mut held, moved).await? {
                Some(days) => pulled.extend(days),
                None => return Ok(None),
            }
        }
        from.batch("COMMIT").await.map_err(source)?;
        // A day that is only counted and digested may be asked for again.
        if pulled.iter().all(|day: &Pulled| day.rows.is_some()) {
            (self.pulled)();
        }
        Ok(Some(pulled))
    }

    /// `held`: bytes that are buffered already. `alone`: nothing else is in the same transaction.
    async fn pull(
        &self,
        from: &Session,
        alone: bool,
        held: &mut usize,
        moved: &mut impl FnMut(u64, u64),
    ) -> Result<Option<Vec<Pulled>>, Fault> {
        let mut rows = self.rows(from).await?;
        let mut intake = self.intake();
        let mut buffers: Vec<Option<DayBuffer>> = self
            .window
            .days()
            .map(|_| Some(DayBuffer::default()))
            .collect();
        let (mut told, mut seen) = (*held, 0);
        while let Some(chunk) = rows.next().await {
            intake.push(&chunk.map_err(source)?, |day, tuple| {
                if let Some(buffer) = &mut buffers[day] {
                    buffer.push(tuple);
                }
                *held += tuple.len();
                seen += 1;
            })?;
            intake.discard();
            if *held > self.budget && buffers[0].is_some() {
                if self.window.len() > 1 || !alone {
                    return Ok(None);
                }
                buffers[0] = None;
            }
            if *held - told >= SEND_BYTES {
                moved(std::mem::take(&mut seen), (*held - told) as u64);
                told = *held;
            }
        }
        let days = intake.finish()?;
        moved(seen, (*held - told) as u64);
        let pulled = self.window.days().zip(days).zip(buffers);
        Ok(Some(
            pulled
                .map(|((day, tally), rows)| Pulled {
                    day,
                    destination: self.destination,
                    tally: *tally,
                    rows,
                })
                .collect(),
        ))
    }
}
