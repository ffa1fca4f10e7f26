//! A window that failed for good: ledger, report, and what that means for others.

use super::pair::RowSource;
use super::worker::LoadWorker;
use crate::catalog::ledger::units;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::queue::{FailureScope, Job};
use crate::engine::schedule::task::Task;
use crate::error::{Error, Kind, Result, Side};
use std::sync::Arc;
use std::time::Duration;

/// How long an interrupted run may take to record a failure.
const RECORD_TIMEOUT: Duration = Duration::from_secs(1);

impl LoadWorker {
    pub async fn window_failed(
        &mut self,
        job: &Job<Task>,
        tries: u32,
        error: Error,
    ) -> FailureScope {
        let run = Arc::clone(&self.run);
        let unreachable = error.kind() == Kind::Connect;
        let side = error.side();
        if (side != Some(Side::Warehouse) || !unreachable)
            && let Err(error) = self.record_failure(job, tries, &error.to_string()).await
        {
            run.outcomes.event(&Event::Warning(format!(
                "failed to record the failure of {} in the ledger: {error}",
                job.window
            )));
        }
        let pair = &run.pairs[job.pair];
        let days = job.window.days();
        run.outcomes
            .report_days(&pair.pair, days, Outcome::Failed, tries);
        run.outcomes
            .add_failure(&pair.pair, vec![job.window], error, false);
        match side {
            // Without it no window can be done.
            Some(Side::Warehouse | Side::Landing) if unreachable => FailureScope::All,
            // A bad file does not make the next one suspect.
            Some(Side::Source) if matches!(pair.source, RowSource::Files(_)) => {
                FailureScope::Window
            }
            Some(Side::Source) if unreachable => FailureScope::Tenant,
            _ => FailureScope::Counted,
        }
    }

    async fn record_failure(&mut self, job: &Job<Task>, tries: u32, message: &str) -> Result<()> {
        let run = Arc::clone(&self.run);
        let entry = run.entry(job.pair, tries);
        let record = async {
            let session = self.warehouse().await?;
            units::fail(session, &entry, job.window.days(), message).await
        };
        let stopped = async {
            run.pool.stopped().cancelled().await;
            tokio::time::sleep(RECORD_TIMEOUT).await;
        };
        tokio::select! {
            recorded = record => recorded,
            () = stopped => Err(Error::interrupted()),
        }
    }
}
