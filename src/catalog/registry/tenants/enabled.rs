//! Which templates are loaded for a tenant.

use super::selection::{Selection, check_selection};
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName};

/// A template's state for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    pub template: TemplateName,
    pub enabled: bool,
    pub first_day: Option<Day>,
}

/// The templates of a tenant, enabled or not, by name.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn templates_of(session: &Session, tenant: &TenantName) -> Result<Vec<Enabled>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT template, enabled, first_day FROM {wh}.pair WHERE tenant = $1 ORDER BY template COLLATE \"C\""),
            &[&tenant],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Enabled {
                template: TemplateName::parse(row.get(0))?,
                enabled: row.get(1),
                first_day: row.get(2),
            })
        })
        .collect()
}

/// Enables templates for a tenant; what is enabled already stays as it is. Returns those that were not. An earlier
/// `first_day` moves the pair's back.
///
/// # Errors
/// The tenant or a template is unknown.
pub async fn enable(
    session: &Session,
    tenant: &TenantName,
    templates: &[TemplateName],
    first_day: Option<Day>,
) -> Result<Vec<TemplateName>> {
    let wh = session.catalog();
    check_selection(
        session,
        &Selection {
            tenants: vec![tenant.clone()],
            templates: templates.to_vec(),
        },
    )
    .await?;
    let before = templates_of(session, tenant).await?;
    for template in templates {
        session
            .execute(
                &format!(
                    "INSERT INTO {wh}.pair AS p (tenant, template, first_day) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant, template) \
                 DO UPDATE SET enabled = true, first_day = least(p.first_day, excluded.first_day)"
                ),
                &[&tenant, &template, &first_day],
            )
            .await?;
    }
    let was_enabled = |t: &TemplateName| before.iter().any(|b| b.template == *t && b.enabled);
    Ok(templates
        .iter()
        .filter(|t| !was_enabled(t))
        .cloned()
        .collect())
}

/// Disables templates of a tenant: their rows stay, nothing more is loaded. Returns those that were enabled.
///
/// # Errors
/// The tenant or a template is unknown.
pub async fn disable(
    session: &Session,
    tenant: &TenantName,
    templates: &[TemplateName],
) -> Result<Vec<TemplateName>> {
    let wh = session.catalog();
    check_selection(
        session,
        &Selection {
            tenants: vec![tenant.clone()],
            templates: templates.to_vec(),
        },
    )
    .await?;
    let mut disabled = Vec::new();
    for template in templates {
        let changed = session
            .execute(
                &format!("UPDATE {wh}.pair SET enabled = false WHERE tenant = $1 AND template = $2 AND enabled"),
                &[&tenant, &template],
            )
            .await?;
        if changed == 1 {
            disabled.push(template.clone());
        }
    }
    Ok(disabled)
}
