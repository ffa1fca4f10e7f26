//! Bringing a day up by its difference: which rows stand there, which are gone, which are new.

use super::in_window;
use super::tables::column_list;
use super::views::shown_tables;
use super::{Destination, Place, Shape, utc_day};
use crate::catalog::ledger::{self, Entry, LoadedDay};
use crate::catalog::{fold_line, lease, relations};
use crate::copy::{LocatedRows, Tid, fields};
use crate::error::{Error, Kind, Result};
use crate::pg::{RawArray, Session};
use crate::sql::{bound, ident, qualified};
use crate::unit::{Day, Window};
use chrono::NaiveDate;
use futures_util::StreamExt;
use std::collections::BTreeSet;

/// Bytes that matching takes per row that stands in the warehouse.
pub const MATCH_BYTES_PER_ROW: u64 = 40;

/// `pg_type.oid` of `tid`.
const TID_OID: u32 = 27;

/// Rows deleted, or keys looked up, by one statement.
const BATCH: usize = 10_000;

/// The rows of one day as they stand in the warehouse; what the source still has is taken out of it.
///
/// # Memory usage
///
/// [`MATCH_BYTES_PER_ROW`].
#[derive(Debug, Default)]
pub struct Standing {
    /// By hash.
    rows: Vec<(u128, Tid)>,
    taken: Vec<bool>,
}

impl Standing {
    fn new(mut rows: Vec<(u128, Tid)>) -> Standing {
        rows.sort_unstable();
        let taken = vec![false; rows.len()];
        Standing { rows, taken }
    }

    /// Takes out one row of this hash; `false` when none is left.
    pub fn take(&mut self, hash: u128) -> bool {
        let first = self.rows.partition_point(|(h, _)| *h < hash);
        for at in first..self.rows.len() {
            if self.rows[at].0 != hash {
                return false;
            }
            if !self.taken[at] {
                self.taken[at] = true;
                return true;
            }
        }
        false
    }

    /// The places of the rows that nobody took: they are gone from the source.
    pub fn gone(&self) -> Vec<Tid> {
        self.rows
            .iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !**taken)
            .map(|((_, tid), _)| *tid)
            .collect()
    }
}

/// Begins the transaction that writes a difference.
///
/// # Errors
/// [`Kind::Locked`] when another run owns the pair; the warehouse's.
pub async fn begin_difference(session: &Session, entry: &Entry<'_>) -> Result<()> {
    session.batch("BEGIN").await?;
    lease::check(session, entry.run, entry.tenant, entry.template).await
}

fn table(place: Place<'_>, destination: Destination, day: Day) -> String {
    let table = Shape::table(&place.template.name, destination, day);
    qualified(place.schema.as_str(), &table)
}

/// Reads a day back. Within the transaction, in which nobody can move its rows: its lock keeps VACUUM FULL and the like
/// away, and the pair's lock every other writer of ours.
///
/// # Errors
/// The warehouse's.
pub async fn standing(
    session: &Session,
    place: Place<'_>,
    destination: Destination,
    day: Day,
) -> Result<Standing> {
    let mut stream = session
        .copy_out(&format!(
            "COPY (SELECT {}, ctid FROM {} WHERE {}) TO STDOUT (FORMAT binary)",
            column_list(place.template),
            table(place, destination, day),
            in_window(place.template, Window::single(day)),
        ))
        .await?;
    let mut located = LocatedRows::new(place.template.columns.len());
    let mut rows = Vec::new();
    while let Some(chunk) = stream.next().await {
        located.push(&chunk?, |hash, tid| rows.push((hash, tid)))?;
    }
    located.finish()?;
    Ok(Standing::new(rows))
}

