//! Two private servers with generated tenants: the same arguments give the same data on every machine.

use super::servers::{LateRows, Monitors, Postmasters, TestServers, Work, psql_program};
use super::tenant_data::TenantData;
use crate::bench::endpoint::{Endpoint, TenantDatabase};
use crate::bench::latency_proxy::LatencyProxy;
use crate::bench::sandbox::{Launch, Sandbox};
use crate::cluster::{Cluster, Programs, ScratchFolder};
use crate::error::{Error, Kind, Result};
use crate::pg::{SearchPath, Session};
use crate::sql::ident;
use crate::unit::{SchemaName, Window};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Settings of both servers. Everything else is PostgreSQL's default, so fsync is on.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "1GB"), ("max_wal_size", "4GB")];

/// `shared_buffers` is at most this machine's memory divided by this number.
const MEMORY_PER_BUFFERS: u64 = 8;

/// Distinct statements that `pg_stat_statements` keeps. Beyond that it drops the rarest, and their calls with them.
const MAX_STATEMENTS: &str = "50000";

/// How to set up the servers and tenants.
#[derive(Debug, Clone)]
pub struct PrivateServersSpec {
    pub data: TenantData,
    pub window: Window,
    pub rows_per_day: u32,
    /// Added between the tenants' server and its clients.
    pub round_trip: Option<Duration>,
    /// More settings of both servers.
    pub settings: Vec<(String, String)>,
    /// Count statements with `pg_stat_statements`, where it is installed.
    pub count_statements: bool,
    /// For servers and files.
    pub dir: PathBuf,
}

/// Servers that are stopped and removed when this is dropped.
pub struct PrivateServers {
    data: TenantData,
    window: Window,
    rows_per_day: u32,
    schema: SchemaName,
    round_trip: Option<Duration>,
    /// Number of tenants created so far.
    tenants: Mutex<u16>,
    proxy: Option<LatencyProxy>,
    sources: Cluster,
    warehouse: Cluster,
    /// The last field, as it contains the servers' folders.
    folder: ScratchFolder,
}

impl PrivateServers {
    /// Starts both servers in parallel.
    ///
    /// # Errors
    /// No server programs are found, the folder cannot be used, or a server does not start.
    pub async fn start(spec: PrivateServersSpec) -> Result<PrivateServers> {
        let settings = settings(&spec.settings);
        let dir = spec.dir.clone();
        let started = spawn_blocking(move || {
            let programs = Programs::find()?;
            let folder = ScratchFolder::create(&dir, "dayhaul-bench")?;
            let settings: Vec<(&str, &str)> = settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let (sources, warehouse) = std::thread::scope(|scope| {
                let start = || Cluster::start(&programs, folder.path(), &settings);
                let other = scope.spawn(start);
                let sources = start();
                (sources, other.join())
            });
            let warehouse =
                warehouse.map_err(|_| Error::new(Kind::Bug, "starting a server panicked"))?;
            Ok::<_, Error>((sources?, warehouse?, folder))
        });
        let (sources, warehouse, folder) = started
            .await
            .map_err(|e| Error::new(Kind::Bug, "starting the servers panicked").with_source(e))??;
        let (sources, warehouse) = if spec.count_statements {
            (
                count_statements(sources).await?,
                count_statements(warehouse).await?,
            )
        } else {
            (sources, warehouse)
        };
        let proxy = match spec.round_trip {
            Some(round_trip) => Some(LatencyProxy::start(sources.port(), round_trip).await?),
            None => None,
        };
        Ok(PrivateServers {
            data: spec.data,
            window: spec.window,
            rows_per_day: spec.rows_per_day,
            schema: SchemaName::parse("bench")?,
            round_trip: spec.round_trip,
            tenants: Mutex::new(0),
            proxy,
            sources,
            warehouse,
            folder,
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The psql that comes with the servers, or else the one on the PATH.
    pub fn psql(&self) -> PathBuf {
        psql_program(Some(self.sources.programs()))
    }

    fn endpoint(port: u16, database: &str) -> Endpoint {
        Endpoint::without_password(format!(
            "host=127.0.0.1 port={port} user=postgres dbname={database}"
        ))
    }

    /// Runs statements at each of the first tenants.
    async fn at_tenants(&self, tenants: u16, statements: &[String]) -> Result<()> {
        for number in 1..=tenants {
            let tenant = PrivateServers::endpoint(self.sources.port(), &tenant(number));
            let session = tenant.connect().await?;
            for statement in statements {
                session.batch(statement).await?;
            }
        }
        Ok(())
    }

    /// Fills the first tenant and copies its database for the others, so that all are equal down to the page.
    async fn create_tenants(&self, wanted: u16) -> Result<()> {
        let mut existing = self.tenants.lock().await;
        let server = PrivateServers::endpoint(self.sources.port(), "postgres")
            .connect()
            .await?;
        while *existing < wanted {
            let name = tenant(*existing + 1);
            if *existing == 0 {
                server.batch(&format!("CREATE DATABASE {name}")).await?;
                let session = PrivateServers::endpoint(self.sources.port(), &name)
                    .connect()
                    .await?;
                self.data
                    .create(&session, self.window, self.rows_per_day)
                    .await?;
                session.batch("VACUUM (ANALYZE)").await?;
            } else {
                copy_database(&server, &tenant(1), &name).await?;
            }
            *existing += 1;
        }
        Ok(())
    }
}

/// Restarts a server so that it counts statements. Without `pg_stat_statements` the server stays as it is.
async fn count_statements(mut server: Cluster) -> Result<Cluster> {
    let endpoint = PrivateServers::endpoint(server.port(), "postgres");
    let available = endpoint
        .connect()
        .await?
        .simple("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'")
        .await?;
    if available.rows.is_empty() {
        return Ok(server);
    }
    let restarted = spawn_blocking(move || {
        server.configure(&[
            ("shared_preload_libraries", "pg_stat_statements"),
            ("pg_stat_statements.max", MAX_STATEMENTS),
        ])?;
        server.restart()?;
        Ok::<_, Error>(server)
    });
    let server: Cluster = restarted
        .await
        .map_err(|e| Error::new(Kind::Bug, "restarting a server panicked").with_source(e))??;
    endpoint
        .connect()
        .await?
        .batch("CREATE EXTENSION pg_stat_statements")
        .await?;
    Ok(server)
}

/// Copies a database. The server refuses while a session that was just closed is still listed, so this is retried.
async fn copy_database(server: &Session, from: &str, to: &str) -> Result<()> {
    const TRIES: u32 = 50;
    let mut tries = 0;
    loop {
        let copied = server
            .batch(&format!("CREATE DATABASE {to} TEMPLATE {from}"))
            .await;
        match copied {
            Err(error) if error.sqlstate() == Some("55006") && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other,
        }
    }
}

fn tenant(number: u16) -> String {
    format!("t{number:02}")
}

/// The default settings, as far as this machine has the memory, then the requested ones.
fn settings(more: &[(String, String)]) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = SETTINGS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    if let Some(memory) = crate::os::memory() {
        let buffers = (memory / MEMORY_PER_BUFFERS) >> 20;
        if buffers < 1024 {
            settings[0].1 = format!("{}MB", buffers.max(64));
        }
    }
    settings.extend(more.iter().cloned());
    settings
}

impl TestServers for PrivateServers {
    fn sources(&self, tenants: u16) -> Work<'_, Vec<TenantDatabase>> {
        Box::pin(async move {
            self.create_tenants(tenants).await?;
            let port = self
                .proxy
                .as_ref()
                .map_or(self.sources.port(), LatencyProxy::port);
            (1..=tenants)
                .map(|number| {
                    let name = tenant(number);
                    Ok(TenantDatabase {
                        endpoint: PrivateServers::endpoint(port, &name),
                        schema: SchemaName::parse(&name)?,
                        password: None,
                        vars: BTreeMap::new(),
                        source_schema: None,
                        search_path: SearchPath::Unknown,
                    })
                })
                .collect()
        })
    }

    fn create_scratch(&self, number: u32) -> Work<'_, Endpoint> {
        Box::pin(async move {
            let name = format!("try_{number}");
            PrivateServers::endpoint(self.warehouse.port(), "postgres")
                .connect()
                .await?
                .batch(&format!("CREATE DATABASE {name}"))
                .await?;
            let endpoint = PrivateServers::endpoint(self.warehouse.port(), &name);
            endpoint
                .connect()
                .await?
                .batch(&format!("CREATE SCHEMA {}", ident(self.schema().as_str())))
                .await?;
            Ok(endpoint)
        })
    }

