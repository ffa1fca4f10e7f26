//! What units, staged days and objects share: the columns of a day, how they are read, and how they are written back.

use crate::copy::{Digest, Tally};
use crate::error::{Error, Kind, Result};
use crate::pg::{Row, Session, ToSql};
use crate::unit::{Day, TemplateName, TenantName, Window};
use std::collections::BTreeSet;

/// What a load writes into the ledger next to each day's tally.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub tenant: &'a TenantName,
    pub template: &'a TemplateName,
    /// Of the template.
    pub version: &'a str,
    pub run: i64,
    pub tries: i32,
}

impl Entry<'_> {
    /// The parameters of a statement: tenant, template, version, run and tries as `$1` to `$5`, then `more`.
    pub fn params<'p>(&'p self, more: &[&'p (dyn ToSql + Sync)]) -> Vec<&'p (dyn ToSql + Sync)> {
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &self.tenant,
            &self.template,
            &self.version,
            &self.run,
            &self.tries,
        ];
        params.extend(more);
        params
    }
}

/// SQL: the date on which the run `$4` reads sources.
pub fn date_of_run(wh: &str) -> String {
    format!("(SELECT today FROM {wh}.run WHERE id = $4)")
}

/// Notes that days were compared with their source and found unchanged; `only` narrows them down, as SQL.
///
/// # Errors
/// The warehouse's.
pub async fn note_checked(
    session: &Session,
    entry: &Entry<'_>,
    days: impl IntoIterator<Item = Day>,
    only: &str,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "UPDATE {wh}.unit SET checked_at = clock_timestamp(), checked_on = {}, version = $3 \
             WHERE tenant = $1 AND template = $2 AND day = ANY ($5) {only}",
                date_of_run(wh)
            ),
            &[
                &entry.tenant,
                &entry.template,
                &entry.version,
                &entry.run,
                &dates(days),
            ],
        )
        .await?;
    Ok(())
}

/// Which ledger holds a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    Units,
    /// Of days that are in a staging table.
    Staged,
}

impl Ledger {
    /// Its table, as statements name it.
    pub fn table(self, session: &Session) -> String {
        let name = match self {
            Ledger::Units => "unit",
            Ledger::Staged => "staged",
        };
        format!("{}.{name}", session.catalog())
    }
}

/// The days of a window that a ledger has as loaded or staged, with their tallies: what a try did whose commit's answer was
/// lost.
///
/// # Errors
/// [`Kind::Bug`] when a digest cannot be read; the warehouse's.
pub async fn found(
    session: &Session,
    entry: &Entry<'_>,
    ledger: Ledger,
    window: Window,
) -> Result<Vec<LoadedDay>> {
    let loaded = match ledger {
        Ledger::Units => "AND state = 'loaded' ",
        Ledger::Staged => "",
    };
    let rows = session
        .query(
            &format!(
                "SELECT day, rows, digest, bytes, relation FROM {} \
                 WHERE tenant = $1 AND template = $2 AND day >= $3 AND day < $4 {loaded}ORDER BY day",
                ledger.table(session)
            ),
            &[&entry.tenant, &entry.template, &window.from, &window.to],
        )
        .await?;
    rows.iter().map(loaded_day).collect()
}

/// One loaded day with its tally, and the `schema.table` that holds its rows.
#[derive(Debug, Clone)]
pub struct LoadedDay {
    pub day: Day,
    pub tally: Tally,
    pub relation: String,
}

/// Days that stand in the first column.
pub fn days_of(rows: &[Row]) -> BTreeSet<Day> {
    rows.iter().map(|row| row.get::<_, Day>(0)).collect()
}

pub fn dates(days: impl IntoIterator<Item = Day>) -> Vec<Day> {
    days.into_iter().collect()
}

