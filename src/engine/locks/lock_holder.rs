//! The run's own session: it holds the pairs' locks. The run's [`Heartbeat`] has another one.

use super::heartbeat::Heartbeat;
use super::held_pairs::HeldPairs;
use crate::catalog::Pair;
use crate::catalog::runs::lease;
use crate::catalog::runs::run::{self, HEARTBEAT};
use crate::catalog::runs::selected::inclusive;
use crate::config::Settings;
use crate::engine::report::event::{Failure, Observer};
use crate::engine::report::run_progress::{Counting, RunProgress};
use crate::error::{Error, Kind, Result, Trouble};
use crate::pg::{Access, Session};
use crate::unit::{PairNames, TemplateName, TenantName, Window};
use crate::warehouse::open_session;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tries, one heartbeat apart, to take the locks again after the session was lost.
const RECOVERIES: u32 = 12;

/// Tries to record how a run ended, and the pause between two of them: long enough for a failover.
const ENDINGS: u32 = 15;
const PAUSE: Duration = Duration::from_secs(2);

/// Holds the locks of a run.
pub struct LockHolder {
    session: Session,
    access: Access,
    owner: String,
    run: i64,
    held: Vec<(TenantName, TemplateName)>,
    heartbeat: Heartbeat,
    progress: Arc<RunProgress>,
}

