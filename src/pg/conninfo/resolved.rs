//! A connection string with everything filled in: what was written, then `PG*` variables, then defaults.

use super::parse::Url;
use crate::error::{Error, Result};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the environment is asked for a variable; tests bring their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. An empty variable counts as unset, as for libpq.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Each key's variable.
const VARIABLES: [(&str, &str); 15] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("dbname", "PGDATABASE"),
    ("passfile", "PGPASSFILE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("application_name", "PGAPPNAME"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("sslmode", "PGSSLMODE"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
];

/// libpq waits forever; a loader must not hang at one dead tenant.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A vanished peer is noticed after 30 s + 3 × 10 s, not after two hours.
const KEEPALIVES: Keepalives = Keepalives {
    idle: Some(Duration::from_secs(30)),
    interval: Some(Duration::from_secs(10)),
    count: Some(3),
};
/// Data that is not acknowledged for a minute: the peer is dead.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(60);

/// `sslmode`, from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// TCP keepalive; `None` leaves the system's own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalives {
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
}

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

/// Everything needed to connect, except the password.
#[derive(Debug, Clone)]
pub struct Target {
    pub hosts: Vec<Host>,
    pub user: String,
    pub dbname: String,
    pub application_name: Option<String>,
    pub sslmode: SslMode,
    /// TLS without the question first (PostgreSQL 17).
    pub ssl_direct: bool,
    pub sslrootcert: Option<String>,
    pub sslcert: Option<String>,
    pub sslkey: Option<String>,
    pub channel_binding: tokio_postgres::config::ChannelBinding,
    /// `None`: no limit.
    pub connect_timeout: Option<Duration>,
    pub keepalives: Option<Keepalives>,
    pub tcp_user_timeout: Option<Duration>,
    pub session: SessionAttrs,
    pub passfile: Option<PathBuf>,
    pub shuffle: bool,
}