/// Deletes just these rows of a day.
///
/// # Errors
/// [`Kind::Data`] when fewer were there: somebody else writes into the table; the warehouse's.
pub async fn delete_rows(
    session: &Session,
    place: Place<'_>,
    destination: Destination,
    day: Day,
    gone: &[Tid],
) -> Result<()> {
    let statement = format!(
        "DELETE FROM {} WHERE ctid = ANY ($1::tid[]) AND {}",
        table(place, destination, day),
        in_window(place.template, Window::single(day)),
    );
    for batch in gone.chunks(BATCH) {
        let mut tids = RawArray::new(TID_OID);
        batch.iter().for_each(|tid| tids.push(Some(tid)));
        let deleted = session.execute(&statement, &[&tids]).await?;
        if deleted != batch.len() as u64 {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "{deleted} of {} rows of {day} were there to be deleted",
                    batch.len()
                ),
            )
            // Another window of this run may have refreshed the day meanwhile: the next try compares anew.
            .with_transient(true)
            .with_hint("somebody else writes into the table: only Dayhaul may"));
        }
    }
    Ok(())
}

/// The unique keys of tuples, column by column, to be looked up in other days.
pub struct Keys {
    /// Positions of the template's unique columns, with their arrays.
    columns: Vec<(usize, RawArray)>,
    batches: Vec<Vec<RawArray>>,
}

impl Keys {
    /// `None` when the template declares no unique columns: then nobody can say that a row moved.
    pub fn new(place: Place<'_>) -> Option<Keys> {
        let template = place.template;
        let columns: Vec<(usize, RawArray)> = template
            .unique
            .iter()
            .filter_map(|name| template.columns.iter().position(|c| c.name == *name))
            .map(|at| (at, RawArray::new(template.columns[at].ty.oid())))
            .collect();
        // An array of arrays would be a matrix: such keys are left to the unique index.
        let arrays = columns.iter().any(|(at, _)| template.columns[*at].ty.array);
        (!columns.is_empty() && !arrays).then_some(Keys {
            columns,
            batches: Vec::new(),
        })
    }

    pub fn push(&mut self, tuple: &[u8]) {
        for (column, array) in &mut self.columns {
            let value = fields(tuple).nth(*column).flatten();
            array.push(value);
        }
        if self.columns[0].1.len() >= BATCH {
            self.batch();
        }
    }

    /// For SQL: the arrays as parameters, their names as columns of `k`, and the condition that they are equal to `v`'s.
    fn columns_of(&self, place: Place<'_>) -> (String, String, String) {
        let (mut arrays, mut names, mut equal) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (column, _)) in self.columns.iter().enumerate() {
            let column = &place.template.columns[*column];
            arrays.push(format!("${}::{}[]", i + 1, column.ty.bare()));
            names.push(format!("k{i}"));
            equal.push(format!("v.{} = k.k{i}", ident(&column.name)));
        }
        (arrays.join(", "), names.join(", "), equal.join(" AND "))
    }

    /// The keys, some thousands at a time. All were pushed: [`Keys::ready`].
    fn batches(&self) -> &[Vec<RawArray>] {
        &self.batches
    }

    /// Call it after the last key was pushed.
    pub fn ready(mut self) -> Keys {
        if !self.columns[0].1.is_empty() {
            self.batch();
        }
        self
    }

    fn batch(&mut self) {
        let full = self
            .columns
            .iter_mut()
            .map(|(_, array)| {
                let empty = array.emptied();
                std::mem::replace(array, empty)
            })
            .collect();
        self.batches.push(full);
    }
}

/// The tables that the tenant view shows, and of the year that holds the fold line what the view shows of it.
async fn shown_now(session: &Session, place: Place<'_>) -> Result<Vec<(String, Option<String>)>> {
    let template = place.template;
    let Some(line) = fold_line::get(session, place.tenant, &template.name).await? else {
        return Ok(Vec::new());
    };
    let owned = relations::of_pair(session, place.tenant, &template.name).await?;
    let below = format!(
        "{} < {}",
        ident(&template.time_column),
        bound(line.day, template.time_type())
    );
    Ok(shown_tables(template, &Shape::new(line, &owned))
        .into_iter()
        .map(|(table, holds_line)| (table, holds_line.then(|| below.clone())))
        .collect())
}

