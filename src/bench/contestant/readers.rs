//! Readers: a query on Dayhaul's public view, or on a union of day views over the same rows.

use super::Contestant;
use super::dayhaul::{self, Variant};
use super::statements::{commented, loaded_rows, script};
use crate::bench::endpoint::TenantDatabase;
use crate::bench::environment::Work;
use crate::bench::fingerprint::{Fingerprint, compare, source_fingerprint};
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{bound, ident, literal, qualified};
use crate::unit::{Day, Window};
use futures::future::try_join_all;
use std::collections::BTreeMap;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

pub const PUBLIC_VIEW: &str = "dayhaul-view";
pub const DAY_VIEWS: &str = "day-views";

/// Day views created in one transaction. Each takes several locks, and a server with default settings has room for 6,400.
const DAYS_PER_TRANSACTION: usize = 30;

/// A typical query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    TwoDays,
    LastThirtyDays,
    Year,
    LatestTime,
    OneTenant,
}

impl Question {
    pub const ALL: [Question; 5] = [
        Question::TwoDays,
        Question::LastThirtyDays,
        Question::Year,
        Question::LatestTime,
        Question::OneTenant,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Question::TwoDays => "two literal days",
            Question::LastThirtyDays => "current_date - interval '30 days'",
            Question::Year => "extract(year …)",
            Question::LatestTime => "max(time)",
            Question::OneTenant => "one tenant by schema_name",
        }
    }

    fn sql(self, sandbox: &Sandbox, view: &str) -> String {
        let time = ident(&sandbox.template.time_column);
        let last: Day = sandbox.window.to.plus(-1);
        let literal_bound = |day| bound(day, sandbox.template.time_type());
        let counts = format!("SELECT schema_name, count(*), min({time}), max({time}) FROM {view}");
        let by_tenant = "GROUP BY schema_name ORDER BY schema_name";
        match self {
            Question::TwoDays => format!(
                "{counts} WHERE {time} >= {} AND {time} < {} {by_tenant}",
                literal_bound(last.plus(-1)),
                literal_bound(last.next())
            ),
            Question::LastThirtyDays => {
                format!("{counts} WHERE {time} >= current_date - interval '30 days' {by_tenant}")
            }
            Question::Year => format!(
                "{counts} WHERE extract(year FROM {time}) = {} {by_tenant}",
                last.year()
            ),
            Question::LatestTime => format!("SELECT max({time}) FROM {view}"),
            Question::OneTenant => format!(
                "{counts} WHERE schema_name = {} AND {time} >= {} {by_tenant}",
                literal(sandbox.source().schema.as_str()),
                literal_bound(last.plus(-6))
            ),
        }
    }
}

/// What a query reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// Dayhaul's public view.
    PublicView,
    /// The union of day views.
    DayViews,
}

/// One query on one of the views.
pub struct Reader {
    pub question: Question,
    pub from: ReadFrom,
}

/// The schema of a tenant's day views.
fn schema_of(source: &TenantDatabase) -> String {
    format!("days_{}", source.schema)
}

fn day_view(sandbox: &Sandbox, source: &TenantDatabase, day: Day) -> String {
    qualified(
        &schema_of(source),
        &format!("{}_{}", sandbox.template.name, day.suffix()),
    )
}

fn tenant_view(sandbox: &Sandbox, source: &TenantDatabase) -> String {
    qualified(&schema_of(source), sandbox.template.name.as_str())
}

/// Statements that create a day's view and its indexes from Dayhaul's rows.
fn day_statements(sandbox: &Sandbox, source: &TenantDatabase, day: Day) -> Vec<String> {
    let name = day_view(sandbox, source, day);
    let from = qualified(source.schema.as_str(), sandbox.template.name.as_str());
    let within = crate::sql::within(
        &ident(&sandbox.template.time_column),
        Window::single(day),
        sandbox.template.time_type(),
    );
    let mut statements = vec![format!(
        "CREATE MATERIALIZED VIEW {name} AS SELECT * FROM {from} WHERE {within}"
    )];
    statements.extend(sandbox.indexes(&name));
    statements
}

