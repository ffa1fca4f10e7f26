//! The source's side of a window: one read-only transaction, whose settings end with it.

use crate::template::SOURCE_SETTINGS;
use std::time::Duration;

/// Begins a read-only transaction with all settings local to it: a pooler may be in between.
pub fn begin_source(statement_timeout: Duration) -> String {
    begin_read_only("READ ONLY", statement_timeout)
}

/// The same, whose queries all see the source at one moment.
pub fn begin_source_snapshot(statement_timeout: Duration) -> String {
    begin_read_only(
        "ISOLATION LEVEL REPEATABLE READ READ ONLY",
        statement_timeout,
    )
}

fn begin_read_only(modes: &str, statement_timeout: Duration) -> String {
    let timeout = statement_timeout.as_millis();
    format!(
        "BEGIN {modes}; {SOURCE_SETTINGS}; SET LOCAL statement_timeout = '{timeout}ms'; \
         SET LOCAL idle_in_transaction_session_timeout = '{timeout}ms'"
    )
}
