//! The ledger of Parquet objects: where a unit's object is, and which rows it holds.
//!
//! A unit is *landed* when the digest of its object's rows is the digest of its rows. A unit whose rows were written and
//! whose object was not yet (or not any more) is not, and the next run that lands puts that right from the warehouse.

use super::day_ranges::LANDED;
use super::rows::{
    Columns, Entry, LoadedDay, all_rows_found, count, date_of_run, dates, digest, insert_attempts,
    note_checked,
};
pub use super::rows::{Ledger, Object, object};
use crate::catalog::by_pair::{columns, put};
use crate::copy::Digest;
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, PairNames, TemplateName, TenantName};
use std::collections::BTreeMap;

/// A unit that has rows somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUnit {
    /// Whether the warehouse holds its rows; otherwise its object alone does.
    pub loaded: bool,
    /// Of the template.
    pub version: String,
    pub digest: Option<Digest>,
    /// Of its rows.
    pub bytes: u64,
    /// The date on which it was last compared with its source.
    pub checked_on: Option<Day>,
    /// `None` when it never had one, or is not known to hold what the ledger records.
    pub object: Option<Object>,
}

impl StoredUnit {
    /// Whether its object holds its rows.
    pub fn is_landed(&self) -> bool {
        let object = self.object.as_ref().map(|object| object.digest);
        object.is_some() && object == self.digest
    }
}

/// The units of a pair that are loaded or landed.
///
/// # Errors
/// The warehouse's.
pub async fn units(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<BTreeMap<Day, StoredUnit>> {
    read_units(session, tenant, template, None).await
}

/// Those of these days.
///
/// # Errors
/// The warehouse's.
pub async fn units_of(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    days: impl IntoIterator<Item = Day>,
) -> Result<BTreeMap<Day, StoredUnit>> {
    read_units(session, tenant, template, Some(dates(days))).await
}

async fn read_units(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    days: Option<Vec<Day>>,
) -> Result<BTreeMap<Day, StoredUnit>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT day, state = 'loaded', version, digest, object, object_digest, object_bytes, object_rounded, \
                    bytes, checked_on FROM {wh}.unit \
             WHERE tenant = $1 AND template = $2 AND state IN ('loaded', 'landed') \
               AND ($3::date[] IS NULL OR day = ANY ($3))"),
            &[&tenant, &template, &days],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let standing = StoredUnit {
                loaded: row.get(1),
                version: row.get(2),
                digest: digest(row, 3),
                object: object(row, 4),
                bytes: u64::try_from(row.get::<_, i64>(8)).unwrap_or(0),
                checked_on: row.get(9),
            };
            (row.get::<_, Day>(0), standing)
        })
        .collect())
}

/// How many days of pairs have the file with their rows elsewhere than under the URL `root`, which ends in a slash; of each
/// pair in their order.
///
/// # Errors
/// The warehouse's.
pub async fn under_other_roots(
    session: &Session,
    pairs: &[PairNames<'_>],
    root: &str,
) -> Result<Vec<u64>> {
    let wh = session.catalog();
    let (tenants, templates) = columns(pairs);
    let rows = session
        .query(
            &format!(
                "SELECT a.n, count(*) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a (tenant, template, n) \
                 JOIN {wh}.unit u ON u.tenant = a.tenant AND u.template = a.template \
                 WHERE u.state IN ('loaded', 'landed') AND {LANDED} AND NOT starts_with(u.object, $3) GROUP BY a.n"
            ),
            &[&tenants, &templates, &root],
        )
        .await?;
    let mut counts = vec![0; pairs.len()];
    for row in &rows {
        put(&mut counts, row.get(0), row.get::<_, i64>(1).unsigned_abs());
    }
    Ok(counts)
}

/// The objects of a pair's staged days that are landed.
///
/// # Errors
/// The warehouse's.
pub async fn staged(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<BTreeMap<Day, Object>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT day, object, object_digest, object_bytes, object_rounded FROM {wh}.staged \
             WHERE tenant = $1 AND template = $2 AND object_digest = digest"
            ),
            &[&tenant, &template],
        )
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.get::<_, Day>(0), object(row, 1)?)))
        .collect())
}

/// Marks objects as unknown before they are replaced. To be committed before the first of
/// them is published: whatever breaks then, the ledger does not lie.
///
/// # Errors
/// The warehouse's.
pub async fn withdraw(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "UPDATE {wh}.unit SET object_digest = NULL \
             WHERE tenant = $1 AND template = $2 AND day = ANY ($3) AND object_digest IS NOT NULL"
            ),
            &[&entry.tenant, &entry.template, &dates(days)],
        )
        .await?;
    Ok(())
}

/// Marks the objects of a pair's staged days, except those of `except`, as unknown: files of what the
/// warehouse shows are about to take their places. Reaches the disk.
///
/// # Errors
/// The warehouse's.
pub async fn withdraw_staged(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    except: impl IntoIterator<Item = Day>,
) -> Result<()> {
    let wh = session.catalog();
    session
        .batch("BEGIN; SET LOCAL synchronous_commit = on")
        .await?;
    let withdrawn = session
        .execute(
            &format!(
                "UPDATE {wh}.staged SET object_digest = NULL \
             WHERE tenant = $1 AND template = $2 AND day <> ALL ($3) AND object_digest IS NOT NULL"
            ),
            &[&tenant, &template, &dates(except)],
        )
        .await;
    crate::catalog::finish(session, withdrawn.map(drop)).await
}

