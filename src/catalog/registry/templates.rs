//! Templates as the catalog holds them: the current text, and every version there was.

use super::tenants;
use crate::error::{At, Error, Kind, Result};
use crate::nearest::nearest;
use crate::pg::{Row, Session};
use crate::schema::Column;
use crate::template::Template;
use crate::unit::{TemplateName, TenantName};
use chrono::{DateTime, Utc};

/// A template and what the catalog knows about it.
#[derive(Debug, Clone)]
pub struct Registered {
    pub template: Template,
    pub loaded_at: DateTime<Utc>,
    /// Tenants it is enabled for, by name.
    pub tenants: Vec<String>,
}

/// One version of a template.
#[derive(Debug, Clone)]
pub struct Version {
    pub version: String,
    /// The file as it was when the version was first loaded.
    pub source: String,
    pub loaded_at: DateTime<Utc>,
    /// Units of the ledger that were loaded with it.
    pub units: i64,
}

/// What loading a template changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    New,
    /// The very same file.
    Unchanged,
    /// Description, comments, indexes or days differ; the rows it gives do not.
    SameVersion,
    /// Rows or columns may differ. `units` of the ledger are of another version.
    Changed {
        from: String,
        units: i64,
    },
}

/// All templates, by name.
///
/// # Errors
/// Those of PostgreSQL; a text that this version of the program cannot read.
pub async fn list(session: &Session) -> Result<Vec<Registered>> {
    let rows = session
        .query(
            &format!(
                "{} ORDER BY x.name COLLATE \"C\"",
                select_registered(session)
            ),
            &[],
        )
        .await?;
    rows.iter().map(registered).collect()
}

/// One template.
///
/// # Errors
/// There is none of that name; the nearest is suggested.
pub async fn get(session: &Session, name: &TemplateName) -> Result<Registered> {
    match find(session, name).await? {
        Some(registered) => Ok(registered),
        None => Err(unknown(session, name).await?),
    }
}

/// One template, if it is registered.
///
/// # Errors
/// Those of PostgreSQL; a text that this version of the program cannot read.
pub async fn find(session: &Session, name: &TemplateName) -> Result<Option<Registered>> {
    let row = session
        .query_opt(
            &format!("{} WHERE x.name = $1", select_registered(session)),
            &[&name],
        )
        .await?;
    row.as_ref().map(registered).transpose()
}

/// One template, if it is registered and this version of the program can read it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn find_readable(session: &Session, name: &TemplateName) -> Result<Option<Registered>> {
    match find(session, name).await {
        Err(error) if error.kind() == Kind::Config => Ok(None),
        found => found,
    }
}

/// A template of the catalog. It may have been loaded by a version of the program with other rules.
///
/// # Errors
/// This version cannot read it.
pub fn stored(name: &str, source: &str) -> Result<Template> {
    Template::parse(TemplateName::parse(name)?, source)
        .at(|| format!("template `{name}` of the catalog"))
        .map_err(|error| {
            error.and_hint(&format!(
                "load a corrected file with `dayhaul template load {name}.sql`; the loaded days stay"
            ))
        })
}

fn select_registered(session: &Session) -> String {
    let wh = session.catalog();
    format!(
        "SELECT x.name, x.source, x.loaded_at, ARRAY( \
             SELECT p.tenant FROM {wh}.pair p WHERE p.template = x.name AND p.enabled ORDER BY p.tenant COLLATE \"C\" \
         ) FROM {wh}.template x"
    )
}

fn registered(row: &Row) -> Result<Registered> {
    Ok(Registered {
        template: stored(row.get(0), row.get(1))?,
        loaded_at: row.get(2),
        tenants: row.get(3),
    })
}

/// That there is no such template; the nearest is suggested.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn unknown(session: &Session, name: &TemplateName) -> Result<Error> {
    let wh = session.catalog();
    let rows = session
        .query(&format!("SELECT name FROM {wh}.template"), &[])
        .await?;
    let hint = match nearest(name.as_str(), rows.iter().map(|row| row.get(0))) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            "see them with `dayhaul template list`, register one with `dayhaul template load FILE`"
                .to_owned()
        }
    };
    Ok(Error::refused(format!("there is no template `{name}`")).with_hint(hint))
}

/// Every version of a template, the latest first.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn versions(session: &Session, name: &TemplateName) -> Result<Vec<Version>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT v.version, v.source, v.loaded_at, \
                    (SELECT count(*) FROM {wh}.unit u \
                     WHERE u.template = v.template AND u.version = v.version AND u.state = 'loaded') \
             FROM {wh}.template_version v WHERE v.template = $1 ORDER BY v.loaded_at DESC, v.version"),
            &[&name],
        )
        .await?;
    let version = |row: &Row| Version {
        version: row.get(0),
        source: row.get(1),
        loaded_at: row.get(2),
        units: row.get(3),
    };
    Ok(rows.iter().map(version).collect())
}

