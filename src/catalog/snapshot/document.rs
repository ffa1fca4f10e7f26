//! The document of a snapshot: what is in it, and how it is read and written as JSON.

use crate::catalog::registry::search_paths;
use crate::error::{Error, Kind, Result};
use crate::pg::SearchPath;
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name and version of the document's shape.
pub const SCHEMA: &str = "dayhaul.snapshot/1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub schema: String,
    /// As [`Fingerprint`](super::Fingerprint) has it: two snapshots of the same days with the same rows have the same.
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
    pub fn of(path: &SearchPath) -> KeptSearchPath {
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