/// The digests of days, which no other session can change until this transaction ends.
///
/// # Errors
/// The warehouse's.
pub async fn hold(
    session: &Session,
    entry: &Entry<'_>,
    ledger: Ledger,
    days: impl IntoIterator<Item = Day>,
) -> Result<BTreeMap<Day, Option<Digest>>> {
    let rows = session
        .query(
            &format!(
                "SELECT day, digest FROM {} WHERE tenant = $1 AND template = $2 AND day = ANY ($3) \
                 ORDER BY day FOR UPDATE",
                ledger.table(session)
            ),
            &[&entry.tenant, &entry.template, &dates(days)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let digest = digest(row, 1);
            (row.get::<_, Day>(0), digest)
        })
        .collect())
}

/// Writes down which objects days have now, after they were published. Other runs read it to know what is to be done.
///
/// # Errors
/// [`Kind::Bug`](crate::error::Kind::Bug) when a day is not in the ledger; the warehouse's.
pub async fn record(
    session: &Session,
    entry: &Entry<'_>,
    ledger: Ledger,
    objects: &[(Day, Object)],
) -> Result<()> {
    let updated = session
        .execute(
            &format!(
                "UPDATE {} AS u SET object = o.object, object_digest = o.digest, object_bytes = o.bytes, \
                     object_rounded = o.rounded \
                 FROM unnest($3::date[], $4::text[], $5::text[], $6::bigint[], $7::bigint[]) \
                      AS o (day, object, digest, bytes, rounded) \
                 WHERE u.tenant = $1 AND u.template = $2 AND u.day = o.day",
                ledger.table(session)
            ),
            &[
                &entry.tenant,
                &entry.template,
                &dates(objects.iter().map(|(day, _)| *day)),
                &urls(objects),
                &digests(objects),
                &sizes(objects),
                &rounded(objects),
            ],
        )
        .await?;
    all_rows_found(updated, objects.len())
}

fn urls(objects: &[(Day, Object)]) -> Vec<&str> {
    objects.iter().map(|(_, o)| o.url.as_str()).collect()
}

fn digests(objects: &[(Day, Object)]) -> Vec<Digest> {
    objects.iter().map(|(_, o)| o.digest).collect()
}

fn rounded(objects: &[(Day, Object)]) -> Vec<Option<i64>> {
    objects.iter().map(|(_, o)| o.rounded.map(count)).collect()
}

fn sizes(objects: &[(Day, Object)]) -> Vec<i64> {
    objects.iter().map(|(_, o)| count(o.bytes)).collect()
}

/// Keeps it as an attempt of the run that days were landed; of a day that the run has loaded, too, nothing more is kept.
///
/// # Errors
/// The warehouse's.
pub async fn keep_attempts(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("INSERT INTO {wh}.attempt (tenant, template, day, run, outcome, rows, digest, version, tries) \
             SELECT tenant, template, day, $3, 'landed', rows, digest, version, $4 FROM {wh}.unit \
             WHERE tenant = $1 AND template = $2 AND day = ANY ($5) \
             ON CONFLICT (tenant, template, day, run) DO NOTHING"),
            &[
                &entry.tenant,
                &entry.template,
                &entry.run,
                &entry.tries,
                &dates(days),
            ],
        )
        .await?;
    Ok(())
}

/// Writes down days that were landed without the warehouse. A day that is loaded stays loaded, with the rows that the
/// warehouse has of it.
///
/// # Errors
/// The warehouse's.
pub async fn record_alone(
    session: &Session,
    entry: &Entry<'_>,
    days: &[LoadedDay],
    objects: &[(Day, Object)],
) -> Result<()> {
    let wh = session.catalog();
    let columns = Columns::of(days);
    session
        .execute(
            &format!(
                "WITH d AS (SELECT * FROM unnest($6::date[], $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[]) \
                       AS d (day, rows, digest, bytes, object, object_bytes, object_rounded)), \
                 unit AS (INSERT INTO {wh}.unit AS u (tenant, template, day, state, rows, digest, bytes, version, \
                                                     object, object_digest, object_bytes, object_rounded, loaded_at, checked_at, checked_on, \
                                                     run, tries) \
                     SELECT $1, $2, day, 'landed', rows, digest, bytes, $3, object, digest, object_bytes, object_rounded, \
                            clock_timestamp(), clock_timestamp(), {on}, $4, $5 FROM d \
                     ON CONFLICT (tenant, template, day) DO UPDATE SET object = excluded.object, \
                         object_digest = excluded.object_digest, object_bytes = excluded.object_bytes, \
                         object_rounded = excluded.object_rounded {}), \
                 done AS (SELECT d.day, d.rows, d.digest, NULL::text AS error, 'landed' AS outcome FROM d) {}",
                UNLESS_LOADED
                    .map(|column| format!(
                        ", {column} = CASE u.state WHEN 'loaded' THEN u.{column} ELSE excluded.{column} END"
                    ))
                    .concat(),
                insert_attempts(wh),
                on = date_of_run(wh)
            ),
            &entry.params(&[
                &columns.days,
                &columns.rows,
                &columns.digests,
                &columns.bytes,
                &urls(objects),
                &sizes(objects),
                &rounded(objects),
            ]),
        )
        .await?;
    Ok(())
}

/// Notes that days that stand alone were compared with their source and found unchanged, as
/// [`ledger::checked`](super::units::checked) does for those of the warehouse.
///
/// # Errors
/// The warehouse's.
pub async fn checked(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
) -> Result<()> {
    note_checked(session, entry, days, "AND state = 'landed'").await
}

/// What the ledger records about a unit's rows, as long as the warehouse does not hold them.
const UNLESS_LOADED: [&str; 11] = [
    "state",
    "rows",
    "digest",
    "bytes",
    "version",
    "loaded_at",
    "checked_at",
    "checked_on",
    "run",
    "tries",
    "error",
];
