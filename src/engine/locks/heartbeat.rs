//! A run's pulse: it says that the run is alive, whatever else the run is doing or waiting for, and hears when somebody
//! asks the run to end.

use crate::catalog::runs::run::{self, HEARTBEAT};
use crate::error::Result;
use crate::pg::{Access, Session};
use crate::warehouse::open_session;
use std::sync::{Arc, OnceLock};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Beats on a session of its own until it is dropped.
pub struct Pulse {
    beating: JoinHandle<()>,
    asked: Arc<OnceLock<String>>,
}

impl Pulse {
    /// A request to end the run cancels `cancel`.
    pub fn start(access: &Access, owner: &str, run: i64, cancel: &CancellationToken) -> Pulse {
        let asked = Arc::new(OnceLock::new());
        let heart = Heart {
            access: access.clone(),
            owner: owner.to_owned(),
            run,
            session: None,
        };
        Pulse {
            beating: tokio::spawn(heart.beat_on(Arc::clone(&asked), cancel.clone())),
            asked,
        }
    }

    /// Who asked the run to end.
    pub fn cancelled_by(&self) -> Option<String> {
        self.asked.get().cloned()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

struct Heart {
    access: Access,
    owner: String,
    run: i64,
    /// Holds the run's lock.
    session: Option<Session>,
}

impl Heart {
    async fn beat_on(mut self, asked: Arc<OnceLock<String>>, cancel: CancellationToken) {
        loop {
            match self.beat().await {
                Ok(None) => {}
                Ok(Some(by)) => {
                    // Said once is enough; the run goes on living until it has ended.
                    let _ = asked.set(by);
                    cancel.cancel();
                }
                Err(error) => {
                    tracing::debug!(%error, "a heartbeat was missed");
                    self.session = None;
                }
            }
            tokio::time::sleep(HEARTBEAT).await;
        }
    }

    async fn beat(&mut self) -> Result<Option<String>> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let session = open_session(&self.access, &self.owner).await?;
                run::take_lock(&session, self.run).await?;
                session
            }
        };
        let asked = run::heartbeat(&session, self.run).await?;
        self.session = Some(session);
        Ok(asked)
    }
}
