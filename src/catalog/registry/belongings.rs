//! What belongs to a template, and goes when it is dropped.

use super::templates::unknown;
use crate::error::{At, Result};
use crate::pg::{Row, Session};
use crate::sql::qualified;
use crate::unit::TemplateName;
use std::time::Duration;

/// What goes with a template when it is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belongings {
    pub pairs: i64,
    /// Rows of the ledger, those of staged days included.
    pub units: i64,
    pub versions: i64,
    /// Top down, as readers take their locks.
    pub views: Vec<OwnedRelation>,
    pub tables: Vec<OwnedRelation>,
}

/// A relation that the catalog owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRelation {
    pub schema: String,
    pub name: String,
}

impl OwnedRelation {
    fn qualified(&self) -> String {
        qualified(&self.schema, &self.name)
    }
}

/// What [`drop()`] would take away.
///
/// # Errors
/// There is no such template.
pub async fn belongings(session: &Session, name: &TemplateName) -> Result<Belongings> {
    let wh = session.catalog();
    let counts = session
        .query_opt(
            &format!(
                "SELECT (SELECT count(*) FROM {wh}.pair WHERE template = x.name), \
                    (SELECT count(*) FROM {wh}.unit WHERE template = x.name) \
                        + (SELECT count(*) FROM {wh}.staged WHERE template = x.name), \
                    (SELECT count(*) FROM {wh}.template_version WHERE template = x.name) \
             FROM {wh}.template x WHERE x.name = $1"
            ),
            &[&name],
        )
        .await?;
    let Some(counts) = counts else {
        return Err(unknown(session, name).await?);
    };
    let relations = session
        .query(
            &format!("SELECT schema_name, name, kind LIKE '%view' FROM {wh}.relation WHERE template = $1 \
             ORDER BY array_position(ARRAY['public view', 'tenant view', 'year', 'day', 'staging'], kind), \
                      schema_name COLLATE \"C\", name COLLATE \"C\""),
            &[&name],
        )
        .await?;
    let (views, tables): (Vec<&Row>, Vec<&Row>) =
        relations.iter().partition(|row| row.get::<_, bool>(2));
    let relation = |row: &Row| OwnedRelation {
        schema: row.get(0),
        name: row.get(1),
    };
    Ok(Belongings {
        pairs: counts.get(0),
        units: counts.get(1),
        versions: counts.get(2),
        views: views.into_iter().map(relation).collect(),
        tables: tables.into_iter().map(relation).collect(),
    })
}

/// Drops a template with all that belongs to it: views and tables that the catalog owns, ledger, pairs, versions. What
/// someone built on them is not dropped: then nothing is.
///
/// # Errors
/// There is no such template; a relation is used by something that is not ours; a lock was not to be had within
/// `lock_timeout` (transient).
pub async fn drop(
    session: &Session,
    name: &TemplateName,
    lock_timeout: Duration,
) -> Result<Belongings> {
    let wh = session.catalog();
    session
        .batch(&format!(
            "SET LOCAL lock_timeout = {}",
            lock_timeout.as_millis()
        ))
        .await?;
    // Nobody registers, enables or loads it from here on.
    session
        .query(
            &format!("SELECT FROM {wh}.template WHERE name = $1 FOR UPDATE"),
            &[&name],
        )
        .await?;
    let belongings = belongings(session, name).await?;
    for (what, relations) in [("VIEW", &belongings.views), ("TABLE", &belongings.tables)] {
        for relation in relations {
            session
                .batch(&format!("DROP {what} IF EXISTS {}", relation.qualified()))
                .await
                .map_err(|e| match e.sqlstate() {
                    Some("2BP01") => e.with_hint(
                        "an object that is not Dayhaul's depends on it: `--show-values` names it",
                    ),
                    _ => e,
                })
                .at(|| format!("`{}.{}`", relation.schema, relation.name))?;
        }
    }
    for table in [
        "relation",
        "unit",
        "staged",
        "attempt",
        "lease",
        "pair",
        "template_version",
    ] {
        session
            .execute(
                &format!("DELETE FROM {wh}.{table} WHERE template = $1"),
                &[&name],
            )
            .await?;
    }
    session
        .execute(
            &format!("DELETE FROM {wh}.template WHERE name = $1"),
            &[&name],
        )
        .await?;
    Ok(belongings)
}
