//! The sections of the configuration, with their keys' units and defaults.

use super::read::SettingOrigin;
use super::schemas::Schemas;
use crate::error::{Error, Result};
use crate::schema::Salt;
use std::fmt;
use std::time::Duration;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub warehouse: Warehouse,
    pub load: Load,
    pub landing: LandingSettings,
    pub secrets: Secrets,
    /// `[laptop]` `salt_file`: the warehouse is on a laptop. Values read from tenants are masked as the templates declare,
    /// with the salt in this file. Default: none; nothing is masked.
    pub masks: Option<Salt>,
}

/// `[warehouse]`: the database that all tenants are loaded into.
#[derive(Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// A libpq connection string, URL or `key=value`. Required; has no default.
    pub url: String,
    /// Where `url` was set. In a file it must not contain a password.
    pub url_place: SettingOrigin,
    /// A reference to the password (`env:NAME`, `file:PATH`, `cmd:COMMAND`, `pgpass`), not the password itself. Default:
    /// none; `PGPASSWORD` and `.pgpass` are then used, as libpq does.
    pub password: Option<String>,
    /// The role that owns schemas, tables, views and the catalog. Default `wh_admin`. Can be the login role.
    pub owner_role: String,
    /// The role that all readers are members of. Default `wh_reader`.
    pub reader_role: String,
    /// What tables are created with. Default `default`, PostgreSQL's own: rows of a table in a publication can then not be
    /// deleted, because the tables have no primary key.
    pub replica_identity: ReplicaIdentity,
    /// Schemas of the catalog and of the public views. Default `_wh` and `public`.
    pub schemas: Schemas,
}

/// `REPLICA IDENTITY` of day and year tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplicaIdentity {
    #[default]
    Default,
    /// The whole row: published tables can be changed.
    Full,
}

impl ReplicaIdentity {
    pub(super) fn parse(text: &str) -> Result<ReplicaIdentity, String> {
        match text {
            "default" => Ok(ReplicaIdentity::Default),
            "full" => Ok(ReplicaIdentity::Full),
            _ => Err("expected `default` or `full`".to_owned()),
        }
    }
}

impl fmt::Debug for Warehouse {
    /// Leaves out fields that may contain a password, on purpose (a URL in the environment) or by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warehouse")
            .field("url_place", &self.url_place)
            .field("owner_role", &self.owner_role)
            .field("reader_role", &self.reader_role)
            .field("schemas", &self.schemas)
            .finish_non_exhaustive()
    }
}

/// `[load]`: concurrency, buffer sizes and limits of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Windows loaded at once, over all tenants. Each takes one connection to a source and one to the warehouse.
    /// Default 4: enough to hide the sources' planning time, few enough for a small warehouse.
    pub jobs: usize,
    /// Sessions open at one source server (`host:port`) at once: tenants share servers, and those serve other work, too.
    /// Default 2.
    pub per_server: usize,
    /// Target size of one window in bytes of tuples, and the limit of its buffer. All buffers together take `jobs` × this.
    /// Default 16 MiB.
    pub window_bytes: usize,
    /// A day whose pair has so many bytes of tuples a day, or more, is read in several ranges of its time, side by side.
    /// Default 1 GiB: a day that takes long enough for a second session to be worth opening.
    pub range_bytes: usize,
    /// How long one window's query may run at the source. Default 1 h: longer than any reasonable window, short enough that
    /// a query waiting for a forgotten lock ends the same night. `0` means no limit, as in PostgreSQL.
    pub statement_timeout: Duration,
    /// A COPY that moves no bytes for this long is canceled and retried. Default 5 min: a query that sorts or aggregates
    /// takes a while to return its first bytes.
    pub stall_timeout: Duration,
    /// How long DDL in the warehouse waits for a lock before it backs off and retries. Default 100 ms, because readers queue
    /// behind a waiting ACCESS EXCLUSIVE request.
    pub lock_timeout: Duration,
    /// How long a fold waits for readers whose snapshot is older than the tables it is about to reveal. Then it changes
    /// nothing, and the next run tries again. Default 60 s: most queries end within that time, and a waiting run keeps
    /// its pairs locked.
    pub barrier_timeout: Duration,
    /// Consecutive failed units, over all tenants, after which the rest is not tried. Default 100: by then the warehouse or
    /// the network is the likely cause.
    pub max_failures: usize,
    /// Consecutive failed units of one tenant after which its remaining units are not tried. Default 20.
    pub max_failures_per_tenant: usize,
    /// `sync` compares each settled day of so many days back with its source once in 30 nights: a row that comes later than
    /// the lookback is found. Default 400: the year before, and some. `0` compares none.
    pub sweep_days: u32,
}

/// `[secrets]`: which of the catalog's references this host resolves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets {
    /// `cmd:` and `file:` references of tenants, exactly as in the catalog. Default: none, since anyone who can write to the
    /// catalog could otherwise run a command here.
    pub allow: Vec<String>,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            jobs: 4,
            per_server: 2,
            window_bytes: 16 << 20,
            range_bytes: 1 << 30,
            statement_timeout: Duration::from_secs(3600),
            stall_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_millis(100),
            barrier_timeout: Duration::from_secs(60),
            max_failures: 100,
            max_failures_per_tenant: 20,
            sweep_days: 400,
        }
    }
}

/// `[landing]`: where days are stored as Parquet, and whether every load stores them. Object store credentials are not set
/// here: they come from the environment variables that the stores' own tools read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LandingSettings {
    /// `file:///…`, `s3://…`, `gs://…` or `az://…`. Default: none.
    pub url: Option<String>,
    /// Whether `backfill`, `sync` and `refresh` land the days they load without `--land`. Default false.
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
            other => return Err(format!("unknown key `{other}`")),
        }
        Ok(())
    }

    /// # Errors
    /// Landing is enabled without a URL.
    pub(super) fn check(self) -> Result<LandingSettings> {
        if self.enabled && self.url.is_none() {
            return Err(
                Error::config("`landing.enabled` is true, but no landing URL is configured").with_hint(
                    "set `url = \"file:///…\"` (or s3://, gs://, az://) in `[landing]`, or set DAYHAUL_LANDING_URL",
                ),
            );
        }
        Ok(self)
    }
}
