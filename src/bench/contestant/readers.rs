//! Readers: one query, asked of Dayhaul's public view or of a union of day views over the same rows.

use super::Contestant;
use super::dayhaul::{self, Variant};
use super::statements::{commented, held, text};
use crate::bench::evidence::{Evidence, compare, truth};
use crate::bench::ground::Work;
use crate::bench::lane::{Lane, Source};
use crate::bench::meter::Used;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{bound, ident, literal, qualified};
use crate::unit::{Day, Window};
use futures::future::try_join_all;
use std::collections::BTreeMap;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

pub const YEARS: &str = "dayhaul-view";
pub const DAY_VIEWS: &str = "day-views";

/// Day views that are made in one transaction: each takes a handful of locks, and a stock server has room for 6,400.
const DAYS_AT_ONCE: usize = 30;

/// A question that readers have.
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

    fn sql(self, lane: &Lane, view: &str) -> String {
        let time = ident(&lane.template.time_column);
        let last: Day = lane.window.to.plus(-1);
        let literal_bound = |day| bound(day, lane.template.time_type());
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
                literal(lane.source().schema.as_str()),
                literal_bound(last.plus(-6))
            ),
        }
    }
}

/// One question, asked of one side.
pub struct Reader {
    pub question: Question,
    /// Of Dayhaul's public view; else of the day views.
    pub years: bool,
}

/// Where the day views of a tenant are.
fn schema_of(source: &Source) -> String {
    format!("days_{}", source.schema)
}

fn day_view(lane: &Lane, source: &Source, day: Day) -> String {
    qualified(
        &schema_of(source),
        &format!("{}_{}", lane.template.name, day.suffix()),
    )
}

fn tenant_view(lane: &Lane, source: &Source) -> String {
    qualified(&schema_of(source), lane.template.name.as_str())
}

/// A day's view with the template's indexes, copied from where Dayhaul has the day.
fn day_statements(lane: &Lane, source: &Source, day: Day) -> Vec<String> {
    let name = day_view(lane, source, day);
    let from = qualified(source.schema.as_str(), lane.template.name.as_str());
    let within = crate::sql::within(
        &ident(&lane.template.time_column),
        Window::single(day),
        lane.template.time_type(),
    );
    let mut statements = vec![format!(
        "CREATE MATERIALIZED VIEW {name} AS SELECT * FROM {from} WHERE {within}"
    )];
    statements.extend(lane.indexes(&name));
    statements
}

/// A tenant's union over its days.
fn union_of_days(lane: &Lane, source: &Source, days: Window) -> String {
    let days: Vec<String> = days
        .days()
        .map(|day| format!("SELECT * FROM {}", day_view(lane, source, day)))
        .collect();
    format!(
        "CREATE VIEW {} AS\n{}",
        tenant_view(lane, source),
        days.join("\nUNION ALL ")
    )
}

/// The union over tenants, the schema's name first, as Dayhaul's public view has it.
fn union_of_tenants(lane: &Lane, sources: &[Source]) -> String {
    let tenants: Vec<String> = sources
        .iter()
        .map(|source| {
            format!(
                "SELECT {}::text AS schema_name, * FROM {}",
                literal(source.schema.as_str()),
                tenant_view(lane, source)
            )
        })
        .collect();
    format!(
        "CREATE VIEW {} AS\n{}",
        lane.relation(""),
        tenants.join("\nUNION ALL ")
    )
}

/// What Dayhaul shows of each tenant.
fn dayhauls(lane: &Lane) -> Vec<(String, Window)> {
    let name = lane.template.name.as_str();
    let sources = lane.sources.iter();
    sources
        .map(|source| (qualified(source.schema.as_str(), name), lane.window))
        .collect()
}

/// Every tenant's every day view.
fn days(lane: &Lane) -> Vec<(String, Window)> {
    let of = |source| {
        let days = lane.window.days();
        days.map(move |day| (day_view(lane, source, day), Window::single(day)))
    };
    lane.sources.iter().flat_map(of).collect()
}

/// Makes both sides in one database: Dayhaul loads all tenants, and the day views are made from its rows.
pub fn set_up(lane: &Lane) -> Work<'_, ()> {
    Box::pin(async move {
        dayhaul::settle(lane, Variant::AsIs).await?;
        dayhaul::backfill(lane).await?;
        let truth = truth(lane).await?;
        compare(&held(lane, dayhauls(lane)).await?, &truth).at(|| "dayhaul".into())?;
        for sources in lane.sources.chunks(lane.jobs) {
            try_join_all(sources.iter().map(|source| make_days(lane, source))).await?;
        }
        let session = lane.warehouse.connect().await?;
        session
            .batch(&union_of_tenants(lane, &lane.sources))
            .await?;
        session.batch("VACUUM (ANALYZE)").await?;
        compare(&held(lane, days(lane)).await?, &truth).at(|| "the day views".into())
    })
}

