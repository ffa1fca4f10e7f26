//! What all workers of a run share: the queue, who watches, and how the units ended.

use super::pair::{ReadyPair, Source};
use crate::catalog::ledger::units::{Entry, LoadedDay};
use crate::config::Settings;
use crate::engine::report::event::{
    Change, Event, Failure, LandedIn, Observer, Outcome, UnitReport,
};
use crate::engine::report::window_outcome::Refreshed;
use crate::engine::schedule::queue::{PairIndex, Queue};
use crate::engine::window::landing::Lake;
use crate::error::{Error, Kind};
use crate::landing::Landing;
use crate::pg::Access;
use crate::unit::{Day, Unit, Window};
use crate::warehouse::{Destination, YearBuild};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What all workers of a run share.
pub struct Shared {
    pub settings: Settings,
    pub warehouse: Access,
    pub run: i64,
    pub reload: bool,
    /// Its days are loaded for the first time, and many.
    pub fresh: bool,
    /// Where files go, when any do.
    pub landing: Option<Landing>,
    /// Files are written again though they are there.
    pub rewrite: bool,
    pub pairs: Vec<ReadyPair>,
    pub observer: Arc<dyn Observer>,
    /// Ends the workers early; `stopped` says why.
    pub stop: CancellationToken,
    pub stopped: Mutex<String>,
    pub queue: Mutex<Queue>,
    /// Rung whenever the queue changed.
    pub changed: Notify,
    pub outcomes: Mutex<Outcomes>,
}

/// How the units ended.
#[derive(Default)]
pub struct Outcomes {
    /// The tables (`schema.table`) in which rows changed.
    pub changed_tables: BTreeSet<String>,
    /// The tables into which days were loaded, without a look at the other tables of their pair.
    pub loaded_tables: BTreeMap<PairIndex, BTreeSet<String>>,
    pub units: Vec<UnitReport>,
    pub failures: Vec<Failure>,
    /// What a person should know of the data.
    pub notes: Vec<String>,
    pub seconds: BTreeMap<PairIndex, f64>,
}

impl Outcomes {
    /// A day that was brought up twice, because rows moved, is reported once: as it is now, and as changed if either time
    /// found it so.
    pub fn one_report_a_unit(&mut self) {
        let mut units: BTreeMap<Unit, UnitReport> = BTreeMap::new();
        for mut now in std::mem::take(&mut self.units) {
            if let Some(before) = units.get(&now.unit) {
                now.outcome = now.outcome.max(before.outcome);
                now.change = Change::after(before.change, now.change)
                    .filter(|_| now.outcome == Outcome::Changed);
            }
            units.insert(now.unit.clone(), now);
        }
        self.units = units.into_values().collect();
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn unit(&self, pair: PairIndex, day: Day) -> Unit {
        let pair = &self.pairs[pair];
        Unit {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            day,
        }
    }

    pub fn entry(&self, pair: PairIndex, tries: i32) -> Entry<'_> {
        let pair = &self.pairs[pair];
        Entry {
            tenant: &pair.tenant.name,
            template: &pair.template.name,
            version: pair.template.version(),
            run: self.run,
            tries,
        }
    }

