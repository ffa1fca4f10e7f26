//! One window's way: COPY OUT at the tenant, split into tuples, COPY IN at the warehouse, ledger, commit.
//!
//! # Memory usage
//!
//! A window that streams holds [`SEND_BYTES`] and one tuple. A window of several day tables is buffered per day up to the
//! window budget; past it the haul ends with [`Hauled::TooMuch`], and the window is fetched again in smaller ones, down
//! to a single day, which streams however large it is. What lands, too: [`DayFiles`].

use super::day_buffer::DayBuffer;
use super::landing::{DayFiles, Lake};
use super::moved_rows::Asking;
use crate::catalog::ledger::objects::{self, Ledger};
use crate::catalog::ledger::units::{Entry, LoadedDay};
use crate::copy::{Intake, SEND_BYTES, Tally};
use crate::engine::report::window_outcome::{Fault, Hauled, landing, source, target};
use crate::engine::schedule::task::Work;
use crate::engine::schedule::watchdog::{Meter, unless_stalled};
use crate::error::{Error, Kind};
use crate::pg::{CopyOut, Session};
use crate::schema::Salt;
use crate::template::{SOURCE_SETTINGS, copy_out_sql};
use crate::unit::{Day, Window};
use crate::warehouse::{self, Claim, Destination, Place, Shape};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a refresh may know from the tries and windows before it.
pub struct RefreshHints<'a> {
    /// Replace the day whole.
    pub replace: bool,
    /// The day is refreshed by itself, though rows moved between it and others: they do not fit together.
    pub apart: bool,
    /// Days that were refreshed so in this run: they are not asked for again.
    pub followed: BTreeSet<Day>,
    /// Days that are refreshed in the same transactions, at the source and in the warehouse: rows moved between them and
    /// the window.
    pub with: &'a [Haul<'a>],
    /// Days from which keys vanish are to wait until the pair's other days are through.
    pub patient: bool,
    /// How to find the days to which rows moved that vanished.
    pub asking: Asking<'a>,
}

/// What is hauled, and how.
#[derive(Clone, Copy)]
pub struct Haul<'a> {
    pub place: Place<'a>,
    pub entry: Entry<'a>,
    pub window: Window,
    pub destination: Destination,
    /// The template's query with its placeholders replaced.
    pub query: &'a str,
    /// How the tenant masks what the template masks.
    pub masks: Option<&'a Salt>,
    pub reload: bool,
    pub statement_timeout: Duration,
    pub stall_timeout: Duration,
    /// Bytes of rows that a buffered window may hold.
    pub budget: usize,
    /// Where the days go as files, too.
    pub lake: Option<Lake<'a>>,
    /// Called when the source has given all, and is free for others.
    pub pulled: &'a dyn Fn(),
}