async fn make_days(lane: &Lane, source: &Source) -> Result<()> {
    let session = lane.warehouse.connect().await?;
    let schema = ident(&schema_of(source));
    session.batch(&format!("CREATE SCHEMA {schema}")).await?;
    let days: Vec<Day> = lane.window.days().collect();
    for days in days.chunks(DAYS_AT_ONCE) {
        let statements: Vec<String> = days
            .iter()
            .flat_map(|day| day_statements(lane, source, *day))
            .collect();
        session.batch(&text(&statements)).await?;
    }
    session
        .batch(&union_of_days(lane, source, lane.window))
        .await
}

impl Reader {
    fn sql(&self, lane: &Lane) -> String {
        let view = match self.years {
            true => qualified("public", lane.template.name.as_str()),
            false => lane.relation(""),
        };
        self.question.sql(lane, &view)
    }

    /// The query once to warm the session's caches, once by the clock, once explained, and once with its locks counted.
    async fn ask(&self, lane: &Lane) -> Result<Used> {
        let session = reading_session(lane).await?;
        let sql = self.sql(lane);
        session.simple(&sql).await?;
        let started = Instant::now();
        session.simple(&sql).await?;
        let seconds = started.elapsed().as_secs_f64();
        let (planning, execution) = explain(&session, &sql).await?;
        Ok(Used {
            own: None,
            seconds: Some(seconds),
            more: BTreeMap::from([
                ("planning_seconds", planning),
                ("execution_seconds", execution),
                ("locks", locks(&session, &sql).await?),
            ]),
        })
    }
}

async fn reading_session(lane: &Lane) -> Result<Session> {
    let session = lane.warehouse.connect().await?;
    session.batch("SET TimeZone = 'UTC'").await?;
    Ok(session)
}

/// Seconds of planning and of execution, without clocks in every node.
async fn explain(session: &Session, sql: &str) -> Result<(f64, f64)> {
    let found = session
        .simple(&format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}"))
        .await?;
    let plan: serde_json::Value = serde_json::from_str(found.value(0, 0).unwrap_or_default())
        .map_err(|e| Error::new(Kind::Protocol, "EXPLAIN gave no JSON").with_source(e))?;
    let seconds = |key: &str| plan[0][key].as_f64().unwrap_or(0.0) / 1000.0;
    Ok((seconds("Planning Time"), seconds("Execution Time")))
}

/// Locks on relations that the query still holds when it is through.
async fn locks(session: &Session, sql: &str) -> Result<f64> {
    session.batch("BEGIN").await?;
    session.simple(sql).await?;
    let found = session
        .simple(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' \
             AND relation <> 'pg_catalog.pg_locks'::regclass",
        )
        .await?;
    session.batch("COMMIT").await?;
    Ok(found
        .value(0, 0)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0))
}

impl Contestant for Reader {
    fn name(&self) -> &str {
        if self.years { YEARS } else { DAY_VIEWS }
    }

    fn title(&self) -> String {
        match self.years {
            true => "Dayhaul's public view".into(),
            false => "a union of day views".into(),
        }
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        let source = lane.source();
        let day = lane.window.from;
        let short = Window::new(day, day.plus(2).min(lane.window.to));
        let mut parts = Vec::new();
        if !self.years {
            parts.push(commented(
                &format!(
                    "Not timed, in the same database: for each of {} tenants and {} days",
                    lane.sources.len(),
                    lane.window.len()
                ),
                &text(&day_statements(lane, source, day)),
            ));
            parts.push(commented(
                "per tenant, of all days",
                &text(&[union_of_days(lane, source, short)]),
            ));
            let few = &lane.sources[..lane.sources.len().min(2)];
            parts.push(commented(
                "of all tenants",
                &text(&[union_of_tenants(lane, few)]),
            ));
        }
        parts.push(commented(
            "Timed, the second time in a session that has its caches filled; then once more in EXPLAIN (ANALYZE, TIMING OFF) \
             for planning and execution, and once in a transaction whose locks are counted:",
            &text(&[self.sql(lane)]),
        ));
        Ok(parts.join("\n"))
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(self.ask(lane))
    }

    /// The answer.
    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(async move {
            let answer = reading_session(lane).await?.simple(&self.sql(lane)).await?;
            let text = format!("{:?}", answer.rows);
            Ok(Evidence {
                rows: answer.rows.len() as u64,
                digest: format!("{:032x}", xxh3_128(text.as_bytes())),
            })
        })
    }
}
