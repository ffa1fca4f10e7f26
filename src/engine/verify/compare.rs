//! One window read on both sides at once.

use super::checked::{Against, Checked, Sides, Verdict};
use super::plan::Subject;
use super::{files, stream};
use crate::catalog::ledger::units::{self, Recorded};
use crate::copy::Tally;
use crate::engine::report::window_outcome::{self, Fault, source, target};
use crate::engine::schedule::watchdog::{Meter, unless_stalled};
use crate::engine::window::load::begin_source;
use crate::error::{At, Error, Result};
use crate::landing::{Landing, ObjectPath};
use crate::pg::{self, Session};
use crate::schema::Salt;
use crate::template::{check_source, copy_out_sql};
use crate::unit::{Day, Window};
use crate::warehouse::{begin_reading, read_back_sql};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is read, and how.
pub struct Look<'a> {
    pub subject: &'a Subject,
    pub window: Window,
    pub against: Against,
    /// How the tenant masks what the template masks.
    pub masks: Option<&'a Salt>,
    /// Where the files are, when they are read.
    pub landing: Option<&'a Landing>,
    pub statement_timeout: Duration,
    pub stall_timeout: Duration,
}

/// Consecutive loaded days of one table and one version.
struct Run {
    relation: Arc<str>,
    version: Arc<str>,
    /// Whether the warehouse is to hold it.
    loaded: bool,
    /// Whether the table exists.
    there: bool,
    window: Window,
}

