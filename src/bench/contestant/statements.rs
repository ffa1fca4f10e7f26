//! Statements that several contestants share.

use crate::bench::endpoint::TenantDatabase;
use crate::bench::fingerprint::{Fingerprint, RowReader};
use crate::bench::sandbox::Sandbox;
use crate::error::{At, Result};
use crate::unit::{Day, Window};
use std::fmt::Write as _;

/// `text` in dollar quotes, with a tag that does not occur in it.
fn dollar_quoted(text: &str) -> String {
    let tag = (0..)
        .map(|n| match n {
            0 => "$query$".to_owned(),
            n => format!("$query{n}$"),
        })
        .find(|tag| !text.contains(tag.as_str()))
        .unwrap_or_default();
    format!("{tag}{text}{tag}")
}

/// Whether connection strings in statements contain the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    Included,
    /// For the report.
    Redacted,
}

/// The rows of a window, over dblink.
///
/// # Errors
/// The query cannot be bound.
pub fn over_dblink(
    sandbox: &Sandbox,
    source: &TenantDatabase,
    window: Window,
    password: Password,
) -> Result<String> {
    let conninfo = match password {
        Password::Included => source.endpoint.literal(),
        Password::Redacted => source.endpoint.redacted_literal(),
    };
    Ok(format!(
        "dblink({}, {})\n  AS t ({})",
        conninfo,
        dollar_quoted(&source.query(&sandbox.template, window)?),
        sandbox.column_list()
    ))
}

/// Statements that create the materialized view of one day, and its indexes.
///
/// # Errors
/// The query cannot be bound.
pub fn day_view(sandbox: &Sandbox, day: Day, password: Password) -> Result<Vec<String>> {
    let name = sandbox.day(day);
    let rows = over_dblink(sandbox, sandbox.source(), Window::single(day), password)?;
    let mut statements = vec![format!(
        "CREATE MATERIALIZED VIEW {name} AS\nSELECT * FROM {rows}"
    )];
    statements.extend(sandbox.indexes(&name));
    Ok(statements)
}

/// Why one query cannot return all days of the window, if it cannot.
pub fn one_query_left_out(sandbox: &Sandbox) -> Option<&'static str> {
    let several = sandbox.window.len() > 1 && sandbox.template.one_day_windows;
    several.then_some(
        "the template's query is for one day, and this contestant asks for all days at once",
    )
}

/// Statements as a script.
pub fn script(statements: &[String]) -> String {
    statements
        .iter()
        .fold(String::new(), |mut text, statement| {
            let _ = writeln!(text, "{statement};");
            text
        })
}

/// `text` with a comment line above it.
pub fn commented(comment: &str, text: &str) -> String {
    format!("-- {comment}\n{text}")
}

/// Runs statements in a new session as one message, without round trips between them.
///
/// # Errors
/// The server fails.
pub async fn run_batch(sandbox: &Sandbox, statements: &[String]) -> Result<()> {
    let session = sandbox.warehouse.connect().await?;
    session.batch(&script(statements)).await
}

/// The rows of several relations together, each with its own window.
///
/// # Errors
/// The warehouse fails, or a relation has rows outside its window.
pub async fn loaded_rows(
    sandbox: &Sandbox,
    relations: impl IntoIterator<Item = (String, Window)>,
) -> Result<Fingerprint> {
    let session = sandbox.warehouse.connect().await?;
    let mut reader = RowReader::default();
    for (relation, window) in relations {
        reader
            .read(&session, &relation, &sandbox.template, window)
            .await
            .at(|| format!("reading back `{relation}`"))?;
    }
    Ok(reader.fingerprint())
}

/// The rows of the day relations.
///
/// # Errors
/// As [`loaded_rows`].
pub async fn loaded_days(sandbox: &Sandbox) -> Result<Fingerprint> {
    let days = sandbox.window.days();
    loaded_rows(
        sandbox,
        days.map(|day| (sandbox.day(day), Window::single(day))),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_ends_its_own_quotes() {
        assert_eq!(dollar_quoted("a"), "$query$a$query$");
        assert_eq!(dollar_quoted("$query$"), "$query1$$query$$query1$");
    }
}
