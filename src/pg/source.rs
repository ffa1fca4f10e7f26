//! A transaction at a source: the one place where each of them begins.
//!
//! One batch of statements begins it and sets everything for it alone, so a pooler may stand between. The same batch looks at
//! the search path, which costs no round trip.

use super::session::{Session, SimpleRows};
use super::settings::search_path::{SearchPath, list};
use super::settings::{BEGIN_SOURCE, SOURCE, Scope, statements};
use crate::error::{Error, Kind, Result};
use crate::sql::{ident, literal};
use std::time::Duration;

/// What a transaction at a source needs to know.
#[derive(Debug, Clone, Copy)]
pub struct SourceTransaction<'a> {
    /// The tenant's name, for hints.
    pub tenant: &'a str,
    pub search_path: &'a SearchPath,
    /// How long a statement, or a pause between two, may take; zero for as long as it takes.
    pub limit: Duration,
}

/// What a transaction at a source sees, for other sessions with the same server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    name: String,
    server: String,
}

/// Tells a server from others to which the same connection string may lead.
const THIS_SERVER: &str = "pg_catalog.concat_ws(' ', pg_catalog.pg_postmaster_start_time(), \
     pg_catalog.inet_server_addr(), pg_catalog.inet_server_port())";

impl Snapshot {
    /// What the transaction that `session` is in sees, until it ends.
    ///
    /// # Errors
    /// The server's, when the login may not export it, too: the transaction has failed then.
    pub async fn export(session: &Session) -> Result<Snapshot> {
        let sql = format!("SELECT pg_catalog.pg_export_snapshot(), {THIS_SERVER}");
        let exported = session.simple(&sql).await?;
        let value = |column| exported.value(0, column).unwrap_or_default().to_owned();
        Ok(Snapshot {
            name: value(0),
            server: value(1),
        })
    }
}

/// The schemas of the search path that exist and that the role may use.
const SCHEMAS: &str = "SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false)); ";

/// What the login has, not what another client of a pooler left behind.
const LOGIN_PATH: &str = "SET LOCAL search_path TO DEFAULT; ";

