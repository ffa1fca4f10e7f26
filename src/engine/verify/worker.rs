//! What the workers of a verification do with a window.

use super::checked::{Checked, Verdict};
use super::compare::WindowComparison;
use super::plan::VerifyPair;
use super::request::Verify;
use super::task::CompareDays;
use crate::config::Settings;
use crate::engine::report::event::{Event, Failure, Observer, Outcome, UnitReport};
use crate::engine::report::progress::Progress;
use crate::engine::schedule::next_step::{NextStep, after_error};
use crate::engine::schedule::pool::Handler;
use crate::engine::schedule::queue::{FailureScope, Job, PairIndex};
use crate::engine::schedule::sessions::Sessions;
use crate::error::{Error, Kind, Result, Side};
use crate::landing::Landing;
use crate::pg::Access;
use crate::unit::{Day, Window};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What all workers of a verification have in common.
pub struct VerifyState {
    pub settings: Settings,
    pub warehouse: Access,
    pub asked: Verify,
    /// Where the files are, if they are compared.
    pub landing: Option<Landing>,
    pub pairs: Vec<VerifyPair>,
    pub observer: Arc<dyn Observer>,
    pub findings: Mutex<Findings>,
}

/// What was found so far.
#[derive(Default)]
pub struct Findings {
    pub units: Vec<Checked>,
    pub failures: Vec<Failure>,
    pub seconds: BTreeMap<PairIndex, f64>,
}

impl VerifyState {
    fn lock(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take_findings(&self) -> Findings {
        std::mem::take(&mut *self.lock())
    }

    /// Reports days that were not compared.
    fn unread(&self, pair: PairIndex, days: impl Iterator<Item = Day>, verdict: Verdict) {
        for day in days {
            let unit = self.pairs[pair].checked(day, verdict);
            let report = UnitReport::new(unit.unit.clone(), Outcome::Failed);
            self.observer.event(&Event::Unit(report));
            self.lock().units.push(unit);
        }
    }

    fn add_failure(&self, pair: PairIndex, windows: Vec<Window>, error: Error, not_tried: bool) {
        let (tenant, template) = self.pairs[pair].names();
        self.lock().failures.push(Failure {
            tenant: tenant.clone(),
            template: Some(template.clone()),
            windows,
            error,
            not_tried,
        });
    }

    /// Windows that will not be compared, and why.
    pub fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        let mut by_pair: BTreeMap<PairIndex, Vec<Window>> = BTreeMap::new();
        for (pair, window) in dropped {
            by_pair.entry(pair).or_default().push(window);
        }
        for (pair, windows) in by_pair {
            let days = windows.iter().flat_map(Window::days);
            self.unread(pair, days, Verdict::NotTried);
            self.add_failure(pair, windows, Error::new(kind, why), true);
        }
    }
}

/// A worker, and its sessions.
pub struct Worker {
    state: Arc<VerifyState>,
    slot: usize,
    sessions: Sessions,
}

impl Worker {
    pub fn new(state: &Arc<VerifyState>, slot: usize) -> Worker {
        Worker {
            state: Arc::clone(state),
            slot,
            sessions: Sessions::default(),
        }
    }

    async fn compare(&mut self, pair: PairIndex, window: Window) -> Result<Vec<Checked>> {
        let state = Arc::clone(&self.state);
        let verified = &state.pairs[pair];
        let owner = &state.settings.warehouse.owner_role;
        self.sessions.warehouse(&state.warehouse, owner).await?;
        if let Some(access) = &verified.access {
            let tenant = &verified.pair.tenant.name;
            self.sessions.source(tenant, access).await?;
        }
        let (source, Some(warehouse)) = self.sessions.opened() else {
            return Err(Error::new(Kind::Bug, "the session is not open"));
        };
        let load = &state.settings.load;
        let comparison = WindowComparison {
            pair: verified,
            window,
            against: state.asked.against,
            masks: state.settings.masks.as_ref(),
            landing: state.landing.as_ref(),
            statement_timeout: load.statement_timeout,
            stall_timeout: load.stall_timeout,
            progress: Progress::new(&*state.observer, self.slot),
        };
        comparison.run(source, warehouse).await
    }

    fn window_ended(&self) {
        let slot = self.slot;
        self.state.observer.event(&Event::WindowEnded { slot });
    }
}

impl Handler for Worker {
    type Task = CompareDays;

    async fn attempt(&mut self, job: &Job<CompareDays>, _: u32) -> NextStep<CompareDays> {
        let state = Arc::clone(&self.state);
        let (tenant, template) = state.pairs[job.pair].names();
        state.observer.event(&Event::WindowStarted {
            slot: self.slot,
            tenant: tenant.clone(),
            template: template.clone(),
            window: job.window,
        });
        let compared = self.compare(job.pair, job.window).await;
        let step = match compared {
            Ok(units) => {
                let read = units
                    .iter()
                    .map(|u| u.sides.warehouse.or(u.sides.parquet).map_or(0, |t| t.bytes));
                let bytes = read.sum();
                state.observer.event(&Event::Through { units: units.len() });
                state.lock().units.extend(units);
                NextStep::Done {
                    bytes,
                    more: Vec::new(),
                }
            }
            Err(error) => {
                self.sessions.end().await;
                after_error(job.window, error)
            }
        };
        self.window_ended();
        step
    }

    async fn reset(&mut self) {
        self.sessions.end().await;
        self.window_ended();
    }

    fn retries(&self, job: &Job<CompareDays>, tries: u32, wait: Duration, error: &Error) {
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

    async fn failed(&mut self, job: &Job<CompareDays>, _: u32, error: Error) -> FailureScope {
        let unreachable = error.kind() == Kind::Connect;
        let side = error.side();
        self.state
            .unread(job.pair, job.window.days(), Verdict::Failed);
        self.state
            .add_failure(job.pair, vec![job.window], error, false);
        match side {
            Some(Side::Warehouse | Side::Landing) if unreachable => FailureScope::All,
            Some(Side::Source) if unreachable => FailureScope::Tenant,
            _ => FailureScope::Counted,
        }
    }

    fn interrupted(&self, job: &Job<CompareDays>, why: &str) {
        self.not_tried(vec![(job.pair, job.window)], why, Kind::Interrupted);
    }

    fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        self.state.not_tried(dropped, why, kind);
    }

    fn took(&self, pair: PairIndex, time: Duration) {
        *self.state.lock().seconds.entry(pair).or_default() += time.as_secs_f64();
    }
}
