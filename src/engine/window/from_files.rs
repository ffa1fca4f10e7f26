//! A window's way when it comes from files: a file a day, checked against its footer before the commit.

use super::landing::Landed;
use super::load::{Haul, same_count};
use crate::catalog::ledger::objects::{self, Ledger, Object};
use crate::catalog::ledger::units::{Entry, LoadedDay};
use crate::catalog::registry::templates;
use crate::engine::report::window_outcome::{Fault, Hauled, Side, target};
use crate::engine::restore::PairFiles;
use crate::engine::restore::day_file::{Came, DayFile};
use crate::engine::schedule::watchdog::{Meter, unless_stalled};
use crate::error::Error;
use crate::pg::Session;
use crate::unit::{Day, Window};
use crate::warehouse::{self, Claim, Destination, TableCopy};

/// Why a day's rows did not all arrive.
enum Stop {
    /// The file is not what it should be.
    File(Error),
    Warehouse(Fault),
}

/// The days of a window that are through.
#[derive(Default)]
struct Arrived {
    /// The table that takes the next day, too.
    table: Option<TableCopy>,
    /// Rows sent into it.
    sent: u64,
    days: Vec<LoadedDay>,
    objects: Vec<(Day, Object)>,
}

impl Haul<'_> {
    /// Loads the window's days from their files. Days of several template versions, and a day whose file turned out bad,
    /// come back as pieces to be tried again.
    ///
    /// After anything but [`Hauled::Loaded`] the session is in an unknown state, and the warehouse has kept nothing.
    pub async fn restore(
        &self,
        files: &PairFiles,
        to: &Session,
        landed: &Landed,
        warn: impl Fn(String),
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let meter = Meter::default();
        let progress = |rows, bytes| {
            meter.moved();
            moved(rows, bytes);
        };
        unless_stalled(&meter, self.stall_timeout, async {
            self.restore_window(files, to, landed, warn, progress).await
        })
        .await
    }

    async fn restore_window(
        &self,
        files: &PairFiles,
        to: &Session,
        landed: &Landed,
        warn: impl Fn(String),
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let window = self.window;
        let first = files
            .open(window.from)
            .await
            .map_err(|error| from_file(window.from, error))?;
        let version = first.version(files.template()).to_owned();
        let entry = Entry {
            version: &version,
            ..self.entry
        };
        self.introduce(files, &first, to, warn).await?;
        let claim = warehouse::begin_load(
            to,
            self.place,
            &entry,
            window,
            self.destination,
            self.reload,
        )
        .await
        .map_err(target)?;
        if claim == Claim::Done {
            return Ok(Hauled::AlreadyThere);
        }
        let mut arrived = Arrived::default();
        let mut next = Some(first);
        for day in window.days() {
            let mut file = match next.take() {
                Some(file) => file,
                None => files
                    .open(day)
                    .await
                    .map_err(|error| from_file(day, error))?,
            };
            if file.version(files.template()) != version {
                let (before, from) = (Window::new(window.from, day), Window::new(day, window.to));
                return Ok(Hauled::Pieces(vec![before, from]));
            }
            let came = self.take(&mut file, day, to, &mut arrived, &mut moved);
            match came.await {
                Ok(came) if files.is_home(file.place) => {
                    arrived.objects.push((day, object(&file, came)));
                }
                Ok(_) => {}
                Err(Stop::Warehouse(fault)) => return Err(fault),
                Err(Stop::File(error)) => return set_aside(files, window, day, &file, error),
            }
        }
        self.record_objects(to, &entry, &arrived.objects).await?;
        warehouse::finish_load(to, self.place, &entry, self.destination, &arrived.days)
            .await
            .map_err(target)?;
        for (day, object) in arrived.objects {
            landed.found(day, object);
        }
        Ok(Hauled::Loaded(arrived.days))
    }

    /// Sends a day's rows; a table of its own is done with them, one of more days goes on.
    async fn take(
        &self,
        file: &mut DayFile,
        day: Day,
        to: &Session,
        arrived: &mut Arrived,
        moved: &mut impl FnMut(u64, u64),
    ) -> Result<Came, Stop> {
        let mut table = match arrived.table.take() {
            Some(table) => table,
            None => warehouse::copy_into(to, self.place, self.destination, day)
                .await
                .map_err(|error| Stop::Warehouse(target(error)))?,
        };
        let came = send(file, &mut table, moved).await?;
        arrived.sent += came.sent;
        if self.destination == Destination::DayTable || day.next() == self.window.to {
            let stored = table.finish().await;
            let stored = stored.map_err(|error| Stop::Warehouse(target(error)))?;
            same_count(std::mem::take(&mut arrived.sent), stored).map_err(Stop::Warehouse)?;
        } else {
            arrived.table = Some(table);
        }
        arrived.days.push(self.loaded_day(day, came.tally));
        Ok(came)
    }

    /// Tells the catalog of a template version, and the user of columns that differ, when they first come.
    async fn introduce(
        &self,
        files: &PairFiles,
        file: &DayFile,
        to: &Session,
        warn: impl Fn(String),
    ) -> Result<(), Fault> {
        let written = &file.fit.written;
        if files.is_new_version(written.version()) {
            templates::know_version(to, written).await.map_err(target)?;
        }
        if let Some(note) = file.fit.note() {
            let note = format!("{}/{}: {note}", self.place.tenant, written.name);
            if files.says_first(&note) {
                warn(note);
            }
        }
        Ok(())
    }

    /// The warehouse's own files: its ledger may name them.
    async fn record_objects(
        &self,
        to: &Session,
        entry: &Entry<'_>,
        objects: &[(Day, Object)],
    ) -> Result<(), Fault> {
        if objects.is_empty() {
            return Ok(());
        }
        let ledger = match self.destination {
            Destination::Staging(_) => Ledger::Staged,
            _ => Ledger::Units,
        };
        objects::record(to, entry, ledger, objects)
            .await
            .map_err(target)
    }
}

async fn send(
    file: &mut DayFile,
    table: &mut TableCopy,
    moved: &mut impl FnMut(u64, u64),
) -> Result<Came, Stop> {
    while let Some((tuples, rows)) = file.next().map_err(Stop::File)? {
        moved(rows, tuples.len() as u64);
        let sent = table.send(tuples).await;
        sent.map_err(|error| Stop::Warehouse(target(error)))?;
    }
    file.finish().map_err(Stop::File)
}

/// The file's bytes are what they are: another place is asked, if there is one. The others of the window are not to blame.
fn set_aside(
    files: &PairFiles,
    window: Window,
    day: Day,
    file: &DayFile,
    error: Error,
) -> Result<Hauled, Fault> {
    files.set_aside(day, file.place, error);
    if files.has_another(day) {
        return Ok(Hauled::Pieces(window.around(day)));
    }
    Err(from_file(day, files.why_none(day)))
}

fn from_file(day: Day, error: Error) -> Fault {
    Fault {
        side: Side::Source,
        error: error.on_day(day),
    }
}

/// What the ledger says of a file that its rows were restored from: that it holds just these.
fn object(file: &DayFile, came: Came) -> Object {
    Object {
        url: file.url().to_owned(),
        bytes: file.bytes(),
        digest: came.tally.digest,
    }
}
