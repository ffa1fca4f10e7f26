//! Statements that several contestants share: what dblink is told, how a period becomes tables.

use crate::bench::evidence::{Evidence, Seen};
use crate::bench::lane::{Lane, Source};
use crate::error::{At, Result};
use crate::pg::Session;
use crate::unit::{Day, Window};
use std::fmt::Write as _;

/// `text` in dollar quotes, whose tag does not occur in it.
fn dollars(text: &str) -> String {
    let tag = (0..)
        .map(|n| match n {
            0 => "$query$".to_owned(),
            n => format!("$query{n}$"),
        })
        .find(|tag| !text.contains(tag.as_str()))
        .unwrap_or_default();
    format!("{tag}{text}{tag}")
}

/// The rows of a window, over dblink. `shown` leaves a password out.
///
/// # Errors
/// The query cannot be bound.
pub fn over_dblink(lane: &Lane, source: &Source, window: Window, shown: bool) -> Result<String> {
    Ok(format!(
        "dblink({}, {})\n  AS t ({})",
        source.endpoint.literal(shown),
        dollars(&source.query(&lane.template, window)?),
        lane.column_list()
    ))
}

/// A materialized view of one day with its indexes, as the first statement and the others.
///
/// # Errors
/// The query cannot be bound.
pub fn day_view(lane: &Lane, day: Day, shown: bool) -> Result<Vec<String>> {
    let name = lane.day(day);
    let rows = over_dblink(lane, lane.source(), Window::single(day), shown)?;
    let mut statements = vec![format!(
        "CREATE MATERIALIZED VIEW {name} AS\nSELECT * FROM {rows}"
    )];
    statements.extend(lane.indexes(&name));
    Ok(statements)
}

/// Statements as text that can be run.
pub fn text(statements: &[String]) -> String {
    statements.iter().fold(String::new(), |mut text, one| {
        let _ = writeln!(text, "{one};");
        text
    })
}

/// `text` with a comment line above it.
pub fn commented(comment: &str, text: &str) -> String {
    format!("-- {comment}\n{text}")
}

/// Runs statements on a session of their own, as one message: no round trip between them.
///
/// # Errors
/// The server's.
pub async fn at_once(lane: &Lane, statements: &[String]) -> Result<()> {
    let session = lane.warehouse.connect().await?;
    session.batch(&text(statements)).await
}

/// What some relations hold together, each within its own window.
///
/// # Errors
/// The warehouse's; rows where they do not belong.
pub async fn held(
    lane: &Lane,
    relations: impl IntoIterator<Item = (String, Window)>,
) -> Result<Evidence> {
    let session = lane.warehouse.connect().await?;
    let mut seen = Seen::default();
    for (relation, window) in relations {
        read(&mut seen, &session, &relation, lane, window).await?;
    }
    Ok(seen.evidence())
}

async fn read(
    seen: &mut Seen,
    session: &Session,
    relation: &str,
    lane: &Lane,
    window: Window,
) -> Result<()> {
    seen.read(session, relation, &lane.template, window)
        .await
        .at(|| format!("reading back `{relation}`"))
}

/// What the day relations hold.
///
/// # Errors
/// As [`held`].
pub async fn held_by_days(lane: &Lane) -> Result<Evidence> {
    let days = lane.window.days();
    held(lane, days.map(|day| (lane.day(day), Window::single(day)))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_ends_its_own_quotes() {
        assert_eq!(dollars("a"), "$query$a$query$");
        assert_eq!(dollars("$query$"), "$query1$$query$$query1$");
    }
}
