//! What the bench ran on: machine, versions, server settings.

use crate::error::Result;
use crate::pg::Session;
use serde::Serialize;
use std::collections::BTreeMap;

/// This machine, and this program.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    /// Bytes.
    pub memory: Option<u64>,
    /// Operating system and kernel release.
    pub system: String,
    pub dayhaul: &'static str,
    /// Figures of a program built without `--release` say nothing about its speed.
    pub debug_build: bool,
}

/// A server's version, and its settings that differ from PostgreSQL's defaults.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServerInfo {
    pub version: String,
    pub settings: BTreeMap<String, String>,
}

/// Shown even where they are the defaults.
const ALWAYS: &str = "'fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'shared_buffers', 'work_mem', \
    'maintenance_work_mem', 'max_wal_size', 'max_connections', 'max_locks_per_transaction', 'max_parallel_maintenance_workers'";

/// Not shown: they do not affect speed, or they reveal something about the host.
const NEVER: &str = "'data_directory', 'config_file', 'hba_file', 'ident_file', 'port', 'listen_addresses', \
    'unix_socket_directories', 'log_timezone', 'TimeZone', 'cluster_name', 'external_pid_file', 'DateStyle', \
    'default_text_search_config', 'dynamic_shared_memory_type'";

impl Machine {
    pub fn detect(cores: usize) -> Machine {
        Machine {
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores,
            memory: crate::os::memory(),
            system: system(),
            dayhaul: env!("CARGO_PKG_VERSION"),
            debug_build: cfg!(debug_assertions),
        }
    }
}

impl ServerInfo {
    /// # Errors
    /// The server fails.
    pub async fn read(session: &Session) -> Result<ServerInfo> {
        let version = session.simple("SHOW server_version").await?;
        let settings = session
            .simple(&format!(
                "SELECT name, current_setting(name) FROM pg_settings \
                 WHERE (name IN ({ALWAYS}) OR source IN ('configuration file', 'command line', 'environment variable')) \
                   AND name NOT IN ({NEVER}) AND name NOT LIKE 'lc\\_%' AND name NOT LIKE 'log%' AND name NOT LIKE 'ssl%' \
                   AND name NOT LIKE '%command' AND name NOT LIKE '%conninfo'"
            ))
            .await?;
        Ok(ServerInfo {
            version: version.value(0, 0).unwrap_or_default().to_owned(),
            settings: settings
                .rows
                .into_iter()
                .filter_map(|row| {
                    let mut values = row.into_iter();
                    Some((values.next()??, values.next()??))
                })
                .collect(),
        })
    }
}

/// The CPU's model name, which only Linux offers as a file.
fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn system() -> String {
    let name = rustix::system::uname();
    let (system, release) = (name.sysname(), name.release());
    format!("{} {}", system.to_string_lossy(), release.to_string_lossy())
}
