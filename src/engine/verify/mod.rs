//! Verify: does the warehouse hold what the sources have, and what the ledger records?
//!
//! ```text
//! plan (ledger, extra rows) ─▶ windows ─▶ COPY OUT of source and warehouse at once ─▶ count, digest per day ─▶ verdict
//!                                         and the files, if requested
//! ```
//!
//! Verify only reads: every transaction, at the sources and in the warehouse, is READ ONLY; it takes no lock and no lease and
//! makes no run. Ledger and tables of a window are read in one snapshot, so a run that loads meanwhile does no harm; only
//! the source may be ahead of what was just read.
//!
//! # Memory usage
//!
//! Windows stream: only tallies are held. [`diff`] has a budget.

mod checked;
mod compare;
pub mod coverage;
pub mod diff;
mod landed_file;
mod plan;
mod read;
pub mod repair;
mod request;
pub mod row_diff;
pub mod rows_of_no_day;
mod state;
mod worker;

pub use checked::{Against, Checked, Odd, Sides, Verdict};
pub use request::{Verify, VerifyDays};

use super::report::event::{Event, Failure, Observer};
use super::schedule::pool::{Pool, Workers};
use super::schedule::queue::Limits;
use super::schedule::retry;
use super::window::landing;
use crate::catalog::{self, Pair, warehouse_access};
use crate::config::Settings;
use crate::error::{Error, INTERRUPTED, Kind, Result};
use crate::landing::Landing;
use crate::pg::{self, Access, Purpose, Session};
use crate::unit::{Day, TemplateName, TenantName, Window};
use crate::warehouse::{OddView, Orphan, odd_views, open_session, orphans};
use futures::StreamExt;
use plan::VerifyPair;
use rows_of_no_day::PairRowsOfNoDay;
use state::{Findings, VerifyState};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use worker::VerifyWorker;

/// How a verification ended.
#[derive(Debug)]
pub struct Verification {
    pub against: Against,
    /// By tenant, template, day.
    pub units: Vec<Checked>,
    /// Views that do not show what they should.
    pub views: Vec<OddView>,
    /// Tables of ours that the catalog does not know.
    pub orphans: Vec<Orphan>,
    /// Rows of the sources that no day has.
    pub rows_of_no_day: Vec<PairRowsOfNoDay>,
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
    request: &Verify,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Verification> {
    let begun = Instant::now();
    let landing = if request.against.reads_files() {
        let landing = landing::open(settings)?;
        tokio::select! {
            checked = landing.check_readable() => checked?,
            () = cancel.cancelled() => return Err(Error::interrupted()),
        }
        Some(landing)
    } else {
        None
    };
    let warehouse = warehouse_access(settings).await?;
    let mut run = VerifyRun {
        settings,
        warehouse: &warehouse,
        request,
        landing,
        observer,
        cancel,
        views: Vec::new(),
        orphans: Vec::new(),
        rows_of_no_day: Vec::new(),
        found: Findings::default(),
        unreachable: HashSet::new(),
        seconds: Vec::new(),
    };
    let planned = run.plan(pairs).await?;
    let reachable = run.reach(planned).await;
    let verified = run.work(reachable).await;
    if request.diff {
        run.diff(&verified).await;
    }
    Ok(run.report(pairs, begun))
}

struct VerifyRun<'a> {
    settings: &'a Settings,
    warehouse: &'a Access,
    request: &'a Verify,
    landing: Option<Landing>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    views: Vec<OddView>,
    orphans: Vec<Orphan>,
    rows_of_no_day: Vec<PairRowsOfNoDay>,
    found: Findings,
    unreachable: HashSet<TenantName>,
    seconds: Vec<(TenantName, TemplateName, f64)>,
}

