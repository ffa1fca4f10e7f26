//! Reads connection strings as libpq does: URLs and `key=value` words.
//!
//! A [`Url`] holds what was written and nothing else: `PG*` variables and defaults are added when it is resolved. No
//! error repeats a value, because a mistyped string may hold a piece of the password anywhere.
//!
//! Source: "Connection Strings" in PostgreSQL's libpq chapter.

use super::keys::{KEYS, known_key};
use crate::error::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

/// A connection string as it was written. Its password, if it holds one, is never shown.
#[derive(Debug, Clone, Default)]
pub struct Url {
    pub(super) values: BTreeMap<&'static str, String>,
    password: Option<SecretString>,
}

impl PartialEq for Url {
    fn eq(&self, other: &Url) -> bool {
        let password = |url: &Url| url.password.as_ref().map(|p| p.expose_secret().to_owned());
        self.values == other.values && password(self) == password(other)
    }
}

impl Url {
    /// Reads `postgres://…`, `postgresql://…` or `key=value` words, without checking the values.
    ///
    /// # Errors
    /// An unknown key, a string that does not parse. No error repeats a value.
    pub(super) fn read(text: &str) -> Result<Url> {
        let text = text.trim();
        if text.contains('\0') {
            return Err(wrong("a NUL character is not allowed"));
        }
        let mut url = Url::default();
        let rest = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match rest {
            Some(rest) => url.read_uri(rest)?,
            None if text.contains("://") => {
                return Err(wrong("a connection URL begins with `postgres://`"));
            }
            None => url.read_words(text)?,
        }
        Ok(url)
    }

    /// Whether the string itself holds a password.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// A value as it was written; the password is not among them.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values
            .get(key)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    fn set(&mut self, key: &str, value: String, after: Option<&str>) -> Result<()> {
        // As JDBC writes it, and libpq accepts.
        if (key, value.as_str()) == ("ssl", "true") {
            self.values.insert("sslmode", "require".to_owned());
            return Ok(());
        }
        match known_key(key) {
            None => return Err(unknown_key(key, after)),
            Some("password") => self.password = Some(value.into()),
            Some(known) => {
                self.values.insert(known, value);
            }
        }
        Ok(())
    }

    /// `[user[:password]@][host[:port],…][/dbname][?key=value&…]`
    fn read_uri(&mut self, rest: &str) -> Result<()> {
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, query),
            None => (rest, ""),
        };
        let (authority, dbname) = match rest.split_once('/') {
            Some((authority, dbname)) => (authority, dbname),
            None => (rest, ""),
        };
        // libpq would take these; far more often it is a password with `@` or `/` in it, on its way into a message.
        if dbname.contains('@') || authority.matches('@').count() > 1 {
            return Err(wrong("unexpected `@`")
                .with_hint("in a user name or password, write `%40` for `@` and `%2F` for `/`"));
        }
        let hosts = match authority.split_once('@') {
            Some((user, hosts)) => {
                let (user, password) = match user.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (user, None),
                };
                self.set("user", decode(user)?, None)?;
                if let Some(password) = password.filter(|p| !p.is_empty()) {
                    self.set("password", decode(password)?, None)?;
                }
                hosts
            }
            None => authority,
        };
        if !hosts.is_empty() {
            self.read_hosts(hosts)?;
        }
        if !dbname.is_empty() {
            self.set("dbname", decode(dbname)?, None)?;
        }
        let mut before = None;
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong("a parameter after the `?` has no `=`"))?;
            let key = decode(key)?;
            self.set(&key, decode(value)?, before.as_deref())?;
            before = Some(key);
        }
        Ok(())
    }

    fn read_hosts(&mut self, text: &str) -> Result<()> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for item in text.split(',') {
            let (host, port) = if let Some(inside) = item.strip_prefix('[') {
                let (host, tail) = inside
                    .split_once(']')
                    .ok_or_else(|| wrong("an IPv6 address has no closing `]`"))?;
                let port = match tail.strip_prefix(':') {
                    Some(port) => port,
                    None if tail.is_empty() => "",
                    None => {
                        return Err(wrong("only `:port` may follow the `]` of an IPv6 address"));
                    }
                };
                (host.to_owned(), port)
            } else {
                let (host, port) = item.split_once(':').unwrap_or((item, ""));
                (decode(host)?, port)
            };
            hosts.push(host);
            ports.push(port);
        }
        // Two empty ones are two hosts.
        if hosts.len() > 1 || hosts.iter().any(|h| !h.is_empty()) {
            self.set("host", hosts.join(","), None)?;
        }
        if ports.iter().any(|p| !p.is_empty()) {
            self.set("port", ports.join(","), None)?;
        }
        Ok(())
    }

    /// `key = value key='it''s'`: backslash escapes the next character, inside quotes and outside.
    fn read_words(&mut self, text: &str) -> Result<()> {
        let mut chars = text.chars().peekable();
        let mut before: Option<String> = None;
        loop {
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            if chars.peek().is_none() {
                return Ok(());
            }
            let mut key = String::new();
            while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
                key.push(c);
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            if chars.next_if_eq(&'=').is_none() {
                return Err(wrong("a word has no `=`")
                    .with_hint("put a value with spaces in quotes: `'…'`"));
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            let value = read_value(&mut chars)?;
            self.set(&key, value, before.as_deref())?;
            before = Some(key);
        }
    }
}

