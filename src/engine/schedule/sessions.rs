//! A worker's sessions: one with the warehouse, one with a source. Tenants in one database with one login share it.

use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, Purpose, Session};
use crate::warehouse::open_session;
use std::time::Duration;

/// How long the servers get to answer the request to cancel what they still compute.
const GOODBYE: Duration = Duration::from_secs(5);

/// Opened when they are needed, kept from window to window.
#[derive(Default)]
pub struct Sessions {
    /// Commits of the warehouse wait for the disk: what is published after them must not outlive them.
    durable: bool,
    warehouse: Option<Session>,
    source: Option<(Access, Session)>,
}

impl Sessions {
    pub fn durable(durable: bool) -> Sessions {
        Sessions {
            durable,
            ..Sessions::default()
        }
    }

    /// # Errors
    /// The warehouse cannot be reached.
    pub async fn warehouse(&mut self, access: &Access, owner: &str) -> Result<&Session> {
        if self.warehouse.as_ref().is_none_or(Session::is_closed) {
            let session = open_session(access, owner).await?;
            if self.durable {
                let on = session.batch("SET synchronous_commit = on");
                on.await?;
            }
            self.warehouse = Some(session);
        }
        self.warehouse.as_ref().ok_or_else(none)
    }

    /// A source; replaces the session with another one.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn source(&mut self, access: &Access) -> Result<&Session> {
        let usable =
            |(of, session): &(Access, Session)| of.is_same_login(access) && session.resume();
        if !self.source.as_ref().is_some_and(usable) {
            // First: it may have the server's only place.
            self.source = None;
            let session = pg::connect(access, Purpose::Source).await?;
            self.source = Some((access.clone(), session));
        }
        self.opened_source().ok_or_else(none)
    }

    /// Those with source and warehouse, which must be open.
    ///
    /// # Errors
    /// [`Kind::Bug`] when one was not.
    pub fn both(&self) -> Result<(&Session, &Session)> {
        let (source, warehouse) = self.opened();
        source.zip(warehouse).ok_or_else(none)
    }

    /// Those of source and warehouse that are open.
    pub fn opened(&self) -> (Option<&Session>, Option<&Session>) {
        (self.opened_source(), self.warehouse.as_ref())
    }

    fn opened_source(&self) -> Option<&Session> {
        self.source.as_ref().map(|(_, session)| session)
    }

    /// After a try that went well: the source's session may end when others wait for its place.
    pub fn rest(&self) {
        if let Some(session) = self.opened_source() {
            session.rest();
        }
    }

    /// Gives the connection to a source back. Its session is between two transactions.
    pub fn end_source(&mut self) {
        self.source = None;
    }

    /// Ends the transaction that is open at a source.
    pub async fn roll_back_source(&mut self) {
        let Some(session) = self.opened_source() else {
            return;
        };
        if session.batch("ROLLBACK").await.is_err() {
            self.abort_source().await;
        }
    }

    /// After a failed try at a source: ends the session with it, and cancels what the server still computes.
    pub async fn abort_source(&mut self) {
        if let Some((_, session)) = self.source.take()
            && tokio::time::timeout(GOODBYE, session.abort())
                .await
                .is_err()
        {
            tracing::debug!("a source did not answer the request to cancel");
        }
    }

    /// After a failed try the sessions are in an unknown state: ends both, and cancels what the servers still compute.
    pub async fn end(&mut self) {
        let goodbye = async {
            if let Some((_, session)) = self.source.take() {
                session.abort().await;
            }
            if let Some(session) = self.warehouse.take() {
                session.abort().await;
            }
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("a server did not answer the request to cancel");
        }
    }
}

fn none() -> Error {
    Error::new(Kind::Bug, "the session is not open")
}
