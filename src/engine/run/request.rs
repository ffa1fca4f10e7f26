//! What a run is asked for, and the days of a pair that follow from it. Resolved once, after the pair's lock is held.

use crate::catalog::Pair;
use crate::catalog::ledger::objects::Standing;
use crate::engine::restore::Restoring;
use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use crate::unit::{Day, TemplateName, TenantName, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Days of each (tenant, template).
pub type DaysByPair = BTreeMap<(TenantName, TemplateName), BTreeSet<Day>>;

/// What a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Days that the ledger does not have; all of `days` with `reload`.
    Backfill { days: Window, reload: bool },
    /// The days that are loaded are compared with their source, the others loaded.
    Refresh { days: Window },
    /// Days whose rows were loaded with another version of the template, of `days` or of the whole ledger.
    Outdated { days: Option<Window> },
    /// Days are loaded anew from their sources, and with them the whole year of each that is closed: into a fresh table
    /// beside the one that readers see until it is complete.
    Rebuild { days: Window },
    /// Days that the ledger does not have, from their files.
    Restore(Arc<Restoring>),
    /// These days of each pair are compared row by row with what really stands in the warehouse, whatever the ledger says;
    /// and days whose tables are gone are loaded anew.
    Repair { days: DaysByPair },
    /// Every day from the pair's first on that is not loaded, and the latest `lookback` days again (the template's own
    /// number for `None`).
    Sync { lookback: Option<u32> },
    /// Days that the warehouse has get their files from there, of `days` or of the whole ledger; all of them with
    /// `rewrite`.
    Land { days: Option<Window>, rewrite: bool },
}

/// The days of a pair, told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days {
    pub load: BTreeSet<Day>,
    pub refresh: BTreeSet<Day>,
    /// Days that are loaded and not landed.
    pub land: BTreeSet<Day>,
    pub skipped: BTreeSet<Day>,
}

impl Days {
    pub fn all(&self) -> BTreeSet<Day> {
        let parts = [&self.load, &self.refresh, &self.land, &self.skipped];
        parts.into_iter().flatten().copied().collect()
    }

    /// Whether sources are to be asked.
    pub fn needs_source(&self) -> bool {
        !(self.load.is_empty() && self.refresh.is_empty())
    }

    /// Whether there are days that need no source, come what may: they are there, or their rows are.
    pub fn has_sourceless(&self) -> bool {
        !(self.land.is_empty() && self.skipped.is_empty())
    }

