//! Finds PostgreSQL's server programs on this machine.

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest supported major version.
pub const OLDEST: u32 = 14;

/// Overrides the search: the folder with `postgres` and `initdb`.
pub const OVERRIDE: &str = "DAYHAUL_PG_BIN";

/// Parent folders of installations, as (parent, prefix of the child's name, path below the child).
const USUAL: [(&str, &str, &str); 10] = [
    ("/usr/lib/postgresql", "", "bin"), // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),          // PGDG on Fedora, RHEL
    ("/usr/libexec", "postgresql", ""), // Alpine
    ("/usr/lib", "postgresql", "bin"),  // SUSE, Gentoo
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Library/PostgreSQL", "", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/usr/local", "pgsql", "bin"), // built from source
];

/// PostgreSQL's server programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    bin: PathBuf,
    version: u32,
}

impl Programs {
    /// Finds the newest server programs: only `$DAYHAUL_PG_BIN` if it is set, otherwise `PATH`, `pg_config --bindir` and
    /// the folders that distributions and Homebrew use.
    ///
    /// # Errors
    /// There are none, or only ones older than [`OLDEST`]; the message lists the places that were searched.
    pub fn find() -> Result<Programs> {
        if let Some(bin) = std::env::var_os(OVERRIDE) {
            let bin = PathBuf::from(bin);
            return Programs::in_folder(&bin)
                .filter(|p| p.version >= OLDEST)
                .ok_or_else(|| {
                    Error::config(format!(
                        "`${OVERRIDE}` is `{}`, which does not contain `postgres` and `initdb` of version {OLDEST} or newer",
                        bin.display()
                    ))
                });
        }
        let folders = candidates();
        folders
            .iter()
            .filter_map(|bin| Programs::in_folder(bin))
            .filter(|p| p.version >= OLDEST)
            .max_by_key(|p| p.version)
            .ok_or_else(|| not_found(&folders))
    }

    /// Finds the server programs of one major version, in the same places.
    ///
    /// # Errors
    /// There are none.
    pub fn find_version(version: u32) -> Result<Programs> {
        let named = std::env::var_os(OVERRIDE).map(PathBuf::from);
        let folders = named.into_iter().chain(candidates());
        folders
            .filter_map(|bin| Programs::in_folder(&bin))
            .find(|programs| programs.version == version)
            .ok_or_else(|| {
                Error::config(format!(
                    "this cluster needs PostgreSQL {version}, whose server programs are no longer installed"
                ))
                .with_hint(format!("install them, or set `{OVERRIDE}` to their folder"))
            })
    }

    /// The programs in this folder, if it has `postgres` and `initdb` and `postgres` runs.
    fn in_folder(bin: &Path) -> Option<Programs> {
        if !bin.join("initdb").is_file() {
            return None;
        }
        let out = Command::new(bin.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        Some(Programs {
            bin: bin.to_owned(),
            version: major(&String::from_utf8_lossy(&out.stdout))?,
        })
    }

    /// Their folder.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The major version, such as 15.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The path of one program, such as `psql`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// All folders to search, each once.
fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    folders.extend(pg_config_bindir());
    for (parent, prefix, rest) in USUAL {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                folders.push(entry.path().join(rest));
            }
        }
    }
    let mut seen = BTreeSet::new();
    folders.retain(|f| seen.insert(f.clone()));
    folders
}

fn pg_config_bindir() -> Option<PathBuf> {
    let out = Command::new("pg_config").arg("--bindir").output().ok()?;
    let bin = String::from_utf8(out.stdout).ok()?;
    (out.status.success() && !bin.trim().is_empty()).then(|| PathBuf::from(bin.trim()))
}

fn not_found(folders: &[PathBuf]) -> Error {
    let with_postgres: Vec<String> = folders
        .iter()
        .filter(|f| f.join("postgres").is_file())
        .map(|f| format!("`{}`", f.display()))
        .collect();
    let looked = if with_postgres.is_empty() {
        "searched `PATH`, `pg_config --bindir`, `/usr/lib/postgresql/*/bin`, `/usr/pgsql-*/bin`, `/usr/libexec/postgresql*` \
         and Homebrew's folders"
            .to_owned()
    } else {
        format!(
            "found only older or incomplete installations in {}",
            with_postgres.join(", ")
        )
    };
    Error::config(format!(
        "no PostgreSQL server programs (`postgres`, `initdb`) of version {OLDEST} or newer: {looked}"
    ))
    .with_hint(format!(
        "run `scripts/with-postgres dayhaul …`, which installs them, or set `{OVERRIDE}` to their folder"
    ))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → 15, `… 18beta1` → 18.
fn major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("psql 15"), None);
    }

    #[test]
    fn a_folder_without_the_programs_is_no_candidate() {
        assert_eq!(Programs::in_folder(Path::new("/")), None);
    }
}
