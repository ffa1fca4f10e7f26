//! What a run is asked for, and the days of a pair that follow from it. Resolved once, after the pair's lock is held.

use super::restore::Restoring;
use crate::catalog::Pair;
use crate::error::{Error, Result};
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// Every day from the pair's first on that is not loaded, and the latest `lookback` days again (the template's own
    /// number for `None`).
    Sync { lookback: Option<u32> },
}

/// The days of a pair, told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days {
    pub load: BTreeSet<Day>,
    pub refresh: BTreeSet<Day>,
    pub skipped: BTreeSet<Day>,
}

impl Days {
    pub fn all(&self) -> BTreeSet<Day> {
        let some: BTreeSet<Day> = self.load.union(&self.refresh).copied().collect();
        some.union(&self.skipped).copied().collect()
    }

    /// Adds to the days to load those of `loaded` that share a closed year with one of them: a table is replaced whole.
    /// Gives these years.
    pub fn widen_to_years(
        &mut self,
        loaded: &BTreeMap<Day, String>,
        fold_line: Day,
    ) -> BTreeSet<i32> {
        let years: BTreeSet<i32> = self.load.range(..fold_line).map(|day| day.year()).collect();
        let whole = loaded
            .range(..fold_line)
            .map(|(day, _)| *day)
            .filter(|day| years.contains(&day.year()));
        self.load.extend(whole);
        years
    }

    pub fn earliest(&self) -> Option<Day> {
        self.all().first().copied()
    }
}

impl Ask {
    /// The command's name, as the run is known by.
    pub fn command(&self) -> &'static str {
        match self {
            Ask::Backfill { .. } => "backfill",
            Ask::Refresh { .. } | Ask::Outdated { .. } => "refresh",
            Ask::Rebuild { .. } => "rebuild",
            Ask::Restore(_) => "restore",
            Ask::Sync { .. } => "sync",
        }
    }

    /// Whether days are loaded whatever the ledger says.
    pub fn reload(&self) -> bool {
        match self {
            Ask::Backfill { reload, .. } => *reload,
            Ask::Rebuild { .. } => true,
            Ask::Restore(restoring) => restoring.reload,
            Ask::Refresh { .. } | Ask::Outdated { .. } | Ask::Sync { .. } => false,
        }
    }

    /// Whether tables that are gone from the database are no reason to stop.
    pub fn makes_lost_anew(&self) -> bool {
        matches!(self, Ask::Rebuild { .. } | Ask::Restore(_))
    }

    /// The days that are asked for of every pair alike; `None` when each pair has its own.
    pub fn named_days(&self) -> Option<Window> {
        match self {
            Ask::Backfill { days, .. } | Ask::Refresh { days } | Ask::Rebuild { days } => {
                Some(*days)
            }
            Ask::Outdated { .. } | Ask::Restore(_) | Ask::Sync { .. } => None,
        }
    }

    /// A day to describe the query with.
    pub fn probe(&self, today: Day) -> Day {
        self.named_days().map_or(today, |days| days.from)
    }

    /// The days of a pair. `loaded` holds the ledger's days with their template versions.
    ///
    /// # Errors
    /// A pair that is to be synced has no first day.
    pub fn days(&self, pair: &Pair, loaded: &BTreeMap<Day, String>, today: Day) -> Result<Days> {
        let split = |days: Window| {
            let (known, unknown): (BTreeSet<Day>, BTreeSet<Day>) =
                days.days().partition(|day| loaded.contains_key(day));
            (known, unknown)
        };
        Ok(match self {
            Ask::Backfill { days, reload: true } | Ask::Rebuild { days } => Days {
                load: days.days().collect(),
                ..Days::default()
            },
            Ask::Backfill { days, .. } => {
                let (skipped, load) = split(*days);
                Days {
                    load,
                    skipped,
                    ..Days::default()
                }
            }
            Ask::Refresh { days } => Days {
                refresh: days.days().collect(),
                ..Days::default()
            },
            Ask::Outdated { days } => {
                let current = pair.template.version();
                let outdated = loaded
                    .iter()
                    .filter(|(day, version)| {
                        *version != current && days.is_none_or(|days| days.contains(**day))
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
                let (skipped, load) =
                    all.partition(|day| !restoring.reload && loaded.contains_key(day));
                Days {
                    load,
                    skipped,
                    ..Days::default()
                }
            }
            Ask::Sync { lookback } => {
                let lookback = lookback.unwrap_or(pair.template.lookback_days);
                sync_days(pair, loaded, today, lookback)?
            }
        })
    }
}

fn sync_days(
    pair: &Pair,
    loaded: &BTreeMap<Day, String>,
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
        } else if !loaded.contains_key(&day) {
            days.load.insert(day);
        }
    }
    Ok(days)
}
