//! Tables of ours in a publication: PostgreSQL refuses to delete or update rows of a published table that has no replica
//! identity. A first load does neither, so that it is met too late unless somebody looks.

use super::transaction::short_transaction;
use crate::config::ReplicaIdentity;
use crate::error::Result;
use crate::pg::Session;
use crate::sql::{ident, qualified};
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::place::Place;

/// The statement that gives a table the identity that is configured, if it is not PostgreSQL's own.
pub fn identity_statement(schema: &str, table: &str, identity: ReplicaIdentity) -> Option<String> {
    (identity == ReplicaIdentity::Full).then(|| full_identity(schema, table))
}

fn full_identity(schema: &str, table: &str) -> String {
    let table = qualified(schema, table);
    format!("ALTER TABLE {table} REPLICA IDENTITY FULL")
}

/// Gives a pair's tables the replica identity that is configured; without one, says which publications keep days from
/// being brought up to date.
///
/// # Errors
/// A lock timeout when readers held a table for very long; the warehouse's.
pub async fn settle_identity(
    session: &Session,
    place: Place<'_>,
    context: WarehouseContext<'_>,
) -> Result<Vec<String>> {
    let schema = place.schema.as_str();
    let lacking = without_identity(session, place).await?;
    if context.replica_identity == ReplicaIdentity::Full {
        for table in lacking {
            let statement = full_identity(schema, &table);
            short_transaction(session, context.lock_timeout, async || {
                session.batch(&statement).await
            })
            .await?;
        }
        return Ok(Vec::new());
    }
    let publications = publications(session, schema, &lacking).await?;
    let view = format!("{schema}.{}", place.template.name);
    Ok(publications
        .iter()
        .map(|publication| publication.note(&format!("the tables of `{view}`")))
        .collect())
}

/// Whether any publication publishes changes.
///
/// # Errors
/// The warehouse's.
pub async fn are_any_published(session: &Session) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_publication p WHERE p.pubdelete OR p.pubupdate)";
    Ok(session.query_one(sql, &[]).await?.get(0))
}

/// The publications of all tables that publish changes: `init` names them before anything is loaded.
///
/// # Errors
/// The warehouse's.
pub async fn of_all_tables(session: &Session) -> Result<Vec<String>> {
    let publications = publications(session, "", &[]).await?;
    let all = publications.iter();
    Ok(all
        .map(|publication| publication.note("Dayhaul's tables"))
        .collect())
}

/// How a publication comes to our tables.
#[derive(PartialEq)]
enum Scope {
    AllTables,
    Schema,
    Tables,
}

struct Publication {
    name: String,
    scope: Scope,
    schema: String,
    tables: Vec<String>,
}

impl Publication {
    /// `tables`: what it publishes of ours, in words.
    fn note(&self, tables: &str) -> String {
        let name = ident(&self.name);
        let exclude = match self.scope {
            Scope::AllTables => {
                format!("ALTER PUBLICATION {name} SET (publish = 'insert, truncate')")
            }
            Scope::Schema => format!(
                "ALTER PUBLICATION {name} DROP TABLES IN SCHEMA {}",
                ident(&self.schema)
            ),
            Scope::Tables => {
                let names = self.tables.iter();
                let names: Vec<_> = names.map(|t| qualified(&self.schema, t)).collect();
                format!("ALTER PUBLICATION {name} DROP TABLE {}", names.join(", "))
            }
        };
        format!(
            "publication `{}` publishes deletes from {tables}, which have no replica identity, so days that change cannot be \
             brought up to date: set `replica_identity = \"full\"` in [warehouse], or run: {exclude}",
            self.name
        )
    }
}

/// The pair's tables without a replica identity. They have no primary key.
async fn without_identity(session: &Session, place: Place<'_>) -> Result<Vec<String>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT c.relname::text FROM {wh}.relation r JOIN pg_namespace n ON n.nspname = r.schema_name \
                 JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name AND c.relkind = 'r' \
                 WHERE r.tenant = $1 AND r.template = $2 AND (c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS \
                   (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) ORDER BY 1"
            ),
            &[&place.tenant, &place.template.name],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The publications of deletes or updates that hold any of these tables, or all tables.
async fn publications(
    session: &Session,
    schema: &str,
    tables: &[String],
) -> Result<Vec<Publication>> {
    let rows = session
        .query(
            "SELECT p.pubname::text, p.puballtables, \
                    EXISTS (SELECT FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid \
                            JOIN pg_namespace n ON n.oid = c.relnamespace \
                            WHERE r.prpubid = p.oid AND n.nspname = $1 AND c.relname = ANY ($2)), \
                    ARRAY(SELECT t.tablename::text FROM pg_publication_tables t \
                          WHERE t.pubname = p.pubname AND t.schemaname = $1 AND t.tablename = ANY ($2) ORDER BY 1) \
             FROM pg_publication p WHERE p.pubdelete OR p.pubupdate ORDER BY 1",
            &[&schema, &tables],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Publication {
            name: row.get(0),
            scope: match (row.get(1), row.get(2)) {
                (true, _) => Scope::AllTables,
                (_, true) => Scope::Tables,
                _ => Scope::Schema,
            },
            schema: schema.to_owned(),
            tables: row.get(3),
        })
        .filter(|publication| {
            publication.scope == Scope::AllTables || !publication.tables.is_empty()
        })
        .collect())
}
