//! Tenants, and which templates are loaded for them.

use super::search_paths;
use crate::error::{Error, Kind, Result};
use crate::nearest::nearest;
use crate::pg::{Row, SearchPath, Session, SourceTransaction};
use crate::template::Bindings;
use crate::unit::{Day, SchemaName, TemplateName, TenantName, Window};
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

/// Which pairs are meant: these tenants and these templates, all of them where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub tenants: Vec<TenantName>,
    pub templates: Vec<TemplateName>,
}

/// A template's state for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    pub template: TemplateName,
    pub enabled: bool,
    pub first_day: Option<Day>,
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

/// Checks that every name of a selection is known.
///
/// # Errors
/// One is not; the nearest is suggested.
pub async fn check_selection(session: &Session, selection: &Selection) -> Result<()> {
    let wh = session.catalog();
    for tenant in &selection.tenants {
        get(session, tenant).await?;
    }
    let known = names(session, &format!("SELECT name FROM {wh}.template")).await?;
    match selection
        .templates
        .iter()
        .find(|t| !known.iter().any(|k| k == t.as_str()))
    {
        None => Ok(()),
        Some(template) => Err(unknown(
            "template",
            template.as_str(),
            &known,
            "see them with `dayhaul template list`, register one with `dayhaul template load`",
        )),
    }
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

async fn names(session: &Session, sql: &str) -> Result<Vec<String>> {
    Ok(session
        .query(sql, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

fn unknown(what: &str, name: &str, known: &[String], see: &str) -> Error {
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => see.to_owned(),
    };
    Error::refused(format!("there is no {what} `{name}`")).with_hint(hint)
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
