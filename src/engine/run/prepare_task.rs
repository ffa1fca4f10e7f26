//! The task that makes a pair ready for its windows: find its source, create its tables.
//!
//! The worker keeps its session with the source from here to the pair's first window, so that a pair costs one connection.

use super::find_source::take_days_of_source;
use super::pair::{PreparedPair, RowSource};
use super::prepare::{PlannedPair, Preparation};
use super::request::Request;
use super::worker::LoadWorker;
use crate::engine::report::event::Outcome;
use crate::engine::schedule::next_step::NextStep;
use crate::engine::schedule::queue::{Job, PairIndex, PairWork};
use crate::engine::schedule::retry::TRIES;
use crate::engine::schedule::task::Task;
use crate::error::{Error, Kind, Result, Side};
use crate::unit::Window;
use std::sync::Arc;

/// Whether the warehouse may be back soon: its restart or failover ends no window, and no preparation. A source is tried
/// again where it is contacted.
fn is_tried_again(error: &Error, tries: u32) -> bool {
    error.side() == Some(Side::Warehouse) && error.is_transient() && tries < TRIES
}

impl LoadWorker {
    /// Prepares a pair. What cannot be prepared is reported here: nothing of the pair is left to try then.
    pub async fn prepare(&mut self, job: &Job<Task>, tries: u32) -> NextStep<Task> {
        let run = Arc::clone(&self.run);
        let pair = &run.pairs[job.pair];
        let Some(mut planned) = pair.take_planned() else {
            return NextStep::Failed(Error::new(Kind::Bug, "the pair is prepared already"));
        };
        let before = pair.planned_days();
        let nothing = || NextStep::Prepared(Box::new(pair.work_of_nothing()));
        let source = match self.find_source(&mut planned).await {
            Ok(source) => source,
            Err(error) if is_tried_again(&error, tries) => {
                self.sessions.end().await;
                pair.put_back(planned);
                return NextStep::Retry(error);
            }
            Err(error) => {
                let to = run.context.options.to;
                let left = take_days_of_source(&mut planned, to);
                run.outcomes.give_up(&planned.pair, left, error);
                // Days of tables that no longer exist would have been found later.
                if run.context.request.makes_lost_tables() || !planned.days.has_sourceless() {
                    run.outcomes.replanned(before, 0);
                    return nothing();
                }
                RowSource::Nobody
            }
        };
        match self.make_tables(planned.clone(), source).await {
            Ok(prepared) => {
                run.outcomes.replanned(before, prepared.days.units());
                let prepared = pair.prepared(prepared);
                self.report_plan(prepared);
                let work = prepared.work().await;
                let latest_first = matches!(run.context.request, Request::Sync(_));
                NextStep::Prepared(Box::new(PairWork {
                    latest_first,
                    ..work
                }))
            }
            Err(error) if is_tried_again(&error, tries) => {
                self.sessions.end().await;
                pair.put_back(planned);
                NextStep::Retry(error)
            }
            Err(error) => {
                self.sessions.end().await;
                let pair = &run.pair(job.pair).pair;
                let days = run.context.request.known_days(pair);
                run.outcomes.give_up(pair, days, error);
                run.outcomes.replanned(before, 0);
                nothing()
            }
        }
    }

    /// Creates the pair's tables: of one pair after another, so that none waits for another's locks.
    async fn make_tables(
        &mut self,
        planned: PlannedPair,
        source: RowSource,
    ) -> Result<PreparedPair> {
        let run = Arc::clone(&self.run);
        let session = self.warehouse().await?;
        let _one_by_one = run.preparing.lock().await;
        let preparation = Preparation {
            context: &run.context,
            session,
            notes: &run.outcomes.notes,
        };
        preparation.prepare(planned, source).await
    }

    /// Reports the days that need no worker.
    fn report_plan(&self, prepared: &PreparedPair) {
        let outcomes = &self.run.outcomes;
        let (pair, days) = (&prepared.pair, &prepared.days);
        outcomes.expect(pair, &days.requested);
        let skipped = days.skipped.iter().copied();
        outcomes.report_days(pair, skipped, Outcome::Skipped, 0);
        outcomes.through(pair, days.waiting_for_build());
        if let RowSource::Files(files) = &prepared.source
            && !days.lacking.is_empty()
        {
            let lacking = || days.lacking.iter().copied();
            outcomes.report_days(pair, lacking(), Outcome::Failed, 0);
            let windows = Window::runs(lacking());
            outcomes.add_failure(pair, windows, files.lacking(), false);
        }
    }

    /// The pool was stopped while a pair was prepared, or before.
    pub fn preparation_interrupted(&self, pair: PairIndex, why: &str) {
        let run = &self.run;
        let window = Window::single(run.context.options.today);
        let dropped = vec![(pair, window)];
        run.outcomes
            .not_tried(&run.pairs, dropped, why, Kind::Interrupted);
    }
}
