//! A schema of the warehouse that was there before its tenant: what is in it, and whether we may use it.

use crate::error::Result;
use crate::pg::Session;
use crate::unit::SchemaName;

/// A schema of the warehouse that was there before its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSchema {
    /// The owner role may make tables in it.
    pub owner_may_create: bool,
    /// Tables, views and such in it that are not ours.
    pub relations: Vec<String>,
}

/// Looks whether a schema is there already, as the owner role.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn foreign_schema(
    session: &Session,
    schema: &SchemaName,
) -> Result<Option<ForeignSchema>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE'), ARRAY( \
                 SELECT c.relname::text FROM pg_class c \
                 WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') \
                   AND NOT EXISTS (SELECT FROM {wh}.relation r WHERE r.schema_name = n.nspname AND r.name = c.relname) \
                 ORDER BY c.relname) \
             FROM pg_namespace n WHERE n.nspname = $1"),
            &[&schema.as_str()],
        )
        .await?;
    Ok(row.map(|row| ForeignSchema {
        owner_may_create: row.get(0),
        relations: row.get(1),
    }))
}
