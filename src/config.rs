//! The configuration: `dayhaul.toml` and environment variables, validated.
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
//! allow = ["cmd:pass show acme/db"]      # tenants' references that this host may resolve
//!
//! [laptop]
//! salt_file = "/home/me/wh/salt"         # only in files that `dayhaul laptop` writes
//! ```
//!
//! Every key can be overridden by an environment variable, `DAYHAUL_<SECTION>_<KEY>`: `DAYHAUL_WAREHOUSE_URL`,
//! `DAYHAUL_LOAD_JOBS`. An unknown key or variable is an error, since a misspelled limit would not be applied.

mod builder;
mod keys;
mod quantity;
mod read;
mod salt;
mod schemas;
mod sections;

pub use keys::DEFAULT_FILE;
pub use quantity::{duration, size};
pub use read::SettingOrigin;
pub use schemas::Schemas;
pub use sections::{LandingSettings, Load, ReplicaIdentity, Secrets, Settings, Warehouse};

use crate::error::{Error, Result};
use builder::SettingsBuilder;
use std::path::{Path, PathBuf};

impl Settings {
    /// Reads the file (`path`, else `$DAYHAUL_CONFIG`, else `./dayhaul.toml` if it exists), then the environment,
    /// which overrides it.
    ///
    /// # Errors
    /// A named file cannot be read; a key is unknown or a value is invalid, each with its location; `warehouse.url` is not
    /// set.
    pub fn load(path: Option<&Path>) -> Result<Settings> {
        Settings::load_over(path, &[])
    }

    fn load_over(path: Option<&Path>, over: &[(&str, &str)]) -> Result<Settings> {
        let named = path.map(Path::to_owned).or_else(|| {
            std::env::var_os("DAYHAUL_CONFIG")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        });
        let file = read_file(named.as_deref())?;
        // A variable that is not UTF-8 cannot hold a valid setting.
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

    /// Refuses a command that a laptop, which holds only masked values, cannot run.
    ///
    /// # Errors
    /// The configuration is a laptop's; `why` gives the reason.
    pub fn refuse_masked(&self, why: &str) -> Result<()> {
        match self.masks {
            None => Ok(()),
            Some(_) => Err(Error::refused(format!(
                "this is a laptop's configuration (`laptop.salt_file`): {why}"
            ))
            .with_hint("use the warehouse's configuration: `--config FILE`")),
        }
    }

    /// Like [`Settings::load`], but with the URL of another warehouse and a reference to its password.
    ///
    /// # Errors
    /// As in [`Settings::load`].
    pub fn load_with_warehouse(
        path: Option<&Path>,
        url: &str,
        password: Option<&str>,
    ) -> Result<Settings> {
        let mut settings = Settings::load_over(path, &[("DAYHAUL_WAREHOUSE_URL", url)])?;
        settings.warehouse.url_place = SettingOrigin::Argument;
        settings.warehouse.password = password.map(str::to_owned);
        Ok(settings)
    }

    /// Like [`Settings::load`], from texts. The only file that is read is the salt file, if one is set.
    ///
    /// # Errors
    /// As in [`Settings::load`].
    pub fn from_parts(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Settings> {
        let mut entries = match file {
            Some((path, text)) => read::from_file(path, text)?,
            None => Vec::new(),
        };
        entries.extend(read::from_environment(variables)?);
        let mut builder = SettingsBuilder::default();
        for entry in entries {
            let place = entry.place.to_string();
            let name = format!("`{}.{}`", entry.section, entry.key);
            builder
                .take(entry)
                .map_err(|why| Error::config(format!("{name}: {why}")).at(place))?;
        }
        builder.finish()
    }
}

fn read_file(named: Option<&Path>) -> Result<Option<(PathBuf, String)>> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::config(format!(
            "failed to read the configuration file `{}`",
            path.display()
        ))
        .with_source(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
    fn no_file_is_needed_when_the_environment_sets_everything() {
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
        assert_eq!(load(URL, &[]).unwrap().landing, LandingSettings::default());
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
