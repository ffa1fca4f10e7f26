//! The build of a year that is not there yet: rows come into a hidden table without indexes; then indexes side by side,
//! a check of every row against the ledger, and the reveal.

use super::Place;
use super::shape::{Shape, year_window};
use super::tables::{
    column_list, index_count, index_name, index_statements, staging_table, year_table,
};
use super::transaction::{open_session, short_transaction};
use super::views::replace_tenant_view;
use crate::catalog::{lease, ledger, relations};
use crate::copy::{Intake, Tally};
use crate::error::{At, Error, Kind, Result};
use crate::pg::{Access, Session};
use crate::sql::{ident, qualified};
use crate::unit::Day;
use futures_util::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// What the build of a year needs beside its pair.
#[derive(Clone, Copy)]
pub struct YearBuild<'a> {
    pub access: &'a Access,
    pub owner: &'a str,
    pub reader: &'a str,
    pub run: i64,
    /// Sessions that build indexes and read rows back side by side.
    pub jobs: usize,
    pub lock_timeout: Duration,
}

/// Turns the staging table of `year` into its year table, shown by the tenant view. May be repeated after any failure.
/// Gives the days that became visible.
///
/// # Errors
/// [`Kind::Data`] when the table does not hold what the ledger says; the warehouse's.
pub async fn build_year(
    session: &Session,
    place: Place<'_>,
    shape: &Mutex<Shape>,
    year: i32,
    build: YearBuild<'_>,
    stage: impl Fn(&str),
) -> Result<BTreeMap<Day, Tally>> {
    let staging = staging_table(&place.template.name, year);
    let relation = format!("{}.{staging}", place.schema);
    let expected = ledger::staged_days(session, place.tenant, &place.template.name)
        .await?
        .remove(&relation)
        .unwrap_or_default();
    if expected.is_empty() {
        discard_empty_staging(session, place, &staging, build).await?;
        shape.lock().await.staging.remove(&year);
        return Ok(expected);
    }
    stage("building indexes and checking rows");
    let indexes = index_side_by_side(place, &staging, build);
    let check = check_rows(place, &staging, year, &expected, build);
    tokio::try_join!(indexes, check).at(|| format!("table `{relation}`"))?;
    stage("vacuuming");
    session
        .batch(&format!(
            "VACUUM (ANALYZE) {}",
            qualified(place.schema.as_str(), &staging)
        ))
        .await?;
    stage("revealing");
    // Two reveals of one pair at once would each show only their own year.
    let mut shape = shape.lock().await;
    *shape = reveal(session, place, &shape, year, build).await?;
    Ok(expected)
}

async fn index_side_by_side(place: Place<'_>, staging: &str, build: YearBuild<'_>) -> Result<()> {
    futures_util::stream::iter(index_statements(
        place.schema.as_str(),
        staging,
        place.template,
    ))
    .map(|statement| async move {
        let session = open_session(build.access, build.owner).await?;
        session.batch(&statement).await
    })
    .buffer_unordered(build.jobs.max(1))
    .try_collect()
    .await
}

/// Reads the staging table back and compares count and digest of each day with the ledger.
async fn check_rows(
    place: Place<'_>,
    staging: &str,
    year: i32,
    expected: &BTreeMap<Day, Tally>,
    build: YearBuild<'_>,
) -> Result<()> {
    let window = year_window(year);
    let session = open_session(build.access, build.owner).await?;
    let mut rows = session
        .copy_out(&format!(
            "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)",
            column_list(place.template),
            qualified(place.schema.as_str(), staging)
        ))
        .await?;
    let mut intake = Intake::new(&place.template.columns, place.template.time_index(), window);
    while let Some(chunk) = rows.next().await {
        intake.push(&chunk?, |_, _| {})?;
        intake.discard();
    }
    for (day, found) in window.days().zip(intake.finish()?) {
        let wanted = expected.get(&day).copied().unwrap_or_default();
        if *found != wanted {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "{day} holds {} rows with digest {}, but {} rows with digest {} were loaded",
                    found.rows, found.digest, wanted.rows, wanted.digest
                ),
            )
            .with_hint(
                "nothing was published; somebody else wrote into the table, or a disk lies",
            ));
        }
    }
    Ok(())
}

async fn reveal(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
    year: i32,
    build: YearBuild<'_>,
) -> Result<Shape> {
    let (schema, template) = (place.schema.as_str(), &place.template.name);
    let (staging, table) = (staging_table(template, year), year_table(template, year));
    let mut shown = shape.clone();
    shown.staging.remove(&year);
    shown.years.insert(year);
    let mut statements = vec![format!(
        "ALTER TABLE {} RENAME TO {}",
        qualified(schema, &staging),
        ident(&table)
    )];
    for i in 0..index_count(place.template) {
        statements.push(format!(
            "ALTER INDEX {} RENAME TO {}",
            qualified(schema, &index_name(&staging, i)),
            ident(&index_name(&table, i))
        ));
    }
    statements.push(format!(
        "GRANT SELECT ON {} TO {}",
        qualified(schema, &table),
        ident(build.reader)
    ));
    short_transaction(session, build.lock_timeout, async || {
        lease::check(session, build.run, place.tenant, template).await?;
        relations::refuse_foreign(session, schema, std::slice::from_ref(&table)).await?;
        session.batch(&statements.join(";")).await?;
        relations::staging_became_year(session, schema, &staging, &table).await?;
        ledger::reveal(
            session,
            place.tenant,
            template,
            &format!("{schema}.{staging}"),
            &format!("{schema}.{table}"),
        )
        .await?;
        replace_tenant_view(session, place, &shown, build.reader).await
    })
    .await?;
    Ok(shown)
}

/// Drops a staging table into which nothing was loaded.
async fn discard_empty_staging(
    session: &Session,
    place: Place<'_>,
    staging: &str,
    build: YearBuild<'_>,
) -> Result<()> {
    short_transaction(session, build.lock_timeout, async || {
        lease::check(session, build.run, place.tenant, &place.template.name).await?;
        relations::remove(session, place.schema.as_str(), staging).await?;
        session
            .batch(&format!(
                "DROP TABLE {}",
                qualified(place.schema.as_str(), staging)
            ))
            .await
    })
    .await
}
