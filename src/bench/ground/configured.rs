//! The configured warehouse and one of its tenants: the source is only read, and everything is written into scratch schemas
//! of the bench's own.
//!
//! With `--scratch-schema S` these are `S`, `S_wh` and `S_public`: Dayhaul's processes take the latter two for their catalog and for
//! `public` ([`elsewhere`](crate::pg::elsewhere)). None of them may be there before; all are dropped after each try and when the bench is interrupted.

use super::{Change, Launch, Place, Work};
use crate::bench::lane::{Endpoint, Lane, Source};
use crate::catalog::registry::tenants;
use crate::catalog::{self, Catalog, Tenant, warehouse_access};
use crate::cluster::ScratchFolder;
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::pg::elsewhere::{VARIABLE, catalog_of, public_of};
use crate::sql::{ident, literal};
use crate::template::Template;
use crate::unit::{SchemaName, TemplateName, TenantName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often dropping is tried: work that was interrupted may hold its locks for a moment.
const DROPS: u32 = 20;

/// What a bench in a warehouse that is in use is to work with.
pub struct Asked {
    pub settings: Settings,
    /// The configuration file, if there is one, for Dayhaul's own processes.
    pub file: Option<PathBuf>,
    pub tenant: TenantName,
    pub template: TemplateName,
    pub scratch: SchemaName,
    /// For files; goes with the place.
    pub folder: ScratchFolder,
}

pub struct Configured {
    folder: ScratchFolder,
    file: Option<PathBuf>,
    owner: String,
    tenant: Tenant,
    scratch: SchemaName,
    warehouse: Endpoint,
    source: Endpoint,
}

impl Configured {
    /// Looks the tenant and the template up. Writes nothing.
    ///
    /// # Errors
    /// The warehouse's; the tenant or template is unknown; one of the scratch schemas is there already.
    pub async fn find(asked: Asked) -> Result<(Configured, Arc<Template>)> {
        let settings = &asked.settings;
        settings.refuse_masked("a bench compares true values")?;
        let catalog = Catalog::open(settings).await?;
        let session = catalog.session();
        let tenant = tenants::get(session, &asked.tenant).await?;
        let registered = catalog::registry::templates::get(session, &asked.template).await?;
        let access = warehouse_access(settings).await?;
        let warehouse = Endpoint {
            conninfo: settings.warehouse.url.clone(),
            password: access.password,
        };
        let reached = catalog::access(&tenant, settings).await?;
        let source = Endpoint {
            // The access says so when there is none.
            conninfo: tenant.url.clone().unwrap_or_default(),
            password: reached.password,
        };
        let place = Configured {
            folder: asked.folder,
            file: asked.file,
            owner: settings.warehouse.owner_role.clone(),
            tenant,
            scratch: asked.scratch,
            warehouse,
            source,
        };
        place.refuse_taken(session).await?;
        Ok((place, Arc::new(registered.template)))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All schemas that are made.
    fn schemas(&self) -> [String; 3] {
        [
            self.scratch.to_string(),
            catalog_of(&self.scratch),
            public_of(&self.scratch),
        ]
    }

    fn schema_list(&self, each: fn(&str) -> String) -> String {
        self.schemas().map(|schema| each(&schema)).join(", ")
    }

    async fn refuse_taken(&self, session: &Session) -> Result<()> {
        let found = session
            .simple(&format!(
                "SELECT nspname FROM pg_namespace WHERE nspname IN ({})",
                self.schema_list(literal)
            ))
            .await?;
        match found.value(0, 0) {
            None => Ok(()),
            Some(name) => Err(Error::refused(format!("schema `{name}` is there already"))
                .with_hint("a scratch schema is dropped with all that is in it: name one that is not there yet")),
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

    async fn make(&self) -> Result<()> {
        let session = self.owner().await?;
        self.refuse_taken(&session).await?;
        // Dayhaul's own `init` makes the schema of its catalog.
        for schema in [self.scratch.to_string(), public_of(&self.scratch)] {
            let schema = ident(&schema);
            session
                .batch(&format!(
                    "CREATE SCHEMA {schema}; GRANT ALL ON SCHEMA {schema} TO SESSION_USER"
                ))
                .await?;
        }
        Ok(())
    }

    /// Ends what is still at work for this bench, and drops the schemas.
    async fn drop_schemas(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            let dropped = self.drop_once().await;
            match dropped {
                Err(error) if tries < DROPS && error.is_transient() => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => {
                    return Err(error.with_hint(format!(
                        "drop what is left by hand: DROP SCHEMA IF EXISTS {} CASCADE",
                        self.schema_list(ident)
                    )));
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn drop_once(&self) -> Result<()> {
        let session = self.warehouse.connect().await?;
        // A statement of an interrupted try may go on at the server, unaware that nobody waits for it.
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
        // Each on its own: all in one statement might need more locks than a server has room for.
        for schema in self.schemas() {
            session
                .batch(&format!("DROP SCHEMA IF EXISTS {} CASCADE", ident(&schema)))
                .await?;
        }
        Ok(())
    }
}

fn not_here() -> Error {
    Error::new(Kind::Refused, "the source is only read")
}

impl Place for Configured {
    fn sources(&self, _: u16) -> Work<'_, Vec<Source>> {
        Box::pin(async move {
            Ok(vec![Source {
                schema: self.scratch.clone(),
                endpoint: self.source.clone(),
                password: self.tenant.password.clone(),
                vars: self.tenant.vars.clone(),
            }])
        })
    }

    fn open(&self, _: u32) -> Work<'_, Endpoint> {
        Box::pin(async move {
            self.make().await?;
            Ok(self.warehouse.clone())
        })
    }

    fn close<'a>(&'a self, _: &'a Endpoint) -> Work<'a, ()> {
        Box::pin(self.drop_schemas())
    }

    fn strike(&self) -> Work<'_, ()> {
        Box::pin(self.drop_schemas())
    }

    fn schema(&self) -> SchemaName {
        self.scratch.clone()
    }

    fn watch(&self) -> Work<'_, (Session, Session)> {
        Box::pin(async move {
            let watchers = (
                self.warehouse.connect().await?,
                self.source.connect().await?,
            );
            // By another name: they outlive the tries, whose sessions are ended by theirs.
            for session in [&watchers.0, &watchers.1] {
                session
                    .batch("SET application_name = 'dayhaul-bench-watch'")
                    .await?;
            }
            Ok(watchers)
        })
    }

    fn postmasters(&self) -> (Option<u32>, Option<u32>) {
        (None, None)
    }

    fn is_ours(&self) -> bool {
        false
    }

    fn change(&self, _: Change) -> Work<'_, ()> {
        Box::pin(async { Err(not_here()) })
    }

    fn undo(&self) -> Work<'_, ()> {
        Box::pin(async { Err(not_here()) })
    }

    fn launch(&self, lane: &Lane) -> Launch {
        let number = lane.jobs.to_string();
        let variables = vec![
            (VARIABLE.to_owned(), self.scratch.to_string()),
            ("DAYHAUL_LOAD_JOBS".to_owned(), number.clone()),
            ("DAYHAUL_LOAD_PER_SERVER".to_owned(), number),
            ("DAYHAUL_LANDING_URL".to_owned(), lane.lake()),
            ("DAYHAUL_LANDING_ENABLED".to_owned(), "false".to_owned()),
        ];
        Launch {
            file: self.file.clone(),
            text: None,
            variables,
        }
    }

    fn about(&self) -> String {
        format!(
            "the configured warehouse, in schemas {} of its own, and tenant `{}`",
            self.schemas()
                .map(|schema| format!("`{schema}`"))
                .join(", "),
            self.tenant.name
        )
    }
}
