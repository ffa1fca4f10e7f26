//! A snapshot on its way back into a catalog.

use super::document::{KeptPair, KeptTemplate, KeptTenant, Snapshot};
use crate::catalog::Tenant;
use crate::catalog::registry::search_paths;
use crate::catalog::registry::tenants::{self, Selection};
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::literal;
use crate::unit::{Day, SchemaName, TemplateName, TenantName};

/// Brings what a snapshot knows of a selection into the catalog, in the caller's transaction: the pairs that `takes` (tenant,
/// template) agrees to, each with its first day. What is there already stays as it is.
///
/// # Errors
/// A name that is none; a tenant's schema that belongs to another here; the warehouse's.
pub async fn adopt(
    session: &Session,
    snapshot: &Snapshot,
    selection: &Selection,
    takes: impl Fn(&str, &str) -> bool,
) -> Result<()> {
    let wanted = |tenant: &str, template: &str| {
        let tenants = &selection.tenants;
        let templates = &selection.templates;
        (tenants.is_empty() || tenants.iter().any(|t| t.as_str() == tenant))
            && (templates.is_empty() || templates.iter().any(|t| t.as_str() == template))
            && takes(tenant, template)
    };
    let pairs = || {
        let all = snapshot.pairs.iter();
        all.filter(|pair| wanted(&pair.tenant, &pair.template))
    };
    for tenant in &snapshot.tenants {
        // One without pairs comes along when everything does.
        if wanted(&tenant.name, "") || pairs().any(|pair| pair.tenant == tenant.name) {
            adopt_tenant(session, tenant).await?;
        }
    }
    for template in &snapshot.templates {
        if wanted("", &template.name) || pairs().any(|pair| pair.template == template.name) {
            adopt_template(session, template).await?;
        }
    }
    for pair in pairs() {
        adopt_pair(session, pair).await?;
    }
    go_on_after(session, snapshot.last_run).await
}

async fn adopt_tenant(session: &Session, kept: &KeptTenant) -> Result<()> {
    let place = || format!("tenant `{}` of the snapshot", kept.name);
    let tenant = Tenant {
        name: TenantName::parse(&kept.name).at(place)?,
        schema: SchemaName::parse(&kept.schema_name).at(place)?,
        url: kept.url.clone(),
        password: kept.password.clone(),
        vars: kept.vars.clone(),
        enabled: kept.enabled,
        source_schema: kept.source_schema.clone(),
        search_path: search_paths::kept(&kept.search_path.from, kept.search_path.schemas.clone()),
    };
    restore_tenant(session, &tenant).await
}

/// Adds a tenant that was restored; one that is there already stays as it is, unless its source was not known.
///
/// # Errors
/// Its schema belongs to another, or it has another schema here; the warehouse's.
pub async fn restore_tenant(session: &Session, tenant: &Tenant) -> Result<()> {
    let wh = session.catalog();
    for there in tenants::list(session).await? {
        let (same_name, same_schema) = (there.name == tenant.name, there.schema == tenant.schema);
        if same_name != same_schema {
            return Err(Error::refused(format!(
                "cannot restore tenant `{}` into schema `{}`: schema `{}` belongs to tenant `{}`",
                tenant.name, tenant.schema, there.schema, there.name
            ))
            .with_hint("restore into another database (`--into URL`), or leave this tenant out"));
        }
    }
    let vars = serde_json::to_string(&tenant.vars)
        .map_err(|e| Error::new(Kind::Bug, "failed to write variables as JSON").with_source(e))?;
    session
        .execute(
            &format!("INSERT INTO {wh}.tenant AS t (name, schema_name, url, password_ref, vars, enabled, \
                source_schema, search_path, search_path_from) \
             VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE \
             SET url = excluded.url, password_ref = excluded.password_ref, vars = excluded.vars, \
                source_schema = excluded.source_schema, search_path = excluded.search_path, \
                search_path_from = excluded.search_path_from \
             WHERE t.url IS NULL AND excluded.url IS NOT NULL"),
            &[
                &tenant.name,
                &tenant.schema,
                &tenant.url,
                &tenant.password,
                &vars,
                &tenant.enabled,
                &tenant.source_schema,
                &search_paths::schemas(&tenant.search_path),
                &search_paths::from(&tenant.search_path),
            ],
        )
        .await?;
    Ok(())
}

async fn adopt_template(session: &Session, kept: &KeptTemplate) -> Result<()> {
    let wh = session.catalog();
    TemplateName::parse(&kept.name).at(|| format!("template `{}` of the snapshot", kept.name))?;
    session
        .execute(
            &format!("INSERT INTO {wh}.template (name, version, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"),
            &[&kept.name, &kept.version, &kept.source],
        )
        .await?;
    for version in &kept.versions {
        session
            .execute(
                &format!(
                    "INSERT INTO {wh}.template_version (template, version, source, loaded_at) \
                 VALUES ($1, $2, $3, $4::text::timestamptz) ON CONFLICT DO NOTHING"
                ),
                &[
                    &kept.name,
                    &version.version,
                    &version.source,
                    &version.loaded_at,
                ],
            )
            .await?;
    }
    Ok(())
}

async fn adopt_pair(session: &Session, kept: &KeptPair) -> Result<()> {
    let wh = session.catalog();
    let date = |text: &Option<String>| -> Result<Option<Day>> {
        let day: Option<Day> = text.as_deref().map(str::parse).transpose()?;
        Ok(day)
    };
    session
        .execute(
            &format!("INSERT INTO {wh}.pair AS p (tenant, template, enabled, first_day, fold_line, windows, windows_version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant, template) DO UPDATE SET first_day = least(p.first_day, excluded.first_day), \
               fold_line = coalesce(p.fold_line, excluded.fold_line)"),
            &[
                &kept.tenant,
                &kept.template,
                &kept.enabled,
                &date(&kept.first_day)?,
                &date(&kept.fold_line)?,
                &kept.windows,
                &kept.windows_version,
            ],
        )
        .await?;
    Ok(())
}

/// Lets the next run's number come after `last`: files and history then tell earlier from later.
///
/// # Errors
/// The warehouse's.
pub async fn go_on_after(session: &Session, last: i64) -> Result<()> {
    let wh = session.catalog();
    let name = literal(&session.schemas().catalog);
    session
        .query(
            &format!("SELECT setval(s::regclass, $1) FROM pg_get_serial_sequence('{wh}.run', 'id') AS s \
             WHERE $1 > 0 AND $1 > (SELECT last_value FROM pg_sequences \
                 WHERE schemaname = {name} AND format('%I.%I', schemaname, sequencename) = s) IS NOT FALSE"),
            &[&last],
        )
        .await?;
    Ok(())
}