    /// A day that the ledger may have: what is left to do with it?
    fn put(&mut self, day: Day, standing: Option<&Standing>, to: To) {
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
        known: &BTreeMap<Day, Standing>,
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
    pub fn bring_back(&mut self, lost: &BTreeSet<Day>) {
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
fn is_there(standing: &Standing, to: To) -> bool {
    standing.loaded || (to == To::Parquet && standing.is_landed())
}

impl Ask {
    /// The command's name, as the run is known by.
    pub fn command(&self) -> &'static str {
        match self {
            Ask::Backfill { .. } => "backfill",
            Ask::Refresh { .. } | Ask::Outdated { .. } => "refresh",
            Ask::Rebuild { .. } => "rebuild",
            Ask::Restore(_) => "restore",
            Ask::Repair { .. } => "verify",
            Ask::Sync { .. } => "sync",
            Ask::Land { .. } => "land",
        }
    }

    /// What it does to units.
    pub fn verb(&self) -> &'static str {
        match self {
            Ask::Backfill { .. } => "load",
            Ask::Repair { .. } => "repair",
            _ => self.command(),
        }
    }

    /// Whether the ledger is not believed: days are loaded, or compared with the warehouse's rows, whatever it says.
    pub fn reload(&self) -> bool {
        match self {
            Ask::Backfill { reload, .. } => *reload,
            Ask::Rebuild { .. } | Ask::Repair { .. } => true,
            Ask::Restore(restoring) => restoring.reload,
            Ask::Refresh { .. } | Ask::Outdated { .. } | Ask::Sync { .. } | Ask::Land { .. } => {
                false
            }
        }
    }

    /// Whether tables that are gone from the database are made anew. Any other run refuses to go on without them.
    pub fn makes_lost_tables(&self) -> bool {
        matches!(
            self,
            Ask::Rebuild { .. } | Ask::Repair { .. } | Ask::Restore(_)
        )
    }

    /// The days that are asked for of every pair alike; `None` when each pair has its own.
    pub fn named_days(&self) -> Option<Window> {
        match self {
            Ask::Backfill { days, .. } | Ask::Refresh { days } | Ask::Rebuild { days } => {
                Some(*days)
            }
            Ask::Outdated { .. }
            | Ask::Repair { .. }
            | Ask::Restore(_)
            | Ask::Sync { .. }
            | Ask::Land { .. } => None,
        }
    }

    /// The days of a pair that are known before anybody asked the ledger.
    pub fn known_days(&self, pair: &Pair) -> BTreeSet<Day> {
        match self {
            Ask::Repair { days } => of_pair(days, pair),
            _ => self.named_days().iter().flat_map(Window::days).collect(),
        }
    }

    /// How many of the named days are to be landed and are not in the warehouse, and how many are named.
    pub fn lacking(&self, known: &BTreeMap<Day, Standing>) -> (usize, usize) {
        let Ask::Land {
            days: Some(days),
            rewrite,
        } = self
        else {
            return (0, 0);
        };
        // A day that is in its file alone has what was asked for.
        let has = |standing: &Standing| standing.loaded || (standing.is_landed() && !rewrite);
        let lacking = days.days().filter(|day| !known.get(day).is_some_and(has));
        (lacking.count(), days.len())
    }

    /// Whether files are written again though they are there.
    pub fn rewrite(&self) -> bool {
        matches!(self, Ask::Land { rewrite: true, .. })
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
        known: &BTreeMap<Day, Standing>,
        to: To,
        today: Day,
    ) -> Result<Days> {
        Ok(match self {
            Ask::Backfill { days, reload: true } | Ask::Rebuild { days } => Days {
                load: days.days().collect(),
                ..Days::default()
            },
            Ask::Backfill { days: window, .. } => {
                let mut days = Days::default();
                for day in window.days() {
                    days.put(day, known.get(&day), to);
                }
                days
            }
            Ask::Refresh { days } => Days {
                refresh: days.days().collect(),
                ..Days::default()
            },
            Ask::Outdated { days } => {
                let current = pair.template.version();
                let outdated = known
                    .iter()
                    .filter(|(day, standing)| {
                        is_there(standing, to)
                            && standing.version != current
                            && days.is_none_or(|days| days.contains(**day))
                    })
                    .map(|(day, _)| *day);
                Days {
                    refresh: outdated.collect(),
                    ..Days::default()
                }
            }
            Ask::Restore(restoring) => {
                let wanted = restoring.wanted(pair)?;
                let all = wanted.there.into_iter().chain(wanted.lacking);
                let there = |day: &Day| known.get(day).is_some_and(|standing| standing.loaded);
                let (skipped, load) = all.partition(|day| !restoring.reload && there(day));
                Days {
                    load,
                    skipped,
                    ..Days::default()
                }
            }
            Ask::Repair { days } => Days {
                refresh: of_pair(days, pair),
                ..Days::default()
            },
            Ask::Sync { lookback } => {
                let lookback = lookback.unwrap_or(pair.template.lookback_days);
                sync_days(pair, known, to, today, lookback)?
            }
            Ask::Land {
                days: window,
                rewrite,
            } => {
                let mut days = Days::default();
                let loaded = known.iter().filter(|(day, standing)| {
                    standing.loaded && window.is_none_or(|window| window.contains(**day))
                });
                for (day, standing) in loaded {
                    let landed = standing.is_landed() && !rewrite;
                    let of = if landed {
                        &mut days.skipped
                    } else {
                        &mut days.land
                    };
                    of.insert(*day);
                }
                days
            }
        })
    }
}

fn of_pair(days: &DaysByPair, pair: &Pair) -> BTreeSet<Day> {
    let key = (pair.tenant.name.clone(), pair.template.name.clone());
    days.get(&key).cloned().unwrap_or_default()
}

fn sync_days(
    pair: &Pair,
    known: &BTreeMap<Day, Standing>,
    to: To,
    today: Day,
    lookback: u32,
) -> Result<Days> {
    let Some(first) = pair.first_day.filter(|first| *first <= today) else {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        return Err(Error::refused(match pair.first_day {
            None => "nobody said from which day on it is to be hauled".to_owned(),
            Some(first) => format!("its first day, {first}, is after today, {today}"),
        })
        .with_hint(format!(
            "say it once, by `dayhaul backfill --tenant {tenant} --template {template} --from D` or `dayhaul tenant add … --from D`"
        )));
    };
    // Today and yesterday are always looked at again; a lookback of 0 or 1 does not change that.
    let back = i32::try_from(lookback.max(1)).unwrap_or(i32::MAX);
    let again = today.plus(-back).max(first);
    let mut days = Days::default();
    for day in Window::new(first, today.next()).days() {
        if day >= again {
            days.refresh.insert(day);
        } else {
            days.put(day, known.get(&day), to);
        }
    }
    // A sync says nothing of the days that it has no work with.
    days.skipped.clear();
    Ok(days)
}
