//! A window is loaded: COPY OUT at the tenant, split into tuples, COPY IN at the warehouse, ledger, commit.
//!
//! # Memory usage
//!
//! A window that streams holds [`SEND_BYTES`](crate::copy::SEND_BYTES) and one tuple. A window of several day tables is
//! buffered per day up to the window budget; past it the try ends with [`WindowOutcome::TooLarge`], and the window is
//! fetched again in smaller ones, down to a single day, which streams however large it is. What lands, too: [`DayFiles`].

use super::context::{WindowLoad, abort_unless_done, same_count};
use super::day_buffer::DayBuffer;
use super::drain::{RowSink, drain};
use super::landing::DayFiles;
use crate::catalog::ledger::objects;
use crate::catalog::ledger::units::LoadedDay;
use crate::copy::Tally;
use crate::engine::window::outcome::WindowOutcome;
use crate::error::{At, Result, Side};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::{self, Claim, Destination, TableCopy};
use bytes::Bytes;
use std::ops::ControlFlow;

/// Rows that stream into one table, and into their days' files.
struct TableSink<'s, 'f> {
    table: TableCopy,
    files: &'s mut Option<DayFiles<'f>>,
}

impl RowSink for TableSink<'_, '_> {
    const TAKES_BLOCKS: bool = true;

    fn row(&mut self, day: usize, tuple: &[u8]) {
        if let Some(files) = self.files {
            files.push(day, tuple);
        }
    }

    async fn settle(&mut self, bytes: usize) -> Result<ControlFlow<()>> {
        match self.files {
            Some(files) => RowSink::settle(files, bytes).await,
            None => Ok(ControlFlow::Continue(())),
        }
    }

    async fn send(&mut self, tuples: Bytes) -> Result<()> {
        self.table.send(tuples).await
    }
}

/// Rows of several days, buffered for their tables.
struct BufferSink {
    days: Vec<DayBuffer>,
    budget: usize,
}

impl RowSink for BufferSink {
    fn row(&mut self, day: usize, tuple: &[u8]) {
        self.days[day].push(tuple);
    }

    async fn settle(&mut self, bytes: usize) -> Result<ControlFlow<()>> {
        Ok(if bytes > self.budget {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

impl WindowLoad<'_> {
    /// Loads the window. After an error both sessions are in an unknown state, and the warehouse has kept nothing.
    pub async fn load(&self, from: &Session, to: &Session) -> Result<WindowOutcome> {
        // Rows of one table stream into it; those of several day tables are buffered.
        if self.destination != Destination::DayTable || self.window.len() == 1 {
            self.stream(from, to, self.reload).await
        } else {
            self.buffer(from, to).await
        }
    }

    pub async fn stream(
        &self,
        from: &Session,
        to: &Session,
        reload: bool,
    ) -> Result<WindowOutcome> {
        let mut files = self.files()?;
        let streamed = self.stream_through(&mut files, from, to, reload).await;
        abort_unless_done(files, streamed).await
    }

    async fn stream_through(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        reload: bool,
    ) -> Result<WindowOutcome> {
        let (claim, rows) = tokio::join!(self.begin_load(to, reload), self.copy_out(from));
        let rows = rows?;
        if claim? == Claim::Done {
            return Ok(WindowOutcome::AlreadyLoaded);
        }
        let table = warehouse::copy_into(to, self.place, self.destination, self.window.from);
        let table = table.await?;
        let mut intake = self.intake(from);
        let mut sink = TableSink { table, files };
        let drained = drain(rows, &mut intake, self.progress, &mut sink).await?;
        let days = drained.unwrap_or_default();
        let TableSink { mut table, files } = sink;
        let arrived = async {
            table.send(intake.take()).await?;
            table.finish().await
        };
        let (stored, ended) = tokio::join!(arrived, self.source_is_done(from, &days));
        let sent = days.iter().map(|tally| tally.rows).sum();
        same_count(sent, stored?)?;
        ended?;
        if let Some(files) = files {
            self.finish_files(files, &days).await?;
        }
        self.finish_load(to, &days, files).await
    }

    async fn finish_files(&self, files: &mut DayFiles<'_>, days: &[Tally]) -> Result<()> {
        let tallies = days.iter().copied().enumerate();
        let finished = files.finish(tallies, || self.progress.alive()).await;
        finished.on(Side::Landing)
    }

    async fn buffer(&self, from: &Session, to: &Session) -> Result<WindowOutcome> {
        let mut files = self.files()?;
        let buffered = self.buffer_through(&mut files, from, to).await;
        abort_unless_done(files, buffered).await
    }

    async fn buffer_through(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
    ) -> Result<WindowOutcome> {
        let rows = self.copy_out(from).await?;
        let mut sink = BufferSink {
            days: self.window.days().map(|_| DayBuffer::default()).collect(),
            budget: self.budget(),
        };
        let mut intake = self.intake(from);
        let drained = drain(rows, &mut intake, self.progress, &mut sink).await?;
        let Some(days) = drained else {
            return Ok(WindowOutcome::TooLarge);
        };
        self.source_is_done(from, &days).await?;
        if let Some(files) = files {
            for (index, rows) in sink.days.iter().enumerate() {
                files.take_day(index, rows).await.on(Side::Landing)?;
                self.progress.alive();
            }
            self.finish_files(files, &days).await?;
        }
        if self.begin_load(to, self.reload).await? == Claim::Done {
            return Ok(WindowOutcome::AlreadyLoaded);
        }
        for ((day, tally), buffer) in self.window.days().zip(&days).zip(sink.days) {
            if tally.rows > 0 {
                self.load_day(to, day, tally, buffer).await?;
                self.progress.alive();
            }
        }
        self.finish_load(to, &days, files).await
    }

    async fn load_day(
        &self,
        to: &Session,
        day: Day,
        tally: &Tally,
        buffer: DayBuffer,
    ) -> Result<()> {
        let table = warehouse::copy_into(to, self.place, self.destination, day);
        let mut table = table.await?;
        for piece in buffer.into_pieces() {
            table.send(piece).await?;
        }
        let stored = table.finish().await?;
        same_count(tally.rows, stored).map_err(|error| error.on_day(day))
    }

    pub(super) async fn begin_load(&self, to: &Session, reload: bool) -> Result<Claim> {
        let (window, destination) = (self.window, self.destination);
        warehouse::begin_load(to, self.place, &self.entry, window, destination, reload).await
    }

    pub(super) async fn finish_load(
        &self,
        to: &Session,
        days: &[Tally],
        files: &mut Option<DayFiles<'_>>,
    ) -> Result<WindowOutcome> {
        let days = self.window.days().zip(days);
        let loaded: Vec<LoadedDay> = days
            .map(|(day, tally)| self.loaded_day(day, *tally))
            .collect();
        if self.destination.staged_year().is_some() && files.is_some() {
            // Until the year is revealed readers see older rows, which the new files do not hold.
            objects::withdraw(to, &self.entry, self.window.days()).await?;
        }
        warehouse::finish_load(to, self.place, &self.entry, self.destination, &loaded).await?;
        self.publish(to, files).await?;
        Ok(WindowOutcome::loaded(loaded))
    }
}
