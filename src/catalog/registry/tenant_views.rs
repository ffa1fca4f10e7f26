//! Which tenant views of a template are there, and which are missing.

use crate::error::Result;
use crate::pg::{Row, Session};
use crate::unit::TemplateName;

/// Schemas of the tenants whose tenant view of `template` is there, in order.
///
/// # Errors
/// The warehouse's.
pub async fn schemas(session: &Session, template: &TemplateName) -> Result<Vec<String>> {
    let rows = tenant_views_that(session, template, true).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Tenant views of `template` (`schema.name`) of enabled pairs that are missing.
///
/// # Errors
/// The warehouse's.
pub async fn lost(session: &Session, template: &TemplateName) -> Result<Vec<String>> {
    let rows = tenant_views_that(session, template, false).await?;
    let enabled = rows.iter().filter(|row| row.get(1));
    Ok(enabled
        .map(|row| format!("{}.{template}", row.get::<_, &str>(0)))
        .collect())
}

/// Schemas of tenant views that are there or not, and whether their pairs are enabled.
async fn tenant_views_that(
    session: &Session,
    template: &TemplateName,
    are_there: bool,
) -> Result<Vec<Row>> {
    let wh = session.catalog();
    session
        .query(
            &format!(
                "SELECT r.schema_name, p.enabled AND t.enabled FROM {wh}.relation r \
                 JOIN {wh}.tenant t ON t.name = r.tenant \
                 JOIN {wh}.pair p ON p.tenant = r.tenant AND p.template = r.template \
                 WHERE r.template = $1 AND r.kind = 'tenant view' AND $2 = EXISTS \
                   (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                    WHERE n.nspname = r.schema_name AND c.relname = r.name AND c.relkind = 'v') \
                 ORDER BY r.schema_name"
            ),
            &[&template, &are_there],
        )
        .await
}
