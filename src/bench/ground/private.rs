//! Two private servers with made-up tenants: the same data for the same arguments on every machine.

use super::{Change, Launch, Place, Work, client};
use crate::bench::lane::{Endpoint, Lane, Source};
use crate::bench::proxy::Proxy;
use crate::cluster::{Cluster, Programs, ScratchFolder};
use crate::demo::{self, FoodLog};
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::sql::ident;
use crate::unit::{SchemaName, Window};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Both servers' settings, all else as PostgreSQL has it: fsync is on.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "1GB"), ("max_wal_size", "4GB")];

/// What of a server's memory its buffers may take at most; a fraction of this machine's.
const BUFFERS_OF_MEMORY: u64 = 8;

/// Different statements that are counted; beyond, the rarest would be forgotten, and with them their calls.
const MOST_STATEMENTS: &str = "50000";

/// What the servers and tenants are to be like.
#[derive(Debug, Clone)]
pub struct Wish {
    pub window: Window,
    pub rows_per_day: u32,
    /// Between the sources and whoever reads them.
    pub round_trip: Option<Duration>,
    /// Settings of both servers, beside ours.
    pub settings: Vec<(String, String)>,
    /// Both servers count their statements, with `pg_stat_statements` where it is installed.
    pub count_statements: bool,
    /// For servers and files.
    pub dir: PathBuf,
}

/// Servers of our own; dropped, all is gone.
pub struct Private {
    log: FoodLog,
    schema: SchemaName,
    round_trip: Option<Duration>,
    /// How many tenants there are by now.
    tenants: Mutex<u16>,
    proxy: Option<Proxy>,
    sources: Cluster,
    warehouse: Cluster,
    /// Last: the servers' folders are in it.
    folder: ScratchFolder,
}

