//! What would keep a pair's tables from being changed or replaced: named before it does.

use super::dependents::{dependents, schemas_with_dependents};
use super::replication::{are_any_published, settle_identity};
use crate::catalog::registry::relations;
use crate::config::ReplicaIdentity;
use crate::error::Result;
use crate::pg::Session;
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::place::Place;

/// Of each pair whether there may be any: asked for all at once, as there are rarely some.
///
/// # Errors
/// The warehouse's.
pub async fn may_have_obstacles(
    session: &Session,
    places: &[Place<'_>],
    context: WarehouseContext<'_>,
) -> Result<Vec<bool>> {
    if context.replica_identity == ReplicaIdentity::Full || are_any_published(session).await? {
        return Ok(vec![true; places.len()]);
    }
    let schemas: Vec<&str> = places.iter().map(|place| place.schema.as_str()).collect();
    let with = schemas_with_dependents(session, &schemas).await?;
    Ok(schemas
        .iter()
        .map(|schema| with.contains(*schema))
        .collect())
}

/// Notes about a pair: what others built on its tables, and publications that keep its rows from being deleted; those lose
/// their hold where a replica identity is configured.
///
/// # Errors
/// The warehouse's.
pub async fn obstacles(
    session: &Session,
    place: Place<'_>,
    context: WarehouseContext<'_>,
) -> Result<Vec<String>> {
    let (schema, template) = (place.schema.as_str(), &place.template.name);
    let tables = relations::tables_there(session, place.tenant, template).await?;
    let tables: Vec<String> = tables.into_iter().map(|table| table.name).collect();
    let view = format!("{schema}.{template}");
    let dependents = dependents(session, schema, &tables).await?;
    let mut notes: Vec<String> = dependents.iter().map(|d| d.note(&view)).collect();
    notes.extend(settle_identity(session, place, context).await?);
    Ok(notes)
}
