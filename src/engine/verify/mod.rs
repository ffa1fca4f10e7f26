//! Verify: is what stands in the warehouse what the sources have, and what the ledger says?
//!
//! ```text
//! plan (ledger, stray rows) ─▶ windows ─▶ COPY OUT of source and warehouse at once ─▶ count, digest per day ─▶ verdict
//!                                         and the files, when they are asked for
//! ```
//!
//! A reader and nothing more: every transaction, at the sources and in the warehouse, is READ ONLY; no lock, no lease, no
//! run. Ledger and tables of a window are read in one snapshot, so a run that loads meanwhile does no harm; only the
//! source may be ahead of what was just read.
//!
//! # Memory usage
//!
//! Windows stream: what is held are tallies. [`diff`] has a budget.

mod checked;
pub mod coverage;
pub mod diff;
mod files;
mod look;
mod plan;
pub mod repair;
mod stream;
mod worker;

pub use checked::{Against, Checked, Odd, Sides, Verdict};

use super::report::event::{Event, Failure, Observer};
use super::run::pair;
use super::run::request::DaysByPair;
use super::schedule::queue::{Limits, Queue};
use super::schedule::retry;
use super::window::landing;
use crate::catalog::{Pair, warehouse_access};
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::landing::Landing;
use crate::pg::{self, Access, Purpose, Session};
use crate::unit::{Day, TemplateName, TenantName, Window};
use crate::warehouse::open_session;
use futures::StreamExt;
use plan::Subject;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{Found, Shared, Worker};

/// Which days of each pair.
#[derive(Debug, Clone)]
pub enum Days {
    /// All that the ledger has.
    Loaded,
    /// All of these, in the ledger or not.
    Window(Window),
    /// These, by pair.
    These(DaysByPair),
}

/// What a verification is asked for.
#[derive(Debug, Clone)]
pub struct Verify {
    pub days: Days,
    pub against: Against,
    /// Find out which rows differ.
    pub diff: bool,
    /// A diff may hold values of rows.
    pub values: bool,
}

/// How a verification ended.
#[derive(Debug)]
pub struct Verification {
    pub against: Against,
    /// By tenant, template, day.
    pub units: Vec<Checked>,
    pub failures: Vec<Failure>,
    pub interrupted: bool,
    /// Tenants of the selection, and how many of them could not be reached.
    pub tenants: usize,
    pub unreachable_tenants: usize,
    /// Seconds of work per (tenant, template), summed over workers.
    pub pair_seconds: Vec<(TenantName, TemplateName, f64)>,
    pub elapsed: Duration,
}

/// Verifies `pairs`. A unit's failure is in the report, not an error.
///
/// # Errors
/// The warehouse cannot be reached.
pub async fn verify(
    settings: &Settings,
    pairs: &[Pair],
    asked: &Verify,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Verification> {
    let begun = Instant::now();
    let landing = match asked.against.reads_files() {
        true => Some(landing::open(settings)?),
        false => None,
    };
    if let Some(landing) = &landing {
        landing.check_readable().await?;
    }
    let warehouse = warehouse_access(settings).await?;
    let mut run = Run {
        settings,
        warehouse: &warehouse,
        asked,
        landing,
        observer,
        cancel,
        found: Found::default(),
        unreachable: HashSet::new(),
        seconds: Vec::new(),
    };
    let planned = run.plan(pairs).await?;
    let reachable = run.reach(planned).await;
    let subjects = run.work(reachable).await;
    if asked.diff {
        run.diff(&subjects).await;
    }
    Ok(run.report(pairs, begun))
}

struct Run<'a> {
    settings: &'a Settings,
    warehouse: &'a Access,
    asked: &'a Verify,
    landing: Option<Landing>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    found: Found,
    unreachable: HashSet<TenantName>,
    seconds: Vec<(TenantName, TemplateName, f64)>,
}

