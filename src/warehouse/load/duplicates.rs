//! Rows that stand twice, by the template's unique columns, because their time moved while a load fetched one day after the
//! other. A year that is being built would not get its unique index: such days leave it, and a later run fetches them again.
//! No index covers several tables.

use crate::catalog::ledger::{staged, units};
use crate::catalog::runs::lease;
use crate::error::Result;
use crate::pg::Session;
use crate::schema::Column;
use crate::sql::{ident, literal, qualified};
use crate::template::Template;
use crate::unit::Day;
use crate::warehouse::load::difference::shown_now;
use crate::warehouse::load::staging::YearBuild;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{staging_table, utc_day};
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

/// Days of a pair that hold a row whose key is duplicated in another of its tables, when one of the two tables is `fresh`.
///
/// Only where the tables' keys overlap are rows read: as a rule keys grow with time, and tables of different days have
/// few in common. The ends of each table's first unique column come from its index.
///
/// # Errors
/// The warehouse's.
pub async fn days_with_shared_keys(
    session: &Session,
    place: Place<'_>,
    fresh: &BTreeSet<String>,
) -> Result<BTreeSet<Day>> {
    let template = place.template;
    let unique: Vec<&Column> = template
        .unique_columns()
        .map(|(_, column)| column)
        .collect();
    let Some(first) = unique.first() else {
        return Ok(BTreeSet::new());
    };
    let shown = shown_now(session, place).await?;
    if shown.len() < 2 {
        return Ok(BTreeSet::new());
    }
    let schema = place.schema.as_str();
    let key = ident(&first.name);
    let end = |table: &str, order| {
        let table = qualified(schema, table);
        format!(
            "(SELECT {key} FROM {table} WHERE {key} IS NOT NULL ORDER BY {key} {order} LIMIT 1)"
        )
    };
    let ends: Vec<String> = shown
        .iter()
        .enumerate()
        .map(|(i, (table, _))| {
            let is_fresh = fresh.contains(&format!("{schema}.{table}"));
            let (low, high) = (end(table, "ASC"), end(table, "DESC"));
            format!("SELECT {i}, {is_fresh}, {low}, {high}")
        })
        .collect();
    // Not min() and max(): not every type that can be sorted has them.
    let overlaps = session
        .query(
            &format!(
                "WITH t (i, fresh, low, high) AS ({}) \
                 SELECT a.i, (array_agg(l ORDER BY l))[1]::text, (array_agg(h ORDER BY h DESC))[1]::text \
                 FROM t AS a JOIN t AS b ON a.i <> b.i AND (a.fresh OR b.fresh) AND a.low <= b.high AND b.low <= a.high, \
                 LATERAL (SELECT greatest(a.low, b.low) AS l, least(a.high, b.high) AS h) AS overlap GROUP BY a.i",
                ends.join(" UNION ALL ")
            ),
            &[],
        )
        .await?;
    if overlaps.is_empty() {
        return Ok(BTreeSet::new());
    }
    // Their own names might be ours.
    let keys: Vec<String> = (0..unique.len()).map(|i| format!("k{i}")).collect();
    let named: Vec<String> = unique
        .iter()
        .zip(&keys)
        .map(|(column, key)| format!("{} AS {key}", ident(&column.name)))
        .collect();
    let (keys, named) = (keys.join(", "), named.join(", "));
    let known = known(template);
    let arms: Vec<String> = overlaps
        .iter()
        .map(|row| {
            let at = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
            let (table, shown) = &shown[at];
            let bound = |column| format!("{}::{}", literal(row.get(column)), first.ty.bare());
            format!(
                "SELECT {named}, {} AS day FROM {} AS v WHERE {key} BETWEEN {} AND {} AND {known} AND {shown}",
                utc_day(template, "v."),
                qualified(schema, table),
                bound(1),
                bound(2),
            )
        })
        .collect();
    let rows = session
        .query(
            &format!(
                "WITH twice AS (SELECT min(day) AS first, max(day) AS last FROM ({}) AS v GROUP BY {keys} \
                   HAVING count(*) > 1) \
                 SELECT first FROM twice UNION SELECT last FROM twice",
                arms.join(" UNION ALL ")
            ),
            &[],
        )
        .await?;
    Ok(units::days_of(&rows))
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
