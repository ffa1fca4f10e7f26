//! Days of a staged year whose rows share the values of the template's unique columns: they leave, so that the others can
//! be revealed, and a later run fetches them again.

use super::Place;
use super::staging::YearBuild;
use super::tables::staging_table;
use crate::catalog::{lease, staged};
use crate::error::Result;
use crate::pg::Session;
use crate::sql::{ident, qualified};
use crate::unit::Day;
use chrono::NaiveDate;
use std::collections::BTreeSet;

/// Deletes the days of `year`'s staging table that hold a row which the unique index would refuse, from the table and
/// from the ledger. Gives them; none when there are no such rows.
///
/// A row may stand on two days though the source has it once: its time moved between the fetches of the two.
///
/// # Errors
/// [`Kind::Locked`](crate::error::Kind::Locked) when another run owns the pair; the warehouse's.
pub async fn set_duplicates_aside(
    session: &Session,
    place: Place<'_>,
    year: i32,
    build: YearBuild<'_>,
) -> Result<BTreeSet<Day>> {
    session.batch("BEGIN").await?;
    lease::check(session, build.run, place.tenant, &place.template.name).await?;
    let rows = session
        .query(&days_with_duplicates(place, year), &[])
        .await?;
    let days: BTreeSet<Day> = rows
        .iter()
        .map(|row| Day::from(row.get::<_, NaiveDate>(0)))
        .collect();
    staged::forget(
        session,
        place.tenant,
        &place.template.name,
        days.iter().copied(),
    )
    .await?;
    session.batch("COMMIT").await?;
    Ok(days)
}

/// Deletes and gives the days. The session's time zone is UTC, so a cast to date names the UTC day. A null is equal to
/// nothing in a unique index.
fn days_with_duplicates(place: Place<'_>, year: i32) -> String {
    let table = qualified(
        place.schema.as_str(),
        &staging_table(&place.template.name, year),
    );
    let time = ident(&place.template.time_column);
    let unique: Vec<String> = place.template.unique.iter().map(|c| ident(c)).collect();
    let keys = unique.join(", ");
    let known: Vec<String> = unique.iter().map(|c| format!("{c} IS NOT NULL")).collect();
    format!(
        "WITH bad AS (SELECT DISTINCT day FROM (\
           SELECT {time}::date AS day, count(*) OVER (PARTITION BY {keys}) AS n FROM {table} WHERE {}) AS counted \
         WHERE n > 1), \
         gone AS (DELETE FROM {table} WHERE {time}::date IN (SELECT day FROM bad)) \
         SELECT day FROM bad",
        known.join(" AND ")
    )
}
