//! Connection strings as libpq reads them: URLs and `key=value` words.
//!
//! A [`Url`] holds what was written and nothing else: `PG*` variables and defaults are added when it is resolved. No
//! error repeats a value, because a mistyped string may hold a piece of the password anywhere.
//!
//! Source: "Connection Strings" in PostgreSQL's libpq chapter.

use crate::error::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Every key that is honored, or refused by name where its value asks for what cannot be done. libpq knows more; what would
/// be ignored is an error instead.
const KEYS: [&str; 34] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "min_protocol_version",
    "options",
    "passfile",
    "password",
    "port",
    "require_auth",
    "requirepeer",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// A connection string as it was written. Its password, if it holds one, is never shown.
#[derive(Debug, Clone, Default)]
pub struct Url {
    values: BTreeMap<&'static str, String>,
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

    /// The same connection as a URL without its password: for people, and for the catalog.
    pub fn redacted(&self) -> String {
        let mut out = String::from("postgres://");
        if let Some(user) = self.get("user") {
            out.push_str(&encode(user));
            out.push('@');
        }
        out.push_str(&self.authority());
        if let Some(dbname) = self.get("dbname") {
            out.push('/');
            out.push_str(&encode(dbname));
        }
        let mut separator = '?';
        for (key, value) in &self.values {
            if ["user", "host", "port", "dbname"].contains(key) {
                continue;
            }
            let _ = write!(out, "{separator}{key}={}", encode(value));
            separator = '&';
        }
        out
    }

    fn authority(&self) -> String {
        let hosts: Vec<&str> = self.get("host").unwrap_or_default().split(',').collect();
        let ports: Vec<&str> = self.get("port").unwrap_or_default().split(',').collect();
        let mut items = Vec::new();
        for i in 0..hosts.len().max(ports.len()) {
            let host = hosts.get(i).copied().unwrap_or_default();
            let port = if ports.len() == 1 {
                ports.first()
            } else {
                ports.get(i)
            };
            let host = if is_in_brackets(host) {
                format!("[{host}]")
            } else {
                encode(host)
            };
            items.push(match port.filter(|p| !p.is_empty()) {
                Some(port) => format!("{host}:{port}"),
                None => host,
            });
        }
        items.join(",")
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
        if hosts.iter().any(|h| !h.is_empty()) {
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

/// The key as a constant, if it is one of libpq's that are known here.
pub(super) fn known_key(key: &str) -> Option<&'static str> {
    KEYS.iter().find(|known| **known == key).copied()
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

fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// Whether a URL names a host as `[host]`: an IPv6 address, with its zone. Whatever else has a colon is encoded.
fn is_in_brackets(host: &str) -> bool {
    let of_address = |c: char| c.is_ascii_alphanumeric() || ":.%_-".contains(c);
    host.contains(':') && host.chars().all(of_address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

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
    fn the_redacted_url_says_the_same_without_the_password() {
        for text in [
            "postgres://u:topsecret@h1:1,h2:2/db?sslmode=require&connect_timeout=3",
            "host=/var/run/pg user='a b' password=topsecret dbname=x/y",
            "postgres://u:topsecret@[::1]:5433/db?hostaddr=::1",
            "postgres:///db?password=topsecret",
            "postgres:///db?host=[::1]&password=topsecret",
            "host='a:b]c,fe80::1%eth0,x@[y:z]' port=1,1,1 password=topsecret",
            "postgres://u:topsecret@[fe80::1%25eth0]:1/db",
        ] {
            let url = parse(text);
            let redacted = url.redacted();
            assert!(url.has_password());
            let again = parse(&redacted);
            assert!(!again.has_password());
            assert_eq!(again.values, url.values, "{redacted}");
            assert!(!format!("{redacted} {url:?}").contains("topsecret"));
        }
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