impl LockHolder {
    /// Begins a run. A request to end it, from any host, cancels `cancel`.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn begin(
        access: &Access,
        settings: &Settings,
        header: &run::RunHeader,
        cancel: &CancellationToken,
    ) -> Result<LockHolder> {
        let owner = settings.warehouse.owner_role.clone();
        let session = open_session(access, &owner).await?;
        let run = run::begin(&session, header).await?;
        let progress = Arc::<RunProgress>::default();
        Ok(LockHolder {
            heartbeat: Heartbeat::start(access, &owner, run, Arc::clone(&progress), cancel),
            progress,
            session,
            access: access.clone(),
            owner,
            run,
            held: Vec::new(),
        })
    }

    pub fn run(&self) -> i64 {
        self.run
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How far the run is: what is counted there, others see.
    pub fn progress(&self) -> Arc<RunProgress> {
        Arc::clone(&self.progress)
    }

    /// An observer that also counts how far the run is.
    pub fn counting(&self, observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
        Arc::new(Counting::new(observer, self.progress()))
    }

    /// Who asked the run to end by `dayhaul cancel`.
    pub fn cancelled_by(&self) -> Option<String> {
        self.heartbeat.cancelled_by()
    }

    /// Records what the run was requested to do: its pairs, and the days of each.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn select<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a TenantName, &'a TemplateName, Vec<Window>)>,
    ) -> Result<()> {
        run::select(&self.session, self.run, pairs).await
    }

    /// Takes the locks of pairs, or waits for them. Gives an error for each pair that is held by somebody else:
    /// [`Kind::Locked`], naming who it is.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn take(&mut self, pairs: &[Pair], held: HeldPairs) -> Result<Vec<Result<()>>> {
        let names = pairs.iter().map(|p| (&p.tenant.name, &p.template.name));
        let names: Vec<PairNames<'_>> = names.collect();
        let taken = if held.wait {
            lease::wait_and_take(&self.session, self.run, &names).await?;
            vec![true; names.len()]
        } else {
            lease::try_take(&self.session, self.run, &names).await?
        };
        let mut results = Vec::with_capacity(names.len());
        for ((tenant, template), taken) in names.into_iter().zip(taken) {
            if taken {
                self.held.push((tenant.clone(), template.clone()));
                results.push(Ok(()));
                continue;
            }
            let holder = lease::holder(&self.session, tenant, template).await?;
            let error = Error::new(Kind::Locked, format!("held by {holder}"));
            results.push(Err(error.with_hint(held.hint)));
        }
        Ok(results)
    }

    /// Checks every few seconds that the session is alive; returns only when the locks are lost for good.
    pub async fn keep(&mut self) -> Error {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            if let Err(error) = self.session.batch("SELECT").await {
                tracing::warn!(%error, "the session that holds the locks was lost");
                if let Err(error) = self.recover().await {
                    return error;
                }
            }
        }
    }

    /// Takes the locks back with a new session. Rows are safe meanwhile: the lease fences every publishing transaction.
    async fn recover(&mut self) -> Result<()> {
        let mut last = Error::new(Kind::Bug, "no try was made");
        for _ in 0..RECOVERIES {
            match self.take_back().await {
                Ok(session) => {
                    self.session = session;
                    return Ok(());
                }
                Err(error) if error.is_transient() => last = error,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(HEARTBEAT).await;
        }
        Err(last)
    }

    async fn take_back(&self) -> Result<Session> {
        let session = open_session(&self.access, &self.owner).await?;
        for (tenant, template) in &self.held {
            if !lease::try_take_back(&session, self.run, tenant, template).await? {
                let holder = lease::holder(&session, tenant, template).await?;
                return Err(Error::new(
                    Kind::Locked,
                    format!("`{template}` of tenant `{tenant}` was taken over: {holder}"),
                ));
            }
        }
        Ok(session)
    }

    /// Does the last work of a run in the session and, after what may pass, again in a new one.
    ///
    /// # Errors
    /// The last try's: the catalog does not have how the run ended.
    pub async fn finally(
        &mut self,
        cancel: &CancellationToken,
        work: impl AsyncFn(&LockHolder) -> Result<()>,
    ) -> Result<()> {
        self.try_for_a_while(cancel, work)
            .await
            .map_err(not_recorded)
    }

    async fn try_for_a_while(
        &mut self,
        cancel: &CancellationToken,
        work: impl AsyncFn(&LockHolder) -> Result<()>,
    ) -> Result<()> {
        let mut lost = self.session.is_closed();
        for _ in 1..ENDINGS {
            let error = match self.try_finally(lost, &work).await {
                Err(error) if error.is_transient() && error.trouble() != Trouble::DiskFull => error,
                done => return done,
            };
            tracing::warn!(%error, "failed to record how the run ended; trying again");
            lost = true;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                // Whoever wants it to end now gets one more try.
                () = cancel.cancelled() => break,
            }
        }
        self.try_finally(lost, &work).await
    }

    async fn try_finally(
        &mut self,
        lost: bool,
        work: &impl AsyncFn(&LockHolder) -> Result<()>,
    ) -> Result<()> {
        if lost {
            self.session = open_session(&self.access, &self.owner).await?;
        }
        work(self).await
    }

    /// Ends the run with a synchronous commit, and releases the locks. In the session that has read the ledger: none outlives a
    /// crash, so what the ledger had then is on the disk now.
    ///
    /// # Errors
    /// The warehouse's: the outcome must then not be reported as done.
    pub async fn end(&self, outcome: &str, totals: &Value, failures: &Value) -> Result<()> {
        let end = run::End {
            outcome,
            totals,
            failures,
        };
        run::end(&self.session, self.run, end).await?;
        // A run that waits for the locks need not wait for the session's end. If this fails, the session has ended.
        let _ = self.session.batch("SELECT pg_advisory_unlock_all()").await;
        Ok(())
    }
}

fn not_recorded(error: Error) -> Error {
    error.at("failed to record how the run ended").and_hint(
        "`dayhaul status` shows what is done; run the same command again: it does the rest",
    )
}

/// Failures as the catalog keeps them.
pub fn kept_failures(failures: &[Failure]) -> Value {
    failures.iter().map(kept).collect()
}

/// A failure as the catalog keeps it: without values of rows, like everything there.
fn kept(failure: &Failure) -> Value {
    json!({
        "tenant": failure.tenant.as_str(),
        "template": failure.template.as_ref().map(TemplateName::as_str),
        "days": inclusive(&failure.windows),
        "not_tried": failure.not_tried,
        "error": failure.error.to_string(),
        "hint": failure.error.hint(),
    })
}
