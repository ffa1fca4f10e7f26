//! What a run is requested to do, and the days of a pair that follow from it: resolved once, after the pair is locked.

use crate::catalog::Pair;
use crate::catalog::ledger::objects::StoredUnit;
use crate::engine::restore::Restoring;
use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use crate::unit::{Day, TemplateName, TenantName, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a run is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Wait for pairs that another run holds.
    pub wait: bool,
    /// The day that open days are counted back from.
    pub today: Day,
    /// Where the rows go.
    pub to: To,
}

/// Days of each (tenant, template).
pub type DaysByPair = BTreeMap<(TenantName, TemplateName), BTreeSet<Day>>;

/// What a run is requested to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Days that the ledger does not have; all of `days` with `reload`.
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
    /// Every day from the pair's first on that is not loaded, and the latest `lookback` days again (the template's own
    /// number for `None`).
    Sync { lookback: Option<u32> },
    /// Days that the warehouse has get their files from there, of `days` or of the whole ledger; all of them with
    /// `rewrite`.
    Land { days: Option<Window>, rewrite: bool },
}

/// The days of a pair, by what is to be done with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedDays {
    pub load: BTreeSet<Day>,
    pub refresh: BTreeSet<Day>,
    /// Days that are loaded and not landed.
    pub land: BTreeSet<Day>,
    pub skipped: BTreeSet<Day>,
}

impl RequestedDays {
    fn to_load(days: impl IntoIterator<Item = Day>) -> RequestedDays {
        RequestedDays {
            load: days.into_iter().collect(),
            ..RequestedDays::default()
        }
    }

    fn to_refresh(days: impl IntoIterator<Item = Day>) -> RequestedDays {
        RequestedDays {
            refresh: days.into_iter().collect(),
            ..RequestedDays::default()
        }
    }

    pub fn all(&self) -> BTreeSet<Day> {
        let parts = [&self.load, &self.refresh, &self.land, &self.skipped];
        parts.into_iter().flatten().copied().collect()
    }

    /// Whether sources are to be read.
    pub fn needs_source(&self) -> bool {
        !(self.load.is_empty() && self.refresh.is_empty())
    }

    /// Whether there are days that need no source in any case: they are done, or their rows are in the warehouse.
    pub fn has_sourceless(&self) -> bool {
        !(self.land.is_empty() && self.skipped.is_empty())
    }

    /// Puts a day where it belongs by what the ledger has of it.
    fn put(&mut self, day: Day, standing: Option<&StoredUnit>, to: To) {
        let days = match standing {
            Some(there) if there.loaded && to.lands() && !there.is_landed() => &mut self.land,
            Some(there) if is_there(there, to) => &mut self.skipped,
            _ => &mut self.load,
        };
        days.insert(day);
    }

    /// Adds to the days to load those that are loaded and share a closed year with one of them: a table is replaced whole.
    /// Gives these years.
    pub fn widen_to_years(
        &mut self,
        known: &BTreeMap<Day, StoredUnit>,
        fold_line: Day,
    ) -> BTreeSet<i32> {
        let years: BTreeSet<i32> = self.load.range(..fold_line).map(|day| day.year()).collect();
        let whole = known
            .range(..fold_line)
            .filter(|(_, standing)| standing.loaded)
            .map(|(day, _)| *day)
            .filter(|day| years.contains(&day.year()));
        self.load.extend(whole);
        years
    }

    /// Adds to the days to load those that were lost with their tables.
    pub fn load_lost(&mut self, lost: &BTreeSet<Day>) {
        for part in [&mut self.refresh, &mut self.land, &mut self.skipped] {
            part.retain(|day| !lost.contains(day));
        }
        self.load.extend(lost);
    }

    pub fn earliest(&self) -> Option<Day> {
        self.all().first().copied()
    }
}

/// Whether a unit is where it is to go.
fn is_there(standing: &StoredUnit, to: To) -> bool {
    standing.loaded || (to == To::Parquet && standing.is_landed())
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
            Request::Sync { .. } => "sync",
            Request::Land { .. } => "land",
        }
    }

    /// What it does to units.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Backfill { .. } => "load",
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
            | Request::Sync { .. }
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
            | Request::Sync { .. }
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

    /// The days of a pair. `known` is what the ledger has of it.
    ///
    /// # Errors
    /// A pair that is to be synced has no first day.
    pub fn days(
        &self,
        pair: &Pair,
        known: &BTreeMap<Day, StoredUnit>,
        to: To,
        today: Day,
    ) -> Result<RequestedDays> {
        Ok(match self {
            Request::Backfill { days, reload: true } | Request::Rebuild { days } => {
                RequestedDays::to_load(days.days())
            }
            Request::Backfill { days: window, .. } => {
                let mut days = RequestedDays::default();
                for day in window.days() {
                    days.put(day, known.get(&day), to);
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
            Request::Sync { lookback } => {
                let lookback = lookback.unwrap_or(pair.template.lookback_days);
                sync_days(pair, known, to, today, lookback)?
            }
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

fn sync_days(
    pair: &Pair,
    known: &BTreeMap<Day, StoredUnit>,
    to: To,
    today: Day,
    lookback: u32,
) -> Result<RequestedDays> {
    let Some(first) = pair.first_day.filter(|first| *first <= today) else {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        return Err(Error::refused(match pair.first_day {
            None => "no start day is set for this tenant and template".to_owned(),
            Some(first) => format!("its first day, {first}, is after today, {today}"),
        })
        .with_hint(format!(
            "set it once with `dayhaul backfill --tenant {tenant} --template {template} --from D` or `dayhaul tenant add … --from D`"
        )));
    };
    // Today and yesterday are always refreshed; a lookback of 0 or 1 does not change that.
    let back = i32::try_from(lookback.max(1)).unwrap_or(i32::MAX);
    let again = today.plus(-back).max(first);
    let mut days = RequestedDays::default();
    for day in Window::new(first, today.next()).days() {
        if day >= again {
            days.refresh.insert(day);
        } else {
            days.put(day, known.get(&day), to);
        }
    }
    // A sync does not report days that it has nothing to do for.
    days.skipped.clear();
    Ok(days)
}
