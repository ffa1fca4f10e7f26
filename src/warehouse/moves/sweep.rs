//! Removes what is on the wrong side of the fold line: what a fold or unfold left behind when it moved the line,
//! or when it was killed before it could.
//!
//! No view shows any of it, so that it does not matter to readers when it goes; and it is found by the fold line and the
//! catalog's relations alone, so that nothing of ours is lost sight of.

use super::fold::Folding;
use crate::catalog::registry::{fold_line, relations};
use crate::catalog::runs::lease;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{bound, ident, qualified};
use crate::unit::Day;
use crate::warehouse::load::rebuild::{beyond_the_line, empty_staging, unstage};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{day_table, staging_table, year_table};
use crate::warehouse::tables::left::{Left, about_the_table};
use crate::warehouse::tables::shape::{Shape, year_window};
use crate::warehouse::tables::transaction::{
    AUTOVACUUM_GIVES_WAY, patient_transaction, short_transaction,
};
use std::time::{Duration, Instant};

/// Tables dropped in one transaction: each is a handful of locks. At its commit the server looks for their pages in all
/// of its buffers, and syncs the log.
const TABLES_AT_ONCE: usize = 50;

/// How long a sweep tries to drop tables that readers still hold. The next sweep continues.
const PATIENCE: Duration = Duration::from_secs(5);

/// Drops day tables before the fold line and year tables that begin at or after it; deletes what the year table that
/// holds the line holds beyond it. What was dropped leaves `shape`.
///
/// A year table that an unfold emptied goes, too, when its whole year lies beyond the line: nothing can be written to
/// it, and the next fold would create it again. One that begins before the line stays, with or without rows: that is where
/// the days before the line belong. Of a staging table the days beyond the line go, and the table when no day is left.
///
/// # Errors
/// [`Kind::Locked`] when another run took the pair over; the warehouse's. A table that
/// cannot be dropped, or rows that cannot be deleted, are no error.
pub async fn sweep(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    folding: Folding<'_>,
) -> Result<Vec<Left>> {
    let template = &place.template.name;
    let line = shape.fold_line;
    let mut sweep = Sweep {
        session,
        place,
        folding,
        deadline: Instant::now() + PATIENCE,
        left: Vec::new(),
    };
    let past: Vec<Day> = shape.days.range(..line).copied().collect();
    for days in past.chunks(TABLES_AT_ONCE) {
        let tables: Vec<String> = days.iter().map(|day| day_table(template, *day)).collect();
        match drop_tables(session, place, &tables, folding, Duration::ZERO).await {
            Ok(()) => {
                shape.days.retain(|day| !days.contains(day));
                continue;
            }
            // One of them stays; the others need not.
            Err(error) => drop(about_the_table(error)?),
        }
        for (day, table) in days.iter().zip(tables) {
            if sweep.dropped(table).await? {
                shape.days.remove(day);
            }
        }
    }
    let years: Vec<i32> = shape.years.range(line.year()..).copied().collect();
    for year in years {
        let table = year_table(template, year);
        if year_window(year).from >= line && sweep.dropped(table.clone()).await? {
            shape.years.remove(&year);
        } else if let Err(error) = delete_beyond(session, place, &table, line, folding).await {
            let left = Left::rows(place.schema.as_str(), &table, error)?;
            sweep.left.push(left);
        }
    }
    if !shape.staging.is_empty() {
        let beyond = beyond_the_line(session, place, shape).await?;
        unstage(
            session,
            place,
            &beyond,
            folding.run,
            folding.warehouse.lock_timeout,
        )
        .await?;
        sweep.folding.warehouse.lock_timeout = AUTOVACUUM_GIVES_WAY;
        for year in empty_staging(session, place, shape).await? {
            if sweep.dropped(staging_table(template, year)).await? {
                shape.staging.remove(&year);
            }
        }
    }
    Ok(sweep.left)
}

/// A sweep at work.
struct Sweep<'a> {
    session: &'a Session,
    place: Place<'a>,
    folding: Folding<'a>,
    deadline: Instant,
    left: Vec<Left>,
}

impl Sweep<'_> {
    /// Whether the table could be dropped before the deadline; if not, it is among those that are left.
    async fn dropped(&mut self, table: String) -> Result<bool> {
        let patience = self.deadline.saturating_duration_since(Instant::now());
        let tables = [table];
        match drop_tables(self.session, self.place, &tables, self.folding, patience).await {
            Ok(()) => Ok(true),
            Err(error) => {
                let schema = self.place.schema.as_str();
                let left = Left::table(self.session, schema, &tables[0], error).await?;
                self.left.push(left);
                Ok(false)
            }
        }
    }
}

async fn drop_tables(
    session: &Session,
    place: Place<'_>,
    tables: &[String],
    folding: Folding<'_>,
    patience: Duration,
) -> Result<()> {
    let schema = place.schema.as_str();
    let names: Vec<String> = tables.iter().map(|t| qualified(schema, t)).collect();
    patient_transaction(
        session,
        folding.warehouse.lock_timeout,
        patience,
        None,
        async || {
            lease::check(session, folding.run, place.tenant, &place.template.name).await?;
            refuse_if_needed(session, place, tables, None).await?;
            relations::remove(session, schema, tables).await?;
            session
                .batch(&format!("DROP TABLE {}", names.join(", ")))
                .await
        },
    )
    .await
}

async fn delete_beyond(
    session: &Session,
    place: Place<'_>,
    table: &str,
    line: Day,
    folding: Folding<'_>,
) -> Result<()> {
    let beyond = format!(
        "FROM {} WHERE {} >= {}",
        place.qualified(table),
        ident(&place.template.time_column),
        bound(line, place.template.time_type()),
    );
    // Nearly always there is nothing, and then nothing should be written, not even a transaction's number.
    let found = session
        .query_one(&format!("SELECT EXISTS (SELECT {beyond})"), &[])
        .await?;
    if !found.get::<_, bool>(0) {
        return Ok(());
    }
    short_transaction(session, folding.warehouse.lock_timeout, async || {
        lease::check(session, folding.run, place.tenant, &place.template.name).await?;
        refuse_if_needed(session, place, &[table.to_owned()], Some(line)).await?;
        session.batch(&format!("DELETE {beyond}")).await
    })
    .await
}

/// The last guard: a table that holds a day's rows according to the ledger (from `line` on) is never removed, wherever the
/// fold line is.
async fn refuse_if_needed(
    session: &Session,
    place: Place<'_>,
    tables: &[String],
    line: Option<Day>,
) -> Result<()> {
    let schema = place.schema;
    let relations: Vec<String> = tables.iter().map(|t| format!("{schema}.{t}")).collect();
    let template = &place.template.name;
    match fold_line::day_in(session, place.tenant, template, &relations, line).await? {
        None => Ok(()),
        Some((day, relation)) => Err(Error::new(
            Kind::Data,
            format!("according to the ledger, `{relation}` holds {day}, which is on the other side of the fold line"),
        )
        .with_hint("nothing was deleted; the fold line or the ledger was changed by hand")),
    }
}
