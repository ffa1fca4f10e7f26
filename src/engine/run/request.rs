//! What a run is requested to do, and the days of a pair that follow from it: resolved once, after the pair is locked.

use super::requested_days::{RequestedDays, is_there};
use super::sync_days::{Sync, sync_days};
use crate::catalog::Pair;
use crate::catalog::ledger::due::DueDays;
use crate::catalog::ledger::objects::StoredUnit;
use crate::engine::locks::held_pairs::HeldPairs;
use crate::engine::restore::Restoring;
use crate::engine::window::landing::To;
use crate::error::Result;
use crate::unit::{Day, TemplateName, TenantName, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a run is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub held: HeldPairs,
    /// The day that open days are counted back from.
    pub today: Day,
    /// Where the rows go.
    pub to: To,
}

/// What the ledger has of a pair, as far as a request asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairLedger {
    /// The units that are loaded or landed; none for a sync.
    pub units: BTreeMap<Day, StoredUnit>,
    /// For a sync; `None` when nothing of the pair is there.
    pub due: Option<DueDays>,
}

/// Days of each (tenant, template).
pub type DaysByPair = BTreeMap<(TenantName, TemplateName), BTreeSet<Day>>;

/// What a run is requested to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Days that the ledger does not have or that are not settled; all of `days` with `reload`.
    Backfill { days: Window, reload: bool },
    /// The days that are loaded are compared with their source, the others loaded.
    Refresh { days: Window },
    /// Days whose rows were loaded with another version of the template, of `days` or of the whole ledger.
    Outdated { days: Option<Window> },
    /// Days are loaded again from their sources, and with them the whole year of each that is closed: into a new table next
    /// to the one that readers see until it is complete.
    Rebuild { days: Window },
    /// Days that the ledger does not have, from their files.
    Restore(Arc<Restoring>),
    /// These days of each pair are compared row by row with what is really in the warehouse, whatever the ledger has; and
    /// days whose tables no longer exist are loaded again.
    Repair { days: DaysByPair },
    /// Every day from the pair's first on that is not loaded or not settled, and some settled ones again.
    Sync(Sync),
    /// Days that the warehouse has get their files from there, of `days` or of the whole ledger; all of them with
    /// `rewrite`.
    Land { days: Option<Window>, rewrite: bool },
}