/// Keeps the days of `done` (day, rows, digest, error, outcome) as attempts. `$1` to `$5` are an [`Entry`]'s tenant,
/// template, version, run and tries.
pub fn insert_attempts(wh: &str) -> String {
    format!(
        "INSERT INTO {wh}.attempt AS a (tenant, template, version, run, tries, day, rows, digest, error, outcome) \
     SELECT $1, $2, $3, $4, $5, day, rows, digest, error, outcome FROM done \
     ON CONFLICT (tenant, template, day, run) DO UPDATE \
     SET version = excluded.version, tries = excluded.tries, rows = excluded.rows, digest = excluded.digest, \
         error = excluded.error, outcome = excluded.outcome, at = clock_timestamp()"
    )
}

/// A change of ledger rows and its attempts as one statement: history costs no round trip.
pub fn with_attempts(wh: &str, change: &str) -> String {
    format!("WITH done AS ({change}) {}", insert_attempts(wh))
}

pub fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The tallies of days as arrays, one for each column: what `unnest` makes rows of again.
pub struct Columns {
    pub days: Vec<Day>,
    pub rows: Vec<i64>,
    pub digests: Vec<Digest>,
    pub bytes: Vec<i64>,
}

impl Columns {
    pub fn of(days: &[LoadedDay]) -> Columns {
        Columns {
            days: dates(days.iter().map(|d| d.day)),
            rows: days.iter().map(|d| count(d.tally.rows)).collect(),
            digests: days.iter().map(|d| d.tally.digest).collect(),
            bytes: days.iter().map(|d| count(d.tally.bytes)).collect(),
        }
    }
}

/// A unit's Parquet object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub url: String,
    /// Of the object, not of the tuples in it.
    pub bytes: u64,
    /// Of the rows in it.
    pub digest: Digest,
    /// Values that it holds only rounded; `None`: an earlier version wrote it, and did not count them.
    pub rounded: Option<u64>,
}

/// The four columns of an object, from `first` on.
pub fn object(row: &Row, first: usize) -> Option<Object> {
    let digest = digest(row, first + 1)?;
    Some(Object {
        url: row.get::<_, Option<String>>(first)?,
        bytes: u64::try_from(row.get::<_, Option<i64>>(first + 2)?).unwrap_or(0),
        digest,
        rounded: row
            .get::<_, Option<i64>>(first + 3)
            .and_then(|n| u64::try_from(n).ok()),
    })
}

/// A digest's column; `None` also for a text that is not a digest.
pub fn digest(row: &Row, column: usize) -> Option<Digest> {
    row.get::<_, Option<&str>>(column)?.parse().ok()
}

/// A row of day, rows, digest, bytes and relation.
fn loaded_day(row: &Row) -> Result<LoadedDay> {
    let day = row.get::<_, Day>(0);
    Ok(LoadedDay {
        day,
        tally: tally(row, day, 1)?,
        relation: row.get::<_, Option<String>>(4).unwrap_or_default(),
    })
}

/// The rows, digest and bytes of a day, from column `first` on.
///
/// # Errors
/// [`Kind::Bug`] when the digest cannot be read.
pub fn tally(row: &Row, day: Day, first: usize) -> Result<Tally> {
    let digest = digest(row, first + 1)
        .ok_or_else(|| Error::new(Kind::Bug, format!("day {day} has no digest in the ledger")))?;
    Ok(Tally {
        rows: u64::try_from(row.get::<_, i64>(first)).unwrap_or(0),
        bytes: u64::try_from(row.get::<_, i64>(first + 2)).unwrap_or(0),
        digest,
    })
}

/// Checks that a change met every one of the days that it was for.
///
/// # Errors
/// [`Kind::Bug`] when it did not.
pub fn all_rows_found(updated: u64, days: usize) -> Result<()> {
    if updated == days as u64 {
        Ok(())
    } else {
        Err(Error::new(
            Kind::Bug,
            format!("found {updated} of {days} ledger rows to complete"),
        ))
    }
}
