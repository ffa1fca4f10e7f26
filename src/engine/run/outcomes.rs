//! How the units of a run ended, collected from all workers, and reported as they end.

use super::pair::PreparedPair;
use super::request::DaysByPair;
use super::run_pair::RunPair;
use crate::catalog::Pair;
use crate::catalog::ledger::units::LoadedDay;
use crate::engine::report::event::{
    Change, Event, Failure, LandedIn, Observer, Outcome, UnitReport,
};
use crate::engine::report::notes::Notes;
use crate::engine::schedule::queue::{PairIndex, by_pair};
use crate::engine::window::checked_days::CheckedDays;
use crate::engine::window::outcome::{DayResult, DoneDays};
use crate::error::{Error, Kind};
use crate::unit::{Day, TemplateName, TenantName, Unit, Window};
use crate::warehouse::FreshTables;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Collects how units end.
pub struct Outcomes {
    observer: Arc<dyn Observer>,
    pub notes: Notes,
    /// The days that were found unchanged.
    pub checked: CheckedDays,
    collected: Mutex<Collected>,
}

/// What was collected so far.
#[derive(Default)]
pub struct Collected {
    /// Every pair of the selection, with the days to report.
    pub expected: DaysByPair,
    pub units: Vec<UnitReport>,
    pub failures: Vec<Failure>,
    /// Pairs that another run held.
    pub locked: usize,
    pub unreachable: HashSet<TenantName>,
    /// The warehouse or the landing root could not go on: nothing more was tried.
    pub ended_early: bool,
    /// The tables (`schema.table`) in which rows changed.
    pub changed_tables: BTreeSet<String>,
    /// The days that were loaded without a look at the other tables of their pair.
    pub unchecked_tables: BTreeMap<PairIndex, FreshTables>,
    /// Seconds of work, summed over workers.
    pub seconds: BTreeMap<PairIndex, f64>,
}

/// A pair as it is known by.
pub fn key(pair: &Pair) -> (TenantName, TemplateName) {
    (pair.tenant.name.clone(), pair.template.name.clone())
}

fn unit(pair: &Pair, day: Day) -> Unit {
    Unit {
        tenant: pair.tenant.name.clone(),
        template: pair.template.name.clone(),
        day,
    }
}

