//! The table of a scenario, whatever draws it: headings and texts.

use super::{ratio, time};
use crate::bench::meter::Try;
use crate::bench::result::{Scored, Standing, State};
use crate::report::numbers::{bytes, count};

/// A heading (`>` for numbers) and what stands below it.
struct Column {
    heading: &'static str,
    cell: fn(&Standing) -> Option<String>,
}

/// Columns that only a scenario of growth has: there, they must not grow faster than the work.
const STATEMENTS: &str = ">statements";

pub struct Cells {
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

const COLUMNS: [Column; 16] = [
    column(">median", |e| e.median.map(time)),
    column(">least", |e| e.min.filter(|_| e.tries.len() > 1).map(time)),
    column(">most", |e| e.max.filter(|_| e.tries.len() > 1).map(time)),
    column(">ratio", |e| e.ratio.filter(|_| !e.baseline).map(ratio)),
    column(">to the limit", |e| {
        e.limit_ratio.filter(|_| !e.limit).map(ratio)
    }),
    column(">planning", |e| more(e, "planning_seconds").map(time)),
    column(">execution", |e| more(e, "execution_seconds").map(time)),
    column(">locks", |e| more(e, "locks").map(whole)),
    column(">server CPU", |e| {
        e.median_of(|t: &Try| Some(t.source_cpu? + t.warehouse_cpu?))
            .map(time)
    }),
    column(">WAL", |e| {
        // Bytes of any WAL that a bench writes are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let wal = e.median_of(|t| t.wal_bytes.map(|n| n as f64));
        wal.map(rounded).map(bytes)
    }),
    column(">own CPU", |e| e.median_of(|t| t.own_cpu).map(time)),
    column(">own memory", |e| {
        e.tries.iter().filter_map(|t| t.own_peak).max().map(bytes)
    }),
    column(">statements at the source", |e| {
        more(e, "source_statements").map(whole)
    }),
    column(">statements in the warehouse", |e| {
        more(e, "warehouse_statements").map(whole)
    }),
    column(">rows", |e| e.rows.filter(|rows| *rows > 0).map(count)),
    column("", |e| {
        let what = match e.state {
            State::Measured => return None,
            State::Failed => "failed",
            State::Differs => "differs",
            State::LeftOut => "left out",
        };
        Some(format!(
            "{what}: {}",
            e.error.as_deref().unwrap_or_default()
        ))
    }),
];

const fn column(heading: &'static str, cell: fn(&Standing) -> Option<String>) -> Column {
    Column { heading, cell }
}

fn more(standing: &Standing, name: &str) -> Option<f64> {
    standing.median_of(|one| one.more.get(name).copied())
}

fn whole(n: f64) -> String {
    count(rounded(n))
}

fn rounded(n: f64) -> u64 {
    // Counts and bytes: never negative, far below 2^53.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = n.round() as u64;
    whole
}

impl Cells {
    /// The table of some entrants; a column that would be empty is left out.
    pub fn of(scored: &Scored, members: &[&Standing]) -> Cells {
        let mut columns = vec![Column {
            heading: "",
            cell: |e| Some(e.title.clone()),
        }];
        if scored.per_unit {
            columns.push(Column {
                heading: ">per tenant and day",
                cell: per_unit,
            });
        }
        let filled = |c: &Column| {
            let all = &scored.entrants;
            let counts = c.heading.starts_with(STATEMENTS);
            all.iter().any(|e| shown(e, c).is_some()) && (scored.per_unit || !counts)
        };
        columns.extend(COLUMNS.into_iter().filter(filled));
        let row = |e: &&Standing| {
            let cells = columns.iter().map(|c| shown(e, c).unwrap_or_default());
            cells.collect()
        };
        Cells {
            headings: columns.iter().map(|c| c.heading).collect(),
            rows: members.iter().map(row).collect(),
        }
    }
}

/// What an entrant without a figure left is not shown as one.
fn shown(standing: &Standing, column: &Column) -> Option<String> {
    let is_text = column.heading.is_empty();
    if standing.state == State::Measured || is_text {
        (column.cell)(standing)
    } else {
        None
    }
}

fn per_unit(standing: &Standing) -> Option<String> {
    // Days of tenants are few.
    #[allow(clippy::cast_precision_loss)]
    let units = standing.units.max(1) as f64;
    standing.median.map(|median| time(median / units))
}
