//! Bringing a day up by its difference: which rows are in the warehouse, which of them were deleted at the source, which are new.

use crate::catalog::ledger::units::{self, Entry, LoadedDay};
use crate::catalog::registry::{fold_line, relations};
use crate::catalog::runs::lease;
use crate::copy::{LocatedRows, Tid, fields};
use crate::error::{Error, Kind, Result};
use crate::pg::{RawArray, Session, ToSql};
use crate::sql::{bound, ident};
use crate::unit::{Day, Window};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::column_list;
use crate::warehouse::tables::definitions::in_window;
use crate::warehouse::tables::definitions::utc_day;
use crate::warehouse::tables::shape::Destination;
use crate::warehouse::tables::shape::Shape;
use crate::warehouse::views::shown_tables;
use futures::StreamExt;
use std::collections::BTreeSet;

/// Bytes that matching takes per row in the warehouse.
pub const MATCH_BYTES_PER_ROW: u64 = 40;

/// `pg_type.oid` of `tid`.
const TID_OID: u32 = 27;

/// Rows deleted, or looked at, by one statement.
const BATCH: usize = 10_000;

/// The rows of one day as they stand in the warehouse; what the source still has is taken out of it.
///
/// # Memory usage
///
/// [`MATCH_BYTES_PER_ROW`].
#[derive(Debug, Default)]
pub struct StoredRows {
    /// By hash.
    rows: Vec<(u128, Tid)>,
    taken: Vec<bool>,
}

impl StoredRows {
    fn new(mut rows: Vec<(u128, Tid)>) -> StoredRows {
        rows.sort_unstable();
        let taken = vec![false; rows.len()];
        StoredRows { rows, taken }
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

    /// The places of the rows that were not matched: they no longer exist at the source.
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
    place.qualified(&table)
}

/// Reads a day back. Within the transaction, in which no one can move its rows: its lock keeps VACUUM FULL and the like
/// away, and the pair's lock every other writer of ours.
///
/// # Errors
/// The warehouse's.
pub async fn standing(
    session: &Session,
    place: Place<'_>,
    destination: Destination,
    day: Day,
) -> Result<StoredRows> {
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
    Ok(StoredRows::new(rows))
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
                format!("found {deleted} of {} rows of {day} to delete", batch.len()),
            )
            // Another window of this run may have refreshed the day meanwhile: the next try compares again.
            .with_transient(true)
            .with_hint("another program writes to the table: only Dayhaul may"));
        }
    }
    Ok(())
}

/// The unique keys of tuples, column by column, to be looked up in other days.
pub struct Keys {
    /// Positions of the template's unique columns, with their values.
    columns: Vec<(usize, RawArray)>,
}

impl Keys {
    /// `None` when the template declares no unique columns: then a moved row cannot be recognized.
    pub fn new(place: Place<'_>) -> Option<Keys> {
        let template = place.template;
        let columns: Vec<(usize, RawArray)> = template
            .unique_columns()
            .map(|(at, column)| (at, RawArray::new(column.ty.oid())))
            .collect();
        // An array of arrays would be a matrix: such keys are left to the unique index.
        let arrays = template.unique_columns().any(|(_, column)| column.ty.array);
        (!columns.is_empty() && !arrays).then_some(Keys { columns })
    }

    pub fn push(&mut self, tuple: &[u8]) {
        for (column, array) in &mut self.columns {
            let value = fields(tuple).nth(*column).flatten();
            array.push(value);
        }
    }

    fn is_empty(&self) -> bool {
        self.columns[0].1.is_empty()
    }

    /// For SQL: the keys as rows of `k`, whose parameters are [`Keys::params`], and the condition that they are equal to
    /// `v`'s.
    fn as_rows(&self, place: Place<'_>) -> (String, String) {
        let (mut arrays, mut names, mut equal) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (column, _)) in self.columns.iter().enumerate() {
            let column = &place.template.columns[*column];
            arrays.push(format!("${}::{}[]", i + 1, column.ty.bare()));
            names.push(format!("k{i}"));
            equal.push(format!("v.{} = k.k{i}", ident(&column.name)));
        }
        let rows = format!("unnest({}) AS k ({})", arrays.join(", "), names.join(", "));
        (rows, equal.join(" AND "))
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.columns.iter().map(|(_, array)| array as _).collect()
    }
}