    pub fn lake(&self, pair: PairIndex) -> Option<Lake<'_>> {
        let pair = &self.pairs[pair];
        self.landing.as_ref().map(|landing| Lake {
            landing,
            tenant: &pair.tenant.name,
            schema: &pair.tenant.schema,
            landed: &pair.landed,
            run: self.run,
        })
    }

    pub fn year_build(&self) -> YearBuild<'_> {
        let settings = &self.settings;
        YearBuild {
            access: &self.warehouse,
            owner: &settings.warehouse.owner_role,
            reader: &settings.warehouse.reader_role,
            run: self.run,
            jobs: settings.load.jobs,
            lock_timeout: settings.load.lock_timeout,
            barrier_timeout: settings.load.barrier_timeout,
            stop: &self.stop,
        }
    }

    fn report(&self, unit: UnitReport) {
        self.observer.event(&Event::Unit(unit.clone()));
        lock(&self.outcomes).units.push(unit);
    }

    /// Something about the data that a person should know, now and in the report.
    pub fn warn(&self, note: String) {
        self.observer.event(&Event::Warning(note.clone()));
        lock(&self.outcomes).notes.push(note);
    }

    /// Days are through. Those of a staged year count as loaded when the year is revealed.
    pub fn loaded(
        &self,
        pair: PairIndex,
        destination: Destination,
        days: &[LoadedDay],
        tries: u32,
    ) {
        self.observer.event(&Event::Through { units: days.len() });
        if !matches!(destination, Destination::Staging(_)) {
            // The day tables of many new days are left to autovacuum: they are small.
            if destination != Destination::DayTable || !self.fresh {
                self.changed(days.iter());
            }
            self.report_loaded(pair, days, tries);
        }
    }

    pub fn report_loaded(&self, pair: PairIndex, days: &[LoadedDay], tries: u32) {
        self.loaded_unseen(pair, days);
        for day in days {
            self.report_day(pair, day, Outcome::Loaded, None, tries);
        }
    }

    /// The keys of these days were not looked up in the pair's other tables.
    pub fn loaded_unseen<'a>(
        &self,
        pair: PairIndex,
        days: impl IntoIterator<Item = &'a LoadedDay>,
    ) {
        let tables = days.into_iter().map(|day| day.relation.clone());
        let loaded = &mut lock(&self.outcomes).loaded_tables;
        loaded.entry(pair).or_default().extend(tables);
    }

    fn report_day(
        &self,
        pair: PairIndex,
        day: &LoadedDay,
        outcome: Outcome,
        change: Option<Change>,
        tries: u32,
    ) {
        let object = self.pairs[pair].landed.get(day.day);
        let object = object.filter(|known| known.object.digest == day.tally.digest);
        self.report(UnitReport {
            rows: day.tally.rows,
            bytes: day.tally.bytes,
            digest: Some(day.tally.digest.to_string()),
            relation: Some(day.relation.clone()).filter(|relation| !relation.is_empty()),
            tries,
            change,
            object: object.map(|known| LandedIn {
                url: known.object.url,
                bytes: known.object.bytes,
                written: known.written,
            }),
            ..UnitReport::new(self.unit(pair, day.day), outcome)
        });
    }

    /// The tables of these days are no longer as their statistics say.
    fn changed<'a>(&self, days: impl Iterator<Item = &'a LoadedDay>) {
        let tables = days.map(|day| day.relation.clone());
        lock(&self.outcomes).changed_tables.extend(tables);
    }

    pub fn refreshed(
        &self,
        pair: PairIndex,
        destination: Destination,
        days: &[Refreshed],
        tries: u32,
    ) {
        self.observer.event(&Event::Through { units: days.len() });
        if matches!(destination, Destination::Staging(_)) {
            // Landed; they count as loaded when their year is revealed.
            return;
        }
        let changed = days
            .iter()
            .filter(|day| matches!(day, Refreshed::New(_) | Refreshed::Changed(..)));
        self.changed(changed.map(Refreshed::loaded));
        for day in days {
            let (outcome, change) = match day {
                Refreshed::New(_) => (Outcome::Loaded, None),
                Refreshed::Unchanged(_) | Refreshed::Unlanded(_) => (Outcome::Unchanged, None),
                Refreshed::Changed(_, change) => (Outcome::Changed, Some(*change)),
                Refreshed::Rewritten(_) => (Outcome::Changed, None),
                // Its rows came in this run, too, and something broke before its file did.
                Refreshed::Landed(landed) if self.pairs[pair].loads(landed.day) => {
                    (Outcome::Loaded, None)
                }
                Refreshed::Landed(_) => (Outcome::Landed, None),
            };
            self.report_day(pair, day.loaded(), outcome, change, tries);
        }
    }

    pub fn report_days(
        &self,
        pair: PairIndex,
        days: impl IntoIterator<Item = Day>,
        outcome: Outcome,
        tries: u32,
    ) {
        for day in days {
            self.report(UnitReport {
                tries,
                ..UnitReport::new(self.unit(pair, day), outcome)
            });
        }
    }

    /// Days that have no file, and so need no worker.
    pub fn report_lacking(&self, pair: PairIndex) {
        let ready = &self.pairs[pair];
        if let Source::Files(files) = &ready.source
            && !ready.lacking.is_empty()
        {
            self.report_days(pair, ready.lacking.iter().copied(), Outcome::Failed, 0);
            let windows = Window::runs(ready.lacking.iter().copied());
            self.add_failure(pair, windows, files.lacking(), false);
        }
    }

    pub fn add_failure(
        &self,
        pair: PairIndex,
        windows: Vec<Window>,
        error: Error,
        not_tried: bool,
    ) {
        let pair = &self.pairs[pair];
        lock(&self.outcomes).failures.push(Failure {
            tenant: pair.tenant.name.clone(),
            template: Some(pair.template.name.clone()),
            windows,
            error,
            not_tried,
        });
    }

    /// Ends the run early: what is at work is abandoned, what is left in the queue is not tried.
    pub fn stop(&self, why: &str) {
        why.clone_into(&mut lock(&self.stopped));
        self.stop.cancel();
        let dropped = self.queue().open_for_all();
        self.not_tried(dropped, why, Kind::Interrupted);
    }

    pub fn take_outcomes(&self) -> Outcomes {
        std::mem::take(&mut *lock(&self.outcomes))
    }

    /// Windows that nobody will try, and why.
    pub fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        let mut by_pair: BTreeMap<PairIndex, Vec<Window>> = BTreeMap::new();
        for (pair, window) in dropped {
            by_pair.entry(pair).or_default().push(window);
        }
        for (pair, windows) in by_pair {
            let days = windows.iter().flat_map(Window::days);
            self.report_days(pair, days, Outcome::NotTried, 0);
            self.add_failure(pair, windows, Error::new(kind, why), true);
        }
        self.changed.notify_waiters();
    }
}
