//! Secret references: where a password is to be found, never the password itself.
//!
//! `env:NAME`, `file:PATH`, `cmd:COMMAND`, `pgpass`. A reference may be shown, logged and stored; what it resolves to is
//! a [`SecretString`], which nothing prints.

use crate::error::{Error, Kind, Result};
use secrecy::SecretString;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

/// A command that asks a vault may take a while, but not for ever.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a secret is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable. A line break at its end is not part of the secret, nor is one of a file's.
    Env(String),
    File(String),
    /// The first line that a shell command prints.
    Cmd(String),
    /// The password file, matched by host, port, database and user.
    Pgpass,
}

/// Who wrote the reference.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// The local configuration or command line: everything is honoured.
    Local,
    /// The catalog: `cmd:` and `file:` only if the local configuration lists exactly this reference. Whoever can write
    /// the catalog must not get a shell, or a file's content, on the loader's host.
    Catalog { allow: &'a [String] },
}

impl SecretRef {
    /// # Errors
    /// Anything else than a reference is refused without being repeated: it may be the password itself.
    pub fn parse(text: &str) -> Result<SecretRef> {
        let text = text.trim();
        if text == "pgpass" {
            return Ok(SecretRef::Pgpass);
        }
        match text.split_once(':') {
            Some((scheme @ ("env" | "file" | "cmd"), rest)) if !rest.trim().is_empty() => {
                let rest = rest.trim().to_owned();
                Ok(match scheme {
                    "env" => SecretRef::Env(rest),
                    "file" => SecretRef::File(rest),
                    _ => SecretRef::Cmd(rest),
                })
            }
            _ => Err(
                Error::refused("a password is given as a reference, not as a value")
                    .with_hint("write `env:NAME`, `file:PATH`, `cmd:COMMAND` or `pgpass`"),
            ),
        }
    }

    /// Looks the secret up.
    ///
    /// # Errors
    /// The reference leads nowhere; `pgpass`, of which only the connection knows the line. No error holds what was found.
    pub async fn resolve(&self) -> Result<SecretString> {
        match self {
            SecretRef::Pgpass => Err(Error::usage("`pgpass` does not name one password")
                .with_hint("use env:NAME, file:PATH or cmd:COMMAND")),
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(value) => match without_line_break(&value) {
                    "" => Err(Error::config(format!(
                        "environment variable `{name}` is empty"
                    ))),
                    secret => Ok(secret.into()),
                },
                Err(std::env::VarError::NotPresent) => Err(Error::config(format!(
                    "environment variable `{name}` is not set"
                ))),
                Err(std::env::VarError::NotUnicode(_)) => Err(Error::config(format!(
                    "environment variable `{name}` is not UTF-8"
                ))),
            },
            SecretRef::File(path) => read_file(path).await,
            SecretRef::Cmd(command) => run(command, COMMAND_TIMEOUT).await,
        }
    }

    /// # Errors
    /// The reference is not allowed from where it comes.
    pub fn check(&self, trust: Trust<'_>) -> Result<()> {
        let Trust::Catalog { allow } = trust else {
            return Ok(());
        };
        let reference = self.to_string();
        if matches!(self, SecretRef::Env(_) | SecretRef::Pgpass) || allow.contains(&reference) {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the catalog's password reference `{reference}` is not allowed on this host"
        ))
        .with_hint("list it, exactly so, under `allow` of `[secrets]` in `dayhaul.toml`"))
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::File(path) => write!(f, "file:{path}"),
            SecretRef::Cmd(command) => write!(f, "cmd:{command}"),
            SecretRef::Pgpass => f.write_str("pgpass"),
        }
    }
}

/// Editors, `echo` and secret stores end a value with a line break; no password ends with one.
pub fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

async fn read_file(path: &str) -> Result<SecretString> {
    let text = tokio::fs::read_to_string(path).await.map_err(|e| {
        // The system's reason, never the content (which an encoding error would not hold either).
        Error::new(
            Kind::Config,
            format!("cannot read the password file `{path}`: {}", e.kind()),
        )
    })?;
    let text = without_line_break(&text);
    if text.is_empty() {
        return Err(Error::config(format!(
            "the password file `{path}` is empty"
        )));
    }
    Ok(text.into())
}

async fn run(command: &str, limit: Duration) -> Result<SecretString> {
    let fail = |why: String| Error::config(format!("password command `{command}` {why}"));
    let child = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // The command's error output may quote the secret.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| fail(format!("does not start: {}", e.kind())))?;
    let output = tokio::time::timeout(limit, child.wait_with_output())
        .await
        .map_err(|_| fail(format!("did not end within {} s", limit.as_secs())))?
        .map_err(|e| fail(format!("cannot be read: {}", e.kind())))?;
    if !output.status.success() {
        return Err(fail(format!("ended with {}", output.status))
            .with_hint("run it in a shell to see its output"));
    }
    let first = output
        .stdout
        .split(|b| *b == b'\n')
        .next()
        .unwrap_or_default();
    match std::str::from_utf8(first).map(without_line_break) {
        Ok("") => Err(fail("printed nothing".into())),
        Ok(secret) => Ok(secret.into()),
        Err(_) => Err(fail("printed something that is not UTF-8".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    async fn resolve(text: &str) -> Result<String> {
        let secret = SecretRef::parse(text)?.resolve().await?;
        Ok(secret.expose_secret().to_owned())
    }

    #[test]
    fn a_value_in_place_of_a_reference_is_refused_and_not_repeated() {
        for value in ["hunter2", "vault:hunter2", "env:", "Env:hunter2", ""] {
            let error = SecretRef::parse(value).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        for reference in ["env:A", "file:/a b", "cmd:pass show x:y", "pgpass"] {
            assert_eq!(SecretRef::parse(reference).unwrap().to_string(), reference);
        }
    }

    #[tokio::test]
    async fn each_reference_finds_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pw");
        std::fs::write(&path, "s e\ncret\r\n").unwrap();
        let found = resolve(&format!("file:{}", path.display())).await.unwrap();
        assert_eq!(found, "s e\ncret");
        let found = resolve("cmd:printf 'one\\ntwo\\n'").await.unwrap();
        assert_eq!(found, "one");
        assert!(!resolve("env:PATH").await.unwrap().is_empty());
        assert!(resolve("env:DAYHAUL_NO_SUCH_VARIABLE").await.is_err());
        assert!(resolve("pgpass").await.is_err());
    }

    #[tokio::test]
    async fn a_failing_command_tells_nothing_of_what_it_printed() {
        for command in [
            "cmd:echo hunter2; exit 3",
            "cmd:echo hunter2 >&2; false",
            "cmd:true",
        ] {
            let error = resolve(command).await.unwrap_err();
            // The command itself is the reference and may be shown.
            let shown = format!("{error:?}").replace(command.trim_start_matches("cmd:"), "");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let error = run("sleep 5", Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[test]
    fn the_catalog_gets_no_shell_unless_the_host_allows_it() {
        let allowed = |text: &str, allow: &[&str]| {
            let allow: Vec<String> = allow.iter().map(|a| (*a).to_owned()).collect();
            let reference = SecretRef::parse(text).unwrap();
            reference.check(Trust::Catalog { allow: &allow }).is_ok()
        };
        assert!(!allowed("cmd:echo x", &["cmd:echo", "cmd:echo x "]));
        assert!(allowed("cmd:echo x", &["cmd:echo x"]));
        assert!(allowed("env:PATH", &[]));
    }
}
