//! From a connection string to a [`Session`]: every host and address in turn, then what the purpose needs.

mod attempt;
pub mod pooling;

use super::conninfo::env::process_env;
use super::conninfo::hosts::Host;
use super::conninfo::parse::Url;
use super::conninfo::passfile;
use super::conninfo::password::Password;
use super::conninfo::resolved::{SessionAttrs, Target};
use super::conninfo::values::Values;
use super::net::socket::addresses;
use super::places::open_in_place;
use super::session::Session;
use super::settings::{LOGIN_READ_ONLY, Scope, WAREHOUSE, statements};
use crate::config::Schemas;
use crate::error::{At, Error, Kind, Result, Side};
use attempt::{Attempt, unreachable_error};
use secrecy::SecretString;
use std::sync::Arc;

/// What [`connect`] needs: the connection string, and where its password comes from.
#[derive(Debug, Clone)]
pub struct Access {
    pub url: Url,
    pub password: Password,
    /// Those of the warehouse.
    pub schemas: Schemas,
    /// Sessions that may be open at its server at once, if they are limited.
    pub places: Option<usize>,
}

impl Access {
    pub fn new(url: Url, password: Password) -> Access {
        Access {
            url,
            password,
            schemas: Schemas::default(),
            places: None,
        }
    }

    /// In place of the default schemas.
    #[must_use]
    pub fn with_schemas(self, schemas: Schemas) -> Access {
        Access { schemas, ..self }
    }

    /// Whether a session of one can be used for the other: the same database, with the same login.
    pub fn is_same_login(&self, other: &Access) -> bool {
        self.url == other.url && self.password.is_same(&other.password)
    }

    /// As a source, with so many sessions open at its server at once.
    #[must_use]
    pub fn with_places(self, places: usize) -> Access {
        let places = Some(places);
        Access { places, ..self }
    }
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reads a tenant. Nothing is set for the session: a pooler may stand between. Its errors name the source.
    Source,
    /// Writes the warehouse: UTF-8, settings and keepalives for the session. Its errors name the warehouse.
    Warehouse,
    /// As [`Purpose::Source`], with a server that is neither, or both: a demo's, a bench's. Its errors name no side.
    Plain,
}

/// Lets the server notice a client that vanished while it computes; PostgreSQL 14 or newer, and not on every system.
const CONNECTION_CHECK: &str = "SET client_connection_check_interval = '10s'";

const OLDEST_SOURCE: u32 = 12;
const OLDEST_WAREHOUSE: u32 = 14;

/// Opens a session, at a source as soon as its server has a place for one.
///
/// # Errors
/// [`Kind::Connect`]: unreachable (transient), or not let in. [`Kind::Refused`]: a server too old, a warehouse that is not
/// UTF-8, a password file that others can read. [`Kind::Config`]: a certificate that cannot be used.
pub async fn connect(access: &Access, purpose: Purpose) -> Result<Session> {
    let on_side = |error: Error| match purpose {
        Purpose::Source => error.on(Side::Source),
        Purpose::Warehouse => error.on(Side::Warehouse),
        Purpose::Plain => error,
    };
    let Some(places) = access.places else {
        return open(access, purpose).await.map_err(on_side);
    };
    let open = || open(access, purpose);
    let opened = open_in_place(&access.url.endpoint(), places, open).await;
    let (session, place) = opened.map_err(on_side)?;
    session.keep(place);
    Ok(session)
}

async fn open(access: &Access, purpose: Purpose) -> Result<Session> {
    let (target, of_connection) = {
        let values = Values::of(&access.url, &process_env)?;
        (Arc::new(Target::of(&values)?), values.password())
    };
    let mut session = log_in(access, &target, of_connection).await?;
    if purpose == Purpose::Warehouse {
        return for_warehouse(session, &target, &access.schemas).await;
    }
    if purpose == Purpose::Source {
        session.set_side(Side::Source);
    }
    check_version(&session, "tenant", OLDEST_SOURCE).at(|| format!("`{}`", session.endpoint()))?;
    Ok(session)
}

/// Makes a plain session one of [`Purpose::Warehouse`].
///
/// # Errors
/// As [`connect`].
async fn for_warehouse(
    mut session: Session,
    target: &Target,
    schemas: &Schemas,
) -> Result<Session> {
    session.set_side(Side::Warehouse);
    session.set_schemas(schemas.clone());
    let place = || format!("`{}`", session.endpoint());
    check_version(&session, "warehouse", OLDEST_WAREHOUSE).at(place)?;
    limited(target, prepare_warehouse(&session))
        .await
        .at(place)?;
    Ok(session)
}

/// Logs in with the password of the reference, or else of the connection. A password that was read a moment ago may have
/// expired since: it is read again once.
async fn log_in(
    access: &Access,
    target: &Arc<Target>,
    of_connection: Option<SecretString>,
) -> Result<Session> {
    let password = access.password.read().await?.or(of_connection);
    let rejected = match open_any(target, password.as_ref()).await {
        Err(e) if e.sqlstate().is_some_and(|code| code.starts_with("28")) => e,
        other => return other,
    };
    let Some(password) = password else {
        return Err(rejected);
    };
    match access.password.other_than(&password).await? {
        Some(other) => open_any(target, Some(&other)).await,
        None => Err(rejected),
    }
}

