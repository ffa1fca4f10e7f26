//! The configured warehouse and one of its tenants. The source is only read; everything is written into scratch schemas.
//!
//! With `--scratch-schema S` these are `S`, `S_wh` and `S_public`: Dayhaul's processes are configured to keep their catalog in
//! the second and their public views in the third ([`Schemas`]). None of them may exist before; all are dropped after each try and
//! when the bench is interrupted.

use super::servers::{LateRows, Monitors, Postmasters, TestServers, Work};
use crate::bench::endpoint::{Endpoint, TenantDatabase};
use crate::bench::sandbox::{Launch, Sandbox};
use crate::catalog::registry::tenants;
use crate::catalog::{self, Catalog, Tenant, warehouse_access};
use crate::cluster::ScratchFolder;
use crate::config::{Schemas, Settings};
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{ident, literal};
use crate::template::Template;
use crate::unit::{SchemaName, TemplateName, TenantName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Interrupted work may hold its locks for a moment, so dropping is retried.
const DROP_RETRIES: u32 = 20;

/// What a bench in a warehouse in use works with.
pub struct ConfiguredSpec {
    pub settings: Settings,
    /// The configuration file for Dayhaul's processes, if there is one.
    pub file: Option<PathBuf>,
    pub tenant: TenantName,
    pub template: TemplateName,
    pub scratch: SchemaName,
    /// For files; removed with the bench.
    pub folder: ScratchFolder,
}

pub struct ConfiguredWarehouse {
    folder: ScratchFolder,
    file: Option<PathBuf>,
    owner: String,
    tenant: Tenant,
    scratch: SchemaName,
    warehouse: Endpoint,
    source: Endpoint,
}

impl ConfiguredWarehouse {
    /// Looks up the tenant and the template. Writes nothing.
    ///
    /// # Errors
    /// The warehouse fails, the tenant or template is unknown, or one of the scratch schemas already exists.
    pub async fn find(spec: ConfiguredSpec) -> Result<(ConfiguredWarehouse, Arc<Template>)> {
        let settings = &spec.settings;
        settings.refuse_masked("a bench compares true values")?;
        let catalog = Catalog::open(settings).await?;
        let session = catalog.session();
        let tenant = tenants::get(session, &spec.tenant).await?;
        let registered = catalog::registry::templates::get(session, &spec.template).await?;
        let access = warehouse_access(settings).await?;
        let warehouse = Endpoint {
            conninfo: settings.warehouse.url.clone(),
            password: access.password.read().await?,
        };
        let access = catalog::access(&tenant, settings).await?;
        let source = Endpoint {
            // Without a URL, `catalog::access` has already failed.
            conninfo: tenant.url.clone().unwrap_or_default(),
            password: access.password.read().await?,
        };
        let servers = ConfiguredWarehouse {
            folder: spec.folder,
            file: spec.file,
            owner: settings.warehouse.owner_role.clone(),
            tenant,
            scratch: spec.scratch,
            warehouse,
            source,
        };
        servers.refuse_existing(session).await?;
        Ok((servers, Arc::new(registered.template)))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All schemas that a try creates.
    fn schemas(&self) -> [String; 3] {
        let Schemas { catalog, public } = scratch_schemas(&self.scratch);
        [self.scratch.to_string(), catalog, public]
    }

    fn schema_list(&self, each: fn(&str) -> String) -> String {
        self.schemas().map(|schema| each(&schema)).join(", ")
    }

    async fn refuse_existing(&self, session: &Session) -> Result<()> {
        let found = session
            .simple(&format!(
                "SELECT nspname FROM pg_namespace WHERE nspname IN ({})",
                self.schema_list(literal)
            ))
            .await?;
        match found.value(0, 0) {
            None => Ok(()),
            Some(name) => Err(Error::refused(format!("schema `{name}` already exists"))
                .with_hint("a scratch schema is dropped with everything in it: choose a name that does not exist yet")),
        }
    }

    /// A session that acts as the owner role.
    async fn owner(&self) -> Result<Session> {
        let session = self.warehouse.connect().await?;
        session
            .batch(&format!("SET ROLE {}", ident(&self.owner)))
            .await?;
        Ok(session)
    }

    async fn create_schemas(&self) -> Result<()> {
        let session = self.owner().await?;
        self.refuse_existing(&session).await?;
        // `dayhaul init` creates the schema of its catalog.
        let public = scratch_schemas(&self.scratch).public;
        for schema in [self.scratch.to_string(), public] {
            let schema = ident(&schema);
            session
                .batch(&format!(
                    "CREATE SCHEMA {schema}; GRANT ALL ON SCHEMA {schema} TO SESSION_USER"
                ))
                .await?;
        }
        Ok(())
    }

    /// Ends the sessions of this bench and drops the schemas.
    async fn drop_schemas(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            let dropped = self.drop_once().await;
            match dropped {
                Err(error) if tries < DROP_RETRIES && error.is_transient() => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => {
                    return Err(error.with_hint(format!(
                        "drop the remaining schemas yourself: DROP SCHEMA IF EXISTS {} CASCADE",
                        self.schema_list(ident)
                    )));
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn drop_once(&self) -> Result<()> {
        let session = self.warehouse.connect().await?;
        // A statement of an interrupted try may still be running on the server.
        session
            .batch(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = {} AND pid <> pg_backend_pid()",
                literal(&Endpoint::application_name())
            ))
            .await?;
        session
            .batch(&format!(
                "SET ROLE {}; SET lock_timeout = '5s'",
                ident(&self.owner)
            ))
            .await?;
        // One statement per schema: a single statement might need more locks than the server has room for.
        for schema in self.schemas() {
            session
                .batch(&format!("DROP SCHEMA IF EXISTS {} CASCADE", ident(&schema)))
                .await?;
        }
        Ok(())
    }
}

/// Where Dayhaul's own processes keep their catalog and their public views.
fn scratch_schemas(scratch: &SchemaName) -> Schemas {
    Schemas {
        catalog: format!("{scratch}_wh"),
        public: format!("{scratch}_public"),
    }
}

fn read_only() -> Error {
    Error::new(Kind::Refused, "the source is only read")
}

impl TestServers for ConfiguredWarehouse {
    fn sources(&self, _: u16) -> Work<'_, Vec<TenantDatabase>> {
        Box::pin(async move {
            Ok(vec![TenantDatabase {
                schema: self.scratch.clone(),
                endpoint: self.source.clone(),
                password: self.tenant.password.clone(),
                vars: self.tenant.vars.clone(),
                source_schema: self.tenant.source_schema.clone(),
                search_path: self.tenant.search_path.clone(),
            }])
        })
    }

    fn create_scratch(&self, _: u32) -> Work<'_, Endpoint> {
        Box::pin(async move {
            self.create_schemas().await?;
            Ok(self.warehouse.clone())
        })
    }

    fn drop_scratch<'a>(&'a self, _: &'a Endpoint) -> Work<'a, ()> {
        Box::pin(self.drop_schemas())
    }

    fn clean_up(&self) -> Work<'_, ()> {
        Box::pin(self.drop_schemas())
    }

    fn schema(&self) -> SchemaName {
        self.scratch.clone()
    }

    fn monitor(&self) -> Work<'_, Monitors> {
        Box::pin(async move {
            let monitors = Monitors {
                warehouse: self.warehouse.connect().await?,
                sources: self.source.connect().await?,
            };
            // `drop_once` ends sessions by name; these must outlive it.
            for session in [&monitors.warehouse, &monitors.sources] {
                session
                    .batch("SET application_name = 'dayhaul-bench-watch'")
                    .await?;
            }
            Ok(monitors)
        })
    }

    fn postmasters(&self) -> Postmasters {
        Postmasters::default()
    }

    fn is_private(&self) -> bool {
        false
    }

    fn add_late_rows(&self, _: LateRows, _: u16) -> Work<'_, ()> {
        Box::pin(async { Err(read_only()) })
    }

    fn remove_late_rows(&self, _: u16) -> Work<'_, ()> {
        Box::pin(async { Err(read_only()) })
    }

    fn launch(&self, sandbox: &Sandbox) -> Launch {
        let jobs = sandbox.jobs.to_string();
        let Schemas { catalog, public } = scratch_schemas(&self.scratch);
        let variables = vec![
            ("DAYHAUL_WAREHOUSE_CATALOG_SCHEMA".to_owned(), catalog),
            ("DAYHAUL_WAREHOUSE_PUBLIC_SCHEMA".to_owned(), public),
            ("DAYHAUL_LOAD_JOBS".to_owned(), jobs.clone()),
            ("DAYHAUL_LOAD_PER_SERVER".to_owned(), jobs),
            ("DAYHAUL_LANDING_URL".to_owned(), sandbox.landing_url()),
            ("DAYHAUL_LANDING_ENABLED".to_owned(), "false".to_owned()),
        ];
        Launch {
            file: self.file.clone(),
            text: None,
            variables,
        }
    }

    fn describe(&self) -> String {
        format!(
            "the configured warehouse, in scratch schemas {}, and tenant `{}`",
            self.schemas()
                .map(|schema| format!("`{schema}`"))
                .join(", "),
            self.tenant.name
        )
    }
}
