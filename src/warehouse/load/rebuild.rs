//! What a rebuild needs beyond the build of a new year: what an earlier try staged too long ago, tables that are lost,
//! and year tables whose place another took.

use crate::catalog::ledger::staged;
use crate::catalog::registry::relations;
use crate::catalog::runs::lease;
use crate::error::Result;
use crate::pg::Session;
use crate::sql::qualified;
use crate::unit::{Day, Window};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::in_window;
use crate::warehouse::tables::definitions::staging_table;
use crate::warehouse::tables::left::Left;
use crate::warehouse::tables::shape::Shape;
use crate::warehouse::tables::transaction::{
    AUTOVACUUM_GIVES_WAY, patient_transaction, short_transaction,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long one try to drop a retired table may wait for readers; the next run tries again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes out of the staging tables what must not be revealed any more: days from the fold line on, which live in day
/// tables; and of `years`, which are to be rebuilt, days whose published rows are newer, or that were staged with
/// another version of the template. Tables that hold no day then are dropped, and leave `shape`.
///
/// # Errors
/// The warehouse's.
pub async fn drop_stale_days(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    years: &BTreeSet<i32>,
    run: i64,
    lock_timeout: Duration,
) -> Result<()> {
    if shape.staging.is_empty() {
        return Ok(());
    }
    let (tenant, template) = (place.tenant, place.template);
    let mut stale = beyond_the_line(session, place, shape).await?;
    let older = staged::stale(session, tenant, &template.name, template.version()).await?;
    stale.extend(older.iter().filter(|day| years.contains(&day.year())));
    unstage(session, place, &stale, run, lock_timeout).await?;
    for year in empty_staging(session, place, shape).await? {
        drop_staging(session, place, year, run).await?;
        shape.staging.remove(&year);
    }
    Ok(())
}

/// Staged days from the fold line on.
pub async fn beyond_the_line(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
) -> Result<BTreeSet<Day>> {
    let staged = staged::days(session, place.tenant, &place.template.name).await?;
    let days = staged.values().flat_map(BTreeMap::keys);
    Ok(days
        .filter(|day| **day >= shape.fold_line)
        .copied()
        .collect())
}

/// Deletes days from their staging tables, each year's in one transaction.
pub async fn unstage(
    session: &Session,
    place: Place<'_>,
    days: &BTreeSet<Day>,
    run: i64,
    lock_timeout: Duration,
) -> Result<()> {
    let template = place.template;
    let years: BTreeSet<i32> = days.iter().map(|day| day.year()).collect();
    for year in years {
        let of_year: BTreeSet<Day> = days.iter().copied().filter(|d| d.year() == year).collect();
        let rows: Vec<String> = Window::runs(of_year.iter().copied())
            .into_iter()
            .map(|window| in_window(template, window))
            .collect();
        let table = place.qualified(&staging_table(&template.name, year));
        let remove = async |days: &BTreeSet<Day>, statement: &str| {
            short_transaction(session, lock_timeout, async || {
                lease::check(session, run, place.tenant, &template.name).await?;
                let days = days.iter().copied();
                staged::forget(session, place.tenant, &template.name, days).await?;
                session.batch(statement).await
            })
            .await
        };
        let delete = format!("DELETE FROM {table} WHERE {}", rows.join(" OR "));
        match remove(&of_year, &delete).await {
            // A publication lets no row be deleted: the year is staged from its beginning.
            Err(error) if error.sqlstate() == Some("55000") => {
                let staged = staged::days(session, place.tenant, &template.name).await?;
                let all = staged.values().flat_map(BTreeMap::keys).copied();
                let all = all.filter(|day| day.year() == year).collect();
                remove(&all, &format!("TRUNCATE {table}")).await?;
            }
            other => other?,
        }
    }
    Ok(())
}

/// The years whose staging table holds no day.
pub async fn empty_staging(session: &Session, place: Place<'_>, shape: &Shape) -> Result<Vec<i32>> {
    let staged = staged::days(session, place.tenant, &place.template.name).await?;
    let held: BTreeSet<i32> = staged
        .values()
        .flat_map(BTreeMap::keys)
        .map(|d| d.year())
        .collect();
    Ok(shape.staging.difference(&held).copied().collect())
}

/// Drops a staging table in which no day is.
pub async fn drop_staging(session: &Session, place: Place<'_>, year: i32, run: i64) -> Result<()> {
    let (schema, name) = (
        place.schema.as_str(),
        staging_table(&place.template.name, year),
    );
    short_transaction(session, AUTOVACUUM_GIVES_WAY, async || {
        lease::check(session, run, place.tenant, &place.template.name).await?;
        relations::remove(session, schema, std::slice::from_ref(&name)).await?;
        session
            .batch(&format!(
                "DROP TABLE IF EXISTS {}",
                qualified(schema, &name)
            ))
            .await
    })
    .await
}

/// Drops the tables whose place others took. Gives those that stay for the next run: readers hold them, or somebody built
/// a view on them.
///
/// # Errors
/// The connection or the pair's lock is lost.
pub async fn drop_retired(
    session: &Session,
    place: Place<'_>,
    run: i64,
    lock_timeout: Duration,
) -> Result<Vec<Left>> {
    let schema = place.schema.as_str();
    let owned = relations::retired(session, place.tenant, &place.template.name).await?;
    let mut left = Vec::new();
    for table in owned {
        let dropped = patient_transaction(session, lock_timeout, PATIENCE, None, async || {
            lease::check(session, run, place.tenant, &place.template.name).await?;
            relations::remove(session, schema, std::slice::from_ref(&table)).await?;
            session
                .batch(&format!(
                    "DROP TABLE IF EXISTS {}",
                    qualified(schema, &table)
                ))
                .await
        });
        if let Err(error) = dropped.await {
            left.push(Left::table(session, schema, &table, error).await?);
        }
    }
    Ok(left)
}