/// Registers a template, and its version if it is a new one. The caller's transaction holds the template's row until it
/// ends.
///
/// # Errors
/// Columns or time column differ from those of tables that exist.
pub async fn load(session: &Session, template: &Template) -> Result<Loaded> {
    let wh = session.catalog();
    let name = template.name.as_str();
    // Only the INSERT of a new name waits for another one like it: after it the row is there to be locked.
    let inserted = session
        .execute(
            &format!("INSERT INTO {wh}.template (name, version, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"),
            &[&name, &template.version(), &template.source],
        )
        .await?;
    let loaded = if inserted == 1 {
        Loaded::New
    } else {
        replace(session, template).await?
    };
    session
        .execute(
            &format!("INSERT INTO {wh}.template_version (template, version, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"),
            &[&name, &template.version(), &template.source],
        )
        .await?;
    Ok(loaded)
}

/// Whether there is a template of that name.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn is_there(session: &Session, name: &TemplateName) -> Result<bool> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT FROM {wh}.template WHERE name = $1"),
            &[&name],
        )
        .await?;
    Ok(row.is_some())
}

/// Keeps a version of a template that is not the current one: rows that were restored are of it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn know_version(session: &Session, template: &Template) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("INSERT INTO {wh}.template_version (template, version, source, loaded_at) \
             SELECT $1, $2, $3, coalesce((SELECT min(loaded_at) FROM {wh}.template_version WHERE template = $1) \
                                          - interval '1 second', clock_timestamp()) ON CONFLICT DO NOTHING"),
            &[&template.name, &template.version(), &template.source],
        )
        .await?;
    Ok(())
}

async fn replace(session: &Session, template: &Template) -> Result<Loaded> {
    let wh = session.catalog();
    let name = template.name.as_str();
    let row = session
        .query_one(
            &format!("SELECT version, source FROM {wh}.template WHERE name = $1 FOR UPDATE"),
            &[&name],
        )
        .await?;
    let (version, source): (String, String) = (row.get(0), row.get(1));
    if source == template.source {
        return Ok(Loaded::Unchanged);
    }
    refuse_new_shape(session, template, &source).await?;
    session
        .execute(
            &format!("UPDATE {wh}.template SET version = $2, source = $3, loaded_at = clock_timestamp() WHERE name = $1"),
            &[&name, &template.version(), &template.source],
        )
        .await?;
    if version == template.version() {
        return Ok(Loaded::SameVersion);
    }
    let units = session
        .query_one(
            &format!("SELECT count(*) FROM {wh}.unit WHERE template = $1 AND version <> $2 AND state = 'loaded'"),
            &[&name, &template.version()],
        )
        .await?
        .get(0);
    Ok(Loaded::Changed {
        from: version,
        units,
    })
}

/// Tables that exist were made for the old columns: rows of the new ones would not fit.
async fn refuse_new_shape(session: &Session, template: &Template, old_source: &str) -> Result<()> {
    let wh = session.catalog();
    let name = &template.name;
    let (old_columns, old_time) = Template::shape(old_source);
    let shape = |columns: &[Column]| -> Vec<(String, String)> {
        let columns = columns.iter();
        columns
            .map(|c| (c.name.clone(), c.ty.to_string()))
            .collect()
    };
    let what = if shape(&old_columns) != shape(&template.columns) {
        "columns differ"
    } else if old_time != template.time_column {
        "time column differs"
    } else {
        return Ok(());
    };
    let tables: i64 = session
        .query_one(
            &format!("SELECT count(*) FROM {wh}.relation WHERE template = $1 AND kind IN ('day', 'year', 'staging')"),
            &[&name],
        )
        .await?
        .get(0);
    if tables == 0 {
        return Ok(());
    }
    Err(Error::refused(format!(
        "its {what} from those of the tables that exist ({tables})"
    ))
    .at(format!("template `{name}`"))
    .with_hint(format!(
        "load it under another name, or start over: `dayhaul template drop {name}`, load it, backfill"
    )))
}

/// Enables a template for every tenant that is enabled. Returns those it was not enabled for.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn enable_everywhere(session: &Session, name: &TemplateName) -> Result<Vec<TenantName>> {
    let mut newly = Vec::new();
    for tenant in tenants::list(session).await? {
        if !tenant.enabled {
            continue;
        }
        let enabled = tenants::enable(session, &tenant.name, std::slice::from_ref(name), None);
        if !enabled.await?.is_empty() {
            newly.push(tenant.name);
        }
    }
    Ok(newly)
}
