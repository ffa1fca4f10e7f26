//! Lands days from the warehouse, without contacting a source.

use super::day_files::{DayFiles, Lake};
use crate::catalog::ledger::objects::Ledger;
use crate::catalog::ledger::staged;
use crate::catalog::ledger::units::{self, Entry, LoadedDay, Recorded};
use crate::copy::{Intake, Tally};
use crate::engine::report::event::Outcome;
use crate::engine::report::progress::WindowProgress;
use crate::engine::window::drain::drain;
use crate::engine::window::outcome::{DayResult, WindowOutcome};
use crate::engine::window::table_runs::{TableRun, retry_if_table_moved, table_runs};
use crate::engine::window::template_versions::versions;
use crate::error::{At, Error, Kind, Result, Side};
use crate::pg::Session;
use crate::schema::Column;
use crate::template::Template;
use crate::unit::{Day, Window};
use crate::warehouse::{Destination, Place, begin_reading, read_back_sql};
use std::collections::{BTreeMap, BTreeSet};

/// A window to land from the warehouse, and how.
pub struct FromWarehouse<'a> {
    pub place: Place<'a>,
    pub entry: Entry<'a>,
    pub lake: Lake<'a>,
    pub window: Window,
    pub destination: Destination,
    /// Write files again that exist already.
    pub rewrite: bool,
    pub progress: &'a WindowProgress<'a>,
}

/// Days of one table that are landed together.
struct Table<'a> {
    run: &'a TableRun,
    /// As it was when the days were loaded.
    template: &'a Template,
    /// What the ledger records for each day.
    expected: &'a [Tally],
}

impl FromWarehouse<'_> {
    /// Lands the window. After an error the session is in an unknown state.
    pub async fn land(&self, to: &Session) -> Result<WindowOutcome> {
        let recorded = self.recorded(to).await?;
        // An earlier try may have landed some of the days.
        let (there, recorded): (BTreeMap<Day, Recorded>, BTreeMap<Day, Recorded>) = recorded
            .into_iter()
            .partition(|(day, recorded)| !self.rewrite && self.is_landed(*day, recorded));
        let mut days: Vec<DayResult> = there
            .into_iter()
            .map(|(day, recorded)| landed(day, recorded.tally, recorded.relation.as_deref()))
            .collect();
        let current = self.place.template;
        let used: BTreeSet<&str> = recorded.values().map(|r| r.version.as_str()).collect();
        let known = versions(to, current, &used).await?;
        to.batch("COMMIT").await?;
        let templates: BTreeMap<String, Template> = known
            .into_iter()
            .map(|(version, template)| (version, landing_as_today(template, current)))
            .collect();
        check_tables_exist(&recorded)?;
        for run in table_runs(&recorded) {
            let template = templates.get(&*run.version).ok_or_else(|| {
                let what = format!(
                    "version `{}` of the template is not in the catalog",
                    run.version
                );
                Error::new(Kind::Data, what)
            })?;
            let of_run = recorded.range(run.window.from..run.window.to);
            let tallies: Vec<Tally> = of_run.map(|(_, recorded)| recorded.tally).collect();
            let mut files = DayFiles::new(self.lake, template, run.window.days())?;
            let table = Table {
                run: &run,
                template,
                expected: &tallies,
            };
            if let Err(error) = self.land_table(&table, &mut files, to).await {
                files.abort().await;
                return Err(error);
            }
            let done = run.window.days().zip(&tallies);
            days.extend(done.map(|(day, tally)| landed(day, *tally, Some(&run.relation))));
        }
        Ok(WindowOutcome::compared(days))
    }

    /// Reads the days into files and publishes them.
    async fn land_table(
        &self,
        table: &Table<'_>,
        files: &mut DayFiles<'_>,
        to: &Session,
    ) -> Result<()> {
        begin_reading(to).await?;
        let found = self.read(table, files, to).await?;
        to.batch("COMMIT").await?;
        for ((day, found), expected) in table.run.window.days().zip(&found).zip(table.expected) {
            if found != expected {
                return Err(differs(day, &table.run.relation, found, expected));
            }
        }
        files
            .finish(found.into_iter().enumerate(), || self.progress.alive())
            .await
            .on(Side::Landing)?;
        files
            .publish(to, &self.entry, self.destination.ledger())
            .await
    }

    async fn read(
        &self,
        table: &Table<'_>,
        files: &mut DayFiles<'_>,
        to: &Session,
    ) -> Result<Vec<Tally>> {
        let Table { run, template, .. } = table;
        let (schema, table) = run.relation.split_once('.').unwrap_or_default();
        let sql = read_back_sql(schema, table, template, run.window);
        let mut intake = Intake::new(&template.columns, template.time_index(), run.window);
        let read = async {
            let rows = to.copy_out(&sql).await?;
            let drained = drain(rows, &mut intake, self.progress, files).await?;
            Ok(drained.unwrap_or_default())
        };
        read.await.map_err(|error: Error| {
            if error.side() == Some(Side::Landing) {
                return error;
            }
            let error = error.at(format!("table `{}`", run.relation));
            retry_if_table_moved(error).on(Side::Warehouse)
        })
    }

    /// The ledger's lines of the window's days. Leaves its transaction open.
    async fn recorded(&self, to: &Session) -> Result<BTreeMap<Day, Recorded>> {
        begin_reading(to).await?;
        let mut recorded = match self.destination.ledger() {
            Ledger::Units => {
                units::recorded(
                    to,
                    self.entry.tenant,
                    self.entry.template,
                    Some(self.window),
                )
                .await?
            }
            Ledger::Staged => self.staged(to).await?,
        };
        recorded.retain(|day, recorded| self.window.contains(*day) && recorded.loaded);
        Ok(recorded)
    }

    fn is_landed(&self, day: Day, recorded: &Recorded) -> bool {
        let known = self.lake.landed.get(day);
        known.is_some_and(|known| known.object.digest == recorded.tally.digest)
    }

    async fn staged(&self, to: &Session) -> Result<BTreeMap<Day, Recorded>> {
        let staged = staged::days(to, self.entry.tenant, self.entry.template).await?;
        let days = staged.into_iter().flat_map(|(relation, days)| {
            days.into_iter().map(move |(day, tally)| {
                let recorded = Recorded {
                    loaded: true,
                    tally,
                    version: self.entry.version.to_owned(),
                    relation: Some(relation.clone()),
                    there: true,
                    object: None,
                };
                (day, recorded)
            })
        });
        Ok(days.collect())
    }
}

