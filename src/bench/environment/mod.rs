//! The environment that all scenarios share: servers, tenants, and the data to load.

mod configured;
mod private;
mod servers;
mod tenant_data;

pub use configured::{ConfiguredSpec, ConfiguredWarehouse};
pub use private::{PrivateServers, PrivateServersSpec};
pub use servers::{LateRows, Monitors, Postmasters, TestServers, Work, psql_program};
pub use tenant_data::{Amounts, TenantData};

use super::sandbox::{Launch, Sandbox};
use crate::error::{Error, Kind, Result};
use crate::template::Template;
use crate::unit::Window;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Servers, and what is loaded between them.
pub struct Environment {
    pub servers: Box<dyn TestServers>,
    pub workload: Workload,
    pub cores: usize,
    /// Number of the next sandbox.
    next: AtomicU32,
}

/// What is loaded, and with how many sessions.
pub struct Workload {
    pub template: Arc<Template>,
    /// The whole period. Its last day is yesterday unless the user or [`TenantData`] chose other days.
    pub window: Window,
    /// Rows of an ordinary day, where they are generated.
    pub rows_per_day: Option<u64>,
    /// Most tenants that a scenario uses.
    pub tenants: u16,
    pub jobs: usize,
    /// For files; must have room for the whole period as binary COPY.
    pub folder: PathBuf,
    pub psql: PathBuf,
    /// Dayhaul's executable, started as a separate process.
    pub program: PathBuf,
}

impl Environment {
    pub fn new(servers: Box<dyn TestServers>, workload: Workload) -> Environment {
        Environment {
            servers,
            workload,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            next: AtomicU32::new(1),
        }
    }

    pub fn window(&self) -> Window {
        self.workload.window
    }

    /// The last days of the period.
    pub fn last_days(&self, days: usize) -> Window {
        let window = self.window();
        let days = i32::try_from(days.min(window.len())).unwrap_or(1);
        Window::new(window.to.plus(-days.max(1)), window.to)
    }

    /// Creates an empty sandbox.
    ///
    /// # Errors
    /// A server fails, or the sandbox's folder cannot be created.
    pub async fn sandbox(&self, tenants: u16, window: Window) -> Result<Sandbox> {
        let workload = &self.workload;
        let sources = self.servers.sources(tenants).await?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = workload.folder.join(format!("sandbox-{number}"));
        std::fs::create_dir_all(&folder).map_err(|e| {
            Error::new(
                Kind::Io,
                format!("failed to create folder `{}`", folder.display()),
            )
            .with_source(e)
        })?;
        let warehouse = self.servers.create_scratch(number).await?;
        let mut sandbox = Sandbox {
            is_private: self.servers.is_private(),
            launch: Launch::default(),
            warehouse,
            schema: self.servers.schema(),
            sources,
            template: Arc::clone(&workload.template),
            window,
            jobs: workload.jobs,
            cores: self.cores,
            folder,
            psql: workload.psql.clone(),
            program: workload.program.clone(),
        };
        sandbox.launch = self.servers.launch(&sandbox);
        Ok(sandbox)
    }

    /// Removes a sandbox.
    ///
    /// # Errors
    /// The warehouse fails.
    pub async fn remove(&self, sandbox: &Sandbox) -> Result<()> {
        // Files that cannot be removed now disappear with the bench's folder.
        let _ = std::fs::remove_dir_all(&sandbox.folder);
        self.servers.drop_scratch(&sandbox.warehouse).await
    }

    /// Writes out dirty buffers, so that no try pays for an earlier one. Servers in use are left to their own schedule.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn checkpoint(&self, monitors: &Monitors) -> Result<()> {
        if !self.servers.is_private() {
            return Ok(());
        }
        for session in [&monitors.warehouse, &monitors.sources] {
            match session.batch("CHECKPOINT").await {
                Err(error) if error.kind() == Kind::Connect => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
