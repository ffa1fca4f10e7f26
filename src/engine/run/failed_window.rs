//! A window that failed for good: ledger, report, and what that means for others.

use super::pair::RowSource;
use super::worker::LoadWorker;
use crate::catalog::ledger::units;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::decision::decide_finally;
use crate::engine::schedule::queue::{FailureScope, Job};
use crate::engine::schedule::task::Task;
use crate::error::{Error, Side};
use crate::unit::Day;
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
        if scope != FailureScope::All || error.side() != Some(Side::Warehouse) {
            self.record_failure(job, job.window.days(), tries, &error.to_string())
                .await;
        }
        let pair = run.pair(job.pair);
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

    /// Writes down in the ledger why days failed. If that fails, too, the report says so.
    pub async fn record_failure(
        &mut self,
        job: &Job<Task>,
        days: impl IntoIterator<Item = Day>,
        tries: u32,
        message: &str,
    ) {
        let run = Arc::clone(&self.run);
        let entry = run.entry(job.pair, tries);
        let record = async {
            let session = self.warehouse().await?;
            units::fail(session, &entry, days, message).await
        };
        let stopped = async {
            run.pool.stopped().cancelled().await;
            tokio::time::sleep(RECORD_TIMEOUT).await;
        };
        let recorded = tokio::select! {
            recorded = record => recorded,
            () = stopped => Err(Error::interrupted()),
        };
        if let Err(error) = recorded {
            run.outcomes.event(&Event::Warning(format!(
                "failed to record the failure of {} in the ledger: {error}",
                job.window
            )));
        }
    }
}
