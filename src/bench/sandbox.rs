//! Where one try happens: an empty database or schema in the warehouse, and the tenants it is loaded from.

use super::endpoint::{Endpoint, TenantDatabase};
use crate::error::{At, Result};
use crate::sql::{ident, literal, qualified};
use crate::template::Template;
use crate::unit::{Day, SchemaName, Window};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The database that is written to.
    pub warehouse: Endpoint,
    /// The schema that contestants other than Dayhaul write to.
    pub schema: SchemaName,
    pub sources: Vec<TenantDatabase>,
    pub template: Arc<Template>,
    pub window: Window,
    /// Sessions of contestants that use several; Dayhaul's `jobs`.
    pub jobs: usize,
    /// Cores of this machine.
    pub cores: usize,
    /// Whether servers and tenants belong to this bench, which may then change rows and create extensions.
    pub is_private: bool,
    pub launch: Launch,
    /// For files of this try.
    pub folder: PathBuf,
    pub psql: PathBuf,
    /// Dayhaul's executable.
    pub program: PathBuf,
}

/// How a Dayhaul process learns about the sandbox.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// An existing configuration file.
    pub file: Option<PathBuf>,
    /// The text of a configuration file to write into the sandbox's folder.
    pub text: Option<String>,
    /// Environment variables, in addition to those of this process.
    pub variables: Vec<(String, String)>,
}

impl Sandbox {
    /// Whether the warehouse has an extension. On a private server it is created.
    ///
    /// # Errors
    /// It cannot be created, or the server fails.
    pub async fn has_extension(&self, name: &str) -> Result<bool> {
        let session = self.warehouse.connect().await?;
        if self.is_private {
            let create = format!("CREATE EXTENSION IF NOT EXISTS {name}");
            let created = session.batch(&create).await;
            return created.at(|| format!("extension `{name}`")).map(|()| true);
        }
        let name = literal(name);
        let find = format!("SELECT 1 FROM pg_extension WHERE extname = {name}");
        Ok(!session.simple(&find).await?.rows.is_empty())
    }

    /// The same for one tenant. Contestants other than Dayhaul write to a schema for this tenant.
    ///
    /// # Errors
    /// The schema's name is too long.
    pub fn of(&self, tenant: &TenantDatabase) -> Result<Sandbox> {
        Ok(Sandbox {
            schema: SchemaName::parse(&format!("{}_{}", self.schema, tenant.schema))?,
            sources: vec![tenant.clone()],
            ..self.clone()
        })
    }

    /// The first tenant.
    pub fn source(&self) -> &TenantDatabase {
        &self.sources[0]
    }

    /// The URL that days are landed under.
    pub fn landing_url(&self) -> String {
        format!("file://{}", self.landing_folder().display())
    }

    pub fn landing_folder(&self) -> PathBuf {
        self.folder.join("lake")
    }

    /// A relation in the contestants' schema: the template's name, then `suffix`.
    pub fn relation(&self, suffix: &str) -> String {
        let name = format!("{}{suffix}", self.template.name);
        qualified(self.schema.as_str(), &name)
    }

    /// The relation of a day.
    pub fn day(&self, day: Day) -> String {
        self.relation(&format!("_{}", day.suffix()))
    }

    /// `"id" bigint, "name" text, …`
    pub fn column_list(&self) -> String {
        let columns = self.template.columns.iter();
        let columns: Vec<String> = columns
            .map(|c| format!("{} {}", ident(&c.name), c.ty))
            .collect();
        columns.join(", ")
    }

    /// Creates the one table that most contestants load.
    pub fn create_table(&self) -> String {
        format!(
            "CREATE TABLE {} ({})",
            self.relation(""),
            self.column_list()
        )
    }

    /// Fills that table by COPY.
    pub fn copy_in(&self) -> String {
        format!("COPY {} FROM STDIN (FORMAT binary)", self.relation(""))
    }

    /// The template's indexes on a relation, the unique one first.
    pub fn indexes(&self, relation: &str) -> Vec<String> {
        let list = |columns: &[String]| {
            let columns: Vec<String> = columns.iter().map(|c| ident(c)).collect();
            columns.join(", ")
        };
        let unique = &self.template.unique;
        let unique = (!unique.is_empty())
            .then(|| format!("CREATE UNIQUE INDEX ON {relation} ({})", list(unique)));
        let plain = self.template.indexes.iter();
        unique
            .into_iter()
            .chain(plain.map(|columns| format!("CREATE INDEX ON {relation} ({})", list(columns))))
            .collect()
    }
}
