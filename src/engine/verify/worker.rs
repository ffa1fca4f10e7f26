//! A worker of a verification: compares the windows that the pool hands out.

use super::checked::{Checked, Verdict};
use super::compare::WindowComparison;
use super::plan::VerifyTask;
use super::state::VerifyState;
use crate::engine::report::event::Event;
use crate::engine::report::progress::WindowProgress;
use crate::engine::schedule::decision::decide_finally;
use crate::engine::schedule::next_step::{NextStep, after_error};
use crate::engine::schedule::pool::Handler;
use crate::engine::schedule::queue::{FailureScope, Job, PairIndex};
use crate::engine::schedule::sessions::Sessions;
use crate::engine::schedule::watchdog::unless_stalled;
use crate::error::{Error, Kind, Result};
use crate::unit::Window;
use std::sync::Arc;
use std::time::Duration;

pub struct VerifyWorker {
    state: Arc<VerifyState>,
    slot: usize,
    sessions: Sessions,
}

impl VerifyWorker {
    pub fn new(state: Arc<VerifyState>, slot: usize) -> VerifyWorker {
        VerifyWorker {
            state,
            slot,
            sessions: Sessions::default(),
        }
    }

    async fn compare(&mut self, pair: PairIndex, window: Window) -> Result<Vec<Checked>> {
        let state = &self.state;
        let (pair, settings) = (&state.pairs[pair], &state.settings);
        let owner = &settings.warehouse.owner_role;
        self.sessions.warehouse(&state.warehouse, owner).await?;
        if let Some(access) = &pair.access {
            self.sessions.source(access).await?;
        }
        let (source, warehouse) = self.sessions.opened();
        let warehouse = warehouse.ok_or_else(|| Error::new(Kind::Bug, "no session"))?;
        let progress = WindowProgress::new(&*state.observer, self.slot);
        let comparison = WindowComparison {
            pair,
            window,
            against: state.request.against,
            settings,
            landing: state.landing.as_ref(),
            progress: &progress,
        };
        let compared = comparison.compare(source, warehouse);
        unless_stalled(&progress, settings.load.stall_timeout, compared).await
    }

    fn window_ended(&self) {
        let slot = self.slot;
        self.state.observer.event(&Event::WindowEnded { slot });
    }
}

impl Handler for VerifyWorker {
    type Task = VerifyTask;

    async fn attempt(&mut self, job: &Job<VerifyTask>, tries: u32) -> NextStep<VerifyTask> {
        let (tenant, template) = self.state.pairs[job.pair].names();
        self.state.observer.event(&Event::WindowStarted {
            slot: self.slot,
            tenant: tenant.clone(),
            template: template.clone(),
            window: job.window,
        });
        let step = match self.compare(job.pair, job.window).await {
            Ok(units) => {
                let read = units.iter().filter_map(|unit| unit.sides.read_back());
                let bytes = read.map(|tally| tally.bytes).sum();
                self.sessions.rest();
                self.state.add_checked(job.pair, units);
                NextStep::Done {
                    bytes,
                    more: Vec::new(),
                }
            }
            Err(error) => {
                self.sessions.end().await;
                after_error(job.window, tries, error)
            }
        };
        self.window_ended();
        step
    }

    async fn reset(&mut self) {
        self.sessions.end().await;
        self.window_ended();
    }

    fn rest(&mut self) {
        self.sessions.end_source();
    }

    fn retries(&self, job: &Job<VerifyTask>, tries: u32, wait: Duration, error: &Error) {
        let (tenant, template) = self.state.pairs[job.pair].names();
        self.state.observer.event(&Event::Retry {
            tenant: tenant.clone(),
            template: template.clone(),
            window: job.window,
            attempt: tries,
            wait,
            error: error.to_string(),
        });
    }

    async fn failed(&mut self, job: &Job<VerifyTask>, _tries: u32, error: Error) -> FailureScope {
        let scope = FailureScope::of(decide_finally(&error));
        self.state
            .add_unread(job.pair, job.window.days(), Verdict::Failed);
        self.state
            .add_failure(job.pair, vec![job.window], error, false);
        scope
    }

    fn interrupted(&self, job: &Job<VerifyTask>, why: &str) {
        self.not_tried(vec![(job.pair, job.window)], why, Kind::Interrupted);
    }

    fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        self.state.add_not_tried(dropped, why, kind);
    }

    fn took(&self, pair: PairIndex, time: Duration) {
        *self.state.findings().seconds.entry(pair).or_default() += time.as_secs_f64();
    }
}