impl Target {
    /// # Errors
    /// A value, written or from a `PG*` variable, that is not one of its key's. The value is not repeated.
    pub fn resolve(url: &Url, env: Env<'_>) -> Result<Target> {
        use tokio_postgres::config::ChannelBinding;
        let get = |key: &str| value(url, env, key);
        let user = get("user").or_else(os_user).unwrap_or_default();
        let sslrootcert = get("sslrootcert");
        let system = sslrootcert.as_deref() == Some("system");
        let sslmode = one_of(
            "sslmode",
            get("sslmode"),
            if system {
                SslMode::VerifyFull
            } else {
                SslMode::Prefer
            },
            &[
                ("disable", SslMode::Disable),
                ("allow", SslMode::Allow),
                ("prefer", SslMode::Prefer),
                ("require", SslMode::Require),
                ("verify-ca", SslMode::VerifyCa),
                ("verify-full", SslMode::VerifyFull),
            ],
        )?;
        if system && sslmode != SslMode::VerifyFull {
            return Err(Error::config("`sslrootcert=system` needs `sslmode=verify-full`").with_hint(
                "anyone can get a certificate that the system's store trusts; only the name tells them apart",
            ));
        }
        let ssl_direct = one_of(
            "sslnegotiation",
            get("sslnegotiation"),
            false,
            &[("postgres", false), ("direct", true)],
        )?;
        if ssl_direct && sslmode < SslMode::Require {
            return Err(Error::config(
                "`sslnegotiation=direct` needs `sslmode=require` or stronger",
            ));
        }
        Ok(Target {
            hosts: hosts(url, env)?,
            dbname: get("dbname").unwrap_or_else(|| user.clone()),
            user,
            application_name: get("application_name"),
            sslmode,
            ssl_direct,
            sslrootcert,
            sslcert: get("sslcert"),
            sslkey: get("sslkey"),
            channel_binding: one_of(
                "channel_binding",
                get("channel_binding"),
                ChannelBinding::Prefer,
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?,
            connect_timeout: match number("connect_timeout", get("connect_timeout"))? {
                None => Some(CONNECT_TIMEOUT),
                Some(0) => None,
                Some(seconds) => Some(Duration::from_secs(seconds)),
            },
            keepalives: keepalives(&get)?,
            tcp_user_timeout: match number("tcp_user_timeout", get("tcp_user_timeout"))? {
                None => Some(TCP_USER_TIMEOUT),
                Some(0) => None,
                Some(millis) => Some(Duration::from_millis(millis)),
            },
            session: one_of(
                "target_session_attrs",
                get("target_session_attrs"),
                SessionAttrs::Any,
                &[
                    ("any", SessionAttrs::Any),
                    ("read-write", SessionAttrs::ReadWrite),
                    ("read-only", SessionAttrs::ReadOnly),
                    ("primary", SessionAttrs::Primary),
                    ("standby", SessionAttrs::Standby),
                    ("prefer-standby", SessionAttrs::PreferStandby),
                ],
            )?,
            passfile: get("passfile").map(PathBuf::from),
            shuffle: one_of(
                "load_balance_hosts",
                get("load_balance_hosts"),
                false,
                &[("disable", false), ("random", true)],
            )?,
        })
    }
}

/// The hosts alone, each with its port.
///
/// # Errors
/// As [`Target::resolve`].
pub fn hosts(url: &Url, env: Env<'_>) -> Result<Vec<Host>> {
    let list = |key: &str| -> Vec<String> {
        value(url, env, key).map_or_else(Vec::new, |v| {
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

fn value(url: &Url, env: Env<'_>, key: &str) -> Option<String> {
    url.get(key).map(str::to_owned).or_else(|| {
        VARIABLES
            .iter()
            .find(|(k, _)| *k == key)
            .and_then(|(_, variable)| env(variable))
    })
}

fn keepalives(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Keepalives>> {
    if number("keepalives", get("keepalives"))? == Some(0) {
        return Ok(None);
    }
    let seconds = |key: &str, default: Option<Duration>| -> Result<Option<Duration>> {
        Ok(match number(key, get(key))? {
            None => default,
            Some(0) => None,
            Some(n) => Some(Duration::from_secs(n)),
        })
    };
    let count = match number("keepalives_count", get("keepalives_count"))? {
        None => KEEPALIVES.count,
        Some(0) => None,
        Some(n) => u32::try_from(n).ok(),
    };
    Ok(Some(Keepalives {
        idle: seconds("keepalives_idle", KEEPALIVES.idle)?,
        interval: seconds("keepalives_interval", KEEPALIVES.interval)?,
        count,
    }))
}

/// Negative numbers mean zero, as for libpq.
fn number(key: &str, value: Option<String>) -> Result<Option<u64>> {
    match value {
        None => Ok(None),
        Some(text) => match text.trim().parse::<i32>() {
            Ok(n) => Ok(Some(u64::try_from(n).unwrap_or(0))),
            Err(_) => Err(not_a(key, "whole number")),
        },
    }
}

fn one_of<T: Copy>(
    key: &str,
    value: Option<String>,
    default: T,
    choices: &[(&str, T)],
) -> Result<T> {
    let Some(value) = value else {
        return Ok(default);
    };
    choices
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Error::config(format!("`{key}` is one of {}", names.join(", ")))
        })
}

fn not_a(key: &str, what: &str) -> Error {
    Error::config(format!("`{key}` is not a {what}"))
}

/// The name of the user who runs this process.
fn os_user() -> Option<String> {
    whoami::account().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, env: Env<'_>) -> Result<Target> {
        Target::resolve(&Url::parse(text)?, env)
    }

    #[test]
    fn what_is_written_wins_over_the_environment() {
        let env = |name: &str| match name {
            "PGHOST" => Some("from-env".to_owned()),
            "PGPORT" => Some("6000".to_owned()),
            "PGUSER" => Some("eve".to_owned()),
            "PGSSLMODE" => Some("require".to_owned()),
            "PGCONNECT_TIMEOUT" => Some("3".to_owned()),
            _ => None,
        };
        let target = resolve("", &env).unwrap();
        assert_eq!(target.hosts[0].to_string(), "from-env:6000");
        assert_eq!(
            (target.user.as_str(), target.dbname.as_str()),
            ("eve", "eve")
        );
        assert_eq!(target.sslmode, SslMode::Require);
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(3)));
        let target = resolve("postgres://ann@h:1/db?sslmode=disable", &env).unwrap();
        assert_eq!(target.hosts[0].to_string(), "h:1");
        assert_eq!(
            (target.user.as_str(), target.dbname.as_str()),
            ("ann", "db")
        );
        assert_eq!(target.sslmode, SslMode::Disable);
    }

    #[test]
    fn a_dead_peer_is_noticed_unless_told_otherwise() {
        let target = resolve("host=h", &|_| None).unwrap();
        assert_eq!(target.connect_timeout, Some(CONNECT_TIMEOUT));
        assert_eq!(target.keepalives, Some(KEEPALIVES));
        assert_eq!(target.tcp_user_timeout, Some(TCP_USER_TIMEOUT));
        let target = resolve(
            "host=h keepalives=0 connect_timeout=0 tcp_user_timeout=1500",
            &|_| None,
        )
        .unwrap();
        assert_eq!((target.keepalives, target.connect_timeout), (None, None));
        assert_eq!(target.tcp_user_timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn the_systems_store_demands_the_name_to_match() {
        let target = resolve("host=h sslrootcert=system", &|_| None).unwrap();
        assert_eq!(target.sslmode, SslMode::VerifyFull);
        assert!(resolve("host=h sslrootcert=system sslmode=require", &|_| None).is_err());
    }

    #[test]
    fn hosts_and_ports_pair_up() {
        let target = resolve("host=a,b,c port=1,,3", &|_| None).unwrap();
        let shown: Vec<String> = target.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:1", "b:5432", "c:3"]);
        let target = resolve("hostaddr=::1 port=9", &|_| None).unwrap();
        assert_eq!(target.hosts[0].to_string(), "[::1]:9");
    }
}