fn read_value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.next() {
            Some('\\') => value.extend(chars.next()),
            Some('\'') if quoted => return Ok(value),
            None if quoted => return Err(wrong("a quoted value has no closing `'`")),
            None => return Ok(value),
            Some(c) if c.is_whitespace() && !quoted => return Ok(value),
            Some(c) => value.push(c),
        }
    }
}

fn wrong(why: &str) -> Error {
    Error::config(format!("connection string: {why}"))
}

/// Names the key, unless it may be the tail of a password that was not quoted.
fn unknown_key(key: &str, after: Option<&str>) -> Error {
    if after == Some("password") {
        return wrong("an unknown key follows `password`")
            .with_hint("a password with spaces or `&` is quoted or percent-encoded");
    }
    wrong(&format!("unknown key `{key}`")).with_hint(format!("known keys: {}", KEYS.join(", ")))
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        if b != b'%' {
            bytes.push(b);
            continue;
        }
        let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
        match (digit(), digit()) {
            (Some(0), Some(0)) => return Err(wrong("`%00` is not allowed")),
            #[allow(clippy::cast_possible_truncation)]
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => {
                return Err(wrong("a `%` is not followed by two hexadecimal digits")
                    .with_hint("write `%25` for `%`"));
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("a percent-encoded value is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_url_reads_as_libpq_reads_it() {
        let url = parse(
            "postgresql://us%40er:p%2Fw@h1:5433,[::1],%2Ftmp:6000/d%20b?sslmode=verify-full&application_name=x",
        );
        assert_eq!(url.get("user"), Some("us@er"));
        assert_eq!(url.password().unwrap().expose_secret(), "p/w");
        assert_eq!(url.get("host"), Some("h1,::1,/tmp"));
        assert_eq!(url.get("port"), Some("5433,,6000"));
        assert_eq!(url.get("dbname"), Some("d b"));
        assert_eq!(url.get("sslmode"), Some("verify-full"));
        let url = parse("postgres:///db?host=/run/pg&port=7");
        assert_eq!(url.endpoint(), "/run/pg:7");
        assert_eq!(
            parse("postgres://h/db?ssl=true").get("sslmode"),
            Some("require")
        );
    }

    #[test]
    fn words_read_as_libpq_reads_them() {
        let url = parse(r"host = h  password='it\'s a \\' user=a\ b dbname=''");
        assert_eq!(url.get("host"), Some("h"));
        assert_eq!(url.password().unwrap().expose_secret(), r"it's a \");
        assert_eq!(url.get("user"), Some("a b"));
        assert_eq!(url.get("dbname"), None);
    }

    #[test]
    fn a_wrong_string_is_refused_by_name_and_never_repeated() {
        for (text, part) in [
            ("postgres://u@h/db?slmode=require", "unknown key `slmode`"),
            ("host=h pasword=hunter2", "unknown key `pasword`"),
            ("postgres://h/db?options=-csearch_path%3Dx", "`options`"),
            ("postgres://u:hunter2/x@h/db", "`@`"),
            ("postgres://u:p@hunter2@h/db", "`@`"),
            ("postgres://u:hunter2", "port"),
            ("password=my hunter2=x", "follows `password`"),
            ("password=my hunter2", "no `=`"),
            ("host=h sslmode=hunter2", "sslmode"),
            ("host=h port=hunter2", "port"),
            ("host=h keepalives_idle=hunter2", "keepalives_idle"),
            ("password='hunter2", "closing"),
            ("postgres://u:100%hunter2@h", "%25"),
            ("mysql://u:hunter2@h/db", "postgres://"),
            ("hostaddr=hunter2", "hostaddr"),
            ("host=a,b port=1,2,3", "port"),
        ] {
            let error = Url::parse(text).unwrap_err();
            let shown = format!("{error} {:?}", error.hint());
            assert!(shown.contains(part), "{text}: {shown}");
            assert!(!format!("{shown} {error:?}").contains("hunter2"), "{shown}");
        }
    }
}
