//! What Dayhaul was told to do: `dayhaul.toml` and the environment, validated.
//!
//! ```toml
//! [warehouse]
//! url = "postgresql://loader@warehouse.example:5432/wh?sslmode=verify-full"
//! password = "env:WAREHOUSE_PASSWORD"    # a reference: env:NAME, file:PATH, cmd:COMMAND or pgpass
//!
//! [load]
//! jobs = 4
//! window_bytes = "16MB"
//! stall_timeout = "5 min"
//!
//! [landing]
//! url = "file:///srv/lake"               # or s3://bucket/prefix, gs://…, az://…
//! enabled = true
//!
//! [secrets]
//! allow = ["cmd:pass show acme/db"]      # references of tenants that this host may follow
//!
//! [laptop]
//! salt_file = "/home/me/wh/salt"         # only in what `dayhaul laptop` writes
//! ```
//!
//! Every key can be overridden by an environment variable, `DAYHAUL_<SECTION>_<KEY>`: `DAYHAUL_WAREHOUSE_URL`,
//! `DAYHAUL_LOAD_JOBS`. A key or a variable nobody knows is an error, since a misspelt limit would be no limit.

mod landing;
mod masks;
mod quantity;
mod raw;

pub use landing::Landing;
pub use quantity::{duration, size};
pub use raw::Place;

use crate::error::{Error, Result};
use crate::schema::Salt;
use crate::unit::IDENTIFIER_BYTES;
use raw::{Entry, Value};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file looked for when neither `--config` nor `$DAYHAUL_CONFIG` names one.
pub const DEFAULT_FILE: &str = "dayhaul.toml";

/// Longest timeout PostgreSQL takes: its settings are 32-bit milliseconds.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Everything the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub warehouse: Warehouse,
    pub load: Load,
    pub landing: Landing,
    pub secrets: Secrets,
    /// `[laptop]` `salt_file`: the warehouse is somebody's laptop. What is read from tenants is masked as the templates say,
    /// with the salt in this file. Default: none; nothing is masked.
    pub masks: Option<Salt>,
}

/// `[warehouse]`: the one database that everything is hauled into.
#[derive(Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// A libpq connection string, URL or `key=value`. Required; has no default.
    pub url: String,
    /// Where `url` stands: in a file it may hold no password.
    pub url_place: Place,
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

impl Settings {
    /// Reads the file (`path`, else `$DAYHAUL_CONFIG`, else `./dayhaul.toml` if it is there), then the environment,
    /// which overrides it.
    ///
    /// # Errors
    /// A named file that cannot be read; unknown keys, values that make no sense, each with its place; no
    /// `warehouse.url` anywhere.
    pub fn load(path: Option<&Path>) -> Result<Settings> {
        Settings::load_over(path, &[])
    }

    fn load_over(path: Option<&Path>, over: &[(&str, &str)]) -> Result<Settings> {
        let named = path.map(Path::to_owned).or_else(|| {
            std::env::var_os("DAYHAUL_CONFIG")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        });
        let file = read(named.as_deref())?;
        // A variable that is not UTF-8 cannot be one of ours, or not with a meaning.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let over = over
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = variables.chain(over);
        Settings::from_parts(
            file.as_ref().map(|(p, t)| (p.as_path(), t.as_str())),
            variables,
        )
    }

    /// For what a laptop, which holds masked values only, does not do.
    ///
    /// # Errors
    /// The configuration is a laptop's; `why` it is refused.
    pub fn refuse_masked(&self, why: &str) -> Result<()> {
        match self.masks {
            None => Ok(()),
            Some(_) => Err(Error::refused(format!(
                "the configuration is a laptop's (`laptop.salt_file`): {why}"
            ))
            .with_hint("name the warehouse's configuration with `--config`")),
        }
    }

    /// As [`Settings::load`], with another warehouse than the one that is configured: its URL, and a reference to its
    /// password.
    ///
    /// # Errors
    /// As there.
    pub fn load_with_warehouse(
        path: Option<&Path>,
        url: &str,
        password: Option<&str>,
    ) -> Result<Settings> {
        let mut settings = Settings::load_over(path, &[("DAYHAUL_WAREHOUSE_URL", url)])?;
        settings.warehouse.url_place = Place::Argument;
        settings.warehouse.password = password.map(str::to_owned);
        Ok(settings)
    }

    /// The same from texts; no file is read but the salt's, where one is named.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_parts(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Settings> {
        let mut entries = match file {
            Some((path, text)) => raw::from_file(path, text)?,
            None => Vec::new(),
        };
        entries.extend(raw::from_environment(variables)?);
        let mut draft = Draft::default();
        for entry in entries {
            let place = entry.place.to_string();
            let name = format!("`{}.{}`", entry.section, entry.key);
            draft
                .take(entry)
                .map_err(|why| Error::config(format!("{name}: {why}")).at(place))?;
        }
        draft.finish()
    }
}

