//! The sections of the configuration, with their keys' units and defaults.

use super::read::SettingOrigin;
use crate::error::{Error, Result};
use std::fmt;
use std::time::Duration;

/// `[warehouse]`: the one database that everything is hauled into.
#[derive(Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// A libpq connection string, URL or `key=value`. Required; has no default.
    pub url: String,
    /// Where `url` stands: in a file it may hold no password.
    pub url_place: SettingOrigin,
    /// A reference to the password (`env:NAME`, `file:PATH`, `cmd:COMMAND`, `pgpass`), not the password. Default: none;
    /// `PGPASSWORD` and `.pgpass` are then looked at, as libpq does.
    pub password: Option<String>,
    /// The role that owns schemas, tables, views and the catalog. Default `wh_admin`. May equal the login.
    pub owner_role: String,
    /// The role that readers are members of. Default `wh_reader`.
    pub reader_role: String,
}

impl fmt::Debug for Warehouse {
    /// Without what may hold a password, by right (a URL in the environment) or by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warehouse")
            .field("url_place", &self.url_place)
            .field("owner_role", &self.owner_role)
            .field("reader_role", &self.reader_role)
            .finish_non_exhaustive()
    }
}

/// `[load]`: how hard to pull, and when to give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Windows in flight at once, over all tenants; each takes one connection to a source and one to the warehouse.
    /// Default 4: enough to hide the sources' planning time, few enough for a small warehouse.
    pub jobs: usize,
    /// Windows in flight at once per source server (`host:port`), since tenants share servers that have other work.
    /// Default 2.
    pub per_server: usize,
    /// Bytes of tuples that one window aims at and may buffer; `jobs` × this is the memory of all buffers.
    /// Default 16 MiB.
    pub window_bytes: usize,
    /// How long one window's query may run at the source. Default 1 h: longer than any sane window, short enough that a
    /// query waiting behind a forgotten lock ends the same night. `0` is no limit, as in PostgreSQL.
    pub statement_timeout: Duration,
    /// A COPY that moved no byte for so long is given up and retried. Default 5 min: first bytes of a sorted or
    /// aggregated query take a while.
    pub stall_timeout: Duration,
    /// How long DDL in the warehouse waits for a lock before it steps back and tries again. Default 100 ms, because
    /// readers queue behind a waiting ACCESS EXCLUSIVE request.
    pub lock_timeout: Duration,
    /// How long a fold waits for readers whose snapshot is older than what it is about to reveal; then it leaves
    /// everything as it is, and the next run tries again. Default 60 s: most queries are over by then, and a run that
    /// waits holds its pairs.
    pub barrier_timeout: Duration,
    /// Failed units in a row, over all tenants, after which the rest is not tried. Default 100: the warehouse, or the
    /// network, is at fault then.
    pub max_failures: usize,
    /// Failed units in a row of one tenant after which its rest is not tried. Default 20.
    pub max_failures_per_tenant: usize,
}

/// `[secrets]`: which references that stand in the catalog this host follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets {
    /// `cmd:` and `file:` references of tenants, written exactly as in the catalog. Default: none. Whoever can write the
    /// catalog could otherwise run a command here.
    pub allow: Vec<String>,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            jobs: 4,
            per_server: 2,
            window_bytes: 16 << 20,
            statement_timeout: Duration::from_secs(3600),
            stall_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_millis(100),
            barrier_timeout: Duration::from_secs(60),
            max_failures: 100,
            max_failures_per_tenant: 20,
        }
    }
}

/// `[landing]`: where days are kept as Parquet, and whether every load keeps them. Credentials of object stores are not
/// configuration: they come from the environment variables that the stores' own tools read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LandingSettings {
    /// `file:///…`, `s3://…`, `gs://…` or `az://…`. Default: none.
    pub url: Option<String>,
    /// Land what `backfill`, `sync` and `refresh` load, without being told by `--land`. Default false.
    pub enabled: bool,
}

impl LandingSettings {
    pub(super) fn take(&mut self, key: &str, text: String) -> Result<(), String> {
        match key {
            "url" => self.url = Some(text),
            "enabled" => {
                self.enabled = match text.trim() {
                    "true" | "1" | "on" | "yes" => true,
                    "false" | "0" | "off" | "no" => false,
                    _ => return Err(format!("`{text}` is neither true nor false")),
                }
            }
            other => return Err(format!("`{other}` is not read anywhere")),
        }
        Ok(())
    }

    /// # Errors
    /// Landing is switched on without a place.
    pub(super) fn check(self) -> Result<LandingSettings> {
        if self.enabled && self.url.is_none() {
            return Err(
                Error::config("`landing.enabled` is true, and `landing.url` is not set").with_hint(
                    "write `url = \"file:///…\"` (or s3://, gs://, az://) into `[landing]`, or set DAYHAUL_LANDING_URL",
                ),
            );
        }
        Ok(self)
    }
}
