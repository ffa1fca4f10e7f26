//! A connection string with everything filled in: what was written, then the service, `PG*` variables, defaults.

use super::env::Env;
use super::hosts::{Host, hosts};
use super::parse::Url;
use super::values::{Values, not_a};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::config::ChannelBinding;

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

/// A version of TLS that both `rustls` and libpq know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// What is asked of an encrypted connection.
#[derive(Debug, Clone)]
pub struct Tls {
    /// TLS without the question first (PostgreSQL 17).
    pub direct: bool,
    pub rootcert: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
    /// Whether a client certificate is presented when there is one.
    pub present_cert: bool,
    /// Whether the handshake names the host.
    pub sni: bool,
    pub oldest: TlsVersion,
    pub newest: TlsVersion,
}

/// Everything needed to connect, except the password.
#[derive(Debug, Clone)]
pub struct Target {
    pub hosts: Vec<Host>,
    pub user: String,
    pub dbname: String,
    pub application_name: Option<String>,
    pub sslmode: SslMode,
    pub tls: Tls,
    pub channel_binding: ChannelBinding,
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
    /// A value, written or from the service or a `PG*` variable, that is not one of its key's, or that cannot be honored. The
    /// value is not repeated. The service is not defined.
    pub fn resolve(url: &Url, env: Env<'_>) -> Result<Target> {
        Target::of(&Values::of(url, env)?)
    }

    /// # Errors
    /// As [`Target::resolve`].
    pub fn of(values: &Values<'_>) -> Result<Target> {
        values.check_supported()?;
        let get = |key: &str| values.get(key);
        let user = get("user").or_else(os_user).unwrap_or_default();
        let sslmode = sslmode(&get)?;
        Ok(Target {
            hosts: hosts(values)?,
            dbname: get("dbname").unwrap_or_else(|| user.clone()),
            user,
            application_name: get("application_name"),
            sslmode,
            tls: tls(&get, sslmode)?,
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
            session: session_attrs(&get)?,
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

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

fn session_attrs(get: Get<'_>) -> Result<SessionAttrs> {
    one_of(
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
    )
}

fn sslmode(get: Get<'_>) -> Result<SslMode> {
    let system = get("sslrootcert").as_deref() == Some("system");
    let default = if system {
        SslMode::VerifyFull
    } else {
        SslMode::Prefer
    };
    let mode = one_of(
        "sslmode",
        get("sslmode"),
        default,
        &[
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ],
    )?;
    if system && mode != SslMode::VerifyFull {
        return Err(
            Error::config("`sslrootcert=system` needs `sslmode=verify-full`").with_hint(
                "anyone can get a certificate that the system's store trusts; only the name tells them apart",
            ),
        );
    }
    Ok(mode)
}

fn tls(get: Get<'_>, sslmode: SslMode) -> Result<Tls> {
    let direct = one_of(
        "sslnegotiation",
        get("sslnegotiation"),
        false,
        &[("postgres", false), ("direct", true)],
    )?;
    if direct && sslmode < SslMode::Require {
        return Err(Error::config(
            "`sslnegotiation=direct` needs `sslmode=require` or stronger",
        ));
    }
    let version = |key: &str, default: TlsVersion| {
        one_of(
            key,
            get(key),
            default,
            &[
                // Older ones are never spoken.
                ("TLSv1", TlsVersion::V1_2),
                ("TLSv1.1", TlsVersion::V1_2),
                ("TLSv1.2", TlsVersion::V1_2),
                ("TLSv1.3", TlsVersion::V1_3),
            ],
        )
    };
    let oldest = version("ssl_min_protocol_version", TlsVersion::V1_2)?;
    let newest = version("ssl_max_protocol_version", TlsVersion::V1_3)?;
    if oldest > newest {
        return Err(Error::config(
            "`ssl_min_protocol_version` is above `ssl_max_protocol_version`",
        ));
    }
    Ok(Tls {
        direct,
        rootcert: get("sslrootcert"),
        cert: get("sslcert"),
        key: get("sslkey"),
        present_cert: get("sslcertmode").as_deref() != Some("disable"),
        sni: one_of("sslsni", get("sslsni"), true, &[("1", true), ("0", false)])?,
        oldest,
        newest,
    })
}

fn keepalives(get: Get<'_>) -> Result<Option<Keepalives>> {
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