impl VerifyRun<'_> {
    async fn session(&self) -> Result<Session> {
        open_session(self.warehouse, &self.settings.warehouse.owner_role).await
    }

    async fn plan(&mut self, pairs: &[Pair]) -> Result<Vec<VerifyPair>> {
        let session = self.session().await?;
        self.views = odd_views(&session, pairs).await?;
        self.orphans = orphans(&session, pairs).await?;
        let mut planned = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match VerifyPair::plan(&session, pair, self.request).await {
                Ok(pair) => planned.push(pair),
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

    /// Finds out which sources can be reached, several at once. A server that cannot be reached now is more likely misspelt
    /// than restarting, so it is not retried for as long as a window would be.
    async fn reach(&mut self, planned: Vec<VerifyPair>) -> Vec<VerifyPair> {
        if !self.request.against.reads_sources() {
            return planned;
        }
        let (settings, cancel) = (self.settings, self.cancel.clone());
        let known = |pair: &VerifyPair| self.request.known_days(&pair.pair);
        let contacts = futures::stream::iter(planned).map(|pair| async {
            let contact = tokio::select! {
                contact = contact(&pair, known(&pair), settings) => contact,
                () = cancel.cancelled() => Err(Error::interrupted()),
            };
            (pair, contact)
        });
        let mut contacts = contacts.buffered(settings.load.jobs.max(1));
        let mut reachable = Vec::new();
        while let Some((mut pair, contact)) = contacts.next().await {
            match contact {
                Ok(contact) => {
                    self.rows_of_no_day.extend(contact.rows_of_no_day);
                    pair.access = Some(contact.access);
                    reachable.push(pair);
                }
                Err(error) => self.cannot_reach(&pair, error),
            }
        }
        reachable
    }

    /// Reports a pair whose source cannot be reached.
    fn cannot_reach(&mut self, pair: &VerifyPair, error: Error) {
        let (tenant, template) = pair.names();
        if error.kind() == Kind::Connect {
            self.unreachable.insert(tenant.clone());
        }
        let not_tried = |day: &Day| pair.checked(*day, Verdict::NotTried);
        self.found.units.extend(pair.days.iter().map(not_tried));
        self.report_unread(pair);
        self.found.failures.push(Failure {
            tenant: tenant.clone(),
            template: Some(template.clone()),
            windows: Window::runs(pair.days.iter().copied()),
            error,
            not_tried: true,
        });
    }

    /// Reports the days that are not read: not loaded, or not loaded and still with rows. The plan knows them.
    fn report_unread(&mut self, pair: &VerifyPair) {
        let strays = pair.extra.keys().filter(|day| !pair.days.contains(day));
        let days: BTreeSet<&Day> = pair.not_loaded.iter().chain(strays).collect();
        let not_loaded = days.into_iter().map(|day| pair.not_loaded(*day));
        self.found.units.extend(not_loaded);
    }

    async fn work(&mut self, pairs: Vec<VerifyPair>) -> Vec<VerifyPair> {
        let units = pairs.iter().map(|pair| pair.days.len()).sum();
        self.observer.event(&Event::Planned { units, skipped: 0 });
        pairs.iter().for_each(|pair| self.report_unread(pair));
        let work = pairs.iter().map(VerifyPair::work).collect();
        let state = Arc::new(VerifyState {
            settings: self.settings.clone(),
            warehouse: self.warehouse.clone(),
            request: self.request.clone(),
            landing: self.landing.clone(),
            pairs,
            pool: Arc::new(Pool::new(self.limits(), work)),
            observer: Arc::clone(&self.observer),
            findings: Mutex::new(std::mem::take(&mut self.found)),
        });
        let workers = state
            .pool
            .start(|slot| VerifyWorker::new(Arc::clone(&state), slot));
        self.oversee(&state, workers).await;
        self.found = std::mem::take(&mut *state.findings());
        let seconds = std::mem::take(&mut self.found.seconds);
        self.seconds
            .extend(seconds.into_iter().map(|(index, seconds)| {
                let (tenant, template) = state.pairs[index].names();
                (tenant.clone(), template.clone(), seconds)
            }));
        Arc::into_inner(state).map_or_else(Vec::new, |state| state.pairs)
    }

    fn limits(&self) -> Limits {
        let load = &self.settings.load;
        Limits {
            jobs: load.jobs,
            per_server: if self.request.against.reads_sources() {
                load.per_server
            } else {
                load.jobs
            },
            window_bytes: load.window_bytes,
            lands: false,
            max_failures: load.max_failures,
            max_failures_per_tenant: load.max_failures_per_tenant,
        }
    }

    /// Waits for the workers. Ends them when the user asks for it, or when one of them dies.
    async fn oversee(&self, state: &VerifyState, mut workers: Workers) {
        tokio::select! {
            death = workers.death() => {
                let Some(why) = death else { return };
                tracing::error!("{why}");
                self.cancel.cancel();
            }
            () = self.cancel.cancelled() => {}
        }
        let dropped = state.pool.stop(INTERRUPTED);
        state.add_not_tried(dropped, INTERRUPTED, Kind::Interrupted);
        while let Some(why) = workers.death().await {
            tracing::error!("{why}");
        }
    }

    /// Finds out which rows differ, one day at a time.
    async fn diff(&mut self, pairs: &[VerifyPair]) {
        let differ = diff::Differ::new(self.settings, self.warehouse, self.request.values);
        for checked in self.found.units.iter_mut().filter(|u| u.rows_differ()) {
            let unit = &checked.unit;
            let Some(pair) = pairs
                .iter()
                .find(|s| s.names() == (&unit.tenant, &unit.template))
            else {
                continue;
            };
            let found = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                found = differ.day(pair, checked) => found,
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
            against: self.request.against,
            units,
            views: self.views,
            orphans: self.orphans,
            rows_of_no_day: self.rows_of_no_day,
            failures: self.found.failures,
            interrupted: self.cancel.is_cancelled(),
            tenants: tenants.len(),
            unreachable_tenants: self.unreachable.len(),
            pair_seconds: self.seconds,
            elapsed: begun.elapsed(),
        }
    }
}

/// What contacting a source gave.
struct Contact {
    access: Access,
    rows_of_no_day: Option<PairRowsOfNoDay>,
}

/// How to reach a source. Connects once if anything is to be read there, and counts the rows that are in none of the known days.
async fn contact(pair: &VerifyPair, known: Option<Window>, settings: &Settings) -> Result<Contact> {
    let tenant = &pair.pair.tenant;
    let access = catalog::access(tenant, settings).await?;
    let mut rows_of_no_day = None;
    if !pair.days.is_empty() {
        let connect = async || pg::connect(&access, Purpose::Source).await;
        let session = retry::a_few_times(connect).await?;
        if let Some(days) = known {
            let template = &pair.pair.template;
            let rows = rows_of_no_day::count(&session, tenant, template, days, settings).await;
            rows_of_no_day = Some(PairRowsOfNoDay {
                tenant: tenant.name.clone(),
                template: template.name.clone(),
                rows,
            });
        }
    }
    Ok(Contact {
        access,
        rows_of_no_day,
    })
}
