//! The ledger: per unit its state, rows, digest, and where they are. A unit that is not in it was never tried. Days on
//! their way are in [`staged`](super::staged).

use super::rows::{
    Columns, all_rows_found, date_of_run, dates, insert_attempts, object, tally, with_attempts,
};
pub use super::rows::{Entry, LoadedDay, Object, days_of};
use crate::copy::Tally;
use crate::error::Result;
use crate::pg::{Row, Session};
use crate::unit::{Day, TemplateName, TenantName, Window};
use std::collections::{BTreeMap, BTreeSet};

/// Days of a pair whose state is loaded, with the template version that each was loaded with.
///
/// # Errors
/// The warehouse's.
pub async fn loaded_versions(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<BTreeMap<Day, String>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT day, version FROM {wh}.unit WHERE tenant = $1 AND template = $2 AND state = 'loaded'"),
            &[&tenant, &template],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get::<_, Day>(0), row.get(1)))
        .collect())
}

/// Begins to load `days` in this transaction, and gives those that are to be loaded: a day that is loaded already is not
/// among them, unless `reload`. A competing transaction's claim of the same day is waited for, so a commit whose answer
/// was lost is found here rather than done twice.
///
/// # Errors
/// The warehouse's.
pub async fn claim(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
    reload: bool,
) -> Result<BTreeSet<Day>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("INSERT INTO {wh}.unit AS u (tenant, template, day, state, version, run, tries) \
             SELECT $1, $2, day, 'loaded', $3, $4, $5 FROM unnest($6::date[]) AS day \
             ON CONFLICT (tenant, template, day) DO UPDATE \
             SET state = 'loaded', version = excluded.version, run = excluded.run, tries = excluded.tries, error = NULL \
             WHERE u.state <> 'loaded' OR $7 RETURNING day"),
            &entry.params(&[
                &dates(days),
                &reload,
            ]),
        )
        .await?;
    Ok(days_of(&rows))
}

/// Completes the claim of the same transaction with what was loaded, and keeps it as an attempt of the run.
///
/// # Errors
/// [`Kind::Bug`](crate::error::Kind::Bug) when a day was not claimed; the warehouse's.
pub async fn record(session: &Session, entry: &Entry<'_>, days: &[LoadedDay]) -> Result<()> {
    let wh = session.catalog();
    let columns = Columns::of(days);
    let updated = session
        .execute(
            &with_attempts(
                wh,
                &format!("UPDATE {wh}.unit AS u SET rows = d.rows, digest = d.digest, bytes = d.bytes, relation = d.relation, \
                 loaded_at = clock_timestamp(), checked_at = clock_timestamp(), checked_on = {} \
                 FROM unnest($6::date[], $7::bigint[], $8::text[], $9::bigint[], $10::text[]) \
                      AS d (day, rows, digest, bytes, relation) JOIN {wh}.unit AS was \
                      ON was.tenant = $1 AND was.template = $2 AND was.day = d.day \
                 WHERE u.tenant = $1 AND u.template = $2 AND u.day = d.day \
                 RETURNING u.day, u.rows, u.digest, NULL::text AS error, CASE WHEN was.loaded_at IS NULL THEN 'loaded' \
                     WHEN (was.rows, was.digest) = (d.rows, d.digest) THEN 'reloaded' ELSE 'changed' END AS outcome",
                    date_of_run(wh)),
            ),
            &entry.params(&[
                &columns.days,
                &columns.rows,
                &columns.digests,
                &columns.bytes,
                &days.iter().map(|d| d.relation.as_str()).collect::<Vec<_>>(),
            ]),
        )
        .await?;
    all_rows_found(updated, days.len())
}

/// A loaded day that was compared with its source, with the version of its template that gave the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedDay {
    pub tenant: TenantName,
    pub template: TemplateName,
    pub version: String,
    pub day: Day,
}