    fn drop_scratch<'a>(&'a self, warehouse: &'a Endpoint) -> Work<'a, ()> {
        Box::pin(async move {
            let name = warehouse.conninfo.rsplit('=').next().unwrap_or_default();
            PrivateServers::endpoint(self.warehouse.port(), "postgres")
                .connect()
                .await?
                .batch(&format!(
                    "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                    ident(name)
                ))
                .await
        })
    }

    fn schema(&self) -> SchemaName {
        self.schema.clone()
    }

    fn monitor(&self) -> Work<'_, Monitors> {
        Box::pin(async move {
            let warehouse = PrivateServers::endpoint(self.warehouse.port(), "postgres");
            let sources = PrivateServers::endpoint(self.sources.port(), "postgres");
            Ok(Monitors {
                warehouse: warehouse.connect().await?,
                sources: sources.connect().await?,
            })
        })
    }

    fn postmasters(&self) -> Postmasters {
        Postmasters {
            warehouse: self.warehouse.pid(),
            sources: self.sources.pid(),
        }
    }

    fn is_private(&self) -> bool {
        true
    }

    /// Servers and files are removed when this is dropped.
    fn clean_up(&self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn add_late_rows(&self, rows: LateRows, tenants: u16) -> Work<'_, ()> {
        let statement = self.data.late_rows(rows);
        Box::pin(async move { self.at_tenants(tenants, &[statement]).await })
    }

    fn remove_late_rows(&self, tenants: u16) -> Work<'_, ()> {
        Box::pin(async move { self.at_tenants(tenants, &self.data.no_late_rows()).await })
    }

    fn launch(&self, sandbox: &Sandbox) -> Launch {
        // Rust and TOML quote these strings in the same way.
        let text = format!(
            "[warehouse]\nurl = {:?}\n\n[load]\njobs = {jobs}\n\n[landing]\nurl = {:?}\n",
            sandbox.warehouse.conninfo,
            sandbox.landing_url(),
            jobs = sandbox.jobs,
        );
        Launch {
            text: Some(text),
            ..Launch::default()
        }
    }

    fn describe(&self) -> String {
        let latency = match self.round_trip {
            Some(time) => format!(
                "; a proxy adds {} ms to each round trip to the tenants' server",
                time.as_millis()
            ),
            None => String::new(),
        };
        format!(
            "two private PostgreSQL {} servers on this machine, one for the tenants and one for the warehouse, over TCP \
             on 127.0.0.1{latency}",
            self.sources.programs().version(),
        )
    }
}
