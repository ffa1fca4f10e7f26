//! What a try of a window needs, and the steps that all tasks share.

use super::checked_days::CheckedDays;
use super::landing::{DayFiles, Lake};
use crate::catalog::Pair;
use crate::catalog::ledger::units::{Entry, LoadedDay};
use crate::config::Settings;
use crate::copy::{Intake, Tally};
use crate::engine::report::notes::Notes;
use crate::engine::report::progress::WindowProgress;
use crate::engine::schedule::pool::SourceSlot;
use crate::engine::schedule::task::{Refresh, Task};
use crate::engine::window::outcome::WindowOutcome;
use crate::error::{At, Error, Kind, Result, Side};
use crate::pg::{CopyOut, Session, SourceTransaction};
use crate::template::copy_out_sql;
use crate::unit::{Day, Window};
use crate::warehouse::{Destination, Place, Shape};
use std::collections::BTreeSet;

/// Bytes whose writing takes about as long as opening a session with another source.
const WORTH_A_SESSION: u64 = 1 << 20;

/// A window of a pair, and what one try of it needs.
#[derive(Clone, Copy)]
pub struct WindowLoad<'a> {
    pub pair: &'a Pair,
    pub place: Place<'a>,
    pub entry: Entry<'a>,
    pub window: Window,
    /// Of the first day; the days of a refresh may be in several tables.
    pub destination: Destination,
    /// From this day on, days have tables of their own.
    pub fold_line: Day,
    pub settings: &'a Settings,
    /// As `server_version_num`.
    pub warehouse_version: u32,
    /// Days are loaded, or written, whatever is there.
    pub reload: bool,
    /// Where the days go as files, too.
    pub lake: Option<Lake<'a>>,
    /// Its place at the source's server.
    pub slot: SourceSlot<'a, Task>,
    pub progress: &'a WindowProgress<'a>,
    pub notes: &'a Notes,
    pub checked: &'a CheckedDays,
}

/// What a refresh knows from the tries and windows before it.
pub struct RefreshContext<'a> {
    pub refresh: &'a Refresh,
    /// Days that were refreshed separately in this run: they are not fetched again.
    pub done_separately: BTreeSet<Day>,
    /// The days that are refreshed with the window.
    pub with: &'a [WindowLoad<'a>],
    /// Days from which keys vanish are to wait until the pair's other days are done.
    pub may_wait: bool,
}

impl<'a> WindowLoad<'a> {
    /// The same for another window of the pair.
    pub fn of(&self, window: Window, destination: Destination) -> WindowLoad<'a> {
        WindowLoad {
            window,
            destination,
            ..*self
        }
    }

    /// Where the rows of a day of the window are to be written.
    pub fn destination_of(&self, day: Day) -> Destination {
        match self.destination {
            Destination::Staging(year) => Destination::Staging(year),
            _ if day >= self.fold_line => Destination::DayTable,
            _ => Destination::Year(day.year()),
        }
    }

    /// Bytes of rows that a buffered window may hold.
    pub fn budget(&self) -> usize {
        self.settings.load.window_bytes
    }

    /// The template's query for a window of the pair.
    ///
    /// # Errors
    /// A placeholder of the query has no value.
    pub fn query(&self, window: Window) -> Result<String> {
        self.place.template.bind(&self.pair.tenant.bindings(window))
    }

    /// Counts, checks and digests the rows that come from a source.
    pub fn intake(&self, from: &Session) -> Intake {
        let columns = &self.place.template.columns;
        let intake = Intake::new(columns, self.place.template.time_index(), self.window);
        intake.between(columns, from.server_version(), self.warehouse_version)
    }

    /// A transaction at the source, for as long as a window's query may take.
    pub fn transaction(&self) -> SourceTransaction<'_> {
        let limit = self.settings.load.statement_timeout;
        self.pair.tenant.transaction(limit)
    }

    /// Begins a transaction at the source, and the COPY of the window in it.
    pub async fn copy_out(&self, from: &Session) -> Result<CopyOut> {
        // Sent together, without a round trip between them; in a transaction that failed to begin the COPY fails, too.
        let transaction = self.transaction();
        let (begun, rows) = tokio::join!(transaction.begin(from), self.rows(from));
        begun?;
        rows
    }

    /// The rows of the window, within a transaction.
    pub async fn rows(&self, from: &Session) -> Result<CopyOut> {
        self.rows_of(from, &self.query(self.window)?).await
    }

    /// The rows of a query of the template, within a transaction.
    pub async fn rows_of(&self, from: &Session, query: &str) -> Result<CopyOut> {
        let masks = self.settings.masks.as_ref();
        from.copy_out(&copy_out_sql(self.place.template, query, masks))
            .await
    }

    /// The source has sent all of the window: ends its transaction, and lets others have its place.
    pub async fn source_is_done(&self, from: &Session, days: &[Tally]) -> Result<()> {
        from.batch("COMMIT").await?;
        self.release_source(days.iter().map(|tally| tally.bytes).sum());
        from.rest();
        Ok(())
    }

    /// The source has sent all `bytes` of the window: another window may be read while this one is written. That takes
    /// another session, which little writing is not worth.
    pub fn release_source(&self, bytes: u64) {
        if self.lake.is_some() || bytes >= WORTH_A_SESSION {
            self.slot.release();
        }
    }

    /// The files of this window's days, where they are to land.
    pub fn files(&self) -> Result<Option<DayFiles<'a>>> {
        self.files_of(self.window.days())
    }

    pub fn files_of(&self, days: impl IntoIterator<Item = Day>) -> Result<Option<DayFiles<'a>>> {
        let files = |lake| DayFiles::new(lake, self.place.template, days);
        self.lake.map(files).transpose().on(Side::Landing)
    }

    /// Publishes the files of what was committed.
    pub async fn publish(&self, to: &Session, files: &mut Option<DayFiles<'_>>) -> Result<()> {
        let ledger = self.destination.ledger();
        match files {
            Some(files) => files.publish(to, &self.entry, ledger).await,
            None => Ok(()),
        }
    }

    pub fn loaded_day(&self, day: Day, tally: Tally) -> LoadedDay {
        LoadedDay {
            day,
            tally,
            relation: format!(
                "{}.{}",
                self.place.schema,
                Shape::table(&self.place.template.name, self.destination_of(day), day)
            ),
        }
    }
}

/// Passes on how a try ended, and deletes its files unless all its days are done.
pub async fn abort_unless_done(
    files: Option<DayFiles<'_>>,
    outcome: Result<WindowOutcome>,
) -> Result<WindowOutcome> {
    let done = matches!(&outcome, Ok(WindowOutcome::Done(done)) if done.waiting.is_empty());
    if let Some(files) = files
        && !done
    {
        files.abort().await;
    }
    outcome
}

/// # Errors
/// [`Kind::Protocol`] when the warehouse did not store what was sent.
pub fn same_count(sent: u64, stored: u64) -> Result<()> {
    if sent == stored {
        return Ok(());
    }
    Err(Error::new(
        Kind::Protocol,
        format!("{sent} rows were sent, but the warehouse stored {stored}"),
    )
    .with_hint("a trigger or rule on the table may drop rows: remove it"))
}
