//! The fold: closed days move from their day tables into their year table, and no reader notices.
//!
//! ```text
//! sweep ─▶ hide ─▶ copy, where no view shows it ─▶ barrier ─▶ reveal: view, fold line, ledger ─▶ sweep
//! ```
//!
//! Only the fold line, which the reveal moves, decides what the tenant view shows of which table (`views/definition.rs`); the year that
//! holds it gets a condition before anything is copied beyond it, and loses it with the reveal. So whatever a run that was
//! killed left on the wrong side of the line is hidden, and [`sweep`](super::sweep::sweep) takes it away.

use super::moving::{Moved, Moving};
use crate::catalog::registry::fold_line::{self, FoldLine};
use crate::catalog::registry::relations::{self, RelationKind};
use crate::catalog::runs::lease;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{ident, qualified};
use crate::unit::Day;
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::load::staging::becomes_year;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{column_list, day_table, staging_table, year_table};
use crate::warehouse::tables::indexes::build_indexes;
use crate::warehouse::tables::prepare::{NewTable, make_tables};
use crate::warehouse::tables::shape::Shape;
use crate::warehouse::tables::transaction::{
    AUTOVACUUM_GIVES_WAY, patient_transaction, short_transaction,
};
use crate::warehouse::views::{replace_tenant_view, shown_tables, shows_nothing};
use futures::future::try_join_all;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a fold needs in addition to its pair.
#[derive(Debug, Clone, Copy)]
pub struct Folding<'a> {
    pub warehouse: WarehouseContext<'a>,
    pub run: i64,
    /// Sessions that copy side by side.
    pub jobs: usize,
    /// How long the reveal is tried against readers that hold the view.
    pub patience: Duration,
}

/// Makes the tenant view hide what year tables hold from the fold line on, before there is anything. Nothing happens where
/// it does already.
///
/// # Errors
/// [`Kind::Locked`] when another run took the pair over; a lock timeout when readers held the view for longer than the
/// patience; the warehouse's.
pub async fn hide(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    folding: Folding<'_>,
) -> Result<()> {
    if shape.hides {
        return Ok(());
    }
    let mut shown = shape.clone();
    shown.hides = true;
    show(session, place, shape, shown, &[], folding).await
}

/// Copies the days of `moving` into their year tables, where no view shows them yet: in transactions that
/// fail unless as many rows of each day came as the ledger records. Year tables that are missing are made, and added to
/// `shape`. A [`sweep`](super::sweep::sweep) and then [`hide`] must have gone before.
///
/// # Errors
/// [`Kind::Data`] when a day table does not hold what the ledger records; refused when a relation that is not ours has the
/// name of a year table; the warehouse's.
pub async fn fold_days(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    moving: &Moving,
    folding: Folding<'_>,
) -> Result<Vec<Moved>> {
    let (schema, template) = (place.schema.as_str(), &place.template.name);
    let mut moved = Vec::new();
    for (year, days) in moving.by_year() {
        let begun = Instant::now();
        let table = [year_table(template, year)];
        let day_tables: Vec<String> = days.iter().map(|(d, _)| day_table(template, *d)).collect();
        let bytes_before = size(session, schema, &day_tables).await?;
        let old_size = size(session, schema, &table).await?;
        if shape.years.contains(&year) {
            let sessions = folding.jobs.min(SESSIONS_A_TABLE);
            copy_side_by_side(session, place, &table[0], &days, sessions, folding).await?;
        } else {
            copy_into_new_year(session, place, year, &days, folding).await?;
            shape.years.insert(year);
        }
        let rows = days.iter().map(|(_, rows)| rows).sum();
        let new_size = size(session, schema, &table).await?;
        moved.push(Moved {
            year,
            days: days.len() as u64,
            rows,
            seconds: begun.elapsed().as_secs_f64(),
            bytes_before: Some(bytes_before),
            bytes_after: new_size.saturating_sub(old_size),
        });
    }
    Ok(moved)
}

