//! The table of a scenario as text, for every output format.

use super::text::{ratio, time};
use crate::bench::meter::Measurement;
use crate::bench::result::{EntrantResult, EntrantState, ScenarioResult};
use crate::bench::scenario::ExtraMetric;
use crate::report::numbers::{bytes, count};

/// A heading, with `>` before it for numbers, and the text of a cell.
struct Column {
    heading: &'static str,
    cell: fn(&EntrantResult) -> Option<String>,
}

/// Only growth scenarios and those that compare them show what clients ask of the servers.
const CLIENTS: [&str; 2] = [">connections", ">statements"];

pub struct ResultsTable {
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

const COLUMNS: [Column; 19] = [
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
    column(">failed readers", |e| more(e, "failed_readers").map(whole)),
    column(">server CPU", |e| {
        e.median_of(|t: &Measurement| Some(t.source_cpu? + t.warehouse_cpu?))
            .map(time)
    }),
    column(">WAL", |e| {
        // The WAL of any bench is far below 2^53 bytes.
        #[allow(clippy::cast_precision_loss)]
        let wal = e.median_of(|t| t.wal_bytes.map(|n| n as f64));
        wal.map(rounded).map(bytes)
    }),
    column(">own CPU", |e| e.median_of(|t| t.own_cpu).map(time)),
    column(">own memory", |e| {
        e.tries.iter().filter_map(|t| t.own_peak).max().map(bytes)
    }),
    column(">connections to the source", |e| {
        more(e, "source_connections").map(whole)
    }),
    column(">connections to the warehouse", |e| {
        more(e, "warehouse_connections").map(whole)
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
            EntrantState::Measured => return None,
            EntrantState::Failed => "failed",
            EntrantState::Differs => "differs",
            EntrantState::LeftOut => "left out",
        };
        Some(format!(
            "{what}: {}",
            e.error.as_deref().unwrap_or_default()
        ))
    }),
];

const fn column(heading: &'static str, cell: fn(&EntrantResult) -> Option<String>) -> Column {
    Column { heading, cell }
}

fn more(entrant: &EntrantResult, name: &str) -> Option<f64> {
    entrant.median_of(|measurement| measurement.more.get(name).copied())
}

fn whole(n: f64) -> String {
    count(rounded(n))
}

fn rounded(n: f64) -> u64 {
    // Counts and bytes are not negative and far below 2^53.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = n.round() as u64;
    whole
}

impl ResultsTable {
    /// The table of some entrants. Columns that are empty for all of them are left out.
    pub fn of(results: &ScenarioResult, members: &[&EntrantResult]) -> ResultsTable {
        let mut columns = vec![Column {
            heading: "",
            cell: |e| Some(e.title.clone()),
        }];
        if results.per_unit {
            columns.push(Column {
                heading: ">per tenant and day",
                cell: per_unit,
            });
        }
        let filled = |c: &Column| {
            let counts = CLIENTS.iter().any(|start| c.heading.starts_with(start));
            members.iter().any(|e| shown(e, c).is_some()) && (compares_clients(results) || !counts)
        };
        columns.extend(COLUMNS.into_iter().filter(filled));
        let row = |e: &&EntrantResult| {
            let cells = columns.iter().map(|c| shown(e, c).unwrap_or_default());
            cells.collect()
        };
        ResultsTable {
            headings: columns.iter().map(|c| c.heading).collect(),
            rows: members.iter().map(row).collect(),
        }
    }
}

fn compares_clients(results: &ScenarioResult) -> bool {
    let mut metrics = results.entrants.iter().flat_map(|e| e.also.keys());
    results.per_unit || metrics.any(|metric| ExtraMetric::CLIENTS.contains(metric))
}

/// An entrant without a figure has only text cells.
fn shown(entrant: &EntrantResult, column: &Column) -> Option<String> {
    let is_text = column.heading.is_empty();
    if entrant.is_measured() || is_text {
        (column.cell)(entrant)
    } else {
        None
    }
}

fn per_unit(entrant: &EntrantResult) -> Option<String> {
    entrant.median.map(|median| time(entrant.per_unit(median)))
}