/// A tenant's view over its days.
fn union_of_days(sandbox: &Sandbox, source: &TenantDatabase, days: Window) -> String {
    let days: Vec<String> = days
        .days()
        .map(|day| format!("SELECT * FROM {}", day_view(sandbox, source, day)))
        .collect();
    format!(
        "CREATE VIEW {} AS\n{}",
        tenant_view(sandbox, source),
        days.join("\nUNION ALL ")
    )
}

/// The view over all tenants, with the columns of Dayhaul's public view.
fn union_of_tenants(sandbox: &Sandbox, sources: &[TenantDatabase]) -> String {
    let tenants: Vec<String> = sources
        .iter()
        .map(|source| {
            format!(
                "SELECT {}::text AS schema_name, * FROM {}",
                literal(source.schema.as_str()),
                tenant_view(sandbox, source)
            )
        })
        .collect();
    format!(
        "CREATE VIEW {} AS\n{}",
        sandbox.relation(""),
        tenants.join("\nUNION ALL ")
    )
}

/// The tenant views of Dayhaul.
fn dayhaul_views(sandbox: &Sandbox) -> Vec<(String, Window)> {
    let name = sandbox.template.name.as_str();
    let sources = sandbox.sources.iter();
    sources
        .map(|source| (qualified(source.schema.as_str(), name), sandbox.window))
        .collect()
}

/// The day views of all tenants.
fn day_views(sandbox: &Sandbox) -> Vec<(String, Window)> {
    let of = |source| {
        let days = sandbox.window.days();
        days.map(move |day| (day_view(sandbox, source, day), Window::single(day)))
    };
    sandbox.sources.iter().flat_map(of).collect()
}

/// Loads all tenants with Dayhaul, and creates the day views from its rows in the same database.
pub fn set_up(sandbox: &Sandbox) -> Work<'_, ()> {
    Box::pin(async move {
        dayhaul::set_up(sandbox, Variant::Default).await?;
        dayhaul::backfill(sandbox).await?;
        let expected = source_fingerprint(sandbox).await?;
        compare(
            &loaded_rows(sandbox, dayhaul_views(sandbox)).await?,
            &expected,
        )
        .at(|| "dayhaul".into())?;
        for sources in sandbox.sources.chunks(sandbox.jobs) {
            try_join_all(
                sources
                    .iter()
                    .map(|source| create_day_views(sandbox, source)),
            )
            .await?;
        }
        let session = sandbox.warehouse.connect().await?;
        session
            .batch(&union_of_tenants(sandbox, &sandbox.sources))
            .await?;
        session.batch("VACUUM (ANALYZE)").await?;
        compare(&loaded_rows(sandbox, day_views(sandbox)).await?, &expected)
            .at(|| "the day views".into())
    })
}

async fn create_day_views(sandbox: &Sandbox, source: &TenantDatabase) -> Result<()> {
    let session = sandbox.warehouse.connect().await?;
    let schema = ident(&schema_of(source));
    session.batch(&format!("CREATE SCHEMA {schema}")).await?;
    let days: Vec<Day> = sandbox.window.days().collect();
    for days in days.chunks(DAYS_PER_TRANSACTION) {
        let statements: Vec<String> = days
            .iter()
            .flat_map(|day| day_statements(sandbox, source, *day))
            .collect();
        session.batch(&script(&statements)).await?;
    }
    session
        .batch(&union_of_days(sandbox, source, sandbox.window))
        .await
}

impl Reader {
    /// The query on the view that it reads from.
    pub fn sql(&self, sandbox: &Sandbox) -> String {
        let view = match self.from {
            ReadFrom::PublicView => qualified("public", sandbox.template.name.as_str()),
            ReadFrom::DayViews => sandbox.relation(""),
        };
        self.question.sql(sandbox, &view)
    }

    /// The fingerprint of the query's answer.
    ///
    /// # Errors
    /// The query fails.
    pub async fn answer(&self, sandbox: &Sandbox) -> Result<Fingerprint> {
        let session = reading_session(sandbox).await?;
        let answer = session.simple(&self.sql(sandbox)).await?;
        let text = format!("{:?}", answer.rows);
        Ok(Fingerprint {
            rows: answer.rows.len() as u64,
            digest: format!("{:032x}", xxh3_128(text.as_bytes())),
        })
    }