impl Outcomes {
    pub fn new(observer: &Arc<dyn Observer>, expected: DaysByPair) -> Outcomes {
        Outcomes {
            observer: Arc::clone(observer),
            notes: Notes::new(Arc::clone(observer)),
            checked: CheckedDays::default(),
            collected: Mutex::new(Collected {
                expected,
                ..Collected::default()
            }),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Collected> {
        self.collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn event(&self, event: &Event) {
        self.observer.event(event);
    }

    pub fn report(&self, unit: UnitReport) {
        self.event(&Event::Unit(unit.clone()));
        self.lock().units.push(unit);
    }

    pub fn report_days(
        &self,
        pair: &Pair,
        days: impl IntoIterator<Item = Day>,
        outcome: Outcome,
        tries: u32,
    ) {
        for day in days {
            self.report(UnitReport {
                tries,
                ..UnitReport::new(unit(pair, day), outcome)
            });
        }
    }

    /// A pair has another number of units than was planned.
    pub fn replanned(&self, before: usize, now: usize) {
        if before != now {
            self.event(&Event::Replanned { before, now });
        }
    }

    /// The rows of these days are in the warehouse.
    pub fn through(&self, pair: &Pair, days: impl Iterator<Item = Day>) {
        self.event(&Event::Through {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            days: days.collect(),
        });
    }

    /// A window is done. Days whose file is missing are reported when it is written; those of a staged year when the year
    /// is revealed.
    pub fn window_done(
        &self,
        index: PairIndex,
        pair: &PreparedPair,
        done: &DoneDays,
        staged: bool,
        tries: u32,
    ) {
        let days: Vec<&DayResult> = done.days.iter().filter(|day| !day.lacks_file).collect();
        self.through(&pair.pair, days.iter().map(|day| day.loaded.day));
        if staged {
            return;
        }
        if !done.keys_checked {
            self.keys_unchecked(index, days.iter().map(|day| &day.loaded));
        }
        for day in days {
            // This run loaded its rows, too, and failed before its file was published.
            let brought = day.outcome == Outcome::Landed && pair.brings_rows_of(day.loaded.day);
            let outcome = if brought {
                Outcome::Loaded
            } else {
                day.outcome
            };
            self.report_day(pair, &day.loaded, outcome, day.change, tries);
        }
    }

    /// The statistics of these tables are out of date.
    pub fn changed<'a>(&self, days: impl Iterator<Item = &'a DayResult>) {
        let changed = days.filter(|day| day.changed_rows());
        let tables = changed.map(|day| day.loaded.relation.clone());
        self.lock().changed_tables.extend(tables);
    }

    /// Days of a year that was revealed.
    pub fn report_revealed(&self, index: PairIndex, pair: &PreparedPair, days: &[LoadedDay]) {
        self.keys_unchecked(index, days);
        for day in days {
            self.report_day(pair, day, Outcome::Loaded, None, 1);
        }
    }

    /// The keys of these days were not looked up in the pair's other tables.
    fn keys_unchecked<'a>(&self, index: PairIndex, days: impl IntoIterator<Item = &'a LoadedDay>) {
        let unchecked = &mut self.lock().unchecked_tables;
        let tables = unchecked.entry(index).or_default();
        for day in days {
            let table = tables.entry(day.relation.clone()).or_default();
            table.days.insert(day.day);
            table.rows += day.tally.rows;
        }
    }

    fn report_day(
        &self,
        pair: &PreparedPair,
        day: &LoadedDay,
        outcome: Outcome,
        change: Option<Change>,
        tries: u32,
    ) {
        let object = pair.state.landed.get(day.day);
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
            ..UnitReport::new(unit(&pair.pair, day.day), outcome)
        });
    }

    pub fn add_failure(&self, pair: &Pair, windows: Vec<Window>, error: Error, not_tried: bool) {
        self.lock().failures.push(Failure {
            tenant: pair.tenant.name.clone(),
            template: Some(pair.template.name.clone()),
            windows,
            error,
            not_tried,
        });
    }

    /// A pair, or days of it, that no worker will try.
    pub fn give_up(&self, pair: &Pair, days: BTreeSet<Day>, error: Error) {
        self.add_failure(pair, Window::runs(days), error, true);
    }

    /// Days of a pair that have to be reported, too.
    pub fn expect(&self, pair: &Pair, days: &BTreeSet<Day>) {
        let expected = &mut self.lock().expected;
        expected.entry(key(pair)).or_default().extend(days);
    }

    /// Windows that will not be tried, and why.
    pub fn not_tried(
        &self,
        pairs: &[RunPair],
        dropped: Vec<(PairIndex, Window)>,
        why: &str,
        kind: Kind,
    ) {
        for (index, windows) in by_pair(dropped) {
            let pair = &pairs[index].now().pair;
            let windows = match pairs[index].not_prepared() {
                Some(days) => Window::runs(days.iter().copied()),
                None => windows,
            };
            let days = windows.iter().flat_map(Window::days);
            self.report_days(pair, days, Outcome::NotTried, 0);
            self.add_failure(pair, windows, Error::new(kind, why), true);
        }
    }

    pub fn took(&self, index: PairIndex, time: Duration) {
        *self.lock().seconds.entry(index).or_default() += time.as_secs_f64();
    }

    /// A day that was refreshed twice, because rows moved, is reported once: as it is now, and as changed if either time
    /// found it so.
    pub fn one_report_per_unit(&self) {
        let mut collected = self.lock();
        let mut units: BTreeMap<Unit, UnitReport> = BTreeMap::new();
        for mut now in std::mem::take(&mut collected.units) {
            if let Some(before) = units.get(&now.unit) {
                now.outcome = now.outcome.max(before.outcome);
                now.change = Change::after(before.change, now.change)
                    .filter(|_| now.outcome == Outcome::Changed);
            }
            units.insert(now.unit.clone(), now);
        }
        collected.units = units.into_values().collect();
    }
}
