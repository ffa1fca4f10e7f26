//! A snapshot: what the catalog knows, as one JSON document to lie beside the Parquet files. With both a lost warehouse
//! comes back without asking a tenant.
//!
//! It holds tenants with the *references* to their passwords, templates with every version there was, pairs, and the
//! ledger of what is loaded or landed. It holds no secret, no row, and no history of runs.

use super::tenants::{self, Selection};
use crate::error::{At, Error, Kind, Result};
use crate::pg::{Row, Session};
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// Name and version of the document's shape.
pub const SCHEMA: &str = "dayhaul.snapshot/1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub schema: String,
    /// As [`Content`] has it: two snapshots of the same days with the same rows have the same.
    pub id: String,
    /// RFC 3339, UTC.
    pub taken_at: String,
    /// Version of the program.
    pub dayhaul: String,
    /// The latest run that the catalog knew.
    pub last_run: i64,
    pub tenants: Vec<KeptTenant>,
    pub templates: Vec<KeptTemplate>,
    pub pairs: Vec<KeptPair>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTenant {
    pub name: String,
    pub schema_name: String,
    /// Without a password.
    pub url: Option<String>,
    /// A reference, never the password.
    pub password: Option<String>,
    pub vars: BTreeMap<String, String>,
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTemplate {
    pub name: String,
    pub version: String,
    /// The whole file.
    pub source: String,
    /// Every version there was, the earliest first.
    pub versions: Vec<KeptVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    pub version: String,
    pub source: String,
    pub loaded_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPair {
    pub tenant: String,
    pub template: String,
    pub enabled: bool,
    pub first_day: Option<String>,
    pub fold_line: Option<String>,
    /// In order of days.
    pub units: Vec<KeptUnit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptUnit {
    pub day: String,
    pub rows: u64,
    /// Of binary tuples.
    pub bytes: u64,
    pub digest: String,
    /// Of the template.
    pub version: String,
    /// It was in the warehouse; otherwise its file was all there was.
    pub loaded: bool,
    /// The file that held it.
    pub object: Option<String>,
}

/// What a unit of a snapshot was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub rows: u64,
    pub digest: String,
    /// A file held it.
    pub landed: bool,
}

/// Fingerprint of a ledger: which units it has, and which rows each of them.
///
/// The first 12 hex digits of XXH3-128 over one line a unit, in order: `tenant template day rows digest`.
#[derive(Default)]
pub struct Content(Xxh3);

impl Content {
    pub fn add(&mut self, tenant: &str, template: &str, day: &str, rows: u64, digest: &str) {
        self.0
            .update(format!("{tenant} {template} {day} {rows} {digest}\n").as_bytes());
    }

    pub fn id(&self) -> String {
        let mut id = format!("{:032x}", self.0.digest128());
        id.truncate(12);
        id
    }
}

/// Reads the whole catalog as of one moment.
///
/// # Errors
/// The warehouse's.
pub async fn take(session: &Session) -> Result<Snapshot> {
    session
        .batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    super::finish(session, read(session).await).await
}

async fn read(session: &Session) -> Result<Snapshot> {
    let pairs = pairs(session).await?;
    let mut content = Content::default();
    for pair in &pairs {
        for unit in &pair.units {
            let (rows, digest) = (unit.rows, &unit.digest);
            content.add(&pair.tenant, &pair.template, &unit.day, rows, digest);
        }
    }
    let last_run = session
        .query_one("SELECT coalesce(max(id), 0) FROM _wh.run", &[])
        .await?
        .get(0);
    let tenants = tenants::list(session).await?;
    Ok(Snapshot {
        schema: SCHEMA.to_owned(),
        id: content.id(),
        taken_at: Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        dayhaul: env!("CARGO_PKG_VERSION").to_owned(),
        last_run,
        tenants: tenants
            .into_iter()
            .map(|t| KeptTenant {
                name: t.name.to_string(),
                schema_name: t.schema.to_string(),
                url: t.url,
                password: t.password,
                vars: t.vars,
                enabled: t.enabled,
            })
            .collect(),
        templates: templates(session).await?,
        pairs,
    })
}

async fn templates(session: &Session) -> Result<Vec<KeptTemplate>> {
    let rows = session
        .query(
            "SELECT name, version, source FROM _wh.template ORDER BY name COLLATE \"C\"",
            &[],
        )
        .await?;
    let mut templates: Vec<KeptTemplate> = rows
        .iter()
        .map(|row| KeptTemplate {
            name: row.get(0),
            version: row.get(1),
            source: row.get(2),
            versions: Vec::new(),
        })
        .collect();
    let rows = session
        .query(
            "SELECT template, version, source, loaded_at FROM _wh.template_version ORDER BY loaded_at, version",
            &[],
        )
        .await?;
    for row in &rows {
        let name: &str = row.get(0);
        if let Some(template) = templates.iter_mut().find(|t| t.name == name) {
            template.versions.push(KeptVersion {
                version: row.get(1),
                source: row.get(2),
                loaded_at: row.get::<_, DateTime<Utc>>(3).to_rfc3339(),
            });
        }
    }
    Ok(templates)
}

async fn pairs(session: &Session) -> Result<Vec<KeptPair>> {
    let rows = session
        .query(
            "SELECT tenant, template, enabled, first_day, fold_line FROM _wh.pair \
             ORDER BY tenant COLLATE \"C\", template COLLATE \"C\"",
            &[],
        )
        .await?;
    let day = |row: &Row, i: usize| {
        row.get::<_, Option<NaiveDate>>(i)
            .map(|d| Day::from(d).to_string())
    };
    let mut pairs = Vec::with_capacity(rows.len());
    for row in &rows {
        let (tenant, template): (String, String) = (row.get(0), row.get(1));
        let units = session
            .query(
                &format!("{UNITS} AND tenant = $1 AND template = $2 ORDER BY day"),
                &[&tenant, &template],
            )
            .await?;
        pairs.push(KeptPair {
            enabled: row.get(2),
            first_day: day(row, 3),
            fold_line: day(row, 4),
            units: units.iter().map(unit).collect(),
            tenant,
            template,
        });
    }
    Ok(pairs)
}

/// Units that have rows somewhere, be they none.
const UNITS: &str = "SELECT day, rows, bytes, digest, version, state = 'loaded', \
     CASE WHEN object_digest = digest THEN object END FROM _wh.unit \
     WHERE state IN ('loaded', 'landed') AND digest IS NOT NULL";

fn unit(row: &Row) -> KeptUnit {
    let unsigned = |i| u64::try_from(row.get::<_, i64>(i)).unwrap_or(0);
    KeptUnit {
        day: Day::from(row.get::<_, NaiveDate>(0)).to_string(),
        rows: unsigned(1),
        bytes: unsigned(2),
        digest: row.get(3),
        version: row.get(4),
        loaded: row.get(5),
        object: row.get(6),
    }
}

impl Snapshot {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no snapshot, or one of a shape that this version of the program does not know.
    pub fn parse(bytes: &[u8]) -> Result<Snapshot> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let broken = |e: serde_json::Error| {
            Error::new(Kind::Io, "no snapshot of Dayhaul, or not a whole one").with_source(e)
        };
        let head: Head = serde_json::from_slice(bytes).map_err(broken)?;
        if head.schema != SCHEMA {
            return Err(Error::refused(format!(
                "its shape is `{}`; this dayhaul reads `{SCHEMA}`",
                head.schema
            )));
        }
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// The document as it is written.
    ///
    /// # Errors
    /// [`Kind::Bug`].
    pub fn render(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(Kind::Bug, "a snapshot cannot be written").with_source(e))?;
        text.push(b'\n');
        Ok(text)
    }

    pub fn taken_at(&self) -> Option<DateTime<Utc>> {
        let at = DateTime::parse_from_rfc3339(&self.taken_at).ok()?;
        Some(at.with_timezone(&Utc))
    }

    /// The units of a pair.
    ///
    /// # Errors
    /// A day that is none.
    pub fn units(
        &self,
        tenant: &TenantName,
        template: &TemplateName,
    ) -> Result<BTreeMap<Day, Known>> {
        let of = |p: &&KeptPair| p.tenant == tenant.as_str() && p.template == template.as_str();
        let units = self
            .pairs
            .iter()
            .filter(of)
            .flat_map(|pair| pair.units.iter());
        units
            .map(|unit| {
                let known = Known {
                    rows: unit.rows,
                    digest: unit.digest.clone(),
                    landed: unit.object.is_some(),
                };
                Ok((unit.day.parse()?, known))
            })
            .collect()
    }

    /// The tenant that a schema belongs to.
    pub fn tenant_of(&self, schema: &SchemaName) -> Option<&KeptTenant> {
        let of = |t: &&KeptTenant| t.schema_name == schema.as_str();
        self.tenants.iter().find(of)
    }
}

/// Brings what a snapshot knows of a selection into the catalog, in the caller's transaction: the pairs that `takes` (tenant,
/// template) agrees to. What is there already stays as it is. The pairs' first days are taken over with `first_days`, when
/// all of their days are to come.
///
/// # Errors
/// A name that is none; a tenant's schema that belongs to another here; the warehouse's.
pub async fn adopt(
    session: &Session,
    snapshot: &Snapshot,
    selection: &Selection,
    takes: impl Fn(&str, &str) -> bool,
    first_days: bool,
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
        adopt_pair(session, pair, first_days).await?;
    }
    go_on_after(session, snapshot.last_run).await
}

