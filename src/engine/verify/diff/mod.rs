//! Which rows of a day differ: both sides are read again, rows with equal digests cancel out, the rest is matched by key.
//!
//! # Memory usage
//!
//! A counter per distinct row of the warehouse, and the rows that only one side has, within the memory that all windows
//! of a load may take (`jobs` × `window_bytes`). For a larger day only the counts are reported.

mod match_rows;
mod unmatched;

use super::checked::Checked;
use super::plan::VerifyPair;
use super::read::WindowRows;
use super::row_diff::Diff;
use crate::config::Settings;
use crate::engine::report::progress::WindowProgress;
use crate::engine::schedule::watchdog::unless_stalled;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, Purpose};
use crate::template::{Template, copy_out_sql};
use crate::unit::Window;
use crate::warehouse::{begin_reading, open_session, read_back_sql};
use match_rows::Matched;
use unmatched::DayOfBothSides;

/// Finds the rows that differ.
pub struct Differ<'a> {
    settings: &'a Settings,
    warehouse: &'a Access,
    values: bool,
    budget: usize,
}

impl<'a> Differ<'a> {
    pub fn new(settings: &'a Settings, warehouse: &'a Access, values: bool) -> Differ<'a> {
        let load = &settings.load;
        Differ {
            settings,
            warehouse,
            values,
            budget: load.window_bytes.saturating_mul(load.jobs.max(1)),
        }
    }

    /// Reads a day of both sides again.
    ///
    /// # Errors
    /// Errors of the servers; no byte moved for too long.
    pub async fn day(&self, pair: &VerifyPair, checked: &Checked) -> Result<Diff> {
        let (Some(access), Some(relation), Some(version)) =
            (&pair.access, &checked.relation, &checked.version)
        else {
            return Err(Error::new(
                Kind::Bug,
                "rows can only be compared when both sides have the day",
            ));
        };
        let source = pg::connect(access, Purpose::Source).await?;
        let owner = &self.settings.warehouse.owner_role;
        let warehouse = open_session(self.warehouse, owner).await?;
        begin_reading(&warehouse).await?;
        let template = pair.version(version)?;
        let window = Window::single(checked.unit.day);
        let load = &self.settings.load;
        let transaction = pair.pair.tenant.transaction(load.statement_timeout);
        transaction.begin(&source).await?;
        let query = pair.bind(template, window)?;
        let source_sql = copy_out_sql(template, &query, self.settings.masks.as_ref());
        let (schema, table) = relation.split_once('.').unwrap_or_default();
        let warehouse_sql = read_back_sql(schema, table, template, window);
        let rows = |session, sql| WindowRows {
            session,
            sql,
            template,
            window,
        };
        let progress = WindowProgress::silent();
        let day = DayOfBothSides {
            source: rows(&source, &source_sql),
            warehouse: rows(&warehouse, &warehouse_sql),
            progress: &progress,
        };
        let unmatched = day.unmatched(self.budget);
        let unmatched = unless_stalled(&progress, load.stall_timeout, unmatched).await?;
        let Some(unmatched) = unmatched else {
            return Ok(Diff::TooLarge {
                budget: self.budget,
            });
        };
        let keys = key_columns(pair, template);
        let matched = Matched::of(&unmatched, template, &keys);
        let mut rows = matched.rows(template);
        if self.values {
            rows.shown = matched.shown(&warehouse, template).await?;
        }
        Ok(Diff::Rows(rows))
    }
}

/// Positions of the key columns. All versions of a template have the same key.
fn key_columns(pair: &VerifyPair, template: &Template) -> Vec<usize> {
    let position = |name: &String| template.columns.iter().position(|c| c.name == *name);
    let unique = &pair.pair.template.unique;
    let found: Option<Vec<usize>> = unique.iter().map(position).collect();
    found.unwrap_or_default()
}
