//! What columns a query has, found without running it and without leaving anything prepared.
//!
//! The query is asked for its names with `LIMIT 0`, then goes on the empty side of `LEFT JOIN … ON false`, where the
//! server types it and never reads a row. Every statement is a simple query or the unnamed statement, so a pooler may
//! stand between.

use super::session::{Session, SimpleRows};
use super::source::SourceTransaction;
use super::sqlstate;
use crate::error::{Error, Kind, Result};
use crate::schema::{PgType, SourceColumn};
use crate::sql::ident;
use std::collections::BTreeSet;
use tokio_postgres::error::ErrorPosition;

/// Describes a query whose placeholders are bound, in whatever transaction the caller has begun. None is needed; but
/// what the query means may hang on settings (`search_path`), and behind a pooler these live in a transaction only.
///
/// # Errors
/// The server's, with the line of the query; a query without columns, or with two of one name ([`Kind::Drift`]). A
/// transaction has failed then, and is the caller's to roll back.
pub async fn describe(session: &Session, query: &str) -> Result<Vec<SourceColumn>> {
    let found = columns(session, query).await;
    found.map_err(|error| session.on_side(error))
}

/// As [`describe`], in a transaction of its own. A query that has exactly the columns `likely` takes three messages.
///
/// # Errors
/// As [`describe`]; the transaction's. The session is in an unknown state then.
pub async fn describe_in(
    session: &Session,
    transaction: &SourceTransaction<'_>,
    query: &str,
    likely: &[String],
) -> Result<Vec<SourceColumn>> {
    // A message is split into its words before its first statement sets anything.
    if session.parameter("standard_conforming_strings") == Some("on") {
        match at_once(session, transaction, query, likely).await {
            Ok(Some(columns)) => return Ok(columns),
            Err(error) if session.is_closed() => return Err(error),
            // One statement after the other shows what is wrong.
            Ok(None) | Err(_) => session.batch("ROLLBACK").await?,
        }
    }
    transaction.begin(session).await?;
    let columns = describe(session, query).await?;
    session.batch("COMMIT").await?;
    Ok(columns)
}

/// `None` when the query has other columns.
async fn at_once(
    session: &Session,
    transaction: &SourceTransaction<'_>,
    query: &str,
    likely: &[String],
) -> Result<Option<Vec<SourceColumn>>> {
    let statements = format!("{}; {}", names_sql(query), oids_sql(query, likely));
    let found = transaction.begin_with(session, &statements).await?;
    let [names, types] = &found[..] else {
        return Ok(None);
    };
    let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    let same = names.columns.len() == likely.len() && sorted(&names.columns) == sorted(likely);
    let Some(oids) = oids_of(types, likely).filter(|_| same) else {
        return Ok(None);
    };
    let modifiers = modifiers(session, query, likely, &oids).await?;
    let type_names = type_names(session, &oids, &modifiers, "COMMIT").await?;
    Ok(Some(source_columns(
        likely.to_vec(),
        oids,
        modifiers,
        type_names,
    )))
}

async fn columns(session: &Session, query: &str) -> Result<Vec<SourceColumn>> {
    let names = names(session, query).await?;
    let oids = oids(session, query, &names).await?;
    let modifiers = modifiers(session, query, &names, &oids).await?;
    let type_names = type_names(session, &oids, &modifiers, "").await?;
    Ok(source_columns(names, oids, modifiers, type_names))
}

fn source_columns(
    names: Vec<String>,
    oids: Vec<u32>,
    modifiers: Vec<i32>,
    type_names: Vec<String>,
) -> Vec<SourceColumn> {
    let columns = names.into_iter().zip(oids).zip(modifiers).zip(type_names);
    columns
        .map(|(((name, oid), modifier), type_name)| SourceColumn {
            name,
            ty: PgType::from_oid(oid),
            // Whatever a template cannot declare (`timestamp(3)`, a modifier inside an array) is left to `type_name`.
            modifier: (modifier >= 0)
                .then(|| PgType::parse(&type_name).ok())
                .flatten(),
            type_name,
        })
        .collect()
}

