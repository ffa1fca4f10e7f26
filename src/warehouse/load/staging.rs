//! The build of a year that is not there yet: rows come into a hidden table without indexes; then indexes side by side,
//! checks against the ledger, and the reveal.

use crate::catalog::ledger::staged;
use crate::catalog::registry::relations::{self, RelationKind};
use crate::catalog::runs::lease;
use crate::copy::{Intake, Tally};
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{ident, qualified};
use crate::unit::{Day, Window};
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::load::rebuild::drop_staging;
use crate::warehouse::place::Place;
use crate::warehouse::read::read_back::read_back_sql;
use crate::warehouse::tables::barrier::{Barrier, barrier};
use crate::warehouse::tables::definitions::count_by_day_sql;
use crate::warehouse::tables::definitions::{retired_tables, staging_table, year_table};
use crate::warehouse::tables::indexes::{build_indexes, rename};
use crate::warehouse::tables::shape::Shape;
use crate::warehouse::tables::transaction::{ahead_of_autovacuum, short_transaction};
use crate::warehouse::tables::user_settings::{Header, UserSettings, options_list};
use crate::warehouse::views::replace_tenant_view;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// What building a year needs in addition to its pair.
#[derive(Clone, Copy)]
pub struct YearBuild<'a> {
    pub warehouse: WarehouseContext<'a>,
    pub run: i64,
    /// Indexes that may be built side by side.
    pub jobs: usize,
    /// How long to wait for older snapshots before a year takes another's place.
    pub barrier_timeout: Duration,
    pub stop: &'a CancellationToken,
}

/// Turns the staging table of `year` into its year table, shown by the tenant view. May be repeated after any failure.
/// Gives the days that became visible.
///
/// # Errors
/// [`Kind::Data`] when the table does not hold what the ledger records; the warehouse's.
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
    let expected = staged::days(session, place.tenant, &place.template.name)
        .await?
        .remove(&relation)
        .unwrap_or_default();
    if expected.is_empty() {
        drop_staging(session, place, year, build.run).await?;
        shape.lock().await.staging.remove(&year);
        return Ok(expected);
    }
    let table = place.qualified(&staging);
    stage("vacuuming");
    // Before the indexes, so that it need not look at them, and what reads the table after it is spared the commit log.
    session.batch_or_cancel(&format!("VACUUM {table}")).await?;
    stage("building indexes");
    build_indexes(session, place, &staging, build.warehouse, build.jobs).await?;
    stage("checking rows");
    let current = staged::of_version(session, place.tenant, place.template).await?;
    let readable = |(day, _): &(&Day, &Tally)| current.contains(day);
    let sampled = expected
        .iter()
        .filter(readable)
        .map(|(d, t)| (*d, *t))
        .collect();
    // Of about the same length, for two cores of the server. Neither is left half done.
    let analyze = format!("ANALYZE {table}");
    let (analyzed, checked) = tokio::join!(
        session.batch_or_cancel(&analyze),
        check(place, &staging, build, &expected, &sampled),
    );
    analyzed.and(checked).at(|| format!("table `{relation}`"))?;
    if shape.lock().await.years.contains(&year) {
        stage("waiting for readers with older snapshots");
        pass_barrier(build).await?;
    }
    stage("revealing");
    // Two reveals of one pair at once would each show only their own year.
    let mut shape = shape.lock().await;
    *shape = reveal(session, place, &shape, year, build).await?;
    Ok(expected)
}

/// A reader with a snapshot older than the new rows would find neither them nor the old table in the view.
async fn pass_barrier(build: YearBuild<'_>) -> Result<()> {
    let WarehouseContext { access, owner, .. } = build.warehouse;
    match barrier(access, owner, build.barrier_timeout, build.stop).await? {
        Barrier::Passed => Ok(()),
        Barrier::NotYet => Err(Error::new(
            Kind::Locked,
            format!(
                "readers held older snapshots for {} s",
                build.barrier_timeout.as_secs_f64()
            ),
        )
        .with_hint(
            "nothing changed; run the same command again, or raise `barrier_timeout` in [load]",
        )),
        Barrier::Interrupted => Err(Error::interrupted()),
    }
}

/// Compares the table with the ledger.
async fn check(
    place: Place<'_>,
    staging: &str,
    build: YearBuild<'_>,
    expected: &BTreeMap<Day, Tally>,
    sampled: &BTreeMap<Day, Tally>,
) -> Result<()> {
    let session = build.warehouse.open_session().await?;
    check_counts(&session, place, staging, expected).await?;
    check_digests(&session, place, staging, sampled).await
}

/// Compares the number of rows of every day with the ledger: what the server counts, against what was sent.
async fn check_counts(
    session: &Session,
    place: Place<'_>,
    staging: &str,
    expected: &BTreeMap<Day, Tally>,
) -> Result<()> {
    let table = place.qualified(staging);
    let rows = session
        .query(&count_by_day_sql(place.template, &table, "true"), &[])
        .await?;
    let mut found: BTreeMap<Day, i64> = rows
        .iter()
        .map(|row| (row.get::<_, Day>(0), row.get(1)))
        .collect();
    for (day, tally) in expected {
        let stored = found.remove(day).unwrap_or(0);
        if u64::try_from(stored) != Ok(tally.rows) {
            return Err(differs(
                *day,
                &format!("{stored} rows"),
                &format!("{} rows", tally.rows),
            ));
        }
    }
    match found.pop_first() {
        Some((day, stored)) => Err(differs(day, &format!("{stored} rows"), "none")),
        None => Ok(()),
    }
}

