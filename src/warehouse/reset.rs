//! Resets a development warehouse: drops everything that the catalog owns, and nothing else.

use super::tables::transaction::short_transaction;
use crate::catalog::Selection;
use crate::catalog::registry::{pairs, relations};
use crate::catalog::runs::lease;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::qualified;
use std::time::Duration;

/// Relations dropped in one transaction: each takes locks until the commit.
const RELATIONS_A_TRANSACTION: i64 = 50;

/// What a reset would take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    pub tables: i64,
    pub views: i64,
    pub tenants: i64,
    pub templates: i64,
    /// Of the ledger.
    pub units: i64,
    /// Units that came from their sources rather than from files.
    pub from_sources: i64,
}

impl Holdings {
    pub fn is_empty(&self) -> bool {
        self.tables + self.views + self.tenants + self.templates + self.units == 0
    }
}

/// What the catalog owns.
///
/// # Errors
/// The warehouse's.
pub async fn holdings(session: &Session) -> Result<Holdings> {
    let wh = session.catalog();
    let row = session
        .query_one(
            &format!(
                "SELECT (SELECT count(*) FROM {wh}.relation WHERE kind NOT LIKE '%view'), \
                    (SELECT count(*) FROM {wh}.relation WHERE kind LIKE '%view'), \
                    (SELECT count(*) FROM {wh}.tenant), (SELECT count(*) FROM {wh}.template), \
                    (SELECT count(*) FROM {wh}.unit), \
                    (SELECT count(*) FROM {wh}.unit u JOIN {wh}.run r ON r.id = u.run \
                     WHERE u.state = 'loaded' AND r.command <> 'restore')"
            ),
            &[],
        )
        .await?;
    Ok(Holdings {
        tables: row.get(0),
        views: row.get(1),
        tenants: row.get(2),
        templates: row.get(3),
        units: row.get(4),
        from_sources: row.get(5),
    })
}

/// Drops the views and tables that the catalog owns, then empties the catalog but for the history of runs. Schemas stay. May
/// be repeated after any failure.
///
/// # Errors
/// [`Kind::Locked`] while a run works on a pair; something that is not ours is built on a relation; the warehouse's.
pub async fn reset(session: &Session, lock_timeout: Duration) -> Result<()> {
    let wh = session.catalog();
    for pair in pairs::all(session, &Selection::default()).await? {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        if let Some(holder) = lease::holder_now(session, tenant, template).await? {
            return Err(Error::new(
                Kind::Locked,
                format!("`{template}` of tenant `{tenant}` is held by {holder}"),
            )
            .with_hint("wait for it, or end it with `dayhaul cancel`"));
        }
    }
    while short_transaction(session, lock_timeout, async || drop_some(session).await).await? {}
    short_transaction(session, lock_timeout, async || {
        session
            .batch(
                &format!("DELETE FROM {wh}.unit; DELETE FROM {wh}.staged; DELETE FROM {wh}.attempt; DELETE FROM {wh}.lease; \
                 DELETE FROM {wh}.pair; DELETE FROM {wh}.template_version; DELETE FROM {wh}.template; \
                 DELETE FROM {wh}.tenant; DELETE FROM {wh}.restored"),
            )
            .await
    })
    .await
}

/// Drops the next relations, views before what they read. Whether there were any.
async fn drop_some(session: &Session) -> Result<bool> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT schema_name, name, kind LIKE '%view' FROM {wh}.relation \
             ORDER BY array_position(ARRAY['public view', 'tenant view'], kind), schema_name COLLATE \"C\", \
                      name COLLATE \"C\" LIMIT $1"),
            &[&RELATIONS_A_TRANSACTION],
        )
        .await?;
    for row in &rows {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        let what = if row.get(2) { "VIEW" } else { "TABLE" };
        session
            .batch(&format!(
                "DROP {what} IF EXISTS {}",
                qualified(schema, name)
            ))
            .await
            .map_err(|e| match e.sqlstate() {
                Some("2BP01") => e.with_hint(
                    "an object that is not Dayhaul's depends on it: `--show-values` names it",
                ),
                _ => e,
            })
            .at(|| format!("`{schema}.{name}`"))?;
        relations::remove(session, schema, &[name.to_owned()]).await?;
    }
    Ok(!rows.is_empty())
}
