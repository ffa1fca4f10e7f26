//! What a worker does with a job: the one place where tasks are dispatched.

use super::worker::LoadWorker;
use crate::engine::report::event::Event;
use crate::engine::schedule::next_step::NextStep;
use crate::engine::schedule::pool::Handler;
use crate::engine::schedule::queue::{FailureScope, Job, PairIndex};
use crate::engine::schedule::task::{QueueTask, Task};
use crate::error::{Error, Kind};
use crate::unit::Window;
use std::time::Duration;

impl Handler for LoadWorker {
    type Task = Task;

    async fn attempt(&mut self, job: &Job<Task>, tries: u32) -> NextStep<Task> {
        if job.task.is_window() {
            self.window_started(job);
        }
        let outcome = match &job.task {
            Task::Prepare { .. } => return self.prepare(job, tries).await,
            Task::BuildYear { year } => return self.build_year(job, tries, *year).await,
            Task::Load { destination } => self.load(job, tries, *destination).await,
            Task::Refresh(refresh) => self.refresh(job, tries, refresh).await,
            Task::Restore { destination, with } => {
                self.restore(job, tries, *destination, with).await
            }
            Task::LandFromWarehouse { staged_year } => self.land(job, tries, *staged_year).await,
            Task::FilesOnly => self.files_only(job, tries).await,
        };
        let step = self.after_window(job, tries, outcome).await;
        self.window_ended();
        step
    }

    async fn reset(&mut self) {
        self.sessions.end().await;
        self.window_ended();
    }

    async fn help(&mut self) -> bool {
        self.help_with_a_day().await
    }

    fn rest(&mut self) {
        self.sessions.end_source();
    }

    fn retries(&self, job: &Job<Task>, tries: u32, wait: Duration, error: &Error) {
        let pair = &self.run.pair(job.pair).pair;
        self.run.outcomes.event(&Event::Retry {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            window: job.window,
            attempt: tries,
            wait,
            error: error.to_string(),
        });
    }

    async fn failed(&mut self, job: &Job<Task>, tries: u32, error: Error) -> FailureScope {
        let scope = match job.task {
            Task::BuildYear { year } => self.build_failed(job, year, tries, error).await,
            _ => self.window_failed(job, tries, error).await,
        };
        if scope == FailureScope::All {
            self.run.outcomes.lock().ended_early = true;
        }
        scope
    }

    fn interrupted(&self, job: &Job<Task>, why: &str) {
        match job.task {
            Task::BuildYear { year } => {
                self.year_failed(job.pair, year, Error::new(Kind::Interrupted, why));
            }
            Task::Prepare { .. } => self.preparation_interrupted(job.pair, why),
            _ => self.not_tried(vec![(job.pair, job.window)], why, Kind::Interrupted),
        }
    }

    fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        let run = &self.run;
        run.outcomes.not_tried(&run.pairs, dropped, why, kind);
    }

    fn took(&self, pair: PairIndex, time: Duration) {
        self.run.outcomes.took(pair, time);
    }
}