/// Reads some days back, evenly spread, and compares their digests: what the warehouse gives back must be what was sent.
///
/// All days would cost as much as the load itself; a wrong assumption about a type shows in any day that has rows, and
/// `verify` reads everything at any time. Days that were restored with another version's columns have another digest.
async fn check_digests(
    session: &Session,
    place: Place<'_>,
    staging: &str,
    expected: &BTreeMap<Day, Tally>,
) -> Result<()> {
    for (day, tally) in sample(expected) {
        let window = Window::single(day);
        let mut rows = session
            .copy_out(&read_back_sql(
                place.schema.as_str(),
                staging,
                place.template,
                window,
            ))
            .await?;
        let mut intake = Intake::new(&place.template.columns, place.template.time_index(), window);
        while let Some(chunk) = rows.next().await {
            intake.push(&chunk?, |_, _| {})?;
            intake.discard();
        }
        let found = intake.finish()?[0];
        if found != tally {
            return Err(differs(
                day,
                &format!("{} rows with digest {}", found.rows, found.digest),
                &format!("{} rows with digest {}", tally.rows, tally.digest),
            ));
        }
    }
    Ok(())
}

/// Bytes of tuples that are read back at most, beyond one day.
const SAMPLE_BYTES: u64 = 16 << 20;

/// Days with rows, evenly spread over the year, as many as [`SAMPLE_BYTES`] allows.
fn sample(expected: &BTreeMap<Day, Tally>) -> Vec<(Day, Tally)> {
    let days: Vec<(Day, Tally)> = expected
        .iter()
        .filter(|(_, tally)| tally.rows > 0)
        .map(|(day, tally)| (*day, *tally))
        .collect();
    let bytes: u64 = days.iter().map(|(_, tally)| tally.bytes).sum();
    let step = usize::try_from(bytes.div_ceil(SAMPLE_BYTES)).unwrap_or(usize::MAX);
    days.into_iter().step_by(step.max(1)).collect()
}

fn differs(day: Day, found: &str, wanted: &str) -> Error {
    Error::new(
        Kind::Data,
        format!("{day} holds {found}, but {wanted} were loaded"),
    )
    .with_hint("nothing was published; another program wrote to the table, or a disk is faulty")
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
    shown.rebuilding.remove(&year);
    let retired = if shape.years.contains(&year) {
        Some(free_retired_name(session, place, year).await?)
    } else {
        None
    };
    let mut statements = Vec::new();
    let mut old_table = None;
    if let Some(retired) = &retired {
        if let Some(view) = Header::read(session, schema, template.as_str()).await? {
            // Locks go top down, as readers take them: the view before its table. This changes nothing but takes the lock.
            statements.push(format!(
                "ALTER VIEW {} OWNER TO {}",
                qualified(schema, template.as_str()),
                ident(&view.owner)
            ));
        }
        statements.extend(rename(place, &table, retired));
        old_table = UserSettings::read(session, schema, &table).await?;
    }
    statements.extend(becomes_year(place, year, build.warehouse.reader));
    if let Some(old) = &old_table {
        statements.extend(as_it_was(place, &table, old));
    }
    let replaced = retired.is_some().then(|| qualified(schema, &table));
    let staged = qualified(schema, &staging);
    short_transaction(session, build.warehouse.lock_timeout, async || {
        lease::check(session, build.run, place.tenant, template).await?;
        relations::refuse_foreign(session, schema, std::slice::from_ref(&table)).await?;
        ahead_of_autovacuum(
            session,
            &staged,
            replaced.as_deref(),
            build.warehouse.lock_timeout,
        )
        .await?;
        session.batch(&statements.join(";")).await?;
        if let Some(retired) = &retired {
            relations::rename(session, schema, &table, retired, RelationKind::Retired).await?;
        }
        relations::rename(session, schema, &staging, &table, RelationKind::Year).await?;
        staged::reveal(
            session,
            build.run,
            place.tenant,
            template,
            &format!("{schema}.{staging}"),
            &format!("{schema}.{table}"),
        )
        .await?;
        replace_tenant_view(session, place, &shown, build.warehouse.reader).await
    })
    .await?;
    Ok(shown)
}

/// The name that a year's table takes when another takes its place. Earlier ones may still be there, if somebody built a
/// view on them.
async fn free_retired_name(session: &Session, place: Place<'_>, year: i32) -> Result<String> {
    let (tenant, template) = (place.tenant, &place.template.name);
    let taken = relations::retired(session, tenant, template).await?;
    let mut names = retired_tables(template, year);
    names.find(|name| !taken.contains(name)).ok_or_else(|| {
        Error::refused(format!(
            "ten former tables of {year} are still there, because others depend on them"
        ))
        .with_hint("drop the views that the warnings name, then run the same command again")
    })
}

/// Statements that set on a year table what people set on the one whose place it takes.
fn as_it_was(place: Place<'_>, table: &str, old: &UserSettings) -> Vec<String> {
    let columns = place.template.columns.iter().map(|c| c.name.as_str());
    let columns: Vec<&str> = columns.collect();
    let mut statements = old.restate(place.schema.as_str(), table, &columns);
    let options = options_list(&old.header.options);
    let options = options.map(|list| format!("ALTER TABLE {} SET {list}", place.qualified(table)));
    statements.extend(options);
    statements
}

/// Statements that give the staging table of a year, with its indexes, the year's name, and readers their right.
pub fn becomes_year(place: Place<'_>, year: i32, reader: &str) -> Vec<String> {
    let template = &place.template.name;
    let (staging, table) = (staging_table(template, year), year_table(template, year));
    let mut statements = rename(place, &staging, &table);
    statements.push(format!(
        "GRANT SELECT ON {} TO {}",
        place.qualified(&table),
        ident(reader)
    ));
    statements
}
