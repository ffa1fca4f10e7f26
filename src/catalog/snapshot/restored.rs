//! What was restored into this warehouse, and from where.

use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, Window};
use chrono::{DateTime, Utc};

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

/// The latest restore into a warehouse that came out of one; `None` where files only mended one that was loaded.
///
/// # Errors
/// The warehouse's.
pub async fn latest(session: &Session) -> Result<Option<Restored>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT s.run, r.outcome, s.sources, s.snapshot_id, s.snapshot_at, s.from_day, s.to_day, s.restored_at \
             FROM {wh}.restored s LEFT JOIN {wh}.run r ON r.id = s.run \
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
    }))
}
