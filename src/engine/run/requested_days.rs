//! The days of a pair, by what is to be done with them.

use crate::catalog::ledger::objects::StoredUnit;
use crate::engine::window::landing::To;
use crate::template::Template;
use crate::unit::Day;
use std::collections::{BTreeMap, BTreeSet};

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
    pub fn to_load(days: impl IntoIterator<Item = Day>) -> RequestedDays {
        RequestedDays {
            load: days.into_iter().collect(),
            ..RequestedDays::default()
        }
    }

    pub fn to_refresh(days: impl IntoIterator<Item = Day>) -> RequestedDays {
        RequestedDays {
            refresh: days.into_iter().collect(),
            ..RequestedDays::default()
        }
    }

    /// The days on which there is something to do.
    pub fn to_do(&self) -> BTreeSet<Day> {
        let parts = [&self.load, &self.refresh, &self.land];
        parts.into_iter().flatten().copied().collect()
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

    /// Puts a day where it belongs by what the ledger has of it. A day that is not settled may have got rows since it was
    /// last compared with its source.
    pub fn put(&mut self, day: Day, standing: Option<&StoredUnit>, to: To, template: &Template) {
        let is_settled = |there: &StoredUnit| template.is_settled(day, there.checked_on);
        let days = match standing {
            Some(there) if is_there(there, to) && !is_settled(there) => &mut self.refresh,
            Some(there) if can_land(there, to) => &mut self.land,
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
pub fn is_there(standing: &StoredUnit, to: To) -> bool {
    standing.loaded || (to == To::Parquet && standing.is_landed())
}

/// Whether a unit gets its file from the warehouse.
pub fn can_land(unit: &StoredUnit, to: To) -> bool {
    unit.loaded && to.lands() && !unit.is_landed()
}