/// An earlier version of a template, with the types that columns land as today: these are not part of a version.
fn landing_as_today(mut then: Template, now: &Template) -> Template {
    for column in &mut then.columns {
        let same = |today: &&Column| {
            today.name == column.name && today.ty == column.ty && column.land.is_none()
        };
        if let Some(today) = now.columns.iter().find(same) {
            column.land = today.land;
        }
    }
    then
}

fn landed(day: Day, tally: Tally, relation: Option<&str>) -> DayResult {
    let loaded = LoadedDay {
        day,
        tally,
        relation: relation.unwrap_or_default().to_owned(),
    };
    DayResult::new(loaded, Outcome::Landed)
}

/// # Errors
/// [`Kind::Data`], with its day, for the first day whose table does not exist.
fn check_tables_exist(recorded: &BTreeMap<Day, Recorded>) -> Result<()> {
    let lost = |recorded: &Recorded| recorded.relation.is_none() || !recorded.there;
    let Some((day, recorded)) = recorded.iter().find(|(_, recorded)| lost(recorded)) else {
        return Ok(());
    };
    let what = match &recorded.relation {
        Some(relation) => format!("the ledger names `{relation}`, which does not exist"),
        None => "the ledger names no table".to_owned(),
    };
    Err(Error::new(Kind::Data, what)
        .with_hint(format!(
            "load the day again: `dayhaul backfill --reload --from {day} --to {day}`"
        ))
        .on_day(*day))
}

fn differs(day: Day, relation: &str, found: &Tally, expected: &Tally) -> Error {
    let what = if found.rows == expected.rows {
        format!("`{relation}` does not hold the rows that the ledger records")
    } else {
        format!(
            "`{relation}` holds {} rows, but the ledger records {}",
            found.rows, expected.rows
        )
    };
    Error::new(Kind::Data, what)
        .with_hint(
            "the warehouse was changed: `dayhaul verify --repair` reports and fixes the rows",
        )
        .on_day(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(relation: &str, version: &str, there: bool) -> Recorded {
        Recorded {
            loaded: true,
            tally: Tally::default(),
            version: version.to_owned(),
            relation: Some(relation.to_owned()),
            there,
            object: None,
        }
    }

    #[test]
    fn a_table_that_does_not_exist_is_named_with_its_day() {
        let day = Day::from_pg_days(1);
        let error = check_tables_exist(&[(day, recorded("a.x", "v", false))].into())
            .err()
            .unwrap();
        assert_eq!(error.day(), Some(day));
        assert!(error.to_string().contains("`a.x`"), "{error}");
    }
}
