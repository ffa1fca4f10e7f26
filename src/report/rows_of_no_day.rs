//! Rows of a source that are in no day, for people and as JSON.

use crate::engine::verify::rows_of_no_day::{MOST, RowsOfNoDay};
use crate::error::Result;
use crate::report::failure::why;
use crate::report::numbers::count;
use serde::Serialize;

/// Null counts: they were not counted.
#[derive(Debug, Default, Serialize)]
pub struct RowsOfNoDayJson {
    no_time: Option<u64>,
    infinite: Option<u64>,
    before: Option<u64>,
    after: Option<u64>,
    /// Why they were not counted.
    error: Option<String>,
}

/// Counts above 100,000 are 100,001.
pub fn json(rows: &Result<RowsOfNoDay>) -> RowsOfNoDayJson {
    match rows {
        Ok(rows) => RowsOfNoDayJson {
            no_time: Some(rows.no_time),
            infinite: Some(rows.infinite),
            before: Some(rows.before),
            after: Some(rows.after),
            error: None,
        },
        Err(error) => RowsOfNoDayJson {
            error: Some(why(error)),
            ..RowsOfNoDayJson::default()
        },
    }
}

/// `10 without a time, 2 before 2024-01-01`.
pub fn counts(rows: &RowsOfNoDay) -> String {
    let (first, last) = (rows.days.from, rows.days.to.plus(-1));
    let kinds = [
        (rows.no_time, "without a time".to_owned()),
        (rows.infinite, "at an infinite time".to_owned()),
        (rows.before, format!("before {first}")),
        (rows.after, format!("after {last}")),
    ];
    let there = kinds.into_iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = there
        .map(|(n, what)| format!("{} {what}", number(n)))
        .collect();
    parts.join(", ")
}

fn number(n: u64) -> String {
    if n > MOST {
        format!("more than {}", count(MOST))
    } else {
        count(n)
    }
}
