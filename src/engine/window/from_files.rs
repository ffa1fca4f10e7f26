//! Restores a window from files: one file per day, each compared with its footer before the commit.

use super::context::{WindowLoad, same_count};
use super::landing::Landed;
use super::outcome::WindowOutcome;
use crate::catalog::ledger::objects::{self, Object};
use crate::catalog::ledger::units::{self, Entry, LoadedDay};
use crate::catalog::registry::templates;
use crate::engine::report::progress::WindowProgress;
use crate::engine::restore::day_file::{DayFile, RestoredRows};
use crate::engine::restore::{FileRemark, PairFiles};
use crate::error::{Error, Result, Side};
use crate::pg::Session;
use crate::unit::{Day, Window};
use crate::warehouse::{self, Claim, Destination, HeldKeys, TableCopy};
use std::collections::BTreeSet;

/// Why a day was not restored.
enum DayFailed {
    /// The file is bad.
    File(Error),
    Warehouse(Error),
}

/// The days of a window whose rows were sent.
#[derive(Default)]
struct SentDays {
    /// The COPY IN that takes the next day, too.
    table: Option<TableCopy>,
    /// Rows sent into it.
    rows: u64,
    days: Vec<LoadedDay>,
    objects: Vec<(Day, Object)>,
    remarks: Vec<(Day, FileRemark)>,
}

impl WindowLoad<'_> {
    /// Loads the window's days from their files, and the days `with` which they exchanged keys in the same transaction. When
    /// the days have several template versions, or a file is bad, the window is split into pieces to be tried again.
    ///
    /// After anything but [`WindowOutcome::Done`] the session is in an unknown state, and nothing was committed.
    pub async fn restore(
        &self,
        files: &PairFiles,
        with: &BTreeSet<Day>,
        to: &Session,
        landed: &Landed,
    ) -> Result<WindowOutcome> {
        let outcome = self.restore_days(files, with, to, landed).await;
        match outcome {
            Err(error) if self.may_exchange_keys(&error) => {
                self.restore_with(files, with, to, error).await
            }
            outcome => outcome,
        }
    }

    async fn restore_days(
        &self,
        files: &PairFiles,
        with: &BTreeSet<Day>,
        to: &Session,
        landed: &Landed,
    ) -> Result<WindowOutcome> {
        let window = self.window;
        let first = open(files, window.from).await?;
        let version = first.version(files.template()).to_owned();
        let entry = Entry {
            version: &version,
            ..self.entry
        };
        self.add_version(files, &first, to).await?;
        let claim = warehouse::begin_load(
            to,
            self.place,
            &entry,
            window,
            self.destination,
            self.reload,
        )
        .await?;
        if claim == Claim::Done {
            return Ok(WindowOutcome::AlreadyLoaded);
        }
        self.claim_others(files, with, to).await?;
        let mut sent_days = SentDays::default();
        let mut next = Some(first);
        for day in window.days() {
            let mut file = match next.take() {
                Some(file) => file,
                None => open(files, day).await?,
            };
            if file.version(files.template()) != version {
                let (before, from) = (Window::new(window.from, day), Window::new(day, window.to));
                return Ok(WindowOutcome::Split(vec![before, from]));
            }
            let last = day.next() == window.to;
            match self
                .restore_day(&mut file, day, last, to, &mut sent_days)
                .await
            {
                Ok(rows) if files.is_home(file.place) => {
                    sent_days.objects.push((day, object(&file, rows)));
                }
                Ok(_) => {}
                Err(DayFailed::Warehouse(error)) => return Err(error),
                Err(DayFailed::File(error)) => return set_aside(files, window, day, &file, error),
            }
        }
        let others = self.restore_others(files, with, to).await?;
        self.finish(to, &entry, &sent_days).await?;
        for (day, remark) in sent_days.remarks.into_iter().chain(others.remarks) {
            files.restored(day, remark);
        }
        for (day, object) in sent_days.objects.into_iter().chain(others.objects) {
            landed.found(day, object);
        }
        let mut days = sent_days.days;
        days.extend(others.days);
        Ok(WindowOutcome::loaded(days))
    }

    /// Whether a single day of a year is refused because of its keys, while other days of the year may be replaced, too.
    fn may_exchange_keys(&self, error: &Error) -> bool {
        let in_year = matches!(self.destination, Destination::Year(_));
        in_year && self.reload && self.window.len() == 1 && error.sqlstate() == Some("23505")
    }

    /// The window with the days that hold its keys now, if all of them are to be restored; otherwise the error.
    async fn restore_with(
        &self,
        files: &PairFiles,
        with: &BTreeSet<Day>,
        to: &Session,
        error: Error,
    ) -> Result<WindowOutcome> {
        to.batch("ROLLBACK").await?;
        let mut own = with.clone();
        own.insert(self.window.from);
        let held = HeldKeys::begin(to, self.place, self.window.from.year()).await?;
        for day in &own {
            let mut file = open(files, *day).await?;
            let mut rows = held.rows().await?;
            if let Err(DayFailed::File(error) | DayFailed::Warehouse(error)) =
                send(&mut file, &mut rows, self.progress).await
            {
                return Err(error);
            }
            rows.finish().await?;
        }
        let among_themselves = held.among_themselves().await?;
        let others = held.find(&own).await?;
        if others.is_empty() && !among_themselves {
            // Another worker has just replaced the day that held them.
            return Err(error.with_transient(true));
        }
        if others.is_empty() || !others.is_subset(&files.wanted.there) {
            return Err(error);
        }
        Ok(WindowOutcome::RestoreWith(with | &others))
    }

    /// Adds days to the load that its window does not have: their rows are deleted.
    async fn claim_others(
        &self,
        files: &PairFiles,
        with: &BTreeSet<Day>,
        to: &Session,
    ) -> Result<()> {
        for day in with {
            let file = open(files, *day).await?;
            self.add_version(files, &file, to).await?;
            let entry = Entry {
                version: file.version(files.template()),
                ..self.entry
            };
            warehouse::add_to_load(to, self.place, &entry, *day, self.reload).await?;
        }
        Ok(())
    }

    /// Restores these days, and records them.
    async fn restore_others(
        &self,
        files: &PairFiles,
        with: &BTreeSet<Day>,
        to: &Session,
    ) -> Result<SentDays> {
        let mut all = SentDays::default();
        for day in with {
            let mut file = open(files, *day).await?;
            let mut sent = SentDays::default();
            let rows = match self.restore_day(&mut file, *day, true, to, &mut sent).await {
                Ok(rows) => rows,
                Err(DayFailed::Warehouse(error)) => return Err(error),
                Err(DayFailed::File(error)) => {
                    files.set_aside(*day, file.place, error);
                    return Err(from_file(*day, files.why_none(*day)));
                }
            };
            let entry = Entry {
                version: file.version(files.template()),
                ..self.entry
            };
            if files.is_home(file.place) {
                sent.objects.push((*day, object(&file, rows)));
                objects::record(to, &entry, self.destination.ledger(), &sent.objects).await?;
            }
            units::record(to, &entry, &sent.days).await?;
            all.days.append(&mut sent.days);
            all.objects.append(&mut sent.objects);
            all.remarks.append(&mut sent.remarks);
        }
        Ok(all)
    }

    /// Sends a day's rows. A day table is finished with them; a table of several days takes the next day, too, unless it is
    /// the `last` one.
    async fn restore_day(
        &self,
        file: &mut DayFile,
        day: Day,
        last: bool,
        to: &Session,
        sent_days: &mut SentDays,
    ) -> Result<RestoredRows, DayFailed> {
        let mut table = match sent_days.table.take() {
            Some(table) => table,
            None => warehouse::copy_into(to, self.place, self.destination, day)
                .await
                .map_err(DayFailed::Warehouse)?,
        };
        let rows = send(file, &mut table, self.progress).await?;
        sent_days.rows += rows.sent;
        if self.destination == Destination::DayTable || last {
            let stored = table.finish().await;
            let stored = stored.map_err(DayFailed::Warehouse)?;
            same_count(std::mem::take(&mut sent_days.rows), stored)
                .map_err(DayFailed::Warehouse)?;
        } else {
            sent_days.table = Some(table);
        }
        sent_days.days.push(self.loaded_day(day, rows.tally));
        sent_days.remarks.push((day, file.remark));
        Ok(rows)
    }

    /// Adds a template version to the catalog, and reports columns that differ, for the first file of that version.
    async fn add_version(&self, files: &PairFiles, file: &DayFile, to: &Session) -> Result<()> {
        let written = &file.columns.written;
        if files.is_new_version(written.version()) {
            templates::know_version(to, written).await?;
        }
        if let Some(note) = file.columns.note() {
            let note = format!("{}/{}: {note}", self.place.tenant, written.name);
            if files.is_new_note(&note) {
                self.notes.add(note);
            }
        }
        Ok(())
    }

    /// Commits the days, and records the files that are under the warehouse's own landing root.
    async fn finish(&self, to: &Session, entry: &Entry<'_>, sent_days: &SentDays) -> Result<()> {
        let ledger = self.destination.ledger();
        if !sent_days.objects.is_empty() {
            objects::record(to, entry, ledger, &sent_days.objects).await?;
        }
        warehouse::finish_load(to, self.place, entry, self.destination, &sent_days.days).await
    }
}