/// The tables that the tenant view shows, each with the condition, on `v`, on what it shows of it.
pub async fn shown_now(session: &Session, place: Place<'_>) -> Result<Vec<(String, String)>> {
    let template = place.template;
    let Some(line) = fold_line::get(session, place.tenant, &template.name).await? else {
        return Ok(Vec::new());
    };
    let owned = relations::of_pair(session, place.tenant, &template.name).await?;
    let below = format!(
        "v.{} < {}",
        ident(&template.time_column),
        bound(line.day, template.time_type())
    );
    Ok(shown_tables(template, &Shape::new(line, &owned))
        .into_iter()
        .map(|(table, holds_line)| {
            let shown = if holds_line { &below } else { "true" };
            (table, shown.to_owned())
        })
        .collect())
}

/// Days of the pair on which rows with these keys stand.
///
/// # Errors
/// The warehouse's.
pub async fn days_of_keys(
    session: &Session,
    place: Place<'_>,
    keys: &Keys,
) -> Result<BTreeSet<Day>> {
    let template = place.template;
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (rows, equal) = keys.as_rows(place);
    // Table by table, not through the tenant view: its arm with a WHERE keeps the planner from the index.
    let arms: Vec<String> = shown_now(session, place)
        .await?
        .into_iter()
        .map(|(table, shown)| {
            format!(
                "SELECT {} FROM {rows} JOIN {} AS v ON {equal} AND {shown}",
                utc_day(template, "v."),
                place.qualified(&table),
            )
        })
        .collect();
    if arms.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = session.query(&arms.join(" UNION "), &keys.params()).await?;
    Ok(units::days_of(&rows))
}

/// Keys of rows that left their days and did not appear in other days of this window.
#[derive(Debug)]
pub struct Vanished {
    /// How many.
    pub count: u64,
    /// For each of the template's unique columns its values, separated by commas: the inside of an array as PostgreSQL
    /// writes it. Of [`Vanished::MOST`] keys; more are only counted.
    pub columns: Vec<(usize, String)>,
}

impl Vanished {
    /// Keys that are kept.
    pub const MOST: u64 = 100_000;

    /// None yet, for the same columns.
    pub fn like(keys: &Keys) -> Vanished {
        Vanished {
            count: 0,
            columns: keys
                .columns
                .iter()
                .map(|(at, _)| (*at, String::new()))
                .collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether some were only counted.
    pub fn is_cut(&self) -> bool {
        self.count > Vanished::MOST
    }

    /// Adds those of the rows in these places of a day whose keys are not among `keys`.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn add(
        &mut self,
        session: &Session,
        place: Place<'_>,
        destination: Destination,
        day: Day,
        gone: &[Tid],
        keys: &Keys,
    ) -> Result<()> {
        let (rows, equal) = keys.as_rows(place);
        let arrays: Vec<String> = self
            .columns
            .iter()
            .map(|(column, _)| {
                let name = ident(&place.template.columns[*column].name);
                format!("array_agg(v.{name})::text")
            })
            .collect();
        let statement = format!(
            "SELECT count(*), {} FROM {} AS v WHERE v.ctid = ANY (${}::tid[]) \
             AND NOT EXISTS (SELECT FROM {rows} WHERE {equal})",
            arrays.join(", "),
            table(place, destination, day),
            arrays.len() + 1,
        );
        for gone in gone.chunks(BATCH) {
            let mut places = RawArray::new(TID_OID);
            gone.iter().for_each(|tid| places.push(Some(tid)));
            let mut params = keys.params();
            params.push(&places);
            let row = session.query_one(&statement, &params).await?;
            let count: i64 = row.get(0);
            self.count += count.unsigned_abs();
            if count == 0 || self.is_cut() {
                continue;
            }
            for (i, (_, values)) in self.columns.iter_mut().enumerate() {
                let array: &str = row.get(i + 1);
                let inside = array.strip_prefix('{').and_then(|a| a.strip_suffix('}'));
                if !values.is_empty() {
                    values.push(',');
                }
                values.push_str(inside.unwrap_or_default());
            }
        }
        Ok(())
    }
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
        crate::warehouse::tables::indexes::create_indexes(session, place, &table).await?;
    }
    units::claim(session, entry, days.iter().map(|d| d.day), true).await?;
    units::record(session, entry, days).await?;
    session.batch("COMMIT").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_taken_one_by_one_and_the_rest_is_gone() {
        let tid = |n| [0, 0, 0, 0, 0, n];
        let mut standing =
            StoredRows::new(vec![(7, tid(1)), (5, tid(2)), (7, tid(3)), (9, tid(4))]);
        assert!(standing.take(7) && standing.take(7) && !standing.take(7));
        assert!(!standing.take(6) && standing.take(9));
        assert_eq!(standing.gone(), [tid(2)]);
    }
}
