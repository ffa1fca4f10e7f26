//! What the demo plays on: a folder with two private servers and a configuration.

use crate::cluster::{Cluster, Programs, ScratchFolder, THROW_AWAY};
use crate::demo::TEMPLATE;
use crate::error::{Error, Kind, Result};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::task::spawn_blocking;

/// The role that reads the demo's warehouse; `init`'s default.
pub const READER: &str = "wh_reader";

/// Ours, and of no harm.
const HARMLESS: [&str; 2] = ["DAYHAUL_PG_BIN", "DAYHAUL_LOG"];

/// Which of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Tenants,
    Warehouse,
}

/// Two servers and a folder; dropped, all is gone.
pub struct Stage {
    tenants: Cluster,
    warehouse: Cluster,
    /// Last: the servers' folders are in it.
    folder: ScratchFolder,
}

/// `DAYHAUL_WAREHOUSE_URL` or `PGHOSTADDR` would send the demo to somebody's real warehouse. Where such variables are
/// set, the process starts over without them.
///
/// # Errors
/// When it cannot start over.
pub fn leave_the_environment_behind() -> Result<()> {
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
            "cannot start over without `DAYHAUL_*` and `PG*` variables",
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
    /// Makes the folder and starts both servers, side by side.
    ///
    /// # Errors
    /// No server programs, a folder that cannot be used, a server that does not start.
    pub async fn set_up(dir: PathBuf) -> Result<Stage> {
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
            stage.write_files()?;
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

    pub fn port(&self, side: Side) -> u16 {
        self.cluster(side).port()
    }

    pub fn url(&self, side: Side, database: &str) -> String {
        self.cluster(side).url(database)
    }

    /// Arguments with the folder before the paths of the demo's own files.
    pub fn in_the_folder(&self, arguments: &[&str]) -> Vec<OsString> {
        arguments
            .iter()
            .map(|argument| match argument.strip_prefix("templates/") {
                Some(_) => self.folder.path().join(argument).into_os_string(),
                None => OsString::from(argument),
            })
            .collect()
    }

    /// Stops the servers and removes the folder.
    pub async fn strike(self) {
        // Joining can only fail by a panic in a drop; nothing is left to be done then.
        let _ = spawn_blocking(move || drop(self)).await;
    }

    /// Leaves servers and folder; the commands that stop the servers.
    ///
    /// # Errors
    /// A server that cannot be restarted on its own.
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

    fn cluster(&self, side: Side) -> &Cluster {
        match side {
            Side::Tenants => &self.tenants,
            Side::Warehouse => &self.warehouse,
        }
    }

    fn write_files(&self) -> Result<()> {
        let path = self.folder.path();
        let configuration = format!(
            "[warehouse]\nurl = \"{}\"\n",
            self.url(Side::Warehouse, "warehouse")
        );
        fs::create_dir(path.join("templates"))
            .and_then(|()| fs::write(path.join("templates/foodlogstats.sql"), TEMPLATE))
            .and_then(|()| fs::write(self.configuration(), configuration))
            .map_err(|e| {
                Error::new(Kind::Io, format!("cannot write into `{}`", path.display()))
                    .with_source(e)
            })
    }
}

/// Runs blocking work beside the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|e| Error::new(Kind::Bug, "a part of the demo panicked").with_source(e))?
}