impl Run<'_> {
    async fn session(&self) -> Result<Session> {
        open_session(self.warehouse, &self.settings.warehouse.owner_role).await
    }

    async fn plan(&mut self, pairs: &[Pair]) -> Result<Vec<Subject>> {
        let session = self.session().await?;
        let mut planned = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match Subject::plan(&session, pair, self.asked).await {
                Ok(subject) => planned.push(subject),
                Err(error) if session.is_closed() => return Err(error),
                Err(error) => self.found.failures.push(Failure {
                    tenant: pair.tenant.name.clone(),
                    template: Some(pair.template.name.clone()),
                    windows: Vec::new(),
                    error,
                    not_tried: true,
                }),
            }
        }
        Ok(planned)
    }

    /// Finds out which sources can be reached, several at once: a server that is not there is more likely misspelt than
    /// restarting, so the patience of a window would be wasted on it.
    async fn reach(&mut self, planned: Vec<Subject>) -> Vec<Subject> {
        if !self.asked.against.reads_sources() {
            return planned;
        }
        let (settings, cancel) = (self.settings, self.cancel.clone());
        let contacts = futures::stream::iter(planned).map(|subject| async {
            let contact = tokio::select! {
                contact = contact(&subject, settings) => contact,
                () = cancel.cancelled() => {
                    Err(Error::new(Kind::Interrupted, "the run was interrupted"))
                }
            };
            (subject, contact)
        });
        let mut contacts = contacts.buffered(settings.load.jobs.max(1));
        let mut reachable = Vec::new();
        while let Some((mut subject, contact)) = contacts.next().await {
            match contact {
                Ok(access) => {
                    subject.access = Some(access);
                    reachable.push(subject);
                }
                Err(error) => self.give_up(&subject, error),
            }
        }
        reachable
    }

    /// A pair whose source cannot be reached.
    fn give_up(&mut self, subject: &Subject, error: Error) {
        let (tenant, template) = subject.names();
        if error.kind() == Kind::Connect {
            self.unreachable.insert(tenant.clone());
        }
        let not_tried = |day: &Day| subject.checked(*day, Verdict::NotTried);
        self.found.units.extend(subject.days.iter().map(not_tried));
        self.note_strays(subject);
        self.found.failures.push(Failure {
            tenant: tenant.clone(),
            template: Some(template.clone()),
            windows: Window::runs(subject.days.iter().copied()),
            error,
            not_tried: true,
        });
    }

    /// Days that are not loaded, and days with rows that are not: known since the plan.
    fn note_strays(&mut self, subject: &Subject) {
        let strays = subject
            .extra
            .keys()
            .filter(|day| !subject.days.contains(day));
        let days: BTreeSet<&Day> = subject.not_loaded.iter().chain(strays).collect();
        let not_loaded = days.into_iter().map(|day| subject.not_loaded(*day));
        self.found.units.extend(not_loaded);
    }

    async fn work(&mut self, subjects: Vec<Subject>) -> Vec<Subject> {
        let units = subjects.iter().map(|subject| subject.days.len()).sum();
        self.observer.event(&Event::Planned { units, skipped: 0 });
        subjects
            .iter()
            .for_each(|subject| self.note_strays(subject));
        let load = &self.settings.load;
        let limits = Limits {
            jobs: load.jobs,
            per_server: if self.asked.against.reads_sources() {
                load.per_server
            } else {
                load.jobs
            },
            window_bytes: load.window_bytes,
            lands: false,
            max_failures: load.max_failures,
            max_failures_per_tenant: load.max_failures_per_tenant,
        };
        let work = subjects.iter().map(Subject::work).collect();
        let shared = Arc::new(Shared {
            settings: self.settings.clone(),
            warehouse: self.warehouse.clone(),
            asked: self.asked.clone(),
            landing: self.landing.clone(),
            subjects,
            observer: Arc::clone(&self.observer),
            cancel: self.cancel.clone(),
            queue: Mutex::new(Queue::new(limits, work)),
            changed: Notify::new(),
            found: Mutex::new(std::mem::take(&mut self.found)),
        });
        let mut workers = JoinSet::new();
        for slot in 0..load.jobs.max(1) {
            let shared = Arc::clone(&shared);
            workers.spawn_blocking(move || Worker::run(shared, slot));
        }
        oversee(&shared, &self.cancel, &mut workers).await;
        self.found = shared.take_found();
        let seconds = std::mem::take(&mut self.found.seconds);
        self.seconds
            .extend(seconds.into_iter().map(|(index, seconds)| {
                let (tenant, template) = shared.subjects[index].names();
                (tenant.clone(), template.clone(), seconds)
            }));
        Arc::into_inner(shared).map_or_else(Vec::new, |shared| shared.subjects)
    }

    /// Finds out which rows differ, a day at a time.
    async fn diff(&mut self, subjects: &[Subject]) {
        let differ = diff::Differ::new(self.settings, self.warehouse, self.asked.values);
        for checked in self.found.units.iter_mut().filter(|u| u.rows_differ()) {
            let unit = &checked.unit;
            let Some(subject) = subjects
                .iter()
                .find(|s| s.names() == (&unit.tenant, &unit.template))
            else {
                continue;
            };
            let found = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                found = differ.day(subject, checked) => found,
            };
            match found {
                Ok(diff) => checked.diff = Some(diff),
                Err(error) => self.found.failures.push(Failure {
                    tenant: unit.tenant.clone(),
                    template: Some(unit.template.clone()),
                    windows: vec![Window::single(unit.day)],
                    error: error.at("finding the rows that differ"),
                    not_tried: false,
                }),
            }
        }
    }

    fn report(self, pairs: &[Pair], begun: Instant) -> Verification {
        let tenants: HashSet<_> = pairs.iter().map(|pair| &pair.tenant.name).collect();
        let mut units = self.found.units;
        units.sort_by(|a, b| a.unit.cmp(&b.unit));
        Verification {
            against: self.asked.against,
            units,
            failures: self.found.failures,
            interrupted: self.cancel.is_cancelled(),
            tenants: tenants.len(),
            unreachable_tenants: self.unreachable.len(),
            pair_seconds: self.seconds,
            elapsed: begun.elapsed(),
        }
    }
}

/// How to reach a source, tried once when anything is to be read there.
async fn contact(subject: &Subject, settings: &Settings) -> Result<Access> {
    let access = pair::access(&subject.pair.tenant, settings).await?;
    if !subject.days.is_empty() {
        retry::a_few_times(async || pg::connect(&access, Purpose::Source).await).await?;
    }
    Ok(access)
}

/// Waits for the workers; ends them when the user asks for it, or when one of them dies.
async fn oversee(
    shared: &Shared,
    cancel: &CancellationToken,
    workers: &mut JoinSet<std::io::Result<()>>,
) {
    let mut told = false;
    loop {
        tokio::select! {
            joined = workers.join_next() => match joined {
                None => return,
                Some(Ok(Ok(()))) => continue,
                Some(Ok(Err(error))) => tracing::error!("a worker could not start: {error}"),
                Some(Err(died)) => tracing::error!("a worker died: {died}"),
            },
            () = cancel.cancelled(), if !told => {
                told = true;
                shared.interrupt();
                continue;
            }
        }
        // Its window would stay at work for ever, and the others wait for it.
        cancel.cancel();
    }
}