/// A year that has no table yet: its days come into a staging table, which gets its indexes when they are there, and then
/// the year's name. Of a fold that is killed in between a staging table without a staged day is left, which the next
/// [`sweep`](super::sweep::sweep) or load drops.
async fn copy_into_new_year(
    session: &Session,
    place: Place<'_>,
    year: i32,
    days: &[(Day, u64)],
    folding: Folding<'_>,
) -> Result<()> {
    let (schema, template) = (place.schema.as_str(), &place.template.name);
    let (staging, table) = (staging_table(template, year), year_table(template, year));
    short_transaction(session, folding.warehouse.lock_timeout, async || {
        lease::check(session, folding.run, place.tenant, template).await?;
        let staging = NewTable::staging(place, year, false);
        make_tables(session, place, &[staging], folding.warehouse).await
    })
    .await
    .at(|| format!("table `{schema}.{table}`"))?;
    let sessions = session.side_by_side(folding.jobs);
    copy_side_by_side(session, place, &staging, days, sessions, folding).await?;
    build_indexes(session, place, &staging, folding.warehouse, folding.jobs).await?;
    let statements = becomes_year(place, year, folding.warehouse.reader);
    short_transaction(session, AUTOVACUUM_GIVES_WAY, async || {
        lease::check(session, folding.run, place.tenant, template).await?;
        relations::refuse_foreign(session, schema, std::slice::from_ref(&table)).await?;
        session.batch(&statements.join(";")).await?;
        relations::rename(session, schema, &staging, &table, RelationKind::Year).await
    })
    .await
    .at(|| format!("table `{schema}.{table}`"))
}

/// Rows from which on another session is worth its connection.
const ROWS_A_SESSION: u64 = 10_000;

/// Sessions that copy into one table with indexes. Each but the one with the latest days splits index pages in the
/// middle, and leaves them half empty.
const SESSIONS_A_TABLE: usize = 2;

/// Rows after which a transaction ends: small days share one.
const ROWS_A_TRANSACTION: u64 = 20_000;

/// Shares of the rows that a session takes one after the other, so that all end at about the same time.
const SHARES_A_SESSION: u64 = 4;

/// Copies days into the table of a year, in up to `sessions` sessions. Each takes some days that follow each other, and then
/// the next free share, so that a day's rows stay together, and so do its neighbours'.
async fn copy_side_by_side(
    session: &Session,
    place: Place<'_>,
    table: &str,
    days: &[(Day, u64)],
    sessions: usize,
    folding: Folding<'_>,
) -> Result<()> {
    let rows: u64 = days.iter().map(|(_, rows)| rows).sum();
    let worth = usize::try_from(rows / ROWS_A_SESSION).unwrap_or(usize::MAX);
    let sessions = sessions.min(worth).max(1);
    let room = match sessions {
        1 => ROWS_A_TRANSACTION,
        n => (rows / (n as u64 * SHARES_A_SESSION)).min(ROWS_A_TRANSACTION),
    };
    let shares = shares(days, room);
    let next = AtomicUsize::new(0);
    let copy_shares = async |session: &Session| {
        while let Some(days) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
            copy_days(session, place, table, days, folding).await?;
        }
        Ok(())
    };
    let copies = (0..sessions).map(|i| async move {
        if i == 0 {
            return copy_shares(session).await;
        }
        let session = folding.warehouse.open_session().await?;
        copy_shares(&session).await
    });
    try_join_all(copies).await.map(drop)
}

/// Runs of days with at least `room` rows each, but for the last.
fn shares(days: &[(Day, u64)], room: u64) -> Vec<&[(Day, u64)]> {
    let mut sum = 0;
    days.chunk_by(|(_, rows), _| {
        sum += rows;
        let together = sum < room;
        if !together {
            sum = 0;
        }
        together
    })
    .collect()
}

/// Copies days one after the other, in one transaction.
async fn copy_days(
    session: &Session,
    place: Place<'_>,
    year: &str,
    days: &[(Day, u64)],
    folding: Folding<'_>,
) -> Result<()> {
    short_transaction(session, folding.warehouse.lock_timeout, async || {
        lease::check(session, folding.run, place.tenant, &place.template.name).await?;
        for (day, rows) in days {
            let table = day_table(&place.template.name, *day);
            let copy = copy_statement(place, &table, year, "");
            copied(session.execute_or_cancel(&copy).await?, *rows)
                .at(|| format!("table `{}.{table}`", place.schema))?;
        }
        Ok(())
    })
    .await
    .at(|| format!("table `{}.{year}`", place.schema))
}

/// Ordered by time, so that a day's rows lie together in their year. `condition` is a WHERE clause or empty.
pub fn copy_statement(place: Place<'_>, from: &str, to: &str, condition: &str) -> String {
    let schema = place.schema.as_str();
    let columns = column_list(place.template);
    format!(
        "INSERT INTO {} ({columns}) SELECT {columns} FROM {} {condition} ORDER BY {}",
        qualified(schema, to),
        qualified(schema, from),
        ident(&place.template.time_column),
    )
}

/// Whether a day came over whole.
pub fn copied(rows: u64, expected: u64) -> Result<()> {
    if rows == expected {
        return Ok(());
    }
    Err(Error::new(
        Kind::Data,
        format!("{rows} rows, but the ledger has {expected}"),
    )
    .with_hint(
        "nothing was moved; load the day again with `dayhaul backfill --reload --from D --to D`",
    ))
}