async fn names(session: &Session, query: &str) -> Result<Vec<String>> {
    let found = session.simple_raw(&names_sql(query)).await;
    let names = match found {
        Ok(rows) => rows.columns,
        Err(e) => return Err(explain(session, e, query).await),
    };
    if names.is_empty() {
        return Err(Error::new(Kind::Drift, "the query returns no columns")
            .with_hint("list the template's columns after SELECT, including the time column"));
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&String> = names.iter().filter(|n| !seen.insert(*n)).collect();
    if !twice.is_empty() {
        let twice: Vec<String> = twice.iter().map(|n| format!("`{n}`")).collect();
        return Err(Error::new(
            Kind::Drift,
            format!(
                "the query returns more than one column named {}",
                twice.join(", ")
            ),
        )
        .with_hint("give each column a unique name (`… AS name`)"));
    }
    Ok(names)
}

fn names_sql(query: &str) -> String {
    format!("{NAMES_HEAD}{query}\n) AS q LIMIT 0")
}

/// Must hold exactly one line break: positions are counted back to the query's own lines.
const NAMES_HEAD: &str = "SELECT * FROM (\n";

async fn explain(session: &Session, e: tokio_postgres::Error, query: &str) -> Error {
    let Some(db) = e.as_db_error() else {
        return session.explain(e).await;
    };
    let place = match db.position() {
        Some(ErrorPosition::Original(position)) => place(query, *position),
        _ => None,
    };
    let error = sqlstate::error(&e);
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}

/// Where in the query the server's position is; it counts characters of the whole statement from 1.
fn place(query: &str, position: u32) -> Option<String> {
    let inside = usize::try_from(position)
        .ok()?
        .checked_sub(1 + NAMES_HEAD.chars().count())?;
    let before: String = query.chars().take(inside).collect();
    if inside >= query.chars().count() {
        return Some("at the end of the query".to_owned());
    }
    Some(format!(
        "line {} of the query",
        before.matches('\n').count() + 1
    ))
}

/// `FROM` what has exactly one row, in which every column of the query is null.
fn from_empty(query: &str) -> String {
    format!("FROM (SELECT 1) AS one LEFT JOIN (\n{query}\n) AS q ON false")
}

async fn oids(session: &Session, query: &str, names: &[String]) -> Result<Vec<u32>> {
    let found = session.simple(&oids_sql(query, names)).await?;
    oids_of(&found, names).ok_or_else(|| {
        Error::new(
            Kind::Protocol,
            "the server did not report the query's column types",
        )
    })
}

fn oids_sql(query: &str, names: &[String]) -> String {
    let list: Vec<String> = names
        .iter()
        .map(|n| format!("pg_catalog.pg_typeof(q.{})::pg_catalog.oid", ident(n)))
        .collect();
    format!("SELECT {} {}", list.join(", "), from_empty(query))
}

fn oids_of(found: &SimpleRows, names: &[String]) -> Option<Vec<u32>> {
    (0..names.len())
        .map(|i| found.value(0, i).and_then(|v| v.parse().ok()))
        .collect()
}

/// The built-in types that may carry a length or precision, and their arrays: character, varchar, numeric, bit, varbit,
/// time, timetz, timestamp, timestamptz, interval (`pg_type.dat`). The driver knows them all, so that it looks none up.
const MODIFIABLE: [u32; 20] = [
    1042, 1014, 1043, 1015, 1700, 1231, 1560, 1561, 1562, 1563, 1083, 1183, 1266, 1270, 1114, 1115,
    1184, 1185, 1186, 1187,
];

/// `atttypmod` of each column; -1 for none.
async fn modifiers(
    session: &Session,
    query: &str,
    names: &[String],
    oids: &[u32],
) -> Result<Vec<i32>> {
    let asked: Vec<usize> = (0..names.len())
        .filter(|i| MODIFIABLE.contains(&oids[*i]))
        .collect();
    let mut modifiers = vec![-1; names.len()];
    if asked.is_empty() {
        return Ok(modifiers);
    }
    let list: Vec<String> = asked
        .iter()
        .map(|i| format!("q.{}", ident(&names[*i])))
        .collect();
    let rows = session
        .query_unnamed(&format!("SELECT {} {}", list.join(", "), from_empty(query)))
        .await?;
    let columns = rows.first().map_or(&[][..], |row| row.columns());
    for (i, column) in asked.into_iter().zip(columns) {
        modifiers[i] = column.type_modifier();
    }
    Ok(modifiers)
}

/// `then`: a statement that is sent with the question.
async fn type_names(
    session: &Session,
    oids: &[u32],
    modifiers: &[i32],
    then: &str,
) -> Result<Vec<String>> {
    let list: Vec<String> = oids
        .iter()
        .zip(modifiers)
        .map(|(oid, modifier)| format!("pg_catalog.format_type({oid}, {modifier})"))
        .collect();
    let found = session
        .simple(&format!("SELECT {}; {then}", list.join(", ")))
        .await?;
    Ok((0..oids.len())
        .map(|i| found.value(0, i).unwrap_or("???").to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_counted_in_the_querys_own_lines() {
        let query = "SELECT é,\n  b\nFROM t";
        let head = u32::try_from(NAMES_HEAD.chars().count()).unwrap();
        let place = |at: u32| place(query, head + at).unwrap();
        assert_eq!(place(1), "line 1 of the query");
        assert_eq!(place(13), "line 2 of the query");
        assert_eq!(place(15), "line 3 of the query");
        assert_eq!(place(22), "at the end of the query");
        assert_eq!(super::place(query, 3), None);
    }
}