async fn adopt_tenant(session: &Session, kept: &KeptTenant) -> Result<()> {
    let place = || format!("tenant `{}` of the snapshot", kept.name);
    let tenant = super::Tenant {
        name: TenantName::parse(&kept.name).at(place)?,
        schema: SchemaName::parse(&kept.schema_name).at(place)?,
        url: kept.url.clone(),
        password: kept.password.clone(),
        vars: kept.vars.clone(),
        enabled: kept.enabled,
    };
    restore_tenant(session, &tenant).await
}

/// Adds a tenant that was restored; one that is there already stays as it is, unless its source was not known.
///
/// # Errors
/// Its schema belongs to another, or it has another schema here; the warehouse's.
pub async fn restore_tenant(session: &Session, tenant: &super::Tenant) -> Result<()> {
    for there in tenants::list(session).await? {
        let (same_name, same_schema) = (there.name == tenant.name, there.schema == tenant.schema);
        if same_name != same_schema {
            return Err(Error::refused(format!(
                "tenant `{}` with schema `{}` is to be restored, but here schema `{}` is of tenant `{}`",
                tenant.name, tenant.schema, there.schema, there.name
            ))
            .with_hint("restore into another database (`--into URL`), or leave this tenant out"));
        }
    }
    let vars = serde_json::to_string(&tenant.vars)
        .map_err(|e| Error::new(Kind::Bug, "variables cannot be written").with_source(e))?;
    session
        .execute(
            "INSERT INTO _wh.tenant AS t (name, schema_name, url, password_ref, vars, enabled) \
             VALUES ($1, $2, $3, $4, $5::text::jsonb, $6) ON CONFLICT (name) DO UPDATE \
             SET url = excluded.url, password_ref = excluded.password_ref, vars = excluded.vars \
             WHERE t.url IS NULL AND excluded.url IS NOT NULL",
            &[
                &tenant.name.as_str(),
                &tenant.schema.as_str(),
                &tenant.url,
                &tenant.password,
                &vars,
                &tenant.enabled,
            ],
        )
        .await?;
    Ok(())
}