impl Haul<'_> {
    /// Hauls the window. After an error both sessions are in an unknown state, and the warehouse has kept nothing.
    ///
    /// `moved` is called with (rows, bytes) that passed since the last call.
    pub async fn run(
        &self,
        from: &Session,
        to: &Session,
        work: Work,
        hints: &RefreshHints<'_>,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let meter = Meter::default();
        let progress = |rows, bytes| {
            meter.moved();
            moved(rows, bytes);
        };
        // Rows of one table can stream into it; those of several day tables wait for their turn.
        let one_table = self.destination != Destination::DayTable || self.window.len() == 1;
        unless_stalled(&meter, self.stall_timeout, async {
            match work {
                Work::Alone => match self.lake {
                    Some(lake) => self.land_alone(lake, from, to, progress).await,
                    None => Err(Error::new(Kind::Bug, "nobody said where files go").into()),
                },
                Work::Land => Err(Error::new(Kind::Bug, "what lands asks no source").into()),
                Work::Refresh if hints.replace => self.replace(from, to, progress).await,
                Work::Refresh => self.refresh(from, to, hints, progress).await,
                Work::Restore => {
                    Err(Error::new(Kind::Bug, "files are not read from a tenant").into())
                }
                Work::Load if one_table => self.stream(from, to, self.reload, progress).await,
                Work::Load => self.buffer(from, to, progress).await,
            }
        })
        .await
    }

    pub async fn stream(
        &self,
        from: &Session,
        to: &Session,
        reload: bool,
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let mut files = self.files()?;
        let streamed = self
            .stream_through(&mut files, from, to, reload, moved)
            .await;
        unless_failed(files, streamed).await
    }

    async fn stream_through(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        reload: bool,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let (claim, rows) = tokio::join!(self.begin_load(to, reload), self.copy_out(from));
        let mut rows = rows?;
        if claim? == Claim::Done {
            return Ok(Hauled::AlreadyThere);
        }
        let mut intake = self.intake();
        let mut table = warehouse::copy_into(to, self.place, self.destination, self.window.from)
            .await
            .map_err(target)?;
        let mut seen = 0;
        while let Some(chunk) = rows.next().await {
            intake.push(&chunk.map_err(source)?, |day, tuple| {
                seen += 1;
                if let Some(files) = files {
                    files.push(day, tuple);
                }
            })?;
            if let Some(files) = files {
                files.settle().await.map_err(landing)?;
            }
            if intake.waiting() >= SEND_BYTES {
                moved(std::mem::take(&mut seen), intake.waiting() as u64);
                if intake.has_strays() {
                    // Lost already; the rest is read to count the strays.
                    intake.discard();
                } else {
                    table.send(intake.take()).await.map_err(target)?;
                }
            }
        }
        let days = intake.finish()?.to_vec();
        (self.pulled)();
        moved(seen, intake.waiting() as u64);
        let arrived = async {
            table.send(intake.take()).await?;
            table.finish().await
        };
        let (stored, ended) = tokio::join!(arrived, from.batch("COMMIT"));
        let sent = days.iter().map(|tally| tally.rows).sum();
        same_count(sent, stored.map_err(target)?)?;
        ended.map_err(source)?;
        if let Some(files) = files {
            let tallies = days.iter().copied().enumerate();
            files
                .finish(tallies, || moved(0, 0))
                .await
                .map_err(landing)?;
        }
        self.finish_load(to, &days, files).await
    }

    async fn buffer(
        &self,
        from: &Session,
        to: &Session,
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let mut files = self.files()?;
        let buffered = self.buffer_through(&mut files, from, to, moved).await;
        unless_failed(files, buffered).await
    }

    async fn buffer_through(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let mut rows = self.copy_out(from).await?;
        let mut intake = self.intake();
        let mut buffers: Vec<DayBuffer> =
            self.window.days().map(|_| DayBuffer::default()).collect();
        let (mut held, mut told, mut seen) = (0, 0, 0);
        while let Some(chunk) = rows.next().await {
            intake.push(&chunk.map_err(source)?, |day, tuple| {
                buffers[day].push(tuple);
                held += tuple.len();
                seen += 1;
            })?;
            intake.discard();
            if held > self.budget {
                return Ok(Hauled::TooMuch);
            }
            if held - told >= SEND_BYTES {
                moved(std::mem::take(&mut seen), (held - told) as u64);
                told = held;
            }
        }
        let days = intake.finish()?.to_vec();
        moved(seen, (held - told) as u64);
        from.batch("COMMIT").await.map_err(source)?;
        (self.pulled)();
        if let Some(files) = files {
            for (index, rows) in buffers.iter().enumerate() {
                files.take_day(index, rows).await.map_err(landing)?;
                moved(0, 0);
            }
            let tallies = days.iter().copied().enumerate();
            files
                .finish(tallies, || moved(0, 0))
                .await
                .map_err(landing)?;
        }

        if self.begin_load(to, self.reload).await? == Claim::Done {
            return Ok(Hauled::AlreadyThere);
        }
        for ((day, tally), buffer) in self.window.days().zip(&days).zip(buffers) {
            if tally.rows > 0 {
                self.load_day(to, day, tally, buffer).await?;
                moved(0, 0);
            }
        }
        self.finish_load(to, &days, files).await
    }

    /// The files of this window's days, where they are to land.
    pub fn files(&self) -> Result<Option<DayFiles<'_>>, Fault> {
        self.files_of(self.window.days())
    }

    pub fn files_of(
        &self,
        days: impl IntoIterator<Item = Day>,
    ) -> Result<Option<DayFiles<'_>>, Fault> {
        let files = |lake| DayFiles::new(lake, self.place.template, days);
        self.lake.map(files).transpose().map_err(landing)
    }

    async fn load_day(
        &self,
        to: &Session,
        day: Day,
        tally: &Tally,
        buffer: DayBuffer,
    ) -> Result<(), Fault> {
        let mut table = warehouse::copy_into(to, self.place, self.destination, day)
            .await
            .map_err(target)?;
        for piece in buffer.into_pieces() {
            table.send(piece).await.map_err(target)?;
        }
        let stored = table.finish().await.map_err(target)?;
        same_count(tally.rows, stored).map_err(|fault| Fault {
            error: fault.error.on_day(day),
            ..fault
        })
    }

    pub fn intake(&self) -> Intake {
        let template = self.place.template;
        Intake::new(&template.columns, template.time_index(), self.window)
    }

    async fn begin_load(&self, to: &Session, reload: bool) -> Result<Claim, Fault> {
        warehouse::begin_load(
            to,
            self.place,
            &self.entry,
            self.window,
            self.destination,
            reload,
        )
        .await
        .map_err(target)
    }

    pub async fn copy_out(&self, from: &Session) -> Result<CopyOut, Fault> {
        // Sent together, without a round trip between them; in a transaction that failed to begin the COPY fails, too.
        let begin = begin_source(self.statement_timeout);
        let (begun, rows) = tokio::join!(from.batch(&begin), self.rows(from));
        begun.map_err(source)?;
        rows
    }

    /// The rows of the window, within a transaction.
    pub async fn rows(&self, from: &Session) -> Result<CopyOut, Fault> {
        from.copy_out(&copy_out_sql(self.place.template, self.query, self.masks))
            .await
            .map_err(source)
    }

    async fn finish_load(
        &self,
        to: &Session,
        days: &[Tally],
        files: &mut Option<DayFiles<'_>>,
    ) -> Result<Hauled, Fault> {
        let loaded: Vec<LoadedDay> = self
            .window
            .days()
            .zip(days)
            .map(|(day, tally)| self.loaded_day(day, *tally))
            .collect();
        let staged = matches!(self.destination, Destination::Staging(_));
        if staged && files.is_some() {
            // Until the year is revealed readers see older rows, which the new files do not hold.
            objects::withdraw(to, &self.entry, self.window.days())
                .await
                .map_err(target)?;
        }
        warehouse::finish_load(to, self.place, &self.entry, self.destination, &loaded)
            .await
            .map_err(target)?;
        self.publish(to, files).await?;
        Ok(Hauled::Loaded(loaded))
    }

    /// Publishes the files of what was committed.
    pub async fn publish(
        &self,
        to: &Session,
        files: &mut Option<DayFiles<'_>>,
    ) -> Result<(), Fault> {
        let ledger = match self.destination {
            Destination::Staging(_) => Ledger::Staged,
            _ => Ledger::Units,
        };
        match files {
            Some(files) => files.publish(to, &self.entry, ledger).await,
            None => Ok(()),
        }
    }
}

