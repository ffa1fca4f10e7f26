//! The operating system account that the server runs as. PostgreSQL refuses to run as root, so under root another account
//! is used.

use crate::error::{Error, Kind, Result};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Tried in this order.
const ACCOUNTS: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The account that a private server runs as; `None` for the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsAccount(Option<UnprivilegedAccount>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct UnprivilegedAccount {
    name: String,
    uid: u32,
    gid: u32,
}

impl OsAccount {
    /// The current account; under root, `postgres` or `nobody`.
    ///
    /// # Errors
    /// This process runs as root and there is no unprivileged account.
    pub fn choose() -> Result<OsAccount> {
        if !rustix::process::geteuid().is_root() {
            return Ok(OsAccount(None));
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        ACCOUNTS
            .iter()
            .find_map(|name| entry(&passwd, name))
            .map(|lent| OsAccount(Some(lent)))
            .ok_or_else(|| {
                Error::config(
                    "PostgreSQL cannot run as root, and there is no account `postgres` or `nobody`",
                )
                .with_hint("run the command as another user")
            })
    }

    /// Makes the command run as this account.
    pub fn lend(&self, command: &mut Command) {
        if let Some(lent) = &self.0 {
            // std empties the supplementary groups by itself when root sets a uid.
            command.gid(lent.gid).uid(lent.uid);
        }
    }

    /// Gives a file or folder to this account.
    ///
    /// # Errors
    /// The owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<()> {
        let Some(lent) = &self.0 else { return Ok(()) };
        chown(path, Some(lent.uid), Some(lent.gid)).map_err(|e| {
            Error::new(
                Kind::Io,
                format!(
                    "failed to change the owner of `{}` to `{}`",
                    path.display(),
                    lent.name
                ),
            )
            .with_source(e)
        })
    }

    /// Lets this account pass through `folder`, which other users usually cannot enter, to its files below.
    ///
    /// # Errors
    /// Other users cannot enter a folder above it.
    pub fn open_the_way(&self, folder: &Path) -> Result<()> {
        let Some(lent) = &self.0 else { return Ok(()) };
        let io = |path: &Path, e: std::io::Error| {
            Error::new(
                Kind::Io,
                format!("failed to read the permissions of `{}`", path.display()),
            )
            .with_source(e)
        };
        let mode = std::fs::metadata(folder)
            .map_err(|e| io(folder, e))?
            .permissions()
            .mode();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode | 0o011))
            .map_err(|e| io(folder, e))?;
        for above in folder.ancestors() {
            let mode = std::fs::metadata(above)
                .map_err(|e| io(above, e))?
                .permissions()
                .mode();
            if mode & 0o001 == 0 {
                return Err(Error::config(format!(
                    "account `{}`, which runs PostgreSQL in place of root, cannot enter `{}`",
                    lent.name,
                    above.display()
                ))
                .with_hint("choose a folder that every user can enter, such as one below `/tmp`"));
            }
        }
        Ok(())
    }
}

/// The account in the text of `/etc/passwd`: `name:password:uid:gid:…`; macOS writes -2 for `nobody`.
fn entry(passwd: &str, name: &str) -> Option<UnprivilegedAccount> {
    let line = passwd.lines().find(|l| l.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let mut id = || Some(fields.next()?.parse::<i64>().ok()? as u32);
    Some(UnprivilegedAccount {
        name: name.to_owned(),
        uid: id()?,
        gid: id()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "postgres2:x:7:8::/:/bin/sh\npostgres:x:101:103::/var/lib/postgresql:/bin/bash\nnobody:*:-2:-2::/:\n";
        let postgres = entry(passwd, "postgres").unwrap();
        assert_eq!((postgres.uid, postgres.gid), (101, 103));
        assert_eq!(entry(passwd, "nobody").unwrap().uid, u32::MAX - 1);
        assert_eq!(entry(passwd, "post"), None);
    }
}
