//! A worker of a verification: takes windows from the queue until none is left.

use super::checked::{Checked, Verdict};
use super::compare::WindowComparison;
use super::plan::VerifyPair;
use super::request::Verify;
use crate::config::Settings;
use crate::engine::report::event::{Event, Failure, Observer, Outcome, UnitReport};
use crate::engine::report::window_outcome::{Fault, Side};
use crate::engine::schedule::next_step::{After, what_now};
use crate::engine::schedule::queue::{Job, Next, PairIndex, Queue};
use crate::engine::schedule::retry;
use crate::engine::schedule::sessions::Sessions;
use crate::error::{Error, Kind};
use crate::landing::Landing;
use crate::pg::Access;
use crate::unit::{Day, Window};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What all workers share.
pub struct Shared {
    pub settings: Settings,
    pub warehouse: Access,
    pub asked: Verify,
    /// Where the files are, when they are read.
    pub landing: Option<Landing>,
    pub pairs: Vec<VerifyPair>,
    pub observer: Arc<dyn Observer>,
    pub cancel: CancellationToken,
    pub queue: Mutex<Queue>,
    /// Rung whenever the queue changed.
    pub changed: Notify,
    pub found: Mutex<Findings>,
}

/// What was found so far.
#[derive(Default)]
pub struct Findings {
    pub units: Vec<Checked>,
    pub failures: Vec<Failure>,
    pub seconds: BTreeMap<PairIndex, f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    pub fn take_found(&self) -> Findings {
        std::mem::take(&mut *lock(&self.found))
    }

    fn checked(&self, units: Vec<Checked>) {
        self.observer.event(&Event::Through { units: units.len() });
        lock(&self.found).units.extend(units);
    }

    /// Days without a verdict of their own.
    fn unread(&self, pair: PairIndex, days: impl Iterator<Item = Day>, verdict: Verdict) {
        for day in days {
            let unit = self.pairs[pair].checked(day, verdict);
            let report = UnitReport::new(unit.unit.clone(), Outcome::Failed);
            self.observer.event(&Event::Unit(report));
            lock(&self.found).units.push(unit);
        }
    }

    fn add_failure(&self, pair: PairIndex, windows: Vec<Window>, error: Error, not_tried: bool) {
        let (tenant, template) = self.pairs[pair].names();
        lock(&self.found).failures.push(Failure {
            tenant: tenant.clone(),
            template: Some(template.clone()),
            windows,
            error,
            not_tried,
        });
    }

    /// Windows that nobody will read, and why.
    fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        let mut by_pair: BTreeMap<PairIndex, Vec<Window>> = BTreeMap::new();
        for (pair, window) in dropped {
            by_pair.entry(pair).or_default().push(window);
        }
        for (pair, windows) in by_pair {
            let days = windows.iter().flat_map(Window::days);
            self.unread(pair, days, Verdict::NotTried);
            self.add_failure(pair, windows, Error::new(kind, why), true);
        }
        self.changed.notify_waiters();
    }

    /// The user asked to end: what is left in the queue is not read.
    pub fn interrupt(&self) {
        let dropped = self.queue().open_for_all();
        self.not_tried(dropped, INTERRUPTED, Kind::Interrupted);
    }
}

const INTERRUPTED: &str = "the run was interrupted";

pub struct Worker {
    shared: Arc<Shared>,
    slot: usize,
    sessions: Sessions,
}