/// Hands on how a haul ended; if it did not load, nothing is left of its files.
pub async fn unless_failed(
    files: Option<DayFiles<'_>>,
    hauled: Result<Hauled, Fault>,
) -> Result<Hauled, Fault> {
    if let Some(files) = files
        && !matches!(hauled, Ok(Hauled::Loaded(_) | Hauled::Refreshed(_)))
    {
        files.abort().await;
    }
    hauled
}

impl Haul<'_> {
    pub fn loaded_day(&self, day: Day, tally: Tally) -> LoadedDay {
        LoadedDay {
            day,
            tally,
            relation: format!(
                "{}.{}",
                self.place.schema,
                Shape::table(&self.place.template.name, self.destination, day)
            ),
        }
    }
}

/// One transaction, read only, all settings local to it: a pooler may stand between.
pub fn begin_source(statement_timeout: Duration) -> String {
    begin_read_only("READ ONLY", statement_timeout)
}

/// The same, whose queries all see the source at one moment.
pub fn begin_source_snapshot(statement_timeout: Duration) -> String {
    begin_read_only(
        "ISOLATION LEVEL REPEATABLE READ READ ONLY",
        statement_timeout,
    )
}

fn begin_read_only(modes: &str, statement_timeout: Duration) -> String {
    let timeout = statement_timeout.as_millis();
    format!(
        "BEGIN {modes}; {SOURCE_SETTINGS}; SET LOCAL statement_timeout = '{timeout}ms'; \
         SET LOCAL idle_in_transaction_session_timeout = '{timeout}ms'"
    )
}

pub fn same_count(sent: u64, stored: u64) -> Result<(), Fault> {
    if sent == stored {
        return Ok(());
    }
    Err(Error::new(
        Kind::Protocol,
        format!("{sent} rows were sent, but the warehouse stored {stored}"),
    )
    .with_hint("a trigger or rule on the table may drop rows: remove it")
    .into())
}
