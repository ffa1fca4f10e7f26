//! Tables of a pair that somebody dropped: the catalog forgets them, so that they are made again.

use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName};
use std::collections::BTreeSet;

/// Relations that no longer exist in the database, and the days that were in them.
#[derive(Debug, Default)]
pub struct Lost {
    /// `schema.name`.
    pub relations: Vec<String>,
    pub days: BTreeSet<Day>,
}

/// Forgets relations of a pair that no longer exist in the database, so that they are created again; the days that they held are
/// not loaded any more, nor staged. Some may still be landed.
///
/// # Errors
/// The warehouse's.
pub async fn forget_lost(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Lost> {
    let wh = session.catalog();
    let row = session
        .query_one(
            &format!("WITH there AS (SELECT n.nspname, c.relname, format('%s.%s', n.nspname, c.relname) AS relation \
                            FROM {wh}.relation r JOIN pg_namespace n ON n.nspname = r.schema_name \
                            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name \
                            WHERE r.tenant = $1 AND r.template = $2), \
             gone AS (DELETE FROM {wh}.relation r WHERE r.tenant = $1 AND r.template = $2 AND NOT EXISTS \
                        (SELECT FROM there WHERE nspname = r.schema_name AND relname = r.name) \
                      RETURNING format('%s.%s', schema_name, name) AS relation), \
             unstaged AS (DELETE FROM {wh}.staged s WHERE s.tenant = $1 AND s.template = $2 \
                          AND NOT EXISTS (SELECT FROM there WHERE there.relation = s.relation)), \
             lost AS (UPDATE {wh}.unit u SET state = CASE WHEN object_digest = digest THEN 'landed' ELSE 'failed' END, \
                        error = format('its table `%s` was lost', relation), relation = NULL \
                      WHERE u.tenant = $1 AND u.template = $2 AND u.state = 'loaded' \
                      AND NOT EXISTS (SELECT FROM there WHERE there.relation = u.relation) RETURNING u.day) \
             SELECT ARRAY(SELECT relation FROM gone ORDER BY 1), ARRAY(SELECT day FROM lost)"),
            &[&tenant, &template],
        )
        .await?;
    let days: Vec<Day> = row.get(1);
    Ok(Lost {
        relations: row.get(0),
        days: days.into_iter().collect(),
    })
}
