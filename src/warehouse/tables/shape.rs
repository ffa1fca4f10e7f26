//! Where the days of a pair live.

use super::definitions::{day_table, staging_table, year_table};
use crate::catalog::ledger::rows::Ledger;
use crate::catalog::registry::fold_line::FoldLine;
use crate::catalog::registry::relations::{Relation, RelationKind};
use crate::unit::{Day, TemplateName, Window};
use std::collections::BTreeSet;

/// Day tables are made so many days ahead of today, and listed in the view: midnight needs no DDL.
pub const DAYS_AHEAD: i32 = 2;

/// Where a day's rows are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// Its own day table.
    DayTable,
    /// The table of this year, which the tenant view shows.
    Year(i32),
    /// The staging table of this year, which no view shows yet.
    Staging(i32),
}

impl Destination {
    /// The year whose staging table this is.
    pub fn staged_year(self) -> Option<i32> {
        match self {
            Destination::Staging(year) => Some(year),
            Destination::DayTable | Destination::Year(_) => None,
        }
    }

    /// The ledger that records its days.
    pub fn ledger(self) -> Ledger {
        if self.staged_year().is_some() {
            Ledger::Staged
        } else {
            Ledger::Units
        }
    }
}

/// The tables of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Days before it live in year tables, days from it on in day tables.
    pub fold_line: Day,
    /// Year tables may hold rows from the fold line on, which the tenant view must hide.
    pub hides: bool,
    pub years: BTreeSet<i32>,
    pub staging: BTreeSet<i32>,
    pub days: BTreeSet<Day>,
    /// Years that are being rebuilt next to their tables, which readers see meanwhile.
    pub rebuilding: BTreeSet<i32>,
}

/// The days of a calendar year.
pub fn year_window(year: i32) -> Window {
    Window::new(Day::first_of_year(year), Day::first_of_year(year + 1))
}

impl Shape {
    /// Reads the shape off the catalog's relations.
    pub fn new(line: FoldLine, relations: &[Relation]) -> Shape {
        let of = |kind| {
            relations
                .iter()
                .filter(move |r| r.kind == kind)
                .filter_map(|r| r.window)
        };
        Shape {
            fold_line: line.day,
            hides: line.hides,
            years: of(RelationKind::Year).map(|w| w.from.year()).collect(),
            staging: of(RelationKind::Staging).map(|w| w.from.year()).collect(),
            days: of(RelationKind::Day).map(|w| w.from).collect(),
            rebuilding: BTreeSet::new(),
        }
    }

    /// The fold line of a pair that has none yet: `open_days` days, today among them, are open.
    pub fn first_fold_line(today: Day, open_days: u32) -> Day {
        today.plus(1 - i32::try_from(open_days).unwrap_or(i32::MAX))
    }

    pub fn destination(&self, day: Day) -> Destination {
        if day >= self.fold_line {
            Destination::DayTable
        } else if self.years.contains(&day.year()) && !self.rebuilding.contains(&day.year()) {
            Destination::Year(day.year())
        } else {
            Destination::Staging(day.year())
        }
    }

    /// The table that `day` is written to, for a destination that [`Shape::destination`] gave.
    pub fn table(template: &TemplateName, destination: Destination, day: Day) -> String {
        match destination {
            Destination::DayTable => day_table(template, day),
            Destination::Year(year) => year_table(template, year),
            Destination::Staging(year) => staging_table(template, year),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(s: &str) -> Day {
        s.parse().unwrap()
    }

    #[test]
    fn the_fold_line_parts_years_from_days() {
        let shape = Shape {
            fold_line: Shape::first_fold_line(day("2024-01-20"), 16),
            hides: false,
            years: BTreeSet::from([2023]),
            staging: BTreeSet::new(),
            days: BTreeSet::new(),
            rebuilding: BTreeSet::new(),
        };
        assert_eq!(shape.fold_line, day("2024-01-05"));
        for (when, destination) in [
            ("2022-12-31", Destination::Staging(2022)),
            ("2023-12-31", Destination::Year(2023)),
            ("2024-01-04", Destination::Staging(2024)),
            ("2024-01-05", Destination::DayTable),
            ("2030-01-01", Destination::DayTable),
        ] {
            assert_eq!(shape.destination(day(when)), destination, "{when}");
        }
    }
}
