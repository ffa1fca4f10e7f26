//! The days that change sides when the fold line moves.

use crate::unit::Day;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{day_table, year_table};
use crate::warehouse::tables::shape::Shape;
use std::collections::{BTreeMap, BTreeSet};

/// The days that change sides when the fold line moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    pub from_line: Day,
    pub to_line: Day,
    /// With the rows of each according to the ledger.
    pub days: BTreeMap<Day, u64>,
}

/// What was copied of one year.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Moved {
    pub year: i32,
    pub days: u64,
    pub rows: u64,
    pub seconds: f64,
    /// What the rows took in the tables that they leave, with indexes; unknown for days that leave a year table.
    pub bytes_before: Option<u64>,
    /// What they take in the tables that they come into.
    pub bytes_after: u64,
}

impl Moving {
    /// The days of `shape` that a fold up to `line` takes into year tables; `None` when there are none. `rows` is what
    /// the ledger records; a day that it does not know was never loaded, and its table is empty.
    pub fn fold(shape: &Shape, line: Day, rows: &BTreeMap<Day, u64>) -> Option<Moving> {
        let from_line = shape.fold_line;
        if line <= from_line {
            return None;
        }
        let days: BTreeMap<Day, u64> = shape
            .days
            .range(from_line..line)
            .map(|day| (*day, rows.get(day).copied().unwrap_or(0)))
            .collect();
        (!days.is_empty()).then_some(Moving {
            from_line,
            to_line: line,
            days,
        })
    }

    /// The loaded days that return to day tables when the line moves back to `line`; `None` when it is there,
    /// or when there are none.
    pub fn unfold(shape: &Shape, line: Day, rows: &BTreeMap<Day, u64>) -> Option<Moving> {
        let from_line = shape.fold_line;
        if line >= from_line {
            return None;
        }
        let days: BTreeMap<Day, u64> = rows
            .range(line..from_line)
            .map(|(day, rows)| (*day, *rows))
            .collect();
        (!days.is_empty()).then_some(Moving {
            from_line,
            to_line: line,
            days,
        })
    }

    /// Whether days leave their year tables.
    pub fn is_unfold(&self) -> bool {
        self.to_line < self.from_line
    }

    /// The years whose tables take part.
    pub fn years(&self) -> BTreeSet<i32> {
        self.days.keys().map(|day| day.year()).collect()
    }

    /// The days by year.
    pub fn by_year(&self) -> BTreeMap<i32, Vec<(Day, u64)>> {
        let mut years: BTreeMap<i32, Vec<(Day, u64)>> = BTreeMap::new();
        for (day, rows) in &self.days {
            years.entry(day.year()).or_default().push((*day, *rows));
        }
        years
    }

    /// The tables that hold the days when the line has moved.
    pub fn tables_after(&self, place: Place<'_>) -> Vec<(Day, String)> {
        let template = &place.template.name;
        self.days
            .keys()
            .map(|day| {
                let table = if self.is_unfold() {
                    day_table(template, *day)
                } else {
                    year_table(template, day.year())
                };
                (*day, format!("{}.{table}", place.schema))
            })
            .collect()
    }
}
