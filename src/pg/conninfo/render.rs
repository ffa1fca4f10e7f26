//! Writes a connection string as a URL that can be shown and kept: everything but its password.

use super::parse::Url;
use std::fmt::Write as _;

impl Url {
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
            // A port may be written with spaces around it.
            items.push(match port.map(|p| p.trim()).filter(|p| !p.is_empty()) {
                Some(port) => format!("{host}:{port}"),
                None => host,
            });
        }
        items.join(",")
    }
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

    #[test]
    fn the_redacted_url_says_the_same_without_the_password() {
        for text in [
            "postgres://u:topsecret@h1:1,h2:2/db?sslmode=require&connect_timeout=3",
            "host=/var/run/pg user='a b' password=topsecret dbname=x/y",
            "postgres://u:topsecret@[::1]:5433/db?hostaddr=::1",
            "postgres:///db?password=topsecret",
            "postgres:///db?host=[::1]&password=topsecret",
            "host=, password=topsecret",
            "postgres://:1,:2/db?password=topsecret",
            "host='a:b]c,fe80::1%eth0,x@[y:z]' port=1,1,1 password=topsecret",
            "postgres://u:topsecret@[fe80::1%25eth0]:1/db",
        ] {
            let url = Url::parse(text).unwrap();
            let redacted = url.redacted();
            assert!(url.has_password());
            let again = Url::parse(&redacted).unwrap();
            assert!(!again.has_password());
            assert_eq!(again.values, url.values, "{redacted}");
            assert!(!format!("{redacted} {url:?}").contains("topsecret"));
        }
    }

    #[test]
    fn spaces_around_a_port_are_no_part_of_it() {
        for (text, redacted) in [
            ("postgres://h:600 /", "postgres://h:600"),
            ("host=h,i port='1 , 2'", "postgres://h:1,i:2"),
            ("postgres:///db?host=h&port= ", "postgres://h/db"),
        ] {
            assert_eq!(Url::parse(text).unwrap().redacted(), redacted);
        }
    }
}
