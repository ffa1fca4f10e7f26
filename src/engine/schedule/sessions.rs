//! The sessions of a worker: with the warehouse, and with the source of the tenant that it works for.

use crate::engine::report::window_outcome::{Fault, source, target};
use crate::error::{Error, Kind};
use crate::pg::{self, Access, Purpose, Session};
use crate::unit::TenantName;
use crate::warehouse::open_session;
use std::time::Duration;

/// How long the servers get to answer the request to cancel what they still compute.
const GOODBYE: Duration = Duration::from_secs(5);

/// Opened when they are asked for, kept from window to window.
#[derive(Default)]
pub struct Sessions {
    /// Commits of the warehouse wait for the disk: what is published after them must not outlive them.
    durable: bool,
    warehouse: Option<Session>,
    source: Option<(TenantName, Session)>,
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
    pub async fn warehouse(&mut self, access: &Access, owner: &str) -> Result<&Session, Fault> {
        if self.warehouse.as_ref().is_none_or(Session::is_closed) {
            let session = open_session(access, owner).await.map_err(target)?;
            if self.durable {
                let on = session.batch("SET synchronous_commit = on");
                on.await.map_err(target)?;
            }
            self.warehouse = Some(session);
        }
        self.warehouse.as_ref().ok_or_else(none)
    }

    /// The source of `tenant`; the session with another tenant's is given up for it.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn source(
        &mut self,
        tenant: &TenantName,
        access: &Access,
    ) -> Result<&Session, Fault> {
        let usable = |(of, session): &(TenantName, Session)| of == tenant && !session.is_closed();
        if !self.source.as_ref().is_some_and(usable) {
            let session = pg::connect(access, Purpose::Source).await.map_err(source)?;
            self.source = Some((tenant.clone(), session));
        }
        self.opened_source().ok_or_else(none)
    }

    /// Those of source and warehouse that are open.
    pub fn opened(&self) -> (Option<&Session>, Option<&Session>) {
        (self.opened_source(), self.warehouse.as_ref())
    }

    fn opened_source(&self) -> Option<&Session> {
        self.source.as_ref().map(|(_, session)| session)
    }

    /// After a try that did not end well nobody knows what the sessions are doing: both are ended, and what the servers
    /// still compute is cancelled.
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

fn none() -> Fault {
    Error::new(Kind::Bug, "no session").into()
}
