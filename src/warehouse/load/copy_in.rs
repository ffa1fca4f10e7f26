//! The transaction in which a window's rows and their ledger rows become one fact.

use crate::catalog::ledger::staged;
use crate::catalog::ledger::units::{self, Entry, LoadedDay};
use crate::catalog::runs::lease;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::unit::{Day, Window};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::TableCopy;
use crate::warehouse::tables::definitions::in_window;
use crate::warehouse::tables::indexes::create_indexes;
use crate::warehouse::tables::shape::Destination;
use crate::warehouse::tables::shape::Shape;
use std::collections::BTreeSet;

/// Whether a window's rows are still to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Ours,
    /// They are there: the answer to an earlier commit was lost.
    Done,
}

/// Begins the transaction that loads `window`: checks the lease, claims the ledger rows, and on a reload deletes what
/// the days hold. On [`Claim::Done`] the transaction is over.
///
/// # Errors
/// [`Kind::Locked`] when another run owns the pair; the warehouse's.
pub async fn begin_load(
    session: &Session,
    place: Place<'_>,
    entry: &Entry<'_>,
    window: Window,
    destination: Destination,
    reload: bool,
) -> Result<Claim> {
    session.batch("BEGIN").await?;
    lease::check(session, entry.run, entry.tenant, entry.template).await?;
    let claim = match destination {
        Destination::Staging(_) => {
            claim_staging(session, place, entry, window, destination).await?
        }
        _ => claim_published(session, place, entry, window, destination, reload).await?,
    };
    if claim == Claim::Done {
        session.batch("ROLLBACK").await?;
    }
    Ok(claim)
}

/// Adds a day of a year table to the load that the session is at: on a reload its rows are deleted, too. On
/// [`Claim::Done`] the day is loaded already.
///
/// # Errors
/// The warehouse's.
pub async fn add_to_load(
    session: &Session,
    place: Place<'_>,
    entry: &Entry<'_>,
    day: Day,
    reload: bool,
) -> Result<Claim> {
    let (window, destination) = (Window::single(day), Destination::Year(day.year()));
    claim_published(session, place, entry, window, destination, reload).await
}

async fn claim_staging(
    session: &Session,
    place: Place<'_>,
    entry: &Entry<'_>,
    window: Window,
    destination: Destination,
) -> Result<Claim> {
    let table = Shape::table(&place.template.name, destination, window.from);
    let relation = format!("{}.{table}", place.schema);
    match staged::stage(session, entry, window.days(), &relation).await {
        Ok(()) => Ok(Claim::Ours),
        Err(error) if error.sqlstate() == Some("23505") => Ok(Claim::Done),
        Err(error) => Err(error),
    }
}

async fn claim_published(
    session: &Session,
    place: Place<'_>,
    entry: &Entry<'_>,
    window: Window,
    destination: Destination,
    reload: bool,
) -> Result<Claim> {
    let claimed = units::claim(session, entry, window.days(), reload).await?;
    if claimed.is_empty() {
        return Ok(Claim::Done);
    }
    if claimed.len() != window.len() {
        return Err(Error::new(
            Kind::Bug,
            format!(
                "{} of the {} days of {window} are already loaded",
                window.len() - claimed.len(),
                window.len()
            ),
        ));
    }
    if reload {
        delete_days(session, place, window, destination).await?;
    }
    Ok(Claim::Ours)
}

async fn delete_days(
    session: &Session,
    place: Place<'_>,
    window: Window,
    destination: Destination,
) -> Result<()> {
    let tables: BTreeSet<String> = window
        .days()
        .map(|day| Shape::table(&place.template.name, destination, day))
        .collect();
    for table in tables {
        session
            .batch(&format!(
                "DELETE FROM {} WHERE {}",
                place.qualified(&table),
                in_window(place.template, window),
            ))
            .await?;
    }
    Ok(())
}

/// Begins a COPY into the table of `day`.
///
/// # Errors
/// The warehouse's.
pub async fn copy_into(
    session: &Session,
    place: Place<'_>,
    destination: Destination,
    day: Day,
) -> Result<TableCopy> {
    let table = Shape::table(&place.template.name, destination, day);
    TableCopy::begin(session, place, &table)
        .await
        .at(|| format!("table `{}.{table}`", place.schema))
}

/// Completes the ledger rows, makes the indexes of day tables that have none, and commits.
///
/// # Errors
/// The warehouse's. When the connection breaks here the commit may have happened: the claim of the next try finds out.
pub async fn finish_load(
    session: &Session,
    place: Place<'_>,
    entry: &Entry<'_>,
    destination: Destination,
    days: &[LoadedDay],
) -> Result<()> {
    match destination {
        Destination::Staging(_) => staged::record(session, entry, days).await?,
        Destination::Year(_) => units::record(session, entry, days).await?,
        Destination::DayTable => {
            for day in days {
                let table = Shape::table(&place.template.name, destination, day.day);
                create_indexes(session, place, &table).await?;
            }
            units::record(session, entry, days).await?;
        }
    }
    session.batch("COMMIT").await
}
