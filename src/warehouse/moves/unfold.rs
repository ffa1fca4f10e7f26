//! The unfold: days return from their year tables to day tables. The fold's steps, backwards.

use super::fold::{Folding, copied, copy_statement, size};
use super::moving::{Moved, Moving};
use crate::catalog::runs::lease;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::qualified;
use crate::unit::{Day, Window};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::in_window;
use crate::warehouse::tables::definitions::{day_table, year_table};
use crate::warehouse::tables::indexes::create_indexes;
use crate::warehouse::tables::prepare::{NewTable, make_tables};
use crate::warehouse::tables::shape::Shape;
use crate::warehouse::tables::transaction::short_transaction;
use std::time::Instant;

/// Copies the days of `moving` into day tables that no view shows yet, and adds these to `shape`: each day in a
/// separate transaction, which fails unless as many rows came as the ledger records. A [`sweep`](super::sweep::sweep) must have
/// gone before.
///
/// # Errors
/// [`Kind::Data`] when a year table does not hold what the ledger records; refused when a relation that is not ours has the
/// name of a day table; the warehouse's.
pub async fn unfold_days(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    moving: &Moving,
    folding: Folding<'_>,
) -> Result<Vec<Moved>> {
    let mut moved = Vec::new();
    for (year, days) in moving.by_year() {
        let begun = Instant::now();
        let rows = days.iter().map(|(_, rows)| rows).sum();
        all_known(session, place, year, moving, rows).await?;
        for (day, rows) in &days {
            unfold_day(session, place, *day, *rows, folding).await?;
            shape.days.insert(*day);
        }
        let tables: Vec<String> = days
            .iter()
            .map(|(day, _)| day_table(&place.template.name, *day))
            .collect();
        moved.push(Moved {
            year,
            days: days.len() as u64,
            rows,
            seconds: begun.elapsed().as_secs_f64(),
            bytes_before: None,
            bytes_after: size(session, place.schema.as_str(), &tables).await?,
        });
    }
    Ok(moved)
}

async fn unfold_day(
    session: &Session,
    place: Place<'_>,
    day: Day,
    rows: u64,
    folding: Folding<'_>,
) -> Result<()> {
    let (schema, template) = (place.schema.as_str(), &place.template.name);
    let (table, year) = (day_table(template, day), year_table(template, day.year()));
    let window = Window::single(day);
    let copy = copy_statement(
        place,
        &year,
        &table,
        &format!("WHERE {}", in_window(place.template, window)),
    );
    short_transaction(session, folding.warehouse.lock_timeout, async || {
        lease::check(session, folding.run, place.tenant, template).await?;
        let table_of_day = NewTable::day(place, day);
        make_tables(session, place, &[table_of_day], folding.warehouse).await?;
        copied(session.execute(&copy, &[]).await?, rows)?;
        create_indexes(session, place, &table).await
    })
    .await
    .at(|| format!("table `{schema}.{table}`"))?;
    session
        .batch(&format!("ANALYZE {}", qualified(schema, &table)))
        .await
}

/// Rows of days that the ledger does not know would be left behind and deleted: there must be none.
async fn all_known(
    session: &Session,
    place: Place<'_>,
    year: i32,
    moving: &Moving,
    known: u64,
) -> Result<()> {
    let table = year_table(&place.template.name, year);
    let window = Window::new(
        moving.to_line.max(Day::first_of_year(year)),
        moving.from_line.min(Day::first_of_year(year + 1)),
    );
    let row = session
        .query_one(
            &format!(
                "SELECT count(*) FROM {} {}",
                place.qualified(&table),
                format_args!("WHERE {}", in_window(place.template, window))
            ),
            &[],
        )
        .await?;
    let rows = u64::try_from(row.get::<_, i64>(0)).unwrap_or(0);
    if rows == known {
        return Ok(());
    }
    Err(Error::new(
        Kind::Data,
        format!("{window} holds {rows} rows, but the ledger has {known}"),
    )
    .with_hint("nothing was moved; another program wrote to the table: load these days again with `dayhaul backfill --reload --from D --to D`")
    .at(format!("table `{}.{table}`", place.schema)))
}
