//! Keys that stand in two tables of a pair, because the time of their row moved while a load fetched one day after the other:
//! no index covers several tables.

use crate::catalog::ledger::units;
use crate::error::Result;
use crate::pg::Session;
use crate::schema::Column;
use crate::sql::{ident, literal};
use crate::template::Template;
use crate::unit::{Day, Window};
use crate::warehouse::load::difference::shown_now;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{in_window, utc_day};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that a hash join reads in the time of one look-up in an index.
const ROWS_PER_LOOKUP: u64 = 8;

/// Beyond so many runs of days a condition names all days between the first and the last.
const RUNS_NAMED: usize = 40;

/// What was loaded into a table without a look at the other tables of its pair.
#[derive(Debug, Default)]
pub struct Fresh {
    pub days: BTreeSet<Day>,
    pub rows: u64,
}

/// By table (`schema.table`).
pub type FreshTables = BTreeMap<String, Fresh>;

/// A table that the tenant view shows, whose keys overlap with those of another.
struct Overlap<'a> {
    /// Quoted.
    table: String,
    /// The condition, on `v`, on what the view shows of it.
    shown: &'a str,
    fresh: Option<&'a Fresh>,
    rows: u64,
    /// The ends of the first unique column that another table has, too.
    low: String,
    high: String,
}

/// Days of a pair that hold a row whose key is duplicated in another of its tables, when one of the two rows is fresh.
///
/// Only the keys of fresh days are looked for, and only where the tables' keys overlap: often keys grow with time, and tables
/// of different days have few in common. Random keys overlap everywhere: then each new key is looked up in the unique index of
/// each table, or the tables are read once when that is less work.
///
/// # Errors
/// The warehouse's.
pub async fn days_with_shared_keys(
    session: &Session,
    place: Place<'_>,
    fresh: &FreshTables,
) -> Result<BTreeSet<Day>> {
    let Some((_, first)) = place.template.unique_columns().next() else {
        return Ok(BTreeSet::new());
    };
    let shown = shown_now(session, place).await?;
    if shown.len() < 2 {
        return Ok(BTreeSet::new());
    }
    let tables = overlaps(session, place, first, &shown, fresh).await?;
    if tables.is_empty() {
        return Ok(BTreeSet::new());
    }
    let question = Question {
        template: place.template,
        first,
        tables: &tables,
    };
    let rows = session.query(&question.sql(), &[]).await?;
    Ok(units::days_of(&rows))
}

/// The tables whose first unique column overlaps with that of another, when one of the two is fresh. The ends of each
/// table's values come from its index.
async fn overlaps<'a>(
    session: &Session,
    place: Place<'_>,
    first: &Column,
    shown: &'a [(String, String)],
    fresh: &'a FreshTables,
) -> Result<Vec<Overlap<'a>>> {
    let key = ident(&first.name);
    let name = |table: &str| format!("{}.{table}", place.schema.as_str());
    // Not min() and max(): not every type that can be sorted has them.
    let end = |table: &str, order| {
        let table = place.qualified(table);
        format!(
            "(SELECT {key} FROM {table} WHERE {key} IS NOT NULL ORDER BY {key} {order} LIMIT 1)"
        )
    };
    let ends = shown.iter().enumerate().map(|(i, (table, _))| {
        let is_fresh = fresh.contains_key(&name(table));
        let (low, high) = (end(table, "ASC"), end(table, "DESC"));
        format!("SELECT {i}, {is_fresh}, {low}, {high}")
    });
    let found = session
        .query(
            &format!(
                "WITH t (i, fresh, low, high) AS ({}) \
                 SELECT a.i, (array_agg(l ORDER BY l))[1]::text, (array_agg(h ORDER BY h DESC))[1]::text \
                 FROM t AS a JOIN t AS b ON a.i <> b.i AND (a.fresh OR b.fresh) AND a.low <= b.high AND b.low <= a.high, \
                 LATERAL (SELECT greatest(a.low, b.low) AS l, least(a.high, b.high) AS h) AS overlap GROUP BY a.i",
                ends.collect::<Vec<_>>().join(" UNION ALL ")
            ),
            &[],
        )
        .await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let rows = units::rows_of_tables(session, place.tenant, &place.template.name).await?;
    let overlap = found.iter().filter_map(|row| {
        let (table, shown) = shown.get(usize::try_from(row.get::<_, i32>(0)).ok()?)?;
        Some(Overlap {
            table: place.qualified(table),
            shown,
            fresh: fresh.get(&name(table)),
            rows: rows.get(&name(table)).copied().unwrap_or_default(),
            low: row.get(1),
            high: row.get(2),
        })
    });
    Ok(overlap.collect())
}

