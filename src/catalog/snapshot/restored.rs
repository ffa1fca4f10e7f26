//! What was restored into this warehouse, and from where.

use super::document::SnapshotUnit;
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName, Window};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// One restore, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub run: Option<i64>,
    /// How the run ended; `None` while it runs, and when it never began or died.
    pub outcome: Option<String>,
    /// URLs of the places it read, in order.
    pub sources: Vec<String>,
    /// Id and date of the snapshot.
    pub snapshot: Option<(String, DateTime<Utc>)>,
    /// The days that were asked for; `None`: all.
    pub days: Option<Window>,
    pub at: DateTime<Utc>,
    /// Days whose files were written after the snapshot, and have other rows; of this restore and those before it from the
    /// same snapshot.
    pub newer_days: i64,
    /// Days whose files hold rounded values.
    pub rounded_days: i64,
}

/// Writes down that a restore begins; `afresh` when the catalog held no tenant before. Gives its number, for [`begun`].
///
/// # Errors
/// The warehouse's.
pub async fn add(
    session: &Session,
    sources: &[String],
    snapshot: Option<(&str, DateTime<Utc>)>,
    days: Option<Window>,
    afresh: bool,
) -> Result<i64> {
    let wh = session.catalog();
    let row = session
        .query_one(
            &format!("INSERT INTO {wh}.restored (sources, snapshot_id, snapshot_at, from_day, to_day, afresh) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"),
            &[
                &sources,
                &snapshot.map(|(id, _)| id),
                &snapshot.map(|(_, at)| at),
                &days.map(|d| d.from),
                &days.map(|d| d.to),
                &afresh,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// The run that carries it out has begun.
///
/// # Errors
/// The warehouse's.
pub async fn begun(session: &Session, id: i64, run: i64) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("UPDATE {wh}.restored SET run = $2 WHERE id = $1"),
            &[&id, &run],
        )
        .await?;
    Ok(())
}

/// The run is about to end: how many days are newer than the snapshot, and how many have rounded values.
///
/// # Errors
/// The warehouse's.
pub async fn ended(session: &Session, id: i64, (newer, rounded): (usize, usize)) -> Result<()> {
    let wh = session.catalog();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    session
        .execute(
            &format!("UPDATE {wh}.restored SET newer_days = $2, rounded_days = $3 WHERE id = $1"),
            &[&id, &count(newer), &count(rounded)],
        )
        .await?;
    Ok(())
}

/// Takes over from a snapshot when days were last compared with their source: those that have the rows of then.
///
/// # Errors
/// The warehouse's.
pub async fn take_over_checks(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    known: &BTreeMap<Day, SnapshotUnit>,
) -> Result<()> {
    let wh = session.catalog();
    let of =
        |(day, unit): (&Day, &SnapshotUnit)| Some((*day, unit.digest.clone(), unit.checked_on?));
    let (mut days, mut digests, mut dates) = (Vec::new(), Vec::new(), Vec::new());
    for (day, digest, checked_on) in known.iter().filter_map(of) {
        days.push(day);
        digests.push(digest);
        dates.push(checked_on);
    }
    session
        .execute(
            &format!(
                "UPDATE {wh}.unit AS u SET checked_on = k.checked_on \
                 FROM unnest($3::date[], $4::text[], $5::date[]) AS k (day, digest, checked_on) \
                 WHERE u.tenant = $1 AND u.template = $2 AND u.day = k.day AND u.digest = k.digest \
                   AND u.checked_on IS NULL"
            ),
            &[&tenant, &template, &days, &digests, &dates],
        )
        .await?;
    Ok(())
}

/// The latest restore into a warehouse that came out of one; `None` where files only mended one that was loaded.
///
/// # Errors
/// The warehouse's.
pub async fn latest(session: &Session) -> Result<Option<Restored>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT s.run, r.outcome, s.sources, s.snapshot_id, s.snapshot_at, s.from_day, s.to_day, s.restored_at, \
                    same.newer_days, same.rounded_days \
             FROM {wh}.restored s LEFT JOIN {wh}.run r ON r.id = s.run \
             CROSS JOIN LATERAL (SELECT sum(newer_days)::bigint AS newer_days, sum(rounded_days)::bigint AS rounded_days \
                 FROM {wh}.restored o WHERE o.snapshot_id IS NOT DISTINCT FROM s.snapshot_id) AS same \
             WHERE EXISTS (SELECT FROM {wh}.restored WHERE afresh) ORDER BY s.id DESC LIMIT 1"),
            &[],
        )
        .await?;
    Ok(row.map(|row| Restored {
        run: row.get(0),
        outcome: row.get(1),
        sources: row.get(2),
        snapshot: row.get::<_, Option<String>>(3).zip(row.get(4)),
        days: row
            .get::<_, Option<Day>>(5)
            .zip(row.get::<_, Option<Day>>(6))
            .map(|(from, to)| Window::new(from, to)),
        at: row.get(7),
        newer_days: row.get(8),
        rounded_days: row.get(9),
    }))
}
