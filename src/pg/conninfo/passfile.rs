//! The password file, `~/.pgpass`: lines of `host:port:database:user:password`.
//!
//! `*` matches anything, `\:` and `\\` stand for the character, the first line that matches wins, lines that begin with
//! `#` are comments. Unlike libpq, which continues without a password, we stop at a file that others can read: a login
//! that fails for a hidden reason is worse.
//!
//! Source: "The Password File" in PostgreSQL's libpq chapter.

use super::hosts::Host;
use super::resolved::Target;
use crate::error::{Error, Result};
use secrecy::SecretString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The password for this host of the target, if the file has one.
///
/// # Errors
/// The file would give the password, but others can read it, or it cannot be read.
pub fn find(target: &Target, host: &Host) -> Result<Option<SecretString>> {
    let Some(path) = path(target) else {
        return Ok(None);
    };
    let Ok(metadata) = std::fs::metadata(&path) else {
        return Ok(None);
    };
    let shown = path.display();
    if !metadata.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Error::config(format!(
            "cannot read the password file `{shown}`: {}",
            e.kind()
        ))
    })?;
    let found = search(&text, &wanted(target, host));
    if found.is_some() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(
            Error::refused(format!("the password file `{shown}` is readable by others"))
                .with_hint(format!("run `chmod 0600 {shown}`")),
        );
    }
    Ok(found.map(SecretString::from))
}

fn path(target: &Target) -> Option<PathBuf> {
    target
        .passfile
        .clone()
        .or_else(|| std::env::home_dir().map(|home| home.join(".pgpass")))
}

/// The four fields to match. A Unix socket counts as `localhost`; libpq does so for its default folder only, but a path
/// cannot be told from a host that merely contains one.
fn wanted(target: &Target, host: &Host) -> [String; 4] {
    let name = if host.is_unix() {
        "localhost"
    } else {
        host.name.as_str()
    };
    [
        name.to_owned(),
        host.port.to_string(),
        target.dbname.clone(),
        target.user.clone(),
    ]
}

pub(super) fn search(text: &str, wanted: &[String; 4]) -> Option<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line;
            for want in wanted {
                let (field, raw, after) = field(rest)?;
                if raw != "*" && field != *want {
                    return None;
                }
                rest = after;
            }
            // The password ends at the next unescaped colon, too.
            let mut password = String::new();
            let mut chars = rest.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => password.extend(chars.next()),
                    ':' => break,
                    c => password.push(c),
                }
            }
            (!password.is_empty()).then_some(password)
        })
}

/// The field up to the next unescaped colon: unescaped, as written, and what follows.
fn field(text: &str) -> Option<(String, &str, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            ':' => return Some((value, &text[..at], &text[at + 1..])),
            c => value.push(c),
        }
    }
    None
}

/// For messages: where the password was looked for.
pub fn shown_path(target: &Target) -> String {
    path(target).map_or_else(|| "~/.pgpass".to_owned(), |p| p.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::Url;
    use secrecy::ExposeSecret;

    fn find_in(file: &str, mode: u32, url: &str) -> Result<Option<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pass");
        std::fs::write(&path, file).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let passfile = path.display().to_string();
        let env = move |name: &str| (name == "PGPASSFILE").then(|| passfile.clone());
        let target = Target::resolve(&Url::parse(url).unwrap(), &env).unwrap();
        Ok(find(&target, &target.hosts[0])?.map(|s| s.expose_secret().to_owned()))
    }

    #[test]
    fn the_first_line_that_matches_wins() {
        let file = "# h:1:db:me:comment\nh:2:db:me:other\nh:1:db:me:first\n*:*:*:*:any\n";
        let find = |url| find_in(file, 0o600, url).unwrap();
        assert_eq!(
            find("host=h port=1 dbname=db user=me").as_deref(),
            Some("first")
        );
        assert_eq!(
            find("host=x port=1 dbname=db user=me").as_deref(),
            Some("any")
        );
        assert_eq!(
            find_in("h:1:db:me:p", 0o600, "host=h port=2").unwrap(),
            None
        );
        assert_eq!(find_in("broken\nh:*:*", 0o600, "host=h").unwrap(), None);
    }

    #[test]
    fn escapes_are_undone_and_a_socket_is_localhost() {
        let file = "localhost:5432:d\\:b:m\\\\e:p\\:w\\\\d\n";
        let found = find_in(file, 0o600, r"host=/run/pg dbname='d:b' user='m\\e'").unwrap();
        assert_eq!(found.as_deref(), Some(r"p:w\d"));
        // An escaped star is a star.
        let found = find_in("\\*:5432:*:*:p", 0o600, "host=h").unwrap();
        assert_eq!(found, None);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_when_it_is_needed() {
        let error = find_in("h:*:*:*:hunter2", 0o640, "host=h").unwrap_err();
        assert!(error.hint().unwrap().contains("chmod 0600"), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(find_in("h:*:*:*:p", 0o640, "host=other").unwrap(), None);
    }
}
