//! Tenants: what the catalog holds of each, and how one is added, found and changed.

use super::unknown_name::{names, unknown};
use crate::catalog::registry::search_paths;
use crate::error::{Error, Kind, Result};
use crate::pg::{Row, SearchPath, Session, SourceTransaction};
use crate::template::Bindings;
use crate::unit::{SchemaName, TenantName, Window};
use std::collections::BTreeMap;
use std::time::Duration;

/// One customer, as the catalog holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub name: TenantName,
    pub schema: SchemaName,
    /// A connection string without a password; `None` for a tenant that was restored from files, which do not know it.
    pub url: Option<String>,
    /// A reference to the password, never the password.
    pub password: Option<String>,
    /// What `{var:NAME}` stands for in its templates.
    pub vars: BTreeMap<String, String>,
    pub enabled: bool,
    /// What `{schema}` stands for in its templates.
    pub source_schema: Option<String>,
    /// Where its queries look names up.
    pub search_path: SearchPath,
}

impl Tenant {
    /// A transaction at its source, whose statements may take `limit` each.
    pub fn transaction(&self, limit: Duration) -> SourceTransaction<'_> {
        SourceTransaction {
            tenant: self.name.as_str(),
            search_path: &self.search_path,
            limit,
        }
    }

    /// What the placeholders of its templates stand for in a window.
    pub fn bindings(&self, window: Window) -> Bindings<'_> {
        Bindings {
            window,
            schema: &self.schema,
            source_schema: self.source_schema.as_deref(),
            vars: &self.vars,
        }
    }
}

const COLUMNS: &str = "name, schema_name, url, password_ref, vars::text, enabled, \
    source_schema, search_path, search_path_from";

/// Adds a tenant, or completes one of the same schema that was restored without its source.
///
/// # Errors
/// One of that name, or of that schema, is there already.
pub async fn add(session: &Session, tenant: &Tenant) -> Result<()> {
    let wh = session.catalog();
    let vars = serde_json::to_string(&tenant.vars).map_err(broken)?;
    let added = session
        .execute(
            &format!(
                "INSERT INTO {wh}.tenant AS t (name, schema_name, url, password_ref, vars, \
                source_schema, search_path, search_path_from) \
             VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8) ON CONFLICT (name) DO UPDATE \
             SET url = excluded.url, password_ref = excluded.password_ref, vars = excluded.vars, \
                source_schema = excluded.source_schema, search_path = excluded.search_path, \
                search_path_from = excluded.search_path_from \
             WHERE t.url IS NULL AND t.schema_name = excluded.schema_name"
            ),
            &[
                &tenant.name,
                &tenant.schema,
                &tenant.url,
                &tenant.password,
                &vars,
                &tenant.source_schema,
                &search_paths::schemas(&tenant.search_path),
                &search_paths::from(&tenant.search_path),
            ],
        )
        .await?;
    if added == 1 {
        return Ok(());
    }
    refuse_taken(session, tenant).await?;
    Err(Error::refused(format!(
        "tenant `{}` is being added by someone else",
        tenant.name
    )))
}

/// Makes a tenant like `tenant`, be it there already or not. Its schema stays as it is.
///
/// # Errors
/// It is there with another schema, or another tenant has its schema.
pub async fn put(session: &Session, tenant: &Tenant) -> Result<()> {
    let wh = session.catalog();
    let there = list(session).await?;
    let Some(old) = there.iter().find(|t| t.name == tenant.name) else {
        return add(session, tenant).await;
    };
    if old.schema != tenant.schema {
        return Err(Error::refused(format!(
            "tenant `{}` has schema `{}` here and `{}` there",
            tenant.name, old.schema, tenant.schema
        )));
    }
    let vars = serde_json::to_string(&tenant.vars).map_err(broken)?;
    session
        .execute(
            &format!("UPDATE {wh}.tenant SET url = $2, password_ref = $3, vars = $4::text::jsonb, enabled = $5, \
                source_schema = $6, search_path = $7, search_path_from = $8 WHERE name = $1"),
            &[
                &tenant.name,
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

/// Checks that neither the name nor the schema of a tenant is taken.
///
/// # Errors
/// It is, by whom.
pub async fn refuse_taken(session: &Session, tenant: &Tenant) -> Result<()> {
    for there in list(session).await? {
        if there.name == tenant.name && there.url.is_none() && there.schema == tenant.schema {
            return Ok(());
        }
        if there.name == tenant.name {
            return Err(
                Error::refused(format!("tenant `{}` already exists", tenant.name))
                    .with_hint(format!("see it with `dayhaul tenant show {}`", tenant.name)),
            );
        }
        if there.schema == tenant.schema {
            return Err(Error::refused(format!(
                "schema `{}` belongs to tenant `{}`",
                tenant.schema, there.name
            ))
            .with_hint("choose another with `--schema`"));
        }
    }
    Ok(())
}

/// All tenants, by name.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn list(session: &Session) -> Result<Vec<Tenant>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT {COLUMNS} FROM {wh}.tenant ORDER BY name COLLATE \"C\""),
            &[],
        )
        .await?;
    rows.iter().map(tenant_of).collect()
}

/// One tenant.
///
/// # Errors
/// There is none of that name; the nearest is suggested.
pub async fn get(session: &Session, name: &TenantName) -> Result<Tenant> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT {COLUMNS} FROM {wh}.tenant WHERE name = $1"),
            &[&name],
        )
        .await?;
    match row {
        Some(row) => tenant_of(&row),
        None => Err(unknown(
            "tenant",
            name.as_str(),
            &names(session, &format!("SELECT name FROM {wh}.tenant")).await?,
            "see them with `dayhaul tenant list`",
        )),
    }
}

/// Enables or disables a tenant as a whole. Returns whether that changed anything.
///
/// # Errors
/// The tenant is unknown.
pub async fn set_enabled(session: &Session, tenant: &TenantName, enabled: bool) -> Result<bool> {
    let wh = session.catalog();
    get(session, tenant).await?;
    let changed = session
        .execute(
            &format!("UPDATE {wh}.tenant SET enabled = $2 WHERE name = $1 AND enabled <> $2"),
            &[&tenant, &enabled],
        )
        .await?;
    Ok(changed == 1)
}

/// The first six columns of a row, in the order of `COLUMNS`, and the others by name.
pub fn tenant_of(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        name: TenantName::parse(row.get(0))?,
        schema: SchemaName::parse(row.get(1))?,
        url: row.get(2),
        password: row.get(3),
        vars: serde_json::from_str(row.get(4)).map_err(broken)?,
        enabled: row.get(5),
        source_schema: row.get("source_schema"),
        search_path: search_paths::kept(row.get("search_path_from"), row.get("search_path")),
    })
}

fn broken(e: serde_json::Error) -> Error {
    Error::new(
        Kind::Config,
        "the variables of a tenant are not a JSON object of texts",
    )
    .with_source(e)
}