async fn open(files: &PairFiles, day: Day) -> Result<DayFile> {
    let file = files.open(day).await;
    file.map_err(|error| from_file(day, error))
}

async fn send(
    file: &mut DayFile,
    table: &mut TableCopy,
    progress: &WindowProgress<'_>,
) -> Result<RestoredRows, DayFailed> {
    while let Some(tuples) = file.tuples().map_err(DayFailed::File)? {
        progress.moved(tuples.rows, tuples.bytes.len() as u64);
        let sent = table.send(tuples.bytes).await;
        sent.map_err(DayFailed::Warehouse)?;
    }
    file.finish().map_err(DayFailed::File)
}

/// A bad file stays bad: the day is tried again from another place, if one has it. The window's other days did not cause the
/// failure.
fn set_aside(
    files: &PairFiles,
    window: Window,
    day: Day,
    file: &DayFile,
    error: Error,
) -> Result<WindowOutcome> {
    files.set_aside(day, file.place, error);
    if files.has_another(day) {
        return Ok(WindowOutcome::Split(window.around(day)));
    }
    Err(from_file(day, files.why_none(day)))
}

fn from_file(day: Day, error: Error) -> Error {
    error.on_day(day).on(Side::Source)
}

/// The ledger's record of a file that a day was restored from: it holds exactly the day's rows.
fn object(file: &DayFile, rows: RestoredRows) -> Object {
    Object {
        url: file.url().to_owned(),
        bytes: file.bytes(),
        digest: rows.tally.digest,
        rounded: file.footer().rounded,
    }
}
