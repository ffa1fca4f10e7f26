//! Rows that belong to no day of the window: counted, then refused together.

use crate::error::{Error, Kind, Result};
use crate::unit::Day;
use std::fmt::Display;

/// Rows outside the window.
#[derive(Debug, Default)]
pub(super) struct Strays {
    rows: u64,
    first: Option<Day>,
    null_times: u64,
    infinite_times: u64,
}

impl Strays {
    pub fn add(&mut self, day: Day) {
        self.rows += 1;
        self.first = Some(self.first.map_or(day, |first| first.min(day)));
    }

    pub fn add_null_time(&mut self) {
        self.null_times += 1;
    }

    pub fn add_infinite_time(&mut self) {
        self.infinite_times += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.rows + self.null_times + self.infinite_times == 0
    }

    /// # Errors
    /// [`Kind::Data`] when there is a row, with the number of rows and their first day.
    pub fn refuse(&self, time_column: &str, bounds: &dyn Display) -> Result<()> {
        let time = format!("time column `{time_column}`");
        let rows = |n: u64| format!("{n} row{}", if n == 1 { "" } else { "s" });
        if self.null_times > 0 {
            return Err(Error::new(
                Kind::Data,
                format!("{} with a null in {time}", rows(self.null_times)),
            )
            .with_hint("filter them out in the template's query, or set a time there"));
        }
        if self.infinite_times > 0 {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "{} with an infinite time in {time}",
                    rows(self.infinite_times)
                ),
            )
            .with_hint("filter them out in the template's query"));
        }
        if let Some(first) = self.first {
            return Err(Error::new(
                Kind::Data,
                format!("{} outside {bounds}, the first on {first}", rows(self.rows)),
            )
            .with_hint("the query must return only rows with {from} <= time column < {to}"));
        }
        Ok(())
    }
}
