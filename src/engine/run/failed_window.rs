//! A window that failed for good: ledger, report, and what that means for others.

use super::pair::RowSource;
use super::worker::LoadWorker;
use crate::catalog::ledger::units;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::decision::decide_finally;
use crate::engine::schedule::queue::{FailureScope, Job};
use crate::engine::schedule::task::Task;
use crate::error::{Error, Result, Side};
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
        let scope = FailureScope::of(decide_finally(&error));
        let from_source = error.side() == Some(Side::Source);
        // A warehouse that cannot be written keeps no record of it, either.
        if scope != FailureScope::All
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
        if from_source && matches!(pair.source, RowSource::Files(_)) {
            // A bad file does not make the next one suspect.
            return FailureScope::Window;
        }
        scope
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
