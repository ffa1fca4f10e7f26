//! Search paths of tenants, as the catalog and snapshots keep them.

use crate::error::Result;
use crate::pg::{SearchPath, Session};
use crate::unit::TenantName;

/// Records the search path of a tenant at its first contact.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn record(session: &Session, tenant: &TenantName, path: &SearchPath) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "UPDATE {wh}.tenant SET search_path = $2, search_path_from = $3 \
                 WHERE name = $1 AND search_path_from IN ('earlier', 'unknown')"
            ),
            &[&tenant, &schemas(path), &from(path)],
        )
        .await?;
    Ok(())
}

/// What the catalog keeps of a search path: its schemas, and where they are from.
pub fn schemas(path: &SearchPath) -> Option<Vec<String>> {
    match path {
        SearchPath::Login(schemas) | SearchPath::Chosen(schemas) => Some(schemas.clone()),
        SearchPath::Earlier | SearchPath::Unknown => None,
    }
}

/// Who decided it.
pub fn from(path: &SearchPath) -> &'static str {
    match path {
        SearchPath::Login(_) => "login",
        SearchPath::Chosen(_) => "chosen",
        SearchPath::Earlier => "earlier",
        SearchPath::Unknown => "unknown",
    }
}

/// The search path of which the catalog, or a snapshot, keeps this.
pub fn kept(from: &str, schemas: Option<Vec<String>>) -> SearchPath {
    match (from, schemas) {
        ("login", Some(schemas)) => SearchPath::Login(schemas),
        ("chosen", Some(schemas)) => SearchPath::Chosen(schemas),
        ("unknown", _) => SearchPath::Unknown,
        _ => SearchPath::Earlier,
    }
}
