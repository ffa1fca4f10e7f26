//! Compares one window: reads source, warehouse and files at the same time, with the ledger of one snapshot.

use super::checked::{Against, Checked, Sides, Verdict};
use super::landed_file;
use super::plan::VerifyPair;
use super::read::WindowRows;
use crate::catalog::ledger::units::{self, Recorded};
use crate::config::Settings;
use crate::copy::Tally;
use crate::engine::report::progress::WindowProgress;
use crate::engine::window::table_runs::{TableRun, retry_if_table_moved, table_runs};
use crate::error::{At, Result, Side};
use crate::landing::{Landing, ObjectPath};
use crate::pg::{self, Session};
use crate::template::{check_source, copy_out_sql};
use crate::unit::{Day, Window};
use crate::warehouse::{begin_reading, read_back_sql};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A window to compare, and how.
pub struct WindowComparison<'a> {
    pub pair: &'a VerifyPair,
    pub window: Window,
    pub against: Against,
    pub settings: &'a Settings,
    /// Where the files are, if they are compared.
    pub landing: Option<&'a Landing>,
    pub progress: &'a WindowProgress<'a>,
}

impl WindowComparison<'_> {
    /// Reads the window's days and compares them. After an error both sessions are in an unknown state.
    pub async fn compare(&self, from: Option<&Session>, to: &Session) -> Result<Vec<Checked>> {
        let recorded = self.snapshot(to).await?;
        let runs = table_runs(&recorded);
        let (held, read, filed) = tokio::try_join!(
            self.warehouse(to, &runs),
            self.source(from, &runs),
            self.files(&recorded),
        )?;
        let mut checked = Vec::with_capacity(self.window.len());
        for run in &runs {
            for day in run.window.days() {
                let recorded = recorded.get(&day);
                let sides = Sides {
                    source: read.get(&day).copied(),
                    warehouse: held.get(&day).copied(),
                    ledger: recorded.map(|r| r.tally),
                    parquet: filed.get(&day).copied(),
                };
                checked.push(self.checked(run, day, sides, recorded));
            }
        }
        // They were in the ledger when the work was planned.
        let dropped = self.pair.days_in(self.window);
        let dropped = dropped.filter(|day| !recorded.contains_key(day));
        checked.extend(dropped.map(|day| self.pair.not_loaded(day)));
        Ok(checked)
    }

    fn checked(
        &self,
        run: &TableRun,
        day: Day,
        sides: Sides,
        recorded: Option<&Recorded>,
    ) -> Checked {
        let object = recorded.and_then(|r| r.object.as_ref());
        let verdict = match sides.verdict(self.against, run.loaded) {
            Verdict::Ok if self.landing.is_some() && sides.parquet.is_none() => {
                if object.is_some() {
                    Verdict::MissingFile
                } else {
                    Verdict::NotLanded
                }
            }
            verdict => verdict,
        };
        Checked {
            sides,
            relation: Some(Arc::clone(&run.relation)).filter(|r| !r.is_empty()),
            version: Some(Arc::clone(&run.version)),
            object: object.map(|object| object.url.as_str().into()),
            ..self.pair.checked(day, verdict)
        }
    }

    /// Begins the transaction that reads the warehouse, and reads the ledger in it.
    async fn snapshot(&self, to: &Session) -> Result<BTreeMap<Day, Recorded>> {
        begin_reading(to).await?;
        let (tenant, template) = self.pair.names();
        let mut recorded = units::recorded(to, tenant, template, Some(self.window)).await?;
        recorded.retain(|day, _| self.pair.days.contains(day));
        Ok(recorded)
    }

    async fn warehouse(
        &self,
        session: &Session,
        runs: &[TableRun],
    ) -> Result<BTreeMap<Day, Tally>> {
        let mut held = BTreeMap::new();
        for run in runs.iter().filter(|run| run.exists) {
            let (relation, window) = (&run.relation, run.window);
            let template = self.pair.version(&run.version)?;
            let (schema, table) = relation.split_once('.').unwrap_or_default();
            let sql = read_back_sql(schema, table, template, window);
            let rows = WindowRows {
                session,
                sql: &sql,
                template,
                window,
            };
            let tallies = rows.tally(self.progress).await;
            let tallies = tallies.at(|| format!("table `{relation}`"));
            let tallies = tallies.map_err(retry_if_table_moved);
            let tallies = tallies.on(Side::Warehouse)?;
            held.extend(window.days().zip(tallies));
        }
        session.batch("COMMIT").await?;
        Ok(held)
    }

    /// Reads the files of those days that have one.
    async fn files(&self, recorded: &BTreeMap<Day, Recorded>) -> Result<BTreeMap<Day, Tally>> {
        let mut read = BTreeMap::new();
        let Some(landing) = self.landing else {
            return Ok(read);
        };
        for (day, recorded) in recorded.iter().filter(|(_, r)| r.object.is_some()) {
            let object = ObjectPath {
                template: self.pair.pair.template.name.clone(),
                schema: self.pair.pair.tenant.schema.clone(),
                day: *day,
            };
            let tally = landed_file::tally(landing, &object, recorded, self.progress).await;
            let tally = tally.map_err(|error| error.on_day(*day).on(Side::Landing))?;
            read.extend(tally.map(|tally| (*day, tally)));
        }
        Ok(read)
    }

    async fn source(
        &self,
        session: Option<&Session>,
        runs: &[TableRun],
    ) -> Result<BTreeMap<Day, Tally>> {
        let mut read = BTreeMap::new();
        let Some(session) = session else {
            return Ok(read);
        };
        for (version, window) in queries(runs) {
            let tallies = self.query(session, version, window).await;
            read.extend(window.days().zip(tallies.on(Side::Source)?));
        }
        Ok(read)
    }

    /// One query in one transaction, the same as a load sends.
    async fn query(&self, session: &Session, version: &str, window: Window) -> Result<Vec<Tally>> {
        let template = self.pair.version(version)?;
        let query = self.pair.bind(template, window)?;
        let timeout = self.settings.load.statement_timeout;
        let tenant = &self.pair.pair.tenant;
        tenant.transaction(timeout).begin(session).await?;
        if !self.pair.is_described(version) {
            check_source(template, &pg::describe(session, &query).await?)?;
            self.pair.note_described(version);
        }
        let sql = copy_out_sql(template, &query, self.settings.masks.as_ref());
        let rows = WindowRows {
            session,
            sql: &sql,
            template,
            window,
        };
        let tallies = rows.tally(self.progress).await?;
        session.batch("COMMIT").await?;
        Ok(tallies)
    }
}

/// The queries for the source. It knows nothing of the warehouse's tables, so one query may cover several of them.
fn queries(runs: &[TableRun]) -> Vec<(&str, Window)> {
    let mut queries: Vec<(&str, Window)> = Vec::new();
    for run in runs.iter().filter(|run| run.exists || !run.loaded) {
        match queries.last_mut() {
            Some((version, window))
                if *version == &*run.version && window.to == run.window.from =>
            {
                window.to = run.window.to;
            }
            _ => queries.push((&run.version, run.window)),
        }
    }
    queries
}