    /// Runs the query once to warm the session's caches, once timed, once explained, and once to count its locks.
    async fn measure(&self, sandbox: &Sandbox) -> Result<ContestantUsage> {
        let session = reading_session(sandbox).await?;
        let sql = self.sql(sandbox);
        session.simple(&sql).await?;
        let started = Instant::now();
        session.simple(&sql).await?;
        let seconds = started.elapsed().as_secs_f64();
        let explained = explain(&session, &sql).await?;
        Ok(ContestantUsage {
            own: None,
            seconds: Some(seconds),
            more: BTreeMap::from([
                ("planning_seconds", explained.planning),
                ("execution_seconds", explained.execution),
                ("locks", locks(&session, &sql).await?),
            ]),
        })
    }
}

/// A session in UTC.
///
/// # Errors
/// The server cannot be reached.
pub async fn reading_session(sandbox: &Sandbox) -> Result<Session> {
    let session = sandbox.warehouse.connect().await?;
    session.batch("SET TimeZone = 'UTC'").await?;
    Ok(session)
}

/// Seconds, as EXPLAIN measures them.
pub struct Explained {
    pub planning: f64,
    pub execution: f64,
}

/// TIMING OFF: clock calls in every node would make the query slower.
///
/// # Errors
/// The query fails.
pub async fn explain(session: &Session, sql: &str) -> Result<Explained> {
    let found = session
        .simple(&format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}"))
        .await?;
    let plan: serde_json::Value = serde_json::from_str(found.value(0, 0).unwrap_or_default())
        .map_err(|e| Error::new(Kind::Protocol, "EXPLAIN did not return JSON").with_source(e))?;
    let seconds = |key: &str| plan[0][key].as_f64().unwrap_or(0.0) / 1000.0;
    Ok(Explained {
        planning: seconds("Planning Time"),
        execution: seconds("Execution Time"),
    })
}

/// Relation locks that the query still holds when it ends.
async fn locks(session: &Session, sql: &str) -> Result<f64> {
    session.batch("BEGIN").await?;
    session.simple(sql).await?;
    let held = held_locks(session).await?;
    session.batch("COMMIT").await?;
    Ok(held)
}

/// Relation locks that the session's transaction holds.
///
/// # Errors
/// The server fails.
pub async fn held_locks(session: &Session) -> Result<f64> {
    let found = session
        .simple(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' \
             AND relation <> 'pg_catalog.pg_locks'::regclass",
        )
        .await?;
    Ok(found
        .value(0, 0)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0))
}

impl Contestant for Reader {
    fn name(&self) -> &str {
        match self.from {
            ReadFrom::PublicView => PUBLIC_VIEW,
            ReadFrom::DayViews => DAY_VIEWS,
        }
    }

    fn title(&self) -> String {
        match self.from {
            ReadFrom::PublicView => "Dayhaul's public view".into(),
            ReadFrom::DayViews => "a union of day views".into(),
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let source = sandbox.source();
        let day = sandbox.window.from;
        let short = Window::new(day, day.plus(2).min(sandbox.window.to));
        let mut parts = Vec::new();
        if self.from == ReadFrom::DayViews {
            parts.push(commented(
                &format!(
                    "Not timed, in the same database; for each of {} tenants and {} days:",
                    sandbox.sources.len(),
                    sandbox.window.len()
                ),
                &script(&day_statements(sandbox, source, day)),
            ));
            parts.push(commented(
                "for each tenant, over all days:",
                &script(&[union_of_days(sandbox, source, short)]),
            ));
            let few = &sandbox.sources[..sandbox.sources.len().min(2)];
            parts.push(commented(
                "over all tenants:",
                &script(&[union_of_tenants(sandbox, few)]),
            ));
        }
        parts.push(commented(
            "Timed in its second run, with the session's caches filled; then run once with EXPLAIN (ANALYZE, TIMING OFF) \
             for planning and execution, and once in a transaction whose locks are counted:",
            &script(&[self.sql(sandbox)]),
        ));
        Ok(parts.join("\n"))
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(self.measure(sandbox))
    }

    /// The fingerprint of the answer.
    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(self.answer(sandbox))
    }
}