async fn adopt_template(session: &Session, kept: &KeptTemplate) -> Result<()> {
    TemplateName::parse(&kept.name).at(|| format!("template `{}` of the snapshot", kept.name))?;
    session
        .execute(
            "INSERT INTO _wh.template (name, version, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            &[&kept.name, &kept.version, &kept.source],
        )
        .await?;
    for version in &kept.versions {
        session
            .execute(
                "INSERT INTO _wh.template_version (template, version, source, loaded_at) \
                 VALUES ($1, $2, $3, $4::text::timestamptz) ON CONFLICT DO NOTHING",
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

async fn adopt_pair(session: &Session, kept: &KeptPair, first_day: bool) -> Result<()> {
    let date = |text: &Option<String>| -> Result<Option<NaiveDate>> {
        let day: Option<Day> = text.as_deref().map(str::parse).transpose()?;
        Ok(day.map(Day::date))
    };
    let first = if first_day {
        date(&kept.first_day)?
    } else {
        None
    };
    session
        .execute(
            "INSERT INTO _wh.pair AS p (tenant, template, enabled, first_day, fold_line) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, template) DO UPDATE SET first_day = least(p.first_day, excluded.first_day), \
               fold_line = coalesce(p.fold_line, excluded.fold_line)",
            &[
                &kept.tenant,
                &kept.template,
                &kept.enabled,
                &first,
                &date(&kept.fold_line)?,
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
    session
        .query(
            "SELECT setval(s::regclass, $1) FROM pg_get_serial_sequence('_wh.run', 'id') AS s \
             WHERE $1 > 0 AND $1 > (SELECT last_value FROM pg_sequences \
                 WHERE schemaname = '_wh' AND format('%I.%I', schemaname, sequencename) = s) IS NOT FALSE",
            &[&last],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_of_the_same_days_have_the_same_id() {
        let id = |units: &[(&str, u64, &str)]| {
            let mut content = Content::default();
            for (day, rows, digest) in units {
                content.add("acme", "event", day, *rows, digest);
            }
            content.id()
        };
        let one = id(&[("2024-01-01", 3, "ab"), ("2024-01-02", 0, "00")]);
        assert_eq!(one.len(), 12);
        assert_eq!(one, id(&[("2024-01-01", 3, "ab"), ("2024-01-02", 0, "00")]));
        assert_ne!(one, id(&[("2024-01-01", 3, "ac"), ("2024-01-02", 0, "00")]));
        assert_ne!(one, id(&[("2024-01-01", 3, "ab")]));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for wrong in [
            &b""[..],
            b"{}",
            b"{\"schema\": \"dayhaul.snapshot/2\"}",
            b"[1]",
        ] {
            assert!(Snapshot::parse(wrong).is_err());
        }
    }
}