impl Look<'_> {
    /// Reads the window's days and compares them. After an error both sessions are in an unknown state.
    pub async fn run(
        &self,
        from: Option<&Session>,
        to: &Session,
        moved: impl Fn(u64, u64),
    ) -> Result<Vec<Checked>, Fault> {
        let meter = Meter::default();
        let progress = |rows, bytes| {
            meter.moved();
            moved(rows, bytes);
        };
        unless_stalled(&meter, self.stall_timeout, self.compare(from, to, progress)).await
    }

    async fn compare(
        &self,
        from: Option<&Session>,
        to: &Session,
        moved: impl Fn(u64, u64),
    ) -> Result<Vec<Checked>, Fault> {
        let recorded = self.snapshot(to).await.map_err(target)?;
        let runs = runs(&recorded);
        let (held, read, filed) = tokio::try_join!(
            self.warehouse(to, &runs, &moved),
            self.source(from, &runs, &moved),
            self.files(&recorded, &moved),
        )?;
        let mut checked = Vec::with_capacity(self.window.len());
        for run in &runs {
            for day in run.window.days() {
                let sides = Sides {
                    source: read.get(&day).copied(),
                    warehouse: held.get(&day).copied(),
                    ledger: recorded.get(&day).map(|r| r.tally),
                    parquet: filed.get(&day).copied(),
                };
                let object = recorded.get(&day).and_then(|r| r.object.as_ref());
                let verdict = match sides.verdict(self.against, run.loaded) {
                    Verdict::Ok if self.landing.is_some() && sides.parquet.is_none() => {
                        match object {
                            Some(_) => Verdict::MissingFile,
                            None => Verdict::NotLanded,
                        }
                    }
                    verdict => verdict,
                };
                checked.push(Checked {
                    sides,
                    relation: Some(Arc::clone(&run.relation)).filter(|r| !r.is_empty()),
                    version: Some(Arc::clone(&run.version)),
                    object: object.map(|object| object.url.as_str().into()),
                    ..self.subject.checked(day, verdict)
                });
            }
        }
        // They were in the ledger when the work was planned.
        let gone = self.subject.days_in(self.window);
        let gone = gone.filter(|day| !recorded.contains_key(day));
        checked.extend(gone.map(|day| self.subject.not_loaded(day)));
        Ok(checked)
    }

    /// Begins the transaction that reads the warehouse; what the ledger says there and then.
    async fn snapshot(&self, to: &Session) -> Result<BTreeMap<Day, Recorded>> {
        begin_reading(to).await?;
        let (tenant, template) = self.subject.names();
        let mut recorded = units::recorded(to, tenant, template, Some(self.window)).await?;
        recorded.retain(|day, _| self.subject.days.contains(day));
        Ok(recorded)
    }

    async fn warehouse(
        &self,
        session: &Session,
        runs: &[Run],
        moved: impl Fn(u64, u64),
    ) -> Result<BTreeMap<Day, Tally>, Fault> {
        let mut held = BTreeMap::new();
        for run in runs.iter().filter(|run| run.there) {
            let (relation, window) = (&run.relation, run.window);
            let template = self.subject.version(&run.version)?;
            let (schema, table) = relation.split_once('.').unwrap_or_default();
            let sql = read_back_sql(schema, table, template, window);
            let tallies = stream::tally(session, &sql, template, window, &moved, |_, _| {})
                .await
                .at(|| format!("table `{relation}`"))
                .map_err(|e| target(gone_meanwhile(e)))?;
            held.extend(window.days().zip(tallies));
        }
        session.batch("COMMIT").await.map_err(target)?;
        Ok(held)
    }

    /// The days that have a file, as their files have them.
    async fn files(
        &self,
        recorded: &BTreeMap<Day, Recorded>,
        moved: impl Fn(u64, u64),
    ) -> Result<BTreeMap<Day, Tally>, Fault> {
        let mut read = BTreeMap::new();
        let Some(landing) = self.landing else {
            return Ok(read);
        };
        for (day, recorded) in recorded.iter().filter(|(_, r)| r.object.is_some()) {
            let object = ObjectPath {
                template: self.subject.pair.template.name.clone(),
                schema: self.subject.pair.tenant.schema.clone(),
                day: *day,
            };
            let tally = files::tally(landing, &object, recorded, &moved).await;
            let tally = tally.map_err(|error| window_outcome::landing(error.on_day(*day)))?;
            read.extend(tally.map(|tally| (*day, tally)));
        }
        Ok(read)
    }

    async fn source(
        &self,
        session: Option<&Session>,
        runs: &[Run],
        moved: impl Fn(u64, u64),
    ) -> Result<BTreeMap<Day, Tally>, Fault> {
        let mut read = BTreeMap::new();
        let Some(session) = session else {
            return Ok(read);
        };
        for (version, window) in queries(runs) {
            let tallies = self.query(session, version, window, &moved).await;
            read.extend(window.days().zip(tallies.map_err(source)?));
        }
        Ok(read)
    }

    /// One query in one transaction, as a haul sends it.
    async fn query(
        &self,
        session: &Session,
        version: &str,
        window: Window,
        moved: impl Fn(u64, u64),
    ) -> Result<Vec<Tally>> {
        let template = self.subject.version(version)?;
        let query = self.subject.bind(template, window)?;
        session.batch(&begin_source(self.statement_timeout)).await?;
        if !self.subject.is_described(version) {
            check_source(template, &pg::describe(session, &query).await?)?;
            self.subject.note_described(version);
        }
        let sql = copy_out_sql(template, &query, self.masks);
        let tallies = stream::tally(session, &sql, template, window, moved, |_, _| {}).await?;
        session.batch("COMMIT").await?;
        Ok(tallies)
    }
}

fn runs(recorded: &BTreeMap<Day, Recorded>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (day, recorded) in recorded {
        let relation = recorded.relation.as_deref().unwrap_or_default();
        match runs.last_mut() {
            Some(run)
                if run.window.to == *day
                    && *run.relation == *relation
                    && run.loaded == recorded.loaded
                    && *run.version == *recorded.version =>
            {
                run.window.to = day.next();
            }
            _ => runs.push(Run {
                relation: relation.into(),
                version: recorded.version.as_str().into(),
                there: recorded.there,
                loaded: recorded.loaded,
                window: Window::single(*day),
            }),
        }
    }
    runs
}

/// The source's share: it knows nothing of tables, so one query may serve several of them.
fn queries(runs: &[Run]) -> Vec<(&str, Window)> {
    let mut queries: Vec<(&str, Window)> = Vec::new();
    for run in runs.iter().filter(|run| run.there || !run.loaded) {
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

/// A table that the snapshot had and that is gone was folded or rebuilt meanwhile: a new snapshot knows where its rows
/// are.
fn gone_meanwhile(error: Error) -> Error {
    let gone = error.sqlstate() == Some("42P01");
    if gone {
        error.with_transient(true)
    } else {
        error
    }
}