/// Days of the pair, other than those of `except`, in which rows with these keys stand: rows that moved.
///
/// # Errors
/// The warehouse's.
pub async fn days_of_keys(
    session: &Session,
    place: Place<'_>,
    keys: &Keys,
    except: &BTreeSet<Day>,
) -> Result<BTreeSet<Day>> {
    let template = place.template;
    let (arrays, names, equal) = keys.columns_of(place);
    // Table by table, not through the tenant view: its arm with a WHERE keeps the planner from the index.
    let arms: Vec<String> = shown_now(session, place)
        .await?
        .into_iter()
        .map(|(table, below)| {
            format!(
                "SELECT {} FROM unnest({arrays}) AS k ({names}) JOIN {} AS v ON {equal}{}",
                utc_day(template, "v."),
                qualified(place.schema.as_str(), &table),
                below.map_or_else(String::new, |below| format!(" AND v.{below}")),
            )
        })
        .collect();
    if arms.is_empty() {
        return Ok(BTreeSet::new());
    }
    let statement = arms.join(" UNION ");
    let mut days = BTreeSet::new();
    for batch in keys.batches() {
        let params: Vec<&(dyn crate::pg::ToSql + Sync)> =
            batch.iter().map(|array| array as _).collect();
        let rows = session.query(&statement, &params).await?;
        days.extend(rows.iter().map(|row| Day::from(row.get::<_, NaiveDate>(0))));
    }
    Ok(&days - except)
}

/// Whether one of the rows in these places of a day has a key that is not among `keys`.
///
/// # Errors
/// The warehouse's.
pub async fn keys_vanish(
    session: &Session,
    place: Place<'_>,
    destination: Destination,
    day: Day,
    gone: &[Tid],
    keys: &Keys,
) -> Result<bool> {
    let (arrays, names, equal) = keys.columns_of(place);
    let tids = keys.columns.len() + 1;
    let statement = format!(
        "SELECT count(*) FROM {} AS v WHERE v.ctid = ANY (${tids}::tid[]) \
         AND EXISTS (SELECT FROM unnest({arrays}) AS k ({names}) WHERE {equal})",
        table(place, destination, day),
    );
    for gone in gone.chunks(BATCH) {
        let mut places = RawArray::new(TID_OID);
        gone.iter().for_each(|tid| places.push(Some(tid)));
        let mut known = 0;
        for batch in keys.batches() {
            let mut params: Vec<&(dyn crate::pg::ToSql + Sync)> =
                batch.iter().map(|array| array as _).collect();
            params.push(&places);
            known += session
                .query_one(&statement, &params)
                .await?
                .get::<_, i64>(0);
        }
        if usize::try_from(known).unwrap_or(usize::MAX) < gone.len() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Completes the ledger rows of the days that were brought up, makes the indexes of the day tables of `new` days, and
/// commits.
///
/// # Errors
/// The warehouse's.
pub async fn finish_difference(
    session: &Session,
    place: Place<'_>,
    entry: &Entry<'_>,
    days: &[LoadedDay],
    new: &BTreeSet<Day>,
) -> Result<()> {
    for day in new {
        let table = Shape::table(&place.template.name, Destination::DayTable, *day);
        super::indexes::create_indexes(session, place, &table).await?;
    }
    ledger::claim(session, entry, days.iter().map(|d| d.day), true).await?;
    ledger::record(session, entry, days).await?;
    session.batch("COMMIT").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_taken_one_by_one_and_the_rest_is_gone() {
        let tid = |n| [0, 0, 0, 0, 0, n];
        let mut standing = Standing::new(vec![(7, tid(1)), (5, tid(2)), (7, tid(3)), (9, tid(4))]);
        assert!(standing.take(7) && standing.take(7) && !standing.take(7));
        assert!(!standing.take(6) && standing.take(9));
        assert_eq!(standing.gone(), [tid(2)]);
    }
}