impl Worker {
    /// Works on the calling thread until nothing is left: both connections of a window are served there, so that no byte
    /// has to wake another thread.
    pub fn run(shared: Arc<Shared>, slot: usize) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = Worker {
            shared,
            slot,
            sessions: Sessions::default(),
        };
        runtime.block_on(worker.work());
        Ok(())
    }

    async fn work(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the queue is read, so that no change is missed.
            changed.as_mut().enable();
            let next = shared.queue().next();
            match next {
                Next::Finished => return,
                Next::Wait => tokio::select! {
                    () = changed => {}
                    () = shared.cancel.cancelled() => return,
                },
                // No year is ever built here.
                Next::Job(Job::Year { .. }) => shared.queue().year_done(),
                Next::Job(Job::Window { pair, window, .. }) => {
                    let begun = Instant::now();
                    self.window(pair, window).await;
                    let seconds = begun.elapsed().as_secs_f64();
                    *lock(&shared.found).seconds.entry(pair).or_default() += seconds;
                    shared.changed.notify_waiters();
                }
            }
        }
    }

    async fn window(&mut self, pair: PairIndex, window: Window) {
        let shared = Arc::clone(&self.shared);
        let (tenant, template) = shared.pairs[pair].names();
        let mut waits = retry::of_window();
        let mut attempt = 0;
        let fault = loop {
            attempt += 1;
            shared.observer.event(&Event::WindowStarted {
                slot: self.slot,
                tenant: tenant.clone(),
                template: template.clone(),
                window,
            });
            let after = self.attempt(pair, window).await;
            shared
                .observer
                .event(&Event::WindowEnded { slot: self.slot });
            match after {
                After::Done => return,
                After::Interrupted => {
                    shared.queue().abandoned(pair, window);
                    return shared.not_tried(vec![(pair, window)], INTERRUPTED, Kind::Interrupted);
                }
                After::Pieces(pieces) => return shared.queue().put_back(pair, window, &pieces),
                After::Shorter => return shared.queue().cut(pair, window),
                After::Failed(fault) => break fault,
                After::Retry(fault) => {
                    let Some(wait) = waits.next() else {
                        break fault;
                    };
                    shared.observer.event(&Event::Retry {
                        tenant: tenant.clone(),
                        template: template.clone(),
                        window,
                        attempt,
                        wait,
                        error: fault.error.to_string(),
                    });
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = shared.cancel.cancelled() => {}
                    }
                }
            }
        };
        self.fail(pair, window, fault);
    }

    async fn attempt(&mut self, pair: PairIndex, window: Window) -> After {
        let shared = Arc::clone(&self.shared);
        let result = tokio::select! {
            biased;
            () = shared.cancel.cancelled() => None,
            result = self.compare(pair, window) => Some(result),
        };
        match result {
            Some(Ok(units)) => {
                let read = units
                    .iter()
                    .map(|u| u.sides.warehouse.or(u.sides.parquet).map_or(0, |t| t.bytes));
                shared.queue().loaded(pair, window, read.sum());
                shared.checked(units);
                After::Done
            }
            None => {
                self.sessions.end().await;
                After::Interrupted
            }
            Some(Err(fault)) => {
                self.sessions.end().await;
                what_now(window, fault)
            }
        }
    }

    async fn compare(&mut self, pair: PairIndex, window: Window) -> Result<Vec<Checked>, Fault> {
        self.connect(pair).await?;
        let shared = Arc::clone(&self.shared);
        let (source, Some(warehouse)) = self.sessions.opened() else {
            return Err(Error::new(Kind::Bug, "no session").into());
        };
        let load = &shared.settings.load;
        let comparison = WindowComparison {
            pair: &shared.pairs[pair],
            window,
            against: shared.asked.against,
            masks: shared.settings.masks.as_ref(),
            landing: shared.landing.as_ref(),
            statement_timeout: load.statement_timeout,
            stall_timeout: load.stall_timeout,
        };
        let slot = self.slot;
        comparison
            .run(source, warehouse, |rows, bytes| {
                shared.observer.event(&Event::Moved { slot, rows, bytes });
            })
            .await
    }

    /// Makes sure that the sessions are there, the source's for this pair's tenant.
    async fn connect(&mut self, pair: PairIndex) -> Result<(), Fault> {
        let shared = &self.shared;
        let owner = &shared.settings.warehouse.owner_role;
        self.sessions.warehouse(&shared.warehouse, owner).await?;
        let verified = &shared.pairs[pair];
        if let Some(access) = &verified.access {
            self.sessions
                .source(&verified.pair.tenant.name, access)
                .await?;
        }
        Ok(())
    }

    /// The window failed for good: report, circuit.
    fn fail(&self, pair: PairIndex, window: Window, fault: Fault) {
        let shared = &self.shared;
        let Fault { side, error } = fault;
        let unreachable = error.kind() == Kind::Connect;
        let why = format!("not tried after other failures, the last: {error}");
        shared.unread(pair, window.days(), Verdict::Failed);
        shared.add_failure(pair, vec![window], error, false);
        let dropped = {
            let mut queue = shared.queue();
            let of_warehouse = unreachable && matches!(side, Side::Warehouse | Side::Landing);
            let of_source = side == Side::Source;
            let mut dropped = queue.failed(pair, window, unreachable && of_source);
            if of_warehouse {
                dropped.extend(queue.open_for_all());
            }
            dropped
        };
        if !dropped.is_empty() {
            shared.not_tried(dropped, &why, Kind::Refused);
        }
    }
}
