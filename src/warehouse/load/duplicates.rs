//! Rows that stand twice in a year that is being built, by the template's unique columns, because their time moved while a
//! load fetched one day after the other. The year would not get its unique index: such days leave it, and a later run fetches
//! them again.

use crate::catalog::ledger::{staged, units};
use crate::catalog::runs::lease;
use crate::error::Result;
use crate::pg::Session;
use crate::sql::ident;
use crate::template::Template;
use crate::unit::Day;
use crate::warehouse::load::staging::YearBuild;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::staging_table;
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
    let days = units::days_of(&rows);
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

/// A null is equal to nothing in a unique index.
fn known(template: &Template) -> String {
    let known: Vec<String> = template
        .unique
        .iter()
        .map(|c| format!("{} IS NOT NULL", ident(c)))
        .collect();
    known.join(" AND ")
}

/// Deletes and gives the days. The session's time zone is UTC, so a cast to date names the UTC day.
fn days_with_duplicates(place: Place<'_>, year: i32) -> String {
    let table = place.qualified(&staging_table(&place.template.name, year));
    let time = ident(&place.template.time_column);
    let unique: Vec<String> = place.template.unique.iter().map(|c| ident(c)).collect();
    let keys = unique.join(", ");
    format!(
        "WITH bad AS (SELECT DISTINCT day FROM (\
           SELECT {time}::date AS day, count(*) OVER (PARTITION BY {keys}) AS n FROM {table} WHERE {}) AS counted \
         WHERE n > 1), \
         gone AS (DELETE FROM {table} WHERE {time}::date IN (SELECT day FROM bad)) \
         SELECT day FROM bad",
        known(place.template)
    )
}