impl SourceTransaction<'_> {
    /// Begins a read-only transaction whose queries all see the source at one moment.
    ///
    /// # Errors
    /// [`Kind::Refused`] when the search path no longer finds the tenant's schemas; the server's.
    pub async fn begin(&self, session: &Session) -> Result<()> {
        self.begin_with(session, "").await.map(|_| ())
    }

    /// As [`SourceTransaction::begin`], at the moment of another session's transaction, which exported `snapshot` and is
    /// still open.
    ///
    /// # Errors
    /// As [`SourceTransaction::begin`]; the session is with another server, which may have a snapshot of that name, too.
    pub async fn begin_at(&self, session: &Session, snapshot: &Snapshot) -> Result<()> {
        let import = format!("SET TRANSACTION SNAPSHOT {}; ", literal(&snapshot.name));
        let select = format!("SELECT {THIS_SERVER}");
        let mut found = self.send(session, &import, &select).await?;
        if take_first(&mut found).value(0, 0) == Some(&snapshot.server) {
            return Ok(());
        }
        let error = Error::new(Kind::Protocol, "the snapshot is of another server");
        Err(session.on_side(error))
    }

    /// As [`SourceTransaction::begin`], and sends statements in the same message. Gives what these returned.
    ///
    /// # Errors
    /// As [`SourceTransaction::begin`]. When the search path is wrong, the statements' error may come first.
    pub async fn begin_with(&self, session: &Session, statements: &str) -> Result<Vec<SimpleRows>> {
        self.send(session, "", statements).await
    }

    /// Sends it all as one message; `first` comes before any statement that looks at the database.
    async fn send(
        &self,
        session: &Session,
        first: &str,
        statements: &str,
    ) -> Result<Vec<SimpleRows>> {
        let path = match self.search_path {
            SearchPath::Unknown => String::new(),
            SearchPath::Earlier => "SET LOCAL search_path = public; ".to_owned(),
            SearchPath::Login(recorded) => format!("{LOGIN_PATH}{SCHEMAS}{}", set(recorded)),
            SearchPath::Chosen(chosen) => format!("{}{SCHEMAS}", set(chosen)),
        };
        let sql = format!("{}{path}{statements}", self.settings(session, first));
        let mut found = session.simple_all(&sql).await?;
        let checked = match self.search_path {
            SearchPath::Unknown | SearchPath::Earlier => Ok(()),
            SearchPath::Login(recorded) => schemas(&take_first(&mut found))
                .and_then(|now| self.same_as_recorded(recorded, &now)),
            SearchPath::Chosen(chosen) => {
                schemas(&take_first(&mut found)).and_then(|now| self.all_there(chosen, &now))
            }
        };
        checked.map_err(|error| session.on_side(error))?;
        Ok(found)
    }

    fn settings(&self, session: &Session, first: &str) -> String {
        let limit = self.limit.as_millis();
        let settings = statements(SOURCE, session.server_version(), Scope::Transaction);
        format!(
            "{BEGIN_SOURCE}{first}{settings}SET LOCAL statement_timeout = '{limit}ms'; \
             SET LOCAL idle_in_transaction_session_timeout = '{limit}ms'; "
        )
    }

    /// Runs `work` in such a transaction, and ends it.
    ///
    /// # Errors
    /// Those of [`SourceTransaction::begin`] and of the work.
    pub async fn read<T>(
        &self,
        session: &Session,
        work: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let result = match self.begin(session).await {
            Ok(()) => work().await,
            Err(error) => Err(error),
        };
        // After an error, the first error explains more than a failed ROLLBACK.
        let ended = session.batch("ROLLBACK").await;
        let value = result?;
        ended?;
        Ok(value)
    }

    fn same_as_recorded(&self, recorded: &[String], found: &[String]) -> Result<()> {
        if recorded == found {
            return Ok(());
        }
        let (tenant, was, now) = (self.tenant, list(recorded), list(found));
        Err(Error::new(
            Kind::Refused,
            format!("the login's search path now finds other schemas: `{now}` instead of `{was}`"),
        )
        .with_hint(format!(
            "to read with the new path, run `dayhaul tenant set {tenant} --search-path '{now}'`; to keep the old one, \
             `dayhaul tenant set {tenant} --search-path '{was}'`"
        )))
    }

    fn all_there(&self, chosen: &[String], found: &[String]) -> Result<()> {
        let Some(missing) = chosen.iter().find(|schema| !found.contains(schema)) else {
            return Ok(());
        };
        Err(Error::new(
            Kind::Refused,
            format!("schema `{missing}` of the search path does not exist, or the login may not use it"),
        )
        .with_hint(format!(
            "have its owner run `GRANT USAGE ON SCHEMA {} TO …` at the source, or change the path with \
             `dayhaul tenant set {} --search-path …`",
            ident(missing),
            self.tenant
        )))
    }
}

/// What the first of the statements returned.
fn take_first(found: &mut Vec<SimpleRows>) -> SimpleRows {
    if found.is_empty() {
        SimpleRows::default()
    } else {
        found.remove(0)
    }
}

fn set(path: &[String]) -> String {
    let names: Vec<String> = path.iter().map(|name| ident(name)).collect();
    let names = if names.is_empty() {
        "''".to_owned()
    } else {
        names.join(", ")
    };
    format!("SET LOCAL search_path = {names}; ")
}

/// The schemas that the search path of the login finds. Begins and ends a transaction.
///
/// # Errors
/// The server's.
pub async fn login_search_path(session: &Session) -> Result<Vec<String>> {
    let settings = statements(SOURCE, session.server_version(), Scope::Transaction);
    let found = session
        .simple(&format!(
            "{BEGIN_SOURCE}{settings}{LOGIN_PATH}{SCHEMAS}COMMIT"
        ))
        .await?;
    schemas(&found).map_err(|error| session.on_side(error))
}

fn schemas(found: &SimpleRows) -> Result<Vec<String>> {
    let text = found.value(0, 0).unwrap_or_default();
    serde_json::from_str(text).map_err(|e| {
        Error::new(Kind::Protocol, "the server did not report its search path").with_source(e)
    })
}
