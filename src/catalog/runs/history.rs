//! What was done: runs with how they stand, and what each run did to a unit.

use super::run::{Progress, outcome, unknown};
use super::selected::{self, SelectedPair, windows};
use crate::catalog::ledger::day_ranges::{self, RANGES, bounds};
use crate::catalog::registry::tenants::{Selection, check_selection};
use crate::error::{Error, Kind, Result};
use crate::pg::{Row, Session};
use crate::unit::{TemplateName, TenantName, Unit, Window};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// One run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    pub id: i64,
    pub command: String,
    /// The command line without the program's name.
    pub arguments: Vec<String>,
    /// What it was for; `None` when it did not record that.
    pub selection: Option<Vec<SelectedPair>>,
    pub host: String,
    pub pid: i32,
    /// Of dayhaul.
    pub version: String,
    /// `running`, `died`, or how it ended.
    pub outcome: String,
    pub started_at: DateTime<Utc>,
    pub heartbeat_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// To its end, to now, or to its last heartbeat.
    pub seconds: f64,
    pub counts: Counts,
    /// How far it was at its last heartbeat; `None` before its units were known, and when it recorded its end.
    pub progress: Option<Progress>,
    /// Units that took more than one try.
    pub retried: u64,
    /// Who asked it to end, and when.
    pub cancel_requested: Option<(String, DateTime<Utc>)>,
}

/// Units by how they ended, and their rows. For a run that has not recorded its end: what it did to units so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub loaded: u64,
    pub changed: u64,
    /// Their files were written, in the warehouse nothing was.
    pub landed: u64,
    pub failed: u64,
    /// These three are known when the run has ended.
    pub unchanged: Option<u64>,
    pub skipped: Option<u64>,
    pub not_tried: Option<u64>,
    /// Days that a fold or unfold moved; known when it has ended.
    pub moved: Option<u64>,
    /// Parquet files that it wrote; known when the run has ended.
    pub files: Option<u64>,
    pub rows: u64,
}

/// Why days of a pair failed in a run, or were not tried: one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDays {
    pub tenant: TenantName,
    pub template: Option<TemplateName>,
    pub days: Vec<Window>,
    pub not_tried: bool,
    pub error: String,
    pub hint: Option<String>,
}

/// Which runs are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Runs that were asked for one of its tenants and one of its templates.
    pub selection: Selection,
    /// Only runs that failed, in part or wholly, or died.
    pub failed: bool,
    pub last: u32,
}

/// A run that recorded how it ended has counted its units: only those of others are looked up one by one.
fn select_runs(session: &Session) -> String {
    let wh = session.catalog();
    format!(
        "SELECT r.id, r.command, r.arguments, r.host, r.pid, r.version, o.outcome, r.started_at, r.heartbeat_at, \
                r.ended_at, extract(epoch FROM coalesce(r.ended_at, CASE o.outcome WHEN 'running' THEN clock_timestamp() \
                    ELSE r.heartbeat_at END) - r.started_at)::float8, \
                coalesce((r.totals ->> 'loaded')::bigint, a.loaded), \
                coalesce((r.totals ->> 'changed')::bigint, a.changed), coalesce((r.totals ->> 'failed')::bigint, a.failed), \
                (r.totals ->> 'unchanged')::bigint, (r.totals ->> 'skipped')::bigint, (r.totals ->> 'not_tried')::bigint, \
                coalesce((r.totals ->> 'rows')::bigint, a.rows), coalesce((r.totals ->> 'retried')::bigint, a.retried), \
                r.cancel_requested_by, r.cancel_requested_at, \
                coalesce((r.totals ->> 'landed')::bigint, a.landed), (r.totals ->> 'files')::bigint, (r.totals ->> 'days')::bigint, \
                r.selection::text, (r.progress ->> 'planned')::bigint, (r.progress ->> 'done')::bigint \
         FROM {wh}.run r CROSS JOIN LATERAL (SELECT {} AS outcome) o CROSS JOIN LATERAL ( \
             SELECT count(*) FILTER (WHERE outcome IN ('loaded', 'reloaded')) AS loaded, \
                    count(*) FILTER (WHERE outcome = 'changed') AS changed, \
                    count(*) FILTER (WHERE outcome = 'landed') AS landed, \
                    count(*) FILTER (WHERE outcome = 'failed') AS failed, \
                    coalesce(sum(rows) FILTER (WHERE outcome <> 'staged'), 0)::bigint AS rows, \
                    count(*) FILTER (WHERE tries > 1) AS retried \
             FROM {wh}.attempt WHERE run = r.id AND NOT coalesce(r.totals ? 'retried', false)) a",
        outcome()
    )
}