fn read(named: Option<&Path>) -> Result<Option<(PathBuf, String)>> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::config(format!(
            "the configuration file `{}` cannot be read",
            path.display()
        ))
        .with_source(e)),
    }
}

/// Settings on their way: what has been said so far, over the defaults.
struct Draft {
    url: Option<(String, Place)>,
    password: Option<String>,
    owner_role: String,
    reader_role: String,
    load: Load,
    landing: Landing,
    secrets: Secrets,
    salt_file: Option<PathBuf>,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            url: None,
            password: None,
            owner_role: "wh_admin".into(),
            reader_role: "wh_reader".into(),
            load: Load::default(),
            landing: Landing::default(),
            secrets: Secrets::default(),
            salt_file: None,
        }
    }
}

impl Draft {
    fn take(&mut self, entry: Entry) -> Result<(), String> {
        let text = match entry.value {
            Value::List(items) if entry.section == "secrets" => {
                self.secrets.allow = items;
                return Ok(());
            }
            Value::Text(text) if entry.section != "secrets" => text,
            Value::List(_) => return Err("takes one value, not a list".into()),
            Value::Text(_) => return Err("takes a list of texts, as in `[\"cmd:…\"]`".into()),
        };
        if entry.section == "landing" {
            return self.landing.take(entry.key, text);
        }
        let load = &mut self.load;
        match entry.key {
            "url" => self.url = Some((text, entry.place)),
            "password" => self.password = Some(text),
            "owner_role" => self.owner_role = role(text)?,
            "reader_role" => self.reader_role = role(text)?,
            "jobs" => load.jobs = count(&text, 64)?,
            "per_server" => load.per_server = count(&text, 64)?,
            "window_bytes" => load.window_bytes = window_bytes(&text)?,
            "statement_timeout" => load.statement_timeout = timeout(&text, Duration::ZERO)?,
            "stall_timeout" => load.stall_timeout = timeout(&text, Duration::from_secs(1))?,
            "lock_timeout" => load.lock_timeout = timeout(&text, Duration::from_millis(1))?,
            "barrier_timeout" => load.barrier_timeout = timeout(&text, Duration::from_millis(1))?,
            "max_failures" => load.max_failures = count(&text, usize::MAX)?,
            "salt_file" => self.salt_file = Some(PathBuf::from(text)),
            "max_failures_per_tenant" => load.max_failures_per_tenant = count(&text, usize::MAX)?,
            other => return Err(format!("`{other}` is not read anywhere")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Settings> {
        let (url, url_place) = self.url.ok_or_else(|| {
            Error::config("no warehouse is configured").with_hint(format!(
                "write `[warehouse]` with `url = \"postgresql://…\"` into {DEFAULT_FILE}, or set {}",
                raw::variable("warehouse", "url")
            ))
        })?;
        if self.owner_role == self.reader_role {
            return Err(Error::config(format!(
                "`{}` cannot be both `warehouse.owner_role` and `warehouse.reader_role`: readers would own what they read",
                self.owner_role
            )));
        }
        Ok(Settings {
            warehouse: Warehouse {
                url,
                url_place,
                password: self.password,
                owner_role: self.owner_role,
                reader_role: self.reader_role,
            },
            load: self.load,
            // A laptop lands nothing, whatever the environment says for the warehouse.
            landing: match self.salt_file {
                None => self.landing.check()?,
                Some(_) => Landing::default(),
            },
            secrets: self.secrets,
            masks: self.salt_file.as_deref().map(masks::salt).transpose()?,
        })
    }
}

fn role(text: String) -> Result<String, String> {
    if text.is_empty() || text.len() > IDENTIFIER_BYTES || text.contains('\0') {
        return Err(format!("a role's name has 1 to {IDENTIFIER_BYTES} bytes"));
    }
    if text.starts_with("pg_") || ["public", "none"].contains(&text.as_str()) {
        return Err(format!("PostgreSQL reserves the role name `{text}`"));
    }
    Ok(text)
}

fn count(text: &str, most: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        _ if most == usize::MAX => Err(format!("`{text}` is not a whole number from 1 up")),
        _ => Err(format!("`{text}` is not a whole number from 1 to {most}")),
    }
}

fn window_bytes(text: &str) -> Result<usize, String> {
    match size(text)? {
        n if (1 << 16..=1 << 30).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not between 64kB and 1GB")),
    }
}

fn timeout(text: &str, least: Duration) -> Result<Duration, String> {
    match duration(text)? {
        d if d > LONGEST_TIMEOUT => Err(format!(
            "`{text}` is longer than the 24 days PostgreSQL takes"
        )),
        d if d < least => Err(format!("`{text}` is shorter than {least:?}")),
        d => Ok(d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_parts(
            Some((Path::new("dayhaul.toml"), file)),
            variables
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        )
    }

    const URL: &str = "[warehouse]\nurl = \"postgresql://w/wh\"\n";

    #[test]
    fn the_environment_overrides_the_file_and_the_file_the_defaults() {
        let file = format!("{URL}[load]\njobs = 8\nstall_timeout = \"30s\"\n");
        let settings = load(&file, &[("DAYHAUL_LOAD_JOBS", "2"), ("PATH", "/bin")]).unwrap();
        assert_eq!(settings.load.jobs, 2);
        assert_eq!(settings.load.stall_timeout, Duration::from_secs(30));
        assert_eq!(settings.load.per_server, 2);
        assert_eq!(settings.warehouse.owner_role, "wh_admin");
    }

    #[test]
    fn no_file_is_needed_when_the_environment_says_it_all() {
        let variables = [
            ("DAYHAUL_WAREHOUSE_URL", "host=w dbname=wh"),
            ("DAYHAUL_SECRETS_ALLOW", "[\"cmd:a, b\", \"file:/c\"]"),
            ("DAYHAUL_LOG", "debug"),
            ("DAYHAUL_LOAD_LOCK_TIMEOUT", ""),
        ];
        let settings = load("", &variables).unwrap();
        assert_eq!(settings.secrets.allow, ["cmd:a, b", "file:/c"]);
        assert_eq!(settings.load, Load::default());
        let error = load("", &[]).unwrap_err();
        assert!(error.hint().unwrap().contains("DAYHAUL_WAREHOUSE_URL"));
    }

    #[test]
    fn landing_is_off_until_it_is_switched_on_and_has_a_place() {
        assert_eq!(load(URL, &[]).unwrap().landing, Landing::default());
        let file = format!("{URL}[landing]\nurl = \"file:///srv/lake\"\nenabled = true\n");
        let landing = load(&file, &[]).unwrap().landing;
        assert_eq!(landing.url.as_deref(), Some("file:///srv/lake"));
        assert!(landing.enabled);
        let variables = [
            ("DAYHAUL_LANDING_URL", "s3://lake/days"),
            ("DAYHAUL_LANDING_ENABLED", "false"),
        ];
        let landing = load(&file, &variables).unwrap().landing;
        assert_eq!(landing.url.as_deref(), Some("s3://lake/days"));
        assert!(!landing.enabled);
        let nowhere = load(&format!("{URL}[landing]\nenabled = true\n"), &[]).unwrap_err();
        assert!(nowhere.hint().unwrap().contains("DAYHAUL_LANDING_URL"));
        let odd = load(&format!("{URL}[landing]\nenabled = \"maybe\"\n"), &[]).unwrap_err();
        assert!(odd.to_string().contains("`landing.enabled`"), "{odd}");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_known() {
        let error = load(&format!("{URL}[load]\n\njob = 3\n"), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "dayhaul.toml:5: unknown key `job` in `[load]`"
        );
        assert_eq!(error.hint(), Some("did you mean `jobs`?"));
        let error = load(&format!("{URL}[lading]\nurl = \"x\"\n"), &[]).unwrap_err();
        assert!(error.to_string().contains("section `[lading]`"), "{error}");
        assert_eq!(error.hint(), Some("did you mean `landing`?"));
        let error = load(URL, &[("DAYHAUL_LOAD_JOB", "3")]).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `DAYHAUL_LOAD_JOBS`?"));
        assert!(load(URL, &[("DAYHAUL_SOMETHING_ELSE", "3")]).is_ok());
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named_with_its_place() {
        for (line, place) in [
            ("jobs = 0", "dayhaul.toml:4"),
            ("jobs = \"many\"", "`load.jobs`"),
            ("jobs = true", "boolean"),
            ("stall_timeout = 30", "`load.stall_timeout`"),
            ("stall_timeout = \"0\"", "shorter"),
            ("statement_timeout = \"90 d\"", "24 days"),
            ("window_bytes = \"1kB\"", "64kB"),
            ("jobs = [\"1\"]", "not a list"),
        ] {
            let error = load(&format!("{URL}[load]\n{line}\n"), &[]).unwrap_err();
            assert!(error.to_string().contains(place), "{line}: {error}");
        }
        let same = "[warehouse]\nurl = \"x\"\nowner_role = \"a\"\nreader_role = \"a\"\n";
        assert!(load(same, &[]).is_err());
    }

    #[test]
    fn what_may_hold_a_password_is_never_quoted() {
        let error = load("[warehouse]\nurl = \"postgresql://u:hunter2@w/wh\n", &[]).unwrap_err();
        assert!(error.to_string().starts_with("dayhaul.toml:2:"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
        let url = ("DAYHAUL_WAREHOUSE_URL", "postgresql://u:hunter2@w/wh");
        assert!(!format!("{:?}", load("", &[url]).unwrap()).contains("hunter2"));
    }
}
