//! A snapshot: what the catalog knows, as one JSON document stored next to the Parquet files. Both together restore a lost
//! warehouse without contacting a tenant.
//!
//! It holds tenants with the *references* to their passwords, templates with every version there was, pairs, and the
//! ledger of what is loaded or landed. It holds no secret, no row, and no history of runs.

mod adopt;
pub mod restored;

pub use adopt::{adopt, go_on_after, restore_tenant};

use super::registry::{search_paths, tenants};
use crate::error::{Error, Kind, Result};
use crate::pg::{Row, SearchPath, Session};
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// Name and version of the document's shape.
pub const SCHEMA: &str = "dayhaul.snapshot/1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub schema: String,
    /// As [`Fingerprint`] has it: two snapshots of the same days with the same rows have the same.
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
    /// What `{schema}` stands for.
    #[serde(default)]
    pub source_schema: Option<String>,
    /// Missing in snapshots of earlier versions.
    #[serde(default = "KeptSearchPath::earlier")]
    pub search_path: KeptSearchPath,
}

/// A tenant's search path: `from` as in the catalog, `login`, `chosen`, `earlier` or `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSearchPath {
    pub from: String,
    pub schemas: Option<Vec<String>>,
}

impl KeptSearchPath {
    fn of(path: &SearchPath) -> KeptSearchPath {
        KeptSearchPath {
            from: search_paths::from(path).to_owned(),
            schemas: search_paths::schemas(path),
        }
    }

    fn earlier() -> KeptSearchPath {
        KeptSearchPath::of(&SearchPath::Earlier)
    }
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
    /// What is known of windows of several days, and for which version of the template; missing in snapshots of earlier
    /// versions.
    #[serde(default)]
    pub windows: Option<String>,
    #[serde(default)]
    pub windows_version: Option<String>,
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
    /// The date of its latest comparison with the source. Missing in snapshots of earlier versions.
    #[serde(default)]
    pub checked_on: Option<String>,
}

/// What a unit of a snapshot was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotUnit {
    pub rows: u64,
    pub digest: String,
    /// A file held it.
    pub landed: bool,
    /// The date of its latest comparison with the source.
    pub checked_on: Option<Day>,
}

/// Fingerprint of a ledger: which units it has, and which rows each of them.
///
/// The first 12 hex digits of XXH3-128 over one line a unit, in order: `tenant template day rows digest`.
#[derive(Default)]
pub struct Fingerprint(Xxh3);

impl Fingerprint {
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
    let wh = session.catalog();
    let pairs = pairs(session).await?;
    let mut content = Fingerprint::default();
    for pair in &pairs {
        for unit in &pair.units {
            let (rows, digest) = (unit.rows, &unit.digest);
            content.add(&pair.tenant, &pair.template, &unit.day, rows, digest);
        }
    }
    let last_run = session
        .query_one(&format!("SELECT coalesce(max(id), 0) FROM {wh}.run"), &[])
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
                source_schema: t.source_schema,
                search_path: KeptSearchPath::of(&t.search_path),
            })
            .collect(),
        templates: templates(session).await?,
        pairs,
    })
}

async fn templates(session: &Session) -> Result<Vec<KeptTemplate>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT name, version, source FROM {wh}.template ORDER BY name COLLATE \"C\""),
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
            &format!("SELECT template, version, source, loaded_at FROM {wh}.template_version ORDER BY loaded_at, version"),
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
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT tenant, template, enabled, first_day, fold_line, windows, windows_version FROM {wh}.pair \
             ORDER BY tenant COLLATE \"C\", template COLLATE \"C\""
            ),
            &[],
        )
        .await?;
    let day = |row: &Row, i: usize| row.get::<_, Option<Day>>(i).map(|day| day.to_string());
    let mut pairs = Vec::with_capacity(rows.len());
    for row in &rows {
        let (tenant, template): (String, String) = (row.get(0), row.get(1));
        let units = session
            .query(
                &format!(
                    "SELECT day, rows, bytes, digest, version, state = 'loaded', \
                            CASE WHEN object_digest = digest THEN object END, checked_on FROM {wh}.unit \
                     WHERE state IN ('loaded', 'landed') AND digest IS NOT NULL \
                       AND tenant = $1 AND template = $2 ORDER BY day"
                ),
                &[&tenant, &template],
            )
            .await?;
        pairs.push(KeptPair {
            enabled: row.get(2),
            first_day: day(row, 3),
            fold_line: day(row, 4),
            windows: row.get(5),
            windows_version: row.get(6),
            units: units.iter().map(unit).collect(),
            tenant,
            template,
        });
    }
    Ok(pairs)
}

fn unit(row: &Row) -> KeptUnit {
    let unsigned = |i| u64::try_from(row.get::<_, i64>(i)).unwrap_or(0);
    KeptUnit {
        day: row.get::<_, Day>(0).to_string(),
        rows: unsigned(1),
        bytes: unsigned(2),
        digest: row.get(3),
        version: row.get(4),
        loaded: row.get(5),
        object: row.get(6),
        checked_on: row.get::<_, Option<Day>>(7).map(|day| day.to_string()),
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
            Error::new(Kind::Io, "not a Dayhaul snapshot, or incomplete").with_source(e)
        };
        let head: Head = serde_json::from_slice(bytes).map_err(broken)?;
        if head.schema != SCHEMA {
            return Err(Error::refused(format!(
                "its format is `{}`; this dayhaul reads `{SCHEMA}`",
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
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| {
            Error::new(Kind::Bug, "failed to write a snapshot as JSON").with_source(e)
        })?;
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
    ) -> Result<BTreeMap<Day, SnapshotUnit>> {
        let of = |p: &&KeptPair| p.tenant == tenant.as_str() && p.template == template.as_str();
        let units = self
            .pairs
            .iter()
            .filter(of)
            .flat_map(|pair| pair.units.iter());
        units
            .map(|unit| {
                let known = SnapshotUnit {
                    rows: unit.rows,
                    digest: unit.digest.clone(),
                    landed: unit.object.is_some(),
                    checked_on: unit.checked_on.as_deref().map(str::parse).transpose()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_of_the_same_days_have_the_same_id() {
        let id = |units: &[(&str, u64, &str)]| {
            let mut content = Fingerprint::default();
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

    #[test]
    fn a_tenant_of_an_earlier_document_keeps_the_path_of_earlier_versions() {
        let text = r#"{"name": "acme", "schema_name": "acme", "url": null, "password": null, "vars": {}, "enabled": true}"#;
        let kept: KeptTenant = serde_json::from_str(text).unwrap();
        assert_eq!(kept.source_schema, None);
        let path = search_paths::kept(&kept.search_path.from, kept.search_path.schemas);
        assert_eq!(path, SearchPath::Earlier);
    }
}