/// Runs, the newest first.
///
/// # Errors
/// The filter names a tenant or template that is unknown; the warehouse's.
pub async fn list(session: &Session, filter: &Filter) -> Result<Vec<RunRecord>> {
    let wh = session.catalog();
    check_selection(session, &filter.selection).await?;
    let tenants: Vec<&str> = names(&filter.selection.tenants);
    let templates: Vec<&str> = names(&filter.selection.templates);
    let rows = session
        .query(
            // A run of the catalog's first version did not keep its selection: what it did to units is used instead.
            &format!(
                "{} WHERE (NOT $3 OR o.outcome IN ('failed', 'died')) AND (cardinality($1::text[]) + cardinality($2::text[]) = 0 \
                     OR EXISTS (SELECT FROM jsonb_array_elements(r.selection) s \
                         WHERE (s ->> 'tenant' = ANY ($1) OR cardinality($1) = 0) \
                           AND (s ->> 'template' = ANY ($2) OR cardinality($2) = 0)) \
                     OR (r.selection IS NULL AND EXISTS (SELECT FROM {wh}.attempt x WHERE x.run = r.id \
                           AND (x.tenant = ANY ($1) OR cardinality($1) = 0) \
                           AND (x.template = ANY ($2) OR cardinality($2) = 0)))) \
                 ORDER BY r.id DESC LIMIT $4",
                select_runs(session)
            ),
            &[
                &tenants,
                &templates,
                &filter.failed,
                &i64::from(filter.last),
            ],
        )
        .await?;
    rows.iter().map(run_of).collect()
}

fn names<N: AsRef<str>>(names: &[N]) -> Vec<&str> {
    names.iter().map(AsRef::as_ref).collect()
}

/// One run.
///
/// # Errors
/// There is no such run; the warehouse's.
pub async fn get(session: &Session, id: i64) -> Result<RunRecord> {
    session
        .query_opt(&format!("{} WHERE r.id = $1", select_runs(session)), &[&id])
        .await?
        .ok_or_else(|| unknown(id))
        .and_then(|row| run_of(&row))
}

/// A count, as PostgreSQL gives it.
pub fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn run_of(row: &Row) -> Result<RunRecord> {
    let known = |column| row.get::<_, Option<i64>>(column).map(unsigned);
    let selection = row.get::<_, Option<String>>(24);
    Ok(RunRecord {
        id: row.get(0),
        command: row.get(1),
        arguments: row.get(2),
        selection: selection.as_deref().map(selected::read).transpose()?,
        host: row.get(3),
        pid: row.get(4),
        version: row.get(5),
        outcome: row.get(6),
        started_at: row.get(7),
        heartbeat_at: row.get(8),
        ended_at: row.get(9),
        seconds: row.get(10),
        counts: Counts {
            loaded: unsigned(row.get(11)),
            changed: unsigned(row.get(12)),
            landed: unsigned(row.get(21)),
            failed: unsigned(row.get(13)),
            unchanged: known(14),
            skipped: known(15),
            not_tried: known(16),
            moved: known(23),
            files: known(22),
            rows: unsigned(row.get(17)),
        },
        progress: known(25)
            .zip(known(26))
            .map(|(planned, done)| Progress { planned, done }),
        retried: unsigned(row.get(18)),
        cancel_requested: row.get::<_, Option<String>>(19).zip(row.get(20)),
    })
}

/// Why units of a run failed or were not tried, each cause once: as the run recorded at its end or, when it could not, as its
/// attempts say.
///
/// # Errors
/// The warehouse's.
pub async fn failures(session: &Session, run: i64) -> Result<Vec<FailedDays>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT failures::text FROM {wh}.run WHERE id = $1"),
            &[&run],
        )
        .await?;
    match row.and_then(|row| row.get::<_, Option<String>>(0)) {
        Some(kept) => kept_failures(&kept),
        None => attempted(session, run).await,
    }
}

/// One of `_wh.run.failures`.
#[derive(Deserialize)]
struct KeptFailure {
    tenant: String,
    template: Option<String>,
    days: Vec<[String; 2]>,
    not_tried: bool,
    error: String,
    hint: Option<String>,
}

