//! Consecutive days whose rows are in one table and were loaded with one template version: one query reads them.

use crate::catalog::ledger::units::Recorded;
use crate::error::Error;
use crate::unit::{Day, Window};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Consecutive days of one table and one template version.
pub struct TableRun {
    /// `schema.table`; empty when the ledger names none.
    pub relation: Arc<str>,
    pub version: Arc<str>,
    /// Whether the warehouse should hold the rows, and not only their files.
    pub loaded: bool,
    /// Whether the table exists.
    pub exists: bool,
    pub window: Window,
}

/// Groups the days of the ledger, in order.
pub fn table_runs(recorded: &BTreeMap<Day, Recorded>) -> Vec<TableRun> {
    let mut runs: Vec<TableRun> = Vec::new();
    for (day, recorded) in recorded {
        let relation = recorded.relation.as_deref().unwrap_or_default();
        match runs.last_mut() {
            Some(run)
                if run.window.to == *day
                    && *run.relation == *relation
                    && run.loaded == recorded.loaded
                    && *run.version == *recorded.version =>
            {
                run.window.to = day.next();
            }
            _ => runs.push(TableRun {
                relation: relation.into(),
                version: recorded.version.as_str().into(),
                exists: recorded.there,
                loaded: recorded.loaded,
                window: Window::single(*day),
            }),
        }
    }
    runs
}

/// A table that the ledger named a moment ago and that no longer exists was folded or rebuilt meanwhile. The next try reads
/// the ledger again and finds the rows where they are now.
pub fn retry_if_table_moved(error: Error) -> Error {
    let moved = error.sqlstate() == Some("42P01");
    if moved {
        error.with_transient(true)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::Tally;

    fn recorded(relation: &str, version: &str) -> Recorded {
        Recorded {
            loaded: true,
            tally: Tally::default(),
            version: version.to_owned(),
            relation: Some(relation.to_owned()),
            there: true,
            object: None,
        }
    }

    #[test]
    fn days_are_read_together_while_table_and_version_are_the_same() {
        let days = [
            (1, "a.x", "v"),
            (2, "a.x", "v"),
            (3, "a.y", "v"),
            (4, "a.y", "w"),
            (6, "a.y", "w"),
        ];
        let days =
            days.map(|(n, relation, version)| (Day::from_pg_days(n), recorded(relation, version)));
        let runs = table_runs(&days.into());
        let lengths: Vec<usize> = runs.iter().map(|run| run.window.len()).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
    }
}
