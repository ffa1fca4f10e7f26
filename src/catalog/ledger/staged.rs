//! The ledger of staged days: those whose rows are in a hidden table, which no view shows yet.

use super::rows::{
    Columns, Entry, LoadedDay, all_rows_found, dates, days_of, tally, with_attempts,
};
use crate::copy::Tally;
use crate::error::Result;
use crate::pg::Session;
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName};
use std::collections::{BTreeMap, BTreeSet};

/// Begins to load `days` into a staging table in this transaction. Its duplicate-key error means that they are there:
/// a commit whose answer was lost.
///
/// # Errors
/// SQLSTATE 23505, see above; the warehouse's.
pub async fn stage(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
    relation: &str,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "INSERT INTO {wh}.staged (tenant, template, day, relation, version, run) \
             SELECT $1, $2, day, $3, $4, $5 FROM unnest($6::date[]) AS day"
            ),
            &[
                &entry.tenant,
                &entry.template,
                &relation,
                &entry.version,
                &entry.run,
                &dates(days),
            ],
        )
        .await?;
    Ok(())
}

/// Completes the staged days of the same transaction with what was loaded.
///
/// # Errors
/// [`Kind::Bug`](crate::error::Kind::Bug) when a day was not staged; the warehouse's.
pub async fn record(session: &Session, entry: &Entry<'_>, days: &[LoadedDay]) -> Result<()> {
    let wh = session.catalog();
    let columns = Columns::of(days);
    let updated = session
        .execute(
            &with_attempts(
                wh,
                &format!("UPDATE {wh}.staged AS s SET rows = d.rows, digest = d.digest, bytes = d.bytes \
                 FROM unnest($6::date[], $7::bigint[], $8::text[], $9::bigint[]) AS d (day, rows, digest, bytes) \
                 WHERE s.tenant = $1 AND s.template = $2 AND s.day = d.day \
                 RETURNING s.day, s.rows, s.digest, NULL::text AS error, 'staged' AS outcome"),
            ),
            &entry.params(&[
                &columns.days,
                &columns.rows,
                &columns.digests,
                &columns.bytes,
            ]),
        )
        .await?;
    all_rows_found(updated, days.len())
}

/// The staged days of a pair, with their tallies, by staging table (`schema.table`).
///
/// # Errors
/// [`Kind::Bug`](crate::error::Kind::Bug) when a digest cannot be read; the warehouse's.
pub async fn days(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<BTreeMap<String, BTreeMap<Day, Tally>>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT relation, day, rows, digest, bytes FROM {wh}.staged WHERE tenant = $1 AND template = $2"),
            &[&tenant, &template],
        )
        .await?;
    let mut staged: BTreeMap<String, BTreeMap<Day, Tally>> = BTreeMap::new();
    for row in rows {
        let day = row.get::<_, Day>(1);
        let tally = tally(&row, day, 2)?;
        staged.entry(row.get(0)).or_default().insert(day, tally);
    }
    Ok(staged)
}

/// Moves the staged days of `from` into the ledger as loaded into `to` by `run`, whichever runs staged them. Within the
/// transaction of the reveal.
///
/// # Errors
/// The warehouse's.
pub async fn reveal(
    session: &Session,
    run: i64,
    tenant: &TenantName,
    template: &TemplateName,
    from: &str,
    to: &str,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("INSERT INTO {wh}.unit AS u (tenant, template, day, state, rows, digest, bytes, version, relation, \
                                        object, object_digest, object_bytes, object_rounded, loaded_at, checked_at, checked_on, run) \
             SELECT tenant, template, day, 'loaded', rows, digest, bytes, version, $4, \
                    object, object_digest, object_bytes, object_rounded, clock_timestamp(), clock_timestamp(), \
                    (SELECT r.today FROM {wh}.run AS r WHERE r.id = s.run), run \
             FROM {wh}.staged AS s WHERE tenant = $1 AND template = $2 AND relation = $3 \
             ON CONFLICT (tenant, template, day) DO UPDATE \
             SET state = 'loaded', rows = excluded.rows, digest = excluded.digest, bytes = excluded.bytes, \
                 version = excluded.version, relation = excluded.relation, \
                 object = coalesce(excluded.object, u.object), \
                 object_digest = CASE WHEN excluded.object IS NULL THEN u.object_digest ELSE excluded.object_digest END, \
                 object_bytes = CASE WHEN excluded.object IS NULL THEN u.object_bytes ELSE excluded.object_bytes END, \
                 object_rounded = CASE WHEN excluded.object IS NULL THEN u.object_rounded ELSE excluded.object_rounded END, \
                 loaded_at = excluded.loaded_at, checked_at = excluded.checked_at, checked_on = excluded.checked_on, \
                 run = excluded.run, error = NULL"),
            &[&tenant, &template, &from, &to],
        )
        .await?;
    session
        .execute(
            &format!("INSERT INTO {wh}.attempt AS a (tenant, template, day, run, outcome, rows, digest, version, tries) \
             SELECT tenant, template, day, $4, 'loaded', rows, digest, version, 1 \
             FROM {wh}.staged WHERE tenant = $1 AND template = $2 AND relation = $3 \
             ON CONFLICT (tenant, template, day, run) DO UPDATE SET outcome = 'loaded', at = clock_timestamp()"),
            &[&tenant, &template, &from, &run],
        )
        .await?;
    session
        .execute(
            &format!(
                "DELETE FROM {wh}.staged WHERE tenant = $1 AND template = $2 AND relation = $3"
            ),
            &[&tenant, &template, &from],
        )
        .await?;
    Ok(())
}

/// Forgets that days are staged, in the transaction that deletes their rows from the staging table.
///
/// # Errors
/// The warehouse's.
pub async fn forget(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    days: impl IntoIterator<Item = Day>,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "DELETE FROM {wh}.staged WHERE tenant = $1 AND template = $2 AND day = ANY ($3)"
            ),
            &[&tenant, &template, &dates(days)],
        )
        .await?;
    Ok(())
}

/// Staged days of a pair that would bring older rows back: their published day was compared with its source since, and
/// was found to be otherwise; or they were staged with another version of the template.
///
/// # Errors
/// The warehouse's.
pub async fn stale(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    version: &str,
) -> Result<BTreeSet<Day>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT s.day FROM {wh}.staged s LEFT JOIN {wh}.unit u USING (tenant, template, day) \
             WHERE s.tenant = $1 AND s.template = $2 \
             AND (s.version <> $3 OR u.state = 'loaded' AND u.checked_at > s.staged_at \
                  AND (u.rows, u.digest) IS DISTINCT FROM (s.rows, s.digest))"),
            &[&tenant, &template, &version],
        )
        .await?;
    Ok(days_of(&rows))
}

/// The staged days of a pair that have the digest of the template's own version.
///
/// # Errors
/// The warehouse's.
pub async fn of_version(
    session: &Session,
    tenant: &TenantName,
    template: &Template,
) -> Result<BTreeSet<Day>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT day FROM {wh}.staged WHERE tenant = $1 AND template = $2 AND version = $3"
            ),
            &[&tenant, &template.name, &template.version()],
        )
        .await?;
    Ok(days_of(&rows))
}
