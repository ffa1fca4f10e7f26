//! Which days are read in ranges, and how a worker without a job helps another with such a day.

use super::state::RunState;
use super::worker::LoadWorker;
use crate::engine::schedule::pool::SourceGuest;
use crate::engine::schedule::queue::Job;
use crate::engine::schedule::task::Task;
use crate::engine::window::load_in_ranges::LargeDay;
use crate::engine::window::shared_day::SharedDay;
use crate::error::Error;
use crate::unit::TimeRange;
use crate::warehouse::Destination;
use std::sync::Arc;
use std::time::Instant;

/// Ranges for each worker that can be at a day: busy hours have more rows than the night, and a worker may come late.
const RANGES_EACH: usize = 2;

impl RunState {
    /// The ranges that a window is to be read in, if it is one very large day that can be cut, and others can help.
    pub fn large_day(&self, job: &Job<Task>) -> Option<LargeDay<'_>> {
        let load = &self.context.settings.load;
        let workers = load.jobs.min(load.per_server);
        let lands = self.context.landing.is_some();
        if job.window.len() > 1 || workers < 2 || lands {
            return None;
        }
        let bytes = self.pool.queue().bytes_per_day(job.pair)?;
        let size = u64::try_from(load.range_bytes).unwrap_or(u64::MAX);
        let template = &self.pair(job.pair).pair.template;
        if bytes < size || !template.can_be_cut() {
            return None;
        }
        // A range of less than half the size is not worth its query.
        let most = usize::try_from(bytes / (size / 2).max(1)).unwrap_or(usize::MAX);
        let ranges = (workers * RANGES_EACH).min(most);
        Some(LargeDay {
            days: &self.shared_days,
            ranges: TimeRange::of_day(job.window.from, ranges),
            bytes,
        })
    }

    /// A day that another worker reads in ranges, and a place at its source.
    fn day_in_need(&self) -> Option<(Arc<SharedDay>, SourceGuest<'_, Task>)> {
        let days = self.shared_days.in_need().into_iter();
        let with_place = |day: Arc<SharedDay>| {
            let place = self.pool.join_source(day.pair)?;
            Some((day, place))
        };
        days.filter_map(with_place).next()
    }
}

impl LoadWorker {
    /// Reads ranges of another worker's day, if there is one.
    pub async fn help_with_a_day(&mut self) -> bool {
        let run = Arc::clone(&self.run);
        if run.pool.stopped().is_cancelled() {
            return false;
        }
        let Some((day, _place)) = run.day_in_need() else {
            return false;
        };
        let begun = Instant::now();
        let job = Job {
            pair: day.pair,
            window: day.window,
            task: Task::Load {
                destination: Destination::DayTable,
            },
            nested: true,
        };
        self.window_started(&job);
        let helped = tokio::select! {
            biased;
            () = run.pool.stopped().cancelled() => false,
            () = day.over() => false,
            helped = self.read_ranges(&job, &day) => helped,
        };
        if helped {
            self.sessions.rest();
        } else {
            self.sessions.abort_source().await;
        }
        self.window_ended();
        run.outcomes.took(day.pair, begun.elapsed());
        true
    }

    /// Whether the session with the source can be used again.
    async fn read_ranges(&mut self, job: &Job<Task>, day: &SharedDay) -> bool {
        let run = Arc::clone(&self.run);
        let progress = run.progress(self.slot);
        let window = run.window_load(job, 1, Destination::DayTable, &progress);
        let joined = async {
            let source = run.pair(job.pair).tenant()?;
            let source = self.sessions.source(source).await?;
            let transaction = window.transaction();
            transaction.begin_at(source, &day.snapshot).await?;
            Ok::<_, Error>(source)
        };
        let read = match joined.await {
            Ok(source) => match window.read_ranges(source, day).await {
                Ok(()) => source.batch("COMMIT").await,
                Err(error) => {
                    day.fail(error);
                    return false;
                }
            },
            // A pooler may have led to another server, or there is no connection for one more.
            Err(error) => Err(error),
        };
        if let Err(error) = &read {
            tracing::debug!(%error, day = %job.window, "a worker cannot help with a day");
            day.close();
        }
        read.is_ok()
    }
}