/// Bytes of tables with their indexes.
pub async fn size(session: &Session, schema: &str, tables: &[String]) -> Result<u64> {
    let names: Vec<String> = tables.iter().map(|t| qualified(schema, t)).collect();
    let row = session
        .query_one(
            "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint \
             FROM unnest($1::text[]) AS name",
            &[&names],
        )
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// Rows from which on statistics are updated at once. With fewer it does not err much until autovacuum comes: it knows the
/// table's true size, and looks the ends of the time column up in the index.
const ROWS_WORTH_AN_ANALYZE: u64 = 50_000;

/// Tells the planner of the days that came into year tables, where they are many and a good part of what is there;
/// autovacuum may come minutes later. In separate sessions, at the same time as the sweep.
///
/// # Errors
/// The warehouse's.
pub async fn analyze_grown(place: Place<'_>, moved: &[Moved], folding: Folding<'_>) -> Result<()> {
    let many = moved
        .iter()
        .filter(|moved| moved.rows >= ROWS_WORTH_AN_ANALYZE);
    let analyses = many.map(|moved| async move {
        let session = folding.warehouse.open_session().await?;
        let table = year_table(&place.template.name, moved.year);
        let name = place.qualified(&table);
        let row = session
            .query_one(
                "SELECT reltuples::float8 FROM pg_class WHERE oid = to_regclass($1)",
                &[&name],
            )
            .await?;
        let known: f64 = row.get(0);
        // Rows beyond 2^53 would lose their last digits, which decide nothing.
        #[allow(clippy::cast_precision_loss)]
        let grown = moved.rows as f64 >= known.max(0.0) / 10.0;
        if grown {
            session
                .batch(&format!("ANALYZE {name}"))
                .await
                .at(|| format!("table `{}.{table}`", place.schema))?;
        }
        Ok(())
    });
    try_join_all(analyses).await.map(drop)
}

/// Moves the fold line of `shape`: the tenant view, the catalog and the ledger, in one short transaction. Between the
/// copy and this, a [`barrier`](crate::warehouse::tables::barrier::barrier()) must have been passed.
///
/// # Errors
/// [`Kind::Locked`] when another run took the pair over; a lock timeout when readers held the view for longer than the
/// patience; the warehouse's.
pub async fn reveal(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    moving: &Moving,
    folding: Folding<'_>,
) -> Result<()> {
    let mut shown = shape.clone();
    shown.fold_line = moving.to_line;
    // A fold copied what lies before the new line, and nothing else; what an unfold copied is still in its year.
    shown.hides = moving.is_unfold();
    if shows_nothing(place.template, &shown) {
        return Err(Error::new(Kind::Bug, "the view would show no table"));
    }
    let moved = moving.tables_after(place);
    show(session, place, shape, shown, &moved, folding).await
}

/// Makes `shape` what is `shown`: the fold line, the relations of the days that `moved`, and the tenant view, when it
/// changes.
async fn show(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    shown: Shape,
    moved: &[(Day, String)],
    folding: Folding<'_>,
) -> Result<()> {
    let (tenant, template) = (place.tenant, &place.template.name);
    let line = FoldLine {
        day: shown.fold_line,
        hides: shown.hides,
    };
    let changes = shown.fold_line != shape.fold_line
        || shown_tables(place.template, &shown) != shown_tables(place.template, shape);
    let view = place.qualified(template.as_str());
    patient_transaction(
        session,
        folding.warehouse.lock_timeout,
        folding.patience,
        Some(&view),
        async || {
            lease::check(session, folding.run, tenant, template).await?;
            // Before the view, so that readers wait for as little as possible.
            fold_line::put(session, tenant, template, line, moved).await?;
            if changes {
                replace_tenant_view(session, place, &shown, folding.warehouse.reader).await?;
            }
            Ok(())
        },
    )
    .await
    .at(|| format!("tenant view `{}.{template}`", place.schema))?;
    *shape = shown;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_share_a_transaction_until_it_has_rows_enough() {
        let rows = [5, 0, 5, 20, 3, 3, 3];
        let first: Day = "2024-03-01".parse().unwrap();
        let days: Vec<(Day, u64)> = (0..)
            .zip(rows)
            .map(|(n, rows)| (first.plus(n), rows))
            .collect();
        let rows_of = |room| -> Vec<Vec<u64>> {
            shares(&days, room)
                .iter()
                .map(|days| days.iter().map(|(_, rows)| *rows).collect())
                .collect()
        };
        assert_eq!(rows_of(10), [vec![5, 0, 5], vec![20], vec![3, 3, 3]]);
        assert_eq!(rows_of(0).len(), 7);
        assert!(shares(&[], 10).is_empty());
    }
}
