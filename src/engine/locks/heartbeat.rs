//! A run's heartbeat: it shows that the run is alive and how far it is, whatever else it does or waits for, and receives
//! the request to end it.

use crate::catalog::runs::run::{self, HEARTBEAT};
use crate::engine::report::run_progress::RunProgress;
use crate::error::Result;
use crate::pg::{Access, Session};
use crate::warehouse::open_session;
use std::sync::{Arc, OnceLock};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Beats in a separate session until it is dropped.
pub struct Heartbeat {
    task: JoinHandle<()>,
    requested_by: Arc<OnceLock<String>>,
}

impl Heartbeat {
    /// Each beat writes down how far the run is. A request to end it cancels `cancel`.
    pub fn start(
        access: &Access,
        owner: &str,
        run: i64,
        progress: Arc<RunProgress>,
        cancel: &CancellationToken,
    ) -> Heartbeat {
        let requested_by = Arc::new(OnceLock::new());
        let sender = Sender {
            access: access.clone(),
            owner: owner.to_owned(),
            run,
            progress,
            session: None,
        };
        Heartbeat {
            task: tokio::spawn(sender.run(Arc::clone(&requested_by), cancel.clone())),
            requested_by,
        }
    }

    /// Who asked the run to end.
    pub fn cancelled_by(&self) -> Option<String> {
        self.requested_by.get().cloned()
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sender {
    access: Access,
    owner: String,
    run: i64,
    progress: Arc<RunProgress>,
    /// Holds the run's lock.
    session: Option<Session>,
}

impl Sender {
    async fn run(mut self, requested_by: Arc<OnceLock<String>>, cancel: CancellationToken) {
        loop {
            match self.beat().await {
                Ok(None) => {}
                Ok(Some(by)) => {
                    // Once is enough; the run stays alive until it has ended.
                    let _ = requested_by.set(by);
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
        let requested_by = run::heartbeat(&session, self.run, self.progress.now()).await?;
        self.session = Some(session);
        Ok(requested_by)
    }
}