impl Request {
    /// The command's name, which the run is recorded with.
    pub fn command(&self) -> &'static str {
        match self {
            Request::Backfill { .. } => "backfill",
            Request::Refresh { .. } | Request::Outdated { .. } => "refresh",
            Request::Rebuild { .. } => "rebuild",
            Request::Restore(_) => "restore",
            Request::Repair { .. } => "verify",
            Request::Sync(_) => "sync",
            Request::Land { .. } => "land",
        }
    }

    /// What it does to units.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Backfill { reload: true, .. } => "load",
            Request::Backfill { .. } => "load or compare",
            Request::Repair { .. } => "repair",
            _ => self.command(),
        }
    }

    /// Whether the ledger is not relied on: days are loaded, or compared with the warehouse's rows, whatever it has.
    pub fn reload(&self) -> bool {
        match self {
            Request::Backfill { reload, .. } => *reload,
            Request::Rebuild { .. } | Request::Repair { .. } => true,
            Request::Restore(restoring) => restoring.reload,
            Request::Refresh { .. }
            | Request::Outdated { .. }
            | Request::Sync(_)
            | Request::Land { .. } => false,
        }
    }

    /// Whether tables that no longer exist are created again. Any other run refuses to work without them.
    pub fn makes_lost_tables(&self) -> bool {
        matches!(
            self,
            Request::Rebuild { .. } | Request::Repair { .. } | Request::Restore(_)
        )
    }

    /// The days that are requested of every pair alike; `None` when each pair has its own.
    pub fn named_days(&self) -> Option<Window> {
        match self {
            Request::Backfill { days, .. }
            | Request::Refresh { days }
            | Request::Rebuild { days } => Some(*days),
            Request::Outdated { .. }
            | Request::Repair { .. }
            | Request::Restore(_)
            | Request::Sync(_)
            | Request::Land { .. } => None,
        }
    }

    /// The days of a pair that are known before the ledger is read.
    pub fn known_days(&self, pair: &Pair) -> BTreeSet<Day> {
        match self {
            Request::Repair { days } => of_pair(days, pair),
            _ => self.named_days().iter().flat_map(Window::days).collect(),
        }
    }

    /// How many of the named days are to be landed and are not in the warehouse, and how many are named.
    pub fn lacking(&self, known: &BTreeMap<Day, StoredUnit>) -> (usize, usize) {
        let Request::Land {
            days: Some(days),
            rewrite,
        } = self
        else {
            return (0, 0);
        };
        // A day that is only in its file has what was requested.
        let has = |standing: &StoredUnit| standing.loaded || (standing.is_landed() && !rewrite);
        let lacking = days.days().filter(|day| !known.get(day).is_some_and(has));
        (lacking.count(), days.len())
    }

    /// Whether files are written again though they are there.
    pub fn rewrite(&self) -> bool {
        matches!(self, Request::Land { rewrite: true, .. })
    }

    /// A day to describe the query with.
    pub fn probe(&self, today: Day) -> Day {
        self.named_days().map_or(today, |days| days.from)
    }

    /// The days of a pair.
    ///
    /// # Errors
    /// A pair that is to be synced has no first day.
    pub fn days(
        &self,
        pair: &Pair,
        ledger: &PairLedger,
        to: To,
        today: Day,
    ) -> Result<RequestedDays> {
        let known = &ledger.units;
        Ok(match self {
            Request::Backfill { days, reload: true } | Request::Rebuild { days } => {
                RequestedDays::to_load(days.days())
            }
            Request::Backfill { days: window, .. } => {
                let mut days = RequestedDays::default();
                for day in window.days() {
                    days.put(day, known.get(&day), to, &pair.template);
                }
                days
            }
            Request::Refresh { days } => RequestedDays::to_refresh(days.days()),
            Request::Outdated { days } => {
                let current = pair.template.version();
                let is_outdated = |(day, standing): &(&Day, &StoredUnit)| {
                    is_there(standing, to)
                        && standing.version != current
                        && days.is_none_or(|days| days.contains(**day))
                };
                let outdated = known.iter().filter(is_outdated);
                RequestedDays::to_refresh(outdated.map(|(day, _)| *day))
            }
            Request::Restore(restoring) => restore_days(restoring, pair, known)?,
            Request::Repair { days } => RequestedDays::to_refresh(of_pair(days, pair)),
            Request::Sync(sync) => sync_days(pair, ledger.due.as_ref(), today, *sync)?,
            Request::Land { days, rewrite } => land_days(known, *days, *rewrite),
        })
    }
}

fn restore_days(
    restoring: &Restoring,
    pair: &Pair,
    known: &BTreeMap<Day, StoredUnit>,
) -> Result<RequestedDays> {
    let wanted = restoring.wanted(pair)?;
    let all = wanted.there.into_iter().chain(wanted.lacking);
    let there = |day: &Day| known.get(day).is_some_and(|standing| standing.loaded);
    let (skipped, load) = all.partition(|day| !restoring.reload && there(day));
    Ok(RequestedDays {
        load,
        skipped,
        ..RequestedDays::default()
    })
}

/// The days that are loaded, by whether they need a file.
fn land_days(
    known: &BTreeMap<Day, StoredUnit>,
    within: Option<Window>,
    rewrite: bool,
) -> RequestedDays {
    let mut days = RequestedDays::default();
    let loaded = known.iter().filter(|(day, standing)| {
        standing.loaded && within.is_none_or(|window| window.contains(**day))
    });
    for (day, standing) in loaded {
        let of = if standing.is_landed() && !rewrite {
            &mut days.skipped
        } else {
            &mut days.land
        };
        of.insert(*day);
    }
    days
}

fn of_pair(days: &DaysByPair, pair: &Pair) -> BTreeSet<Day> {
    let key = (pair.tenant.name.clone(), pair.template.name.clone());
    days.get(&key).cloned().unwrap_or_default()
}