fn kept_failures(kept: &str) -> Result<Vec<FailedDays>> {
    let kept: Vec<KeptFailure> = serde_json::from_str(kept).map_err(|e| {
        Error::new(Kind::Config, "failed to read the run's failures").with_source(e)
    })?;
    let mut by_cause: Vec<FailedDays> = Vec::new();
    for one in kept {
        let next = FailedDays {
            tenant: TenantName::parse(&one.tenant)?,
            template: one
                .template
                .as_deref()
                .map(TemplateName::parse)
                .transpose()?,
            days: windows(&one.days)?,
            not_tried: one.not_tried,
            error: one.error,
            hint: one.hint,
        };
        match by_cause.iter_mut().find(|there| same_cause(there, &next)) {
            Some(there) => there.days.extend(next.days),
            None => by_cause.push(next),
        }
    }
    Ok(by_cause)
}

fn same_cause(a: &FailedDays, b: &FailedDays) -> bool {
    (&a.tenant, &a.template, a.not_tried, &a.error)
        == (&b.tenant, &b.template, b.not_tried, &b.error)
}

async fn attempted(session: &Session, run: i64) -> Result<Vec<FailedDays>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT f.tenant, f.template, f.error, {} FROM ( \
                     SELECT u.tenant, u.template, u.error, {RANGES} AS days FROM {wh}.attempt u \
                     WHERE u.run = $1 AND u.error IS NOT NULL GROUP BY u.tenant, u.template, u.error) AS f \
                 ORDER BY f.tenant COLLATE \"C\", f.template COLLATE \"C\", f.error COLLATE \"C\"",
                bounds("f.days")
            ),
            &[&run],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(FailedDays {
                tenant: TenantName::parse(row.get(0))?,
                template: Some(TemplateName::parse(row.get(1))?),
                days: day_ranges::windows(row, 3),
                not_tried: false,
                error: row.get(2),
                hint: None,
            })
        })
        .collect()
}

/// What one run did to a unit.
#[derive(Debug, Clone)]
pub struct UnitAttempt {
    pub run: i64,
    /// Of the run; `None` when the catalog does not know the run any more.
    pub command: Option<String>,
    pub host: Option<String>,
    pub at: DateTime<Utc>,
    /// `staged`, `loaded`, `reloaded` (the same rows), `changed`, `landed` or `failed`.
    pub outcome: String,
    /// `None` when it failed; so the digest.
    pub rows: Option<u64>,
    pub digest: Option<String>,
    /// Of the template.
    pub version: String,
    pub tries: i32,
    pub error: Option<String>,
}

/// What runs did to a unit, in order.
///
/// # Errors
/// The warehouse's.
pub async fn attempts(session: &Session, unit: &Unit) -> Result<Vec<UnitAttempt>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT a.run, r.command, r.host, a.at, a.outcome, a.rows, a.digest, a.version, a.tries, a.error \
             FROM {wh}.attempt a LEFT JOIN {wh}.run r ON r.id = a.run \
             WHERE a.tenant = $1 AND a.template = $2 AND a.day = $3 ORDER BY a.at, a.run"),
            &[
                &unit.tenant,
                &unit.template,
                &unit.day,
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| UnitAttempt {
            run: row.get(0),
            command: row.get(1),
            host: row.get(2),
            at: row.get(3),
            outcome: row.get(4),
            rows: row.get::<_, Option<i64>>(5).map(unsigned),
            digest: row.get(6),
            version: row.get(7),
            tries: row.get(8),
            error: row.get(9),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_met_twice_is_told_once() {
        let kept = r#"[
            {"tenant": "acme", "template": "event", "days": [["2024-01-01", "2024-01-02"]], "not_tried": false, "error": "no", "hint": null},
            {"tenant": "acme", "template": "event", "days": [["2024-01-03", "2024-01-03"]], "not_tried": false, "error": "no", "hint": null},
            {"tenant": "acme", "template": null, "days": [], "not_tried": true, "error": "no", "hint": "do"}
        ]"#;
        let failures = kept_failures(kept).unwrap();
        assert_eq!(failures.len(), 2);
        assert_eq!(failures[0].days.len(), 2);
        assert_eq!(failures[0].days[1].to_string(), "2024-01-03");
        assert_eq!(failures[1].template, None);
    }
}
