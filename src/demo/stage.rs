//! The stage of `dayhaul demo`: a folder with two private servers, a template and a configuration.

use crate::cluster::{Cluster, Programs, ScratchFolder, THROW_AWAY};
use crate::error::{Error, Kind, Result};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::task::spawn_blocking;

/// The role that reads the demo's warehouse: the default of `init`.
pub const READER: &str = "wh_reader";

/// Our variables that the demo keeps.
const HARMLESS: [&str; 2] = ["DAYHAUL_PG_BIN", "DAYHAUL_LOG"];

/// Which of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageServer {
    Tenants,
    Warehouse,
}

/// Two servers and a folder; a drop stops and removes them.
pub struct Stage {
    tenants: Cluster,
    warehouse: Cluster,
    /// Dropped last: it contains the servers' folders.
    folder: ScratchFolder,
}

/// `DAYHAUL_WAREHOUSE_URL` or `PGHOSTADDR` would send the demo to a real warehouse. Where such variables are set, the
/// process starts again without them.
///
/// # Errors
/// When it cannot start again.
pub fn restart_without_environment() -> Result<()> {
    let named = |name: &OsString| {
        let name = name.to_string_lossy();
        (name.starts_with("DAYHAUL_") && !HARMLESS.contains(&name.as_ref()))
            || name.starts_with("PG")
    };
    let unwanted: Vec<OsString> = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(named)
        .collect();
    if unwanted.is_empty() {
        return Ok(());
    }
    let failed = |e| {
        Error::new(
            Kind::Io,
            "failed to start again without `DAYHAUL_*` and `PG*` variables",
        )
        .with_source(e)
    };
    let mut again = Command::new(std::env::current_exe().map_err(failed)?);
    again.args(std::env::args_os().skip(1));
    for name in unwanted {
        again.env_remove(name);
    }
    // Only returns when it fails.
    Err(failed(again.exec()))
}

impl Stage {
    /// Creates the folder and starts both servers at once.
    ///
    /// # Errors
    /// No server programs, a folder that cannot be used, a server that does not start.
    pub async fn set_up(dir: PathBuf, template: &'static str) -> Result<Stage> {
        blocking(move || {
            let programs = Programs::find()?;
            let folder = ScratchFolder::create(&dir, "dayhaul-demo")?;
            let (tenants, warehouse) = std::thread::scope(|scope| {
                let start = || Cluster::start(&programs, folder.path(), &THROW_AWAY);
                let other = scope.spawn(start);
                let tenants = start();
                (tenants, other.join())
            });
            let warehouse =
                warehouse.map_err(|_| Error::new(Kind::Bug, "starting a server panicked"))?;
            let stage = Stage {
                tenants: tenants?,
                warehouse: warehouse?,
                folder,
            };
            stage.write_files(template)?;
            Ok(stage)
        })
        .await
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("dayhaul.toml")
    }

    /// PostgreSQL's major version.
    pub fn version(&self) -> u32 {
        self.tenants.programs().version()
    }

    pub fn port(&self, side: StageServer) -> u16 {
        self.cluster(side).port()
    }

    pub fn url(&self, side: StageServer, database: &str) -> String {
        self.cluster(side).url(database)
    }

    /// Arguments with the paths of the demo's files made absolute.
    pub fn in_the_folder(&self, arguments: &[&str]) -> Vec<OsString> {
        arguments
            .iter()
            .map(|argument| {
                if argument.starts_with("templates/") {
                    self.folder.path().join(argument).into_os_string()
                } else {
                    OsString::from(argument)
                }
            })
            .collect()
    }

    /// Stops the servers and removes the folder.
    pub async fn tear_down(self) {
        // Joining fails only if a drop panics; there is nothing left to do then.
        let _ = spawn_blocking(move || drop(self)).await;
    }

    /// Leaves the servers running and the folder in place; returns the commands that stop the servers.
    ///
    /// # Errors
    /// A server that cannot be restarted independently of this process.
    pub async fn leave_running(self) -> Result<Vec<String>> {
        blocking(move || {
            let Stage {
                tenants,
                warehouse,
                mut folder,
            } = self;
            folder.keep();
            let mut ends = Vec::new();
            for cluster in [tenants, warehouse] {
                let data = cluster.data_dir().to_owned();
                cluster.detach()?;
                ends.push(format!(
                    "kill -INT $(head -1 {}/postmaster.pid)",
                    data.display()
                ));
            }
            Ok(ends)
        })
        .await
    }

    fn cluster(&self, side: StageServer) -> &Cluster {
        match side {
            StageServer::Tenants => &self.tenants,
            StageServer::Warehouse => &self.warehouse,
        }
    }

    fn write_files(&self, template: &str) -> Result<()> {
        let path = self.folder.path();
        let configuration = format!(
            "[warehouse]\nurl = \"{}\"\n",
            self.url(StageServer::Warehouse, "warehouse")
        );
        fs::create_dir(path.join("templates"))
            .and_then(|()| fs::write(path.join("templates/foodlogstats.sql"), template))
            .and_then(|()| fs::write(self.configuration(), configuration))
            .map_err(|e| {
                Error::new(
                    Kind::Io,
                    format!("failed to write into `{}`", path.display()),
                )
                .with_source(e)
            })
    }
}

/// Runs blocking work on another thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|e| Error::new(Kind::Bug, "a part of the demo panicked").with_source(e))?
}
