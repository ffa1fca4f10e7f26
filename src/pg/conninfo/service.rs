//! The connection service file: sections of `key=value` lines, named by `service=` or `PGSERVICE`.
//!
//! The user's file (`PGSERVICEFILE`, else `~/.pg_service.conf`) is read first, then the system's (`pg_service.conf` in
//! `PGSYSCONFDIR`). The first line of a key wins. Spaces around a line are cut, those around the `=` are not.
//!
//! Source: "The Connection Service File" in PostgreSQL's libpq chapter, and `parseServiceFile` in `fe-connect.c`.

use super::env::Env;
use super::keys::known_key;
use super::parse::Url;
use crate::error::{Error, Result};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where packages of PostgreSQL look when `PGSYSCONFDIR` is not set: Debian's, Red Hat's, the source's default.
const SYSTEM_FOLDERS: [&str; 3] = [
    "/etc/postgresql-common",
    "/etc/sysconfig/pgsql",
    "/usr/local/pgsql/etc",
];

/// One section of a service file; the default is no service.
#[derive(Debug, Default)]
pub struct Service {
    name: String,
    values: BTreeMap<&'static str, String>,
    password: Option<SecretString>,
}

impl Service {
    /// The section that the connection string or the environment names.
    ///
    /// # Errors
    /// No file defines it, or its section holds a line that is not understood. The line is not repeated.
    pub fn find(url: &Url, env: Env<'_>) -> Result<Service> {
        let Some(name) = url
            .get("service")
            .map(str::to_owned)
            .or_else(|| env("PGSERVICE"))
        else {
            return Ok(Service::default());
        };
        for path in files(env) {
            let text = std::fs::read_to_string(&path).map_err(|e| {
                Error::config(format!(
                    "failed to read the service file `{}`: {}",
                    path.display(),
                    e.kind()
                ))
            })?;
            if let Some(service) = section(&text, &name, &path)? {
                return Ok(service);
            }
        }
        Err(
            Error::config(format!("service `{name}` is not defined")).with_hint(format!(
                "add a section `[{name}]` to `~/.pg_service.conf`, or name the file with `PGSERVICEFILE`"
            )),
        )
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    fn set(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line
            .split_once('=')
            .ok_or("expected `key=value`".to_owned())?;
        if key == "service" {
            return Err("a service cannot name another service".to_owned());
        }
        if key == "password" {
            self.password.get_or_insert_with(|| value.into());
            return Ok(());
        }
        let known = known_key(key).ok_or_else(|| {
            if key.starts_with("ldap") {
                "services in LDAP are not supported".to_owned()
            } else {
                format!("unknown key `{key}`")
            }
        })?;
        self.values.entry(known).or_insert_with(|| value.to_owned());
        Ok(())
    }
}

/// The files to look in. A file that the environment names must exist.
fn files(env: Env<'_>) -> Vec<PathBuf> {
    let users = env("PGSERVICEFILE").map(PathBuf::from).or_else(|| {
        let path = std::env::home_dir()?.join(".pg_service.conf");
        path.exists().then_some(path)
    });
    let system = match env("PGSYSCONFDIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => SYSTEM_FOLDERS.iter().map(PathBuf::from).collect(),
    };
    let systems = system
        .into_iter()
        .map(|folder| folder.join("pg_service.conf"))
        .find(|path| path.exists());
    users.into_iter().chain(systems).collect()
}

/// `None` when the file has no such section.
pub(super) fn section(text: &str, name: &str, path: &Path) -> Result<Option<Service>> {
    let header = format!("[{name}]");
    let mut found: Option<Service> = None;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match &mut found {
            None if line.starts_with(&header) => {
                found = Some(Service {
                    name: name.to_owned(),
                    ..Service::default()
                });
            }
            None => {}
            Some(_) if line.starts_with('[') => break,
            Some(service) => service.set(line).map_err(|why| {
                Error::config(format!("`{}`, line {}: {why}", path.display(), number + 1))
            })?,
        }
    }
    Ok(found)
}
