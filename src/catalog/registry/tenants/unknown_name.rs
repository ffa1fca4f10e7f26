//! What to say of a name that is not registered.

use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::pg::Session;

/// The names that a query returns.
///
/// # Errors
/// Those of PostgreSQL.
pub(super) async fn names(session: &Session, sql: &str) -> Result<Vec<String>> {
    Ok(session
        .query(sql, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

/// There is no `what` of this name. The nearest of the `known` ones is suggested; if none is near, `see` is the hint.
pub(super) fn unknown(what: &str, name: &str, known: &[String], see: &str) -> Error {
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => see.to_owned(),
    };
    Error::refused(format!("there is no {what} `{name}`")).with_hint(hint)
}