/// Tries the hosts in turn. A host that answers and rejects the login ends the search, as in libpq.
async fn open_any(target: &Arc<Target>, password: Option<&SecretString>) -> Result<Session> {
    let mut hosts = target.hosts.clone();
    if target.shuffle {
        shuffle(&mut hosts);
    }
    let passes: &[SessionAttrs] = match target.session {
        SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
        _ => std::slice::from_ref(&target.session),
    };
    let mut failures: Vec<Error> = Vec::new();
    for wanted in passes {
        failures.clear();
        for host in &hosts {
            match open_host(target, host, password, *wanted).await {
                Ok(session) => return Ok(session),
                Err(e) if e.is_transient() => failures.push(e),
                Err(e) => return Err(e),
            }
        }
    }
    Err(all_failed(failures))
}

/// All reasons, with the code of a server that answered: one that has no session left is waited for.
fn all_failed(mut failures: Vec<Error>) -> Error {
    if failures.len() > 1 {
        let all: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let error = Error::new(Kind::Connect, all.join("; ")).with_transient(true);
        let mut answers = failures.iter();
        return match answers.find_map(|answer| Some((answer.sqlstate()?, answer.trouble()))) {
            Some((code, trouble)) => error.with_sqlstate(code, trouble),
            None => error,
        };
    }
    failures
        .pop()
        .unwrap_or_else(|| Error::new(Kind::Bug, "no host to connect to"))
}

/// Tries a host's addresses in turn.
async fn open_host(
    target: &Arc<Target>,
    host: &Host,
    password: Option<&SecretString>,
    wanted: SessionAttrs,
) -> Result<Session> {
    let place = || format!("connecting to `{host}` as `{}`", target.user);
    let password = match password {
        Some(password) => Some(password.clone()),
        None => passfile::find(target, host).at(place)?,
    };
    let unreachable = |e: std::io::Error| unreachable_error(&e).at(place());
    let mut addresses = limited(target, async { addresses(host).await.map_err(unreachable) })
        .await
        .at(place)?;
    if target.shuffle {
        shuffle(&mut addresses);
    }
    let mut failures = Vec::new();
    for address in addresses {
        let attempt = Attempt {
            target,
            host,
            address,
            password: password.as_ref(),
        };
        let opened = limited(target, async {
            let session = attempt.open().await?;
            check_attributes(&session, wanted).await?;
            Ok(session)
        });
        match opened.await.at(place) {
            Ok(session) => return Ok(session),
            Err(e) if e.is_transient() => failures.push(e),
            Err(e) => return Err(e),
        }
    }
    // One reason is enough for all addresses of a host: the last one.
    Err(failures.pop().unwrap_or_else(|| all_failed(Vec::new())))
}

/// Bounds everything up to the usable session, so that a server that accepts and never answers does not block us.
async fn limited<T>(target: &Target, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(limit) = target.connect_timeout else {
        return work.await;
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            Kind::Connect,
            format!("no answer within {} s", limit.as_secs()),
        )
        .with_transient(true)
        .with_hint("if the server is only slow, raise `connect_timeout` in the connection URL"))
    })
}

async fn check_attributes(session: &Session, wanted: SessionAttrs) -> Result<()> {
    if wanted == SessionAttrs::Any {
        return Ok(());
    }
    // In a transaction that says its isolation level: a standby cannot serve `SERIALIZABLE`, whoever set it as the default.
    let found = session
        .simple(
            "BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE; \
             SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only') = 'on'; COMMIT",
        )
        .await?;
    let is = |column: usize| found.value(0, column) == Some("t");
    let (standby, read_only) = (is(0), is(1));
    let (fits, what) = match wanted {
        SessionAttrs::ReadWrite => (!read_only, "accept writes"),
        SessionAttrs::ReadOnly => (read_only, "refuse writes"),
        SessionAttrs::Primary => (!standby, "be a primary"),
        SessionAttrs::Standby => (standby, "be a standby"),
        SessionAttrs::Any | SessionAttrs::PreferStandby => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(Error::new(
        Kind::Connect,
        format!("the server does not {what}, which `target_session_attrs` requires"),
    )
    .with_transient(true))
}

fn check_version(session: &Session, what: &str, oldest: u32) -> Result<()> {
    let major = session.server_version() / 10_000;
    if major < oldest {
        return Err(Error::refused(format!(
            "the server is PostgreSQL {major}; a {what} needs {oldest} or newer"
        )));
    }
    Ok(())
}

async fn prepare_warehouse(session: &Session) -> Result<()> {
    let encoding = match session.parameter("server_encoding") {
        Some(encoding) => encoding.to_owned(),
        None => {
            let shown = session.simple("SHOW server_encoding").await?;
            shown.value(0, 0).unwrap_or_default().to_owned()
        }
    };
    if encoding != "UTF8" {
        return Err(Error::refused(format!(
            "the warehouse database is encoded as {encoding}; it must be UTF8"
        ))
        .with_hint("create it with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"));
    }
    let settings = statements(WAREHOUSE, session.server_version(), Scope::Session);
    session
        .batch(&format!("{settings}{LOGIN_READ_ONLY}"))
        .await?;
    if let Err(e) = session.batch(CONNECTION_CHECK).await
        && session.is_closed()
    {
        return Err(e);
    }
    Ok(())
}

/// Fisher-Yates, seeded by the standard library's own randomness: enough to spread clients over hosts.
fn shuffle<T>(items: &mut [T]) {
    use std::hash::{BuildHasher, RandomState};
    let seed = RandomState::new();
    for i in (1..items.len()).rev() {
        let modulus = u64::try_from(i + 1).unwrap_or(1);
        let j = usize::try_from(seed.hash_one(i) % modulus).unwrap_or(0);
        items.swap(i, j);
    }
}