impl Private {
    /// Starts both servers, side by side.
    ///
    /// # Errors
    /// No server programs, a folder that cannot be used, a server that does not start.
    pub async fn start(wish: Wish) -> Result<Private> {
        let settings = settings(&wish.settings);
        let dir = wish.dir.clone();
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
        let (sources, warehouse) = match wish.count_statements {
            true => (counting(sources).await?, counting(warehouse).await?),
            false => (sources, warehouse),
        };
        let proxy = match wish.round_trip {
            Some(round_trip) => Some(Proxy::start(sources.port(), round_trip).await?),
            None => None,
        };
        Ok(Private {
            log: FoodLog {
                seed: 1,
                days: wish.window,
                rows: wish.rows_per_day,
            },
            schema: SchemaName::parse("bench")?,
            round_trip: wish.round_trip,
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

    /// The client that comes with the servers, else whichever there is.
    pub fn psql(&self) -> PathBuf {
        client(Some(self.sources.programs()))
    }

    fn endpoint(port: u16, database: &str) -> Endpoint {
        Endpoint::trusted(format!(
            "host=127.0.0.1 port={port} user=postgres dbname={database}"
        ))
    }

    /// The first tenant is filled; the others are copies of its database, and so equal to the last page.
    async fn make_tenants(&self, wanted: u16) -> Result<()> {
        let mut there = self.tenants.lock().await;
        let server = Private::endpoint(self.sources.port(), "postgres")
            .connect()
            .await?;
        while *there < wanted {
            let name = tenant(*there + 1);
            if *there == 0 {
                server.batch(&format!("CREATE DATABASE {name}")).await?;
                let session = Private::endpoint(self.sources.port(), &name)
                    .connect()
                    .await?;
                self.log.create(&session).await?;
                session.batch("VACUUM (ANALYZE)").await?;
            } else {
                copy_database(&server, &tenant(1), &name).await?;
            }
            *there += 1;
        }
        Ok(())
    }
}

/// Restarts a server so that it counts statements; where it cannot, nothing changes.
async fn counting(mut server: Cluster) -> Result<Cluster> {
    let endpoint = Private::endpoint(server.port(), "postgres");
    let there = endpoint
        .connect()
        .await?
        .simple("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'")
        .await?;
    if there.rows.is_empty() {
        return Ok(server);
    }
    let restarted = spawn_blocking(move || {
        server.configure(&[
            ("shared_preload_libraries", "pg_stat_statements"),
            ("pg_stat_statements.max", MOST_STATEMENTS),
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

/// Copies a database as soon as nobody is in it: a session that was just closed takes a moment to go.
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

/// Ours, as far as this machine has the memory, then those that were asked for.
fn settings(more: &[(String, String)]) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = SETTINGS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    if let Some(memory) = crate::os::memory() {
        let room = (memory / BUFFERS_OF_MEMORY) >> 20;
        if room < 1024 {
            settings[0].1 = format!("{}MB", room.max(64));
        }
    }
    settings.extend(more.iter().cloned());
    settings
}

impl Place for Private {
    fn sources(&self, tenants: u16) -> Work<'_, Vec<Source>> {
        Box::pin(async move {
            self.make_tenants(tenants).await?;
            let port = self.proxy.as_ref().map_or(self.sources.port(), Proxy::port);
            (1..=tenants)
                .map(|number| {
                    let name = tenant(number);
                    Ok(Source {
                        endpoint: Private::endpoint(port, &name),
                        schema: SchemaName::parse(&name)?,
                        password: None,
                        vars: BTreeMap::new(),
                    })
                })
                .collect()
        })
    }

    fn open(&self, number: u32) -> Work<'_, Endpoint> {
        Box::pin(async move {
            let name = format!("try_{number}");
            Private::endpoint(self.warehouse.port(), "postgres")
                .connect()
                .await?
                .batch(&format!("CREATE DATABASE {name}"))
                .await?;
            let endpoint = Private::endpoint(self.warehouse.port(), &name);
            endpoint
                .connect()
                .await?
                .batch(&format!("CREATE SCHEMA {}", ident(self.schema().as_str())))
                .await?;
            Ok(endpoint)
        })
    }

    fn close<'a>(&'a self, warehouse: &'a Endpoint) -> Work<'a, ()> {
        Box::pin(async move {
            let name = warehouse.conninfo.rsplit('=').next().unwrap_or_default();
            Private::endpoint(self.warehouse.port(), "postgres")
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

    fn watch(&self) -> Work<'_, (Session, Session)> {
        Box::pin(async move {
            let warehouse = Private::endpoint(self.warehouse.port(), "postgres");
            let sources = Private::endpoint(self.sources.port(), "postgres");
            Ok((warehouse.connect().await?, sources.connect().await?))
        })
    }

    fn postmasters(&self) -> (Option<u32>, Option<u32>) {
        (self.sources.pid(), self.warehouse.pid())
    }

    fn is_ours(&self) -> bool {
        true
    }

    /// Servers and files go when this is dropped.
    fn strike(&self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn change(&self, change: Change) -> Work<'_, ()> {
        Box::pin(async move {
            let tenant = Private::endpoint(self.sources.port(), &tenant(1));
            let sql = demo::late_rows(change.day, change.rows);
            tenant.connect().await?.batch(&sql).await
        })
    }

    fn undo(&self) -> Work<'_, ()> {
        Box::pin(async move {
            let tenant = Private::endpoint(self.sources.port(), &tenant(1));
            let session = tenant.connect().await?;
            session.batch(demo::NO_LATE_ROWS).await?;
            session.batch("VACUUM phood_foodlogsum").await
        })
    }

    fn launch(&self, lane: &Lane) -> Launch {
        // Rust's and TOML's quotes agree on what stands in these.
        let text = format!(
            "[warehouse]\nurl = {:?}\n\n[load]\njobs = {jobs}\n\n[landing]\nurl = {:?}\n",
            lane.warehouse.conninfo,
            lane.lake(),
            jobs = lane.jobs,
        );
        Launch {
            text: Some(text),
            ..Launch::default()
        }
    }

    fn about(&self) -> String {
        let way = match self.round_trip {
            Some(time) => format!(
                "; a proxy makes the way to the tenants' server {} ms longer, there and back",
                time.as_millis()
            ),
            None => String::new(),
        };
        format!(
            "two private PostgreSQL {} servers on this machine, one with the tenants, one with the warehouse, reached by \
             TCP on 127.0.0.1{way}",
            self.sources.programs().version(),
        )
    }
}
