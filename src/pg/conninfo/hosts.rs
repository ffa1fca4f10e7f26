//! The hosts of a connection string, in the order in which they are tried.

use super::values::{Values, not_a};
use crate::error::{Error, Result};
use std::fmt;
use std::net::IpAddr;

/// One host of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// As written: what the certificate must name, what `.pgpass` is matched with. A path is a Unix socket's folder.
    pub name: String,
    /// Where to connect, without asking the name service.
    pub address: Option<IpAddr>,
    pub port: u16,
}

impl Host {
    pub fn is_unix(&self) -> bool {
        self.name.starts_with('/') && self.address.is_none()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') && !self.name.starts_with('/') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// The hosts alone, each with its port.
///
/// # Errors
/// Lists of different lengths; an address or a port that is none.
pub fn hosts(values: &Values<'_>) -> Result<Vec<Host>> {
    let list = |key: &str| -> Vec<String> {
        values.get(key).map_or_else(Vec::new, |v| {
            v.split(',').map(|i| i.trim().to_owned()).collect()
        })
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    for (key, list) in [("host", &names), ("hostaddr", &addresses)] {
        if !list.is_empty() && list.len() != count {
            return Err(Error::config(format!(
                "`{key}` lists {} hosts, not {count}",
                list.len()
            )));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(Error::config(format!(
            "`port` lists {} ports for {count} hosts",
            ports.len()
        )));
    }
    (0..count)
        .map(|i| {
            let address = match addresses.get(i).filter(|a| !a.is_empty()) {
                Some(text) => Some(
                    text.parse::<IpAddr>()
                        .map_err(|_| not_a("hostaddr", "numeric address"))?,
                ),
                None => None,
            };
            let port = if ports.len() == 1 {
                ports.first()
            } else {
                ports.get(i)
            };
            let port = match port.filter(|p| !p.is_empty()) {
                Some(text) => match text.parse::<u16>() {
                    Ok(port) if port > 0 => port,
                    _ => return Err(not_a("port", "number from 1 to 65535")),
                },
                None => 5432,
            };
            let name = match names.get(i).filter(|n| !n.is_empty()) {
                Some(name) => name.clone(),
                None => address.map_or_else(|| default_host(port), |a| a.to_string()),
            };
            Ok(Host {
                name,
                address,
                port,
            })
        })
        .collect()
}

/// The Unix socket where distributions put it, if a server listens there; else this machine over TCP.
fn default_host(port: u16) -> String {
    ["/var/run/postgresql", "/tmp"]
        .into_iter()
        .find(|dir| {
            std::path::Path::new(dir)
                .join(format!(".s.PGSQL.{port}"))
                .exists()
        })
        .unwrap_or("localhost")
        .to_owned()
}