/// Notes that a run compared loaded days, of any pairs, with their sources and found them unchanged.
///
/// # Errors
/// The warehouse's.
pub async fn checked(session: &Session, run: i64, days: &[CheckedDay]) -> Result<()> {
    let text = |of: fn(&CheckedDay) -> &str| days.iter().map(of).collect::<Vec<&str>>();
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "UPDATE {wh}.unit AS u SET checked_at = clock_timestamp(), checked_on = {}, version = c.version \
                 FROM unnest($1::text[], $2::text[], $3::text[], $5::date[]) AS c (tenant, template, version, day) \
                 WHERE u.tenant = c.tenant AND u.template = c.template AND u.day = c.day",
                date_of_run(wh)
            ),
            &[
                &text(|c| c.tenant.as_str()),
                &text(|c| c.template.as_str()),
                &text(|c| c.version.as_str()),
                &run,
                &dates(days.iter().map(|c| c.day)),
            ],
        )
        .await?;
    Ok(())
}

/// When the loaded days of a pair from `from` on were last compared with their source.
///
/// # Errors
/// The warehouse's.
pub async fn checked_on(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    from: Day,
) -> Result<BTreeMap<Day, Option<Day>>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT day, checked_on FROM {wh}.unit \
                 WHERE tenant = $1 AND template = $2 AND state = 'loaded' AND day >= $3"
            ),
            &[&tenant, &template, &from],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Writes down why days failed. A day that is loaded or landed stays so.
///
/// # Errors
/// The warehouse's.
pub async fn fail(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
    error: &str,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "WITH unit AS ( \
                 INSERT INTO {wh}.unit AS u (tenant, template, day, state, version, run, tries, error) \
                 SELECT $1, $2, day, 'failed', $3, $4, $5, $7 FROM unnest($6::date[]) AS day \
                 ON CONFLICT (tenant, template, day) DO UPDATE \
                 SET version = excluded.version, run = excluded.run, tries = excluded.tries, error = excluded.error \
                 WHERE u.state = 'failed'), \
                 done AS (SELECT day, NULL::bigint AS rows, NULL::text AS digest, $7::text AS error, 'failed' AS outcome \
                          FROM unnest($6::date[]) AS day) {}",
                insert_attempts(wh)
            ),
            &entry.params(&[
                &dates(days),
                &error,
            ]),
        )
        .await?;
    Ok(())
}

/// How many rows of a pair each table (`schema.table`) holds.
///
/// # Errors
/// The warehouse's.
pub async fn rows_of_tables(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<BTreeMap<String, u64>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT relation, sum(rows)::bigint FROM {wh}.unit \
                 WHERE tenant = $1 AND template = $2 AND state = 'loaded' AND relation IS NOT NULL GROUP BY relation"
            ),
            &[&tenant, &template],
        )
        .await?;
    let of_table = |row: &Row| (row.get(0), row.get::<_, i64>(1).unsigned_abs());
    Ok(rows.iter().map(of_table).collect())
}

/// What the ledger records about a day that is loaded or landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the warehouse holds its rows; otherwise its object alone does.
    pub loaded: bool,
    pub tally: Tally,
    /// Of the template it was loaded with.
    pub version: String,
    /// `schema.table` that holds its rows.
    pub relation: Option<String>,
    /// Whether that table exists.
    pub there: bool,
    pub object: Option<Object>,
}

/// The days of a pair that are loaded or landed, within `window` when there is one.
///
/// # Errors
/// [`Kind::Bug`](crate::error::Kind::Bug) when a digest cannot be read; the warehouse's.
pub async fn recorded(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    window: Option<Window>,
) -> Result<BTreeMap<Day, Recorded>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT u.day, u.rows, u.digest, u.bytes, u.version, u.relation, c.oid IS NOT NULL, u.state = 'loaded', \
                    u.object, u.object_digest, u.object_bytes, u.object_rounded \
             FROM {wh}.unit u \
             LEFT JOIN pg_namespace n ON n.nspname = split_part(u.relation, '.', 1) \
             LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = split_part(u.relation, '.', 2) \
             WHERE u.tenant = $1 AND u.template = $2 AND u.state IN ('loaded', 'landed') \
               AND u.day >= coalesce($3::date, '-infinity') AND u.day < coalesce($4::date, 'infinity')"),
            &[
                &tenant,
                &template,
                &window.map(|w| w.from),
                &window.map(|w| w.to),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let day = row.get::<_, Day>(0);
            let recorded = Recorded {
                tally: tally(row, day, 1)?,
                version: row.get(4),
                relation: row.get(5),
                there: row.get(6),
                loaded: row.get(7),
                object: object(row, 8),
            };
            Ok((day, recorded))
        })
        .collect()
}