/// Which days share a key?
struct Question<'a> {
    template: &'a Template,
    /// The first unique column.
    first: &'a Column,
    tables: &'a [Overlap<'a>],
}

impl Question<'_> {
    fn sql(&self) -> String {
        let days = "SELECT DISTINCT unnest(ARRAY[new.day, other.day])";
        let new = self.new_rows();
        if self.looks_up() {
            let same = self.same_key(|_, column| format!("v.{}", ident(column)));
            // Its own table is not read at all. OFFSET keeps the planner from a join, which would read each table.
            let others = self.all_rows(|at| format!(" AND new.t <> {at} AND {same}"));
            format!("{days} FROM ({new}) AS new, LATERAL ({others} OFFSET 0) AS other")
        } else {
            let same = self.same_key(|i, _| format!("other.k{i}"));
            let others = self.all_rows(|_| String::new());
            format!(
                "{days} FROM ({new}) AS new JOIN ({others}) AS other ON {same} AND other.t <> new.t"
            )
        }
    }

    /// Whether looking up each new key in each table is less work than reading the tables.
    fn looks_up(&self) -> bool {
        let fresh = self.tables.iter().filter_map(|table| table.fresh);
        let new: u64 = fresh.map(|fresh| fresh.rows).sum();
        let all: u64 = self.tables.iter().map(|table| table.rows).sum();
        let lookups = new.saturating_mul(self.tables.len() as u64);
        lookups.saturating_mul(ROWS_PER_LOOKUP) <= all
    }

    fn new_rows(&self) -> String {
        let tables = self.tables.iter().enumerate();
        let arms = tables.filter_map(|(at, table)| {
            let runs = Window::runs(table.fresh?.days.iter().copied());
            let (first, last) = (runs.first()?, runs.last()?);
            let days = if runs.len() > RUNS_NAMED {
                in_window(self.template, Window::new(first.from, last.to))
            } else {
                let runs: Vec<_> = runs.iter().map(|r| in_window(self.template, *r)).collect();
                runs.join(" OR ")
            };
            Some(self.arm(at, table, &format!(" AND ({days})")))
        });
        arms.collect::<Vec<_>>().join(" UNION ALL ")
    }

    fn all_rows(&self, more: impl Fn(usize) -> String) -> String {
        let tables = self.tables.iter().enumerate();
        let arms = tables.map(|(at, table)| self.arm(at, table, &more(at)));
        arms.collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Number, key and day of a table's rows whose key may be in another, too.
    fn arm(&self, at: usize, table: &Overlap<'_>, more: &str) -> String {
        let unique = self.template.unique.iter().enumerate();
        // Their own names might be ours.
        let named = unique.map(|(i, column)| format!("v.{} AS k{i}", ident(column)));
        let bound = |end: &str| format!("{}::{}", literal(end), self.first.ty.bare());
        format!(
            "SELECT {at} AS t, {}, {} AS day FROM {} AS v WHERE v.{} BETWEEN {} AND {} AND {}{more}",
            named.collect::<Vec<_>>().join(", "),
            utc_day(self.template, "v."),
            table.table,
            ident(&self.first.name),
            bound(&table.low),
            bound(&table.high),
            table.shown,
        )
    }

    /// A null is equal to nothing, as in a unique index.
    fn same_key(&self, of: impl Fn(usize, &str) -> String) -> String {
        let unique = self.template.unique.iter().enumerate();
        let same = unique.map(|(i, column)| format!("{} = new.k{i}", of(i, column)));
        same.collect::<Vec<_>>().join(" AND ")
    }
}
