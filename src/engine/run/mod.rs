//! A run: what every command that loads units has in common.
//!
//! ```text
//! lock pairs ─▶ check columns at the tenants ─▶ make tables and views ─▶ workers ─▶ ledger, report
//! ```

mod build_year;
pub mod dry_run;
mod duplicates;
mod failed_window;
pub mod pair;
mod prepare;
mod reconcile;
pub mod request;
mod shared;
mod work;
mod worker;

use super::fold::{FoldTarget, PairFold, Steps, fold_pairs};
use super::locks::lock_holder::Keeper;
use super::report::event::{Event, Failure, Observer, Outcome, RunReport};
use super::restore::Restoring;
use super::window::landing::{self, To};
use crate::catalog::runs::run::RunHeader;
use crate::catalog::snapshot::restored;
use crate::catalog::{Pair, warehouse_access};
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::landing::Landing;
use crate::pg::Access;
use crate::unit::{Day, TemplateName, TenantName, Window};
use futures::StreamExt;
use pair::{ReadyPair, Source};
use prepare::{Making, Planned};
use request::Ask;
use shared::Outcomes;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a run is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Wait for pairs that another run holds.
    pub wait: bool,
    /// The day that open days are counted back from.
    pub today: Day,
    /// Where the rows go.
    pub to: To,
}

/// Runs what is asked of `pairs` to its end. A unit's failure is in the report, not an error.
///
/// # Errors
/// The warehouse cannot be reached, or the run's end could not be committed.
pub async fn run(
    settings: &Settings,
    pairs: Vec<Pair>,
    ask: Ask,
    options: Options,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<RunReport> {
    let begun = Instant::now();
    let landing = match options.to.lands() {
        true => Some(landing::open(settings)?),
        false => None,
    };
    if let Some(landing) = &landing {
        landing.check_writable().await?;
    }
    let access = warehouse_access(settings).await?;
    let header = RunHeader::of_this_process(ask.command());
    let mut keeper = Keeper::begin(&access, settings, &header, &cancel).await?;
    if let Ask::Restore(restoring) = &ask {
        restored::begun(keeper.session(), restoring.record, keeper.run()).await?;
    }
    let known = |pair: &Pair| {
        let key = (pair.tenant.name.clone(), pair.template.name.clone());
        (key, ask.known_days(pair))
    };
    let mut run = Run {
        settings,
        access: &access,
        all: pairs.iter().map(known).collect(),
        ask,
        options,
        landing,
        observer,
        cancel,
        outcomes: Outcomes::default(),
        locked: 0,
        unreachable: HashSet::new(),
        seconds: Vec::new(),
    };
    let locked = run.lock(&mut keeper, pairs).await?;
    let planned = run.plan(&keeper, locked).await?;
    let reachable = run.check_at_sources(planned).await;
    let ready = run.make_ready(&mut keeper, reachable).await;
    run.select(&keeper).await?;
    let pairs: Vec<Pair> = ready.iter().map(|pair| pair.pair.clone()).collect();
    run.work(&mut keeper, ready).await;
    let folds = run.fold(&mut keeper, &pairs).await;
    keeper.reconnect().await?;
    run.check_ledger(&keeper).await?;
    run.account_for_all();
    let report = run.report(&keeper, folds, begun);
    let outcome = match &report {
        r if r.cancelled_by.is_some() => "cancelled",
        r if r.interrupted => "interrupted",
        r if r.failures.is_empty() => "done",
        _ => "failed",
    };
    keeper
        .end(outcome, &totals(&report), &report.failures)
        .await?;
    Ok(report)
}

pub struct Run<'a> {
    pub settings: &'a Settings,
    pub access: &'a Access,
    pub ask: Ask,
    pub options: Options,
    pub landing: Option<Landing>,
    pub observer: Arc<dyn Observer>,
    pub cancel: CancellationToken,
    pub outcomes: Outcomes,
    /// Every pair of the selection, with the days that it is to account for.
    pub all: BTreeMap<(TenantName, TemplateName), BTreeSet<Day>>,
    pub locked: usize,
    pub unreachable: HashSet<TenantName>,
    pub seconds: Vec<(TenantName, TemplateName, f64)>,
}

impl Run<'_> {
    /// Takes the pairs' locks, one after another, always in the same order.
    async fn lock(&mut self, keeper: &mut Keeper, pairs: Vec<Pair>) -> Result<Vec<Pair>> {
        let mut taken = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let result = tokio::select! {
                result = keeper.take(&pair, self.options.wait) => result,
                () = self.cancel.cancelled() => Err(interrupted()),
            };
            match result {
                Ok(()) => taken.push(pair),
                Err(error) if error.kind() == Kind::Locked => {
                    self.locked += 1;
                    self.give_up(&pair, error);
                }
                Err(error) if error.kind() == Kind::Interrupted => self.give_up(&pair, error),
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Sorts the days of each pair, once for the whole run.
    async fn plan(&mut self, keeper: &Keeper, pairs: Vec<Pair>) -> Result<Vec<Planned>> {
        let mut planned = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match Planned::of(keeper.session(), pair.clone(), &self.ask, self.options).await {
                Ok(plan) => {
                    self.tell_of_other_roots(&plan);
                    self.tell_of_lacking(&plan);
                    planned.push(plan);
                }
                Err(error) if keeper.session().is_closed() => return Err(error),
                Err(error) => self.give_up(&pair, error),
            }
        }
        Ok(planned)
    }

    /// What was landed elsewhere stays landed: moving a root is the user's business.
    fn tell_of_other_roots(&self, planned: &Planned) {
        let Some(landing) = &self.landing else { return };
        let here = format!("{}/", landing.url());
        let elsewhere = planned.known.values().filter(|s| s.is_landed());
        let elsewhere = elsewhere.filter_map(|s| s.object.as_ref());
        let count = elsewhere.filter(|o| !o.url.starts_with(&here)).count();
        if count > 0 {
            let (tenant, template) = (&planned.pair.tenant.name, &planned.pair.template.name);
            self.observer.event(&Event::Warning(format!(
                "{tenant}/{template}: files of {count} days lie under another root than `{}`; \
                 `dayhaul land --rewrite` writes them here, too",
                landing.url()
            )));
        }
    }

    /// Who names days to be landed wants their files: that some get none is said, though nothing failed.
    fn tell_of_lacking(&mut self, planned: &Planned) {
        let (lacking, named) = self.ask.lacking(&planned.known);
        if lacking == 0 {
            return;
        }
        let are = if named == 1 { "day is" } else { "days are" };
        let (tenant, template) = (&planned.pair.tenant.name, &planned.pair.template.name);
        let note = format!(
            "{tenant}/{template}: {lacking} of {named} {are} not in the warehouse, so no file of them was written; \
             `dayhaul backfill --land` loads and lands them"
        );
        self.observer.event(&Event::Warning(note.clone()));
        self.outcomes.notes.push(note);
    }

    /// Describes every pair's query at its tenant, several at once. A pair whose rows are all there needs no source; without
    /// its source, a pair goes on with the days that do not need it.
    async fn check_at_sources(&mut self, pairs: Vec<Planned>) -> Vec<(Planned, Source)> {
        if let Ask::Restore(restoring) = &self.ask {
            return self.find_files(&Arc::clone(restoring), pairs);
        }
        let settings = self.settings;
        let probe = Window::single(self.ask.probe(self.options.today));
        let jobs = settings.load.jobs.max(1);
        let landing_only = matches!(self.ask, Ask::Land { .. });
        // Days of tables that are gone are found out about later.
        let more_to_come = self.ask.makes_lost_tables();
        let checks = futures::stream::iter(pairs).map(|planned| async move {
            let days = &planned.days;
            if landing_only || (!more_to_come && days.has_sourceless() && !days.needs_source()) {
                return (planned, Ok(Source::Nobody));
            }
            let checked: Result<Source> = async {
                let access = pair::access(&planned.pair.tenant, settings).await?;
                pair::check_at_source(&planned.pair, &access, probe, settings).await?;
                Ok(Source::Tenant(access))
            }
            .await;
            (planned, checked)
        });
        let mut checks = checks.buffered(jobs);
        let mut good = Vec::new();
        loop {
            let next = tokio::select! {
                next = checks.next() => next,
                () = self.cancel.cancelled() => None,
            };
            match next {
                None => return good,
                Some((planned, Ok(source))) => good.push((planned, source)),
                Some((mut planned, Err(error))) => {
                    if error.kind() == Kind::Connect {
                        self.unreachable.insert(planned.pair.tenant.name.clone());
                    }
                    let left = self.leave(&mut planned);
                    self.not_tried(&planned.pair, left, error);
                    if !more_to_come && planned.days.has_sourceless() {
                        good.push((planned, Source::Nobody));
                    }
                }
            }
        }
    }

    /// Of a restore no tenant is asked.
    fn find_files(
        &mut self,
        restoring: &Arc<Restoring>,
        pairs: Vec<Planned>,
    ) -> Vec<(Planned, Source)> {
        let mut good = Vec::with_capacity(pairs.len());
        for planned in pairs {
            match restoring.files(&planned.pair) {
                Ok(files) => good.push((planned, Source::Files(Box::new(files)))),
                Err(error) => self.give_up(&planned.pair, error),
            }
        }
        good
    }

    /// Makes tables and views, by one session: the keeper's.
    async fn make_ready(
        &mut self,
        keeper: &mut Keeper,
        pairs: Vec<(Planned, Source)>,
    ) -> Vec<ReadyPair> {
        let mut ready = Vec::with_capacity(pairs.len());
        let making = Making {
            session: keeper.session(),
            access: self.access,
            ask: &self.ask,
            options: self.options,
            run: keeper.run(),
            settings: self.settings,
        };
        let mut given_up = Vec::new();
        for (planned, source) in pairs {
            let pair = planned.pair.clone();
            let made = tokio::select! {
                made = making.ready(planned, source) => made,
                () = self.cancel.cancelled() => break,
            };
            match made {
                Ok(pair) => {
                    let key = (pair.tenant.name.clone(), pair.template.name.clone());
                    self.all.entry(key).or_default().extend(&pair.asked);
                    ready.push(pair);
                }
                Err(error) => given_up.push((pair, error)),
            }
        }
        for (pair, error) in given_up {
            self.give_up(&pair, error);
        }
        ready
    }

    /// The days for which a source would have been needed: they are accounted for, and not tried.
    fn leave(&mut self, planned: &mut Planned) -> BTreeSet<Day> {
        let pair = &planned.pair;
        let key = (pair.tenant.name.clone(), pair.template.name.clone());
        let mut left = std::mem::take(&mut planned.days.load);
        left.append(&mut planned.days.refresh);
        self.all.entry(key).or_default().extend(&left);
        left
    }

    /// Stores the days of each pair with the run: they are resolved once.
    async fn select(&self, keeper: &Keeper) -> Result<()> {
        let pairs = self.all.iter().map(|((tenant, template), days)| {
            (tenant, template, Window::runs(days.iter().copied()))
        });
        keeper.select(pairs).await
    }

    /// A sync folds what has closed, after everything else.
    async fn fold(&mut self, keeper: &mut Keeper, pairs: &[Pair]) -> Vec<PairFold> {
        if !matches!(self.ask, Ask::Sync { .. }) || self.cancel.is_cancelled() {
            return Vec::new();
        }
        let steps = Steps {
            settings: self.settings,
            access: self.access,
            run: keeper.run(),
            target: FoldTarget::OpenDays,
            today: self.options.today,
            observer: &*self.observer,
        };
        let cancel = self.cancel.clone();
        let (folds, failures) = fold_pairs(steps, keeper, pairs, &cancel).await;
        self.outcomes.failures.extend(failures);
        folds
    }

    /// A pair that did not come as far as its workers.
    fn give_up(&mut self, pair: &Pair, error: Error) {
        self.not_tried(pair, self.ask.known_days(pair), error);
    }

    fn not_tried(&mut self, pair: &Pair, days: BTreeSet<Day>, error: Error) {
        self.outcomes.failures.push(Failure {
            tenant: pair.tenant.name.clone(),
            template: Some(pair.template.name.clone()),
            windows: Window::runs(days),
            error,
            not_tried: true,
        });
    }

    fn report(self, keeper: &Keeper, folds: Vec<PairFold>, begun: Instant) -> RunReport {
        let tenants: HashSet<_> = self.all.keys().map(|(tenant, _)| tenant).collect();
        let mut units = self.outcomes.units;
        units.sort_by(|a, b| a.unit.cmp(&b.unit));
        RunReport {
            run: Some(keeper.run()),
            units,
            failures: self.outcomes.failures,
            notes: self.outcomes.notes,
            folds,
            interrupted: self.cancel.is_cancelled(),
            cancelled_by: keeper.cancelled_by(),
            pairs: self.all.len(),
            locked_pairs: self.locked,
            tenants: tenants.len(),
            unreachable_tenants: self.unreachable.len(),
            pair_seconds: self.seconds,
            elapsed: begun.elapsed(),
        }
    }
}

pub fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "the run was interrupted")
}

/// What `_wh.run` keeps of the outcome.
fn totals(report: &RunReport) -> serde_json::Value {
    let count = |outcome| report.units.iter().filter(|u| u.outcome == outcome).count();
    serde_json::json!({
        "loaded": count(Outcome::Loaded),
        "skipped": count(Outcome::Skipped),
        "unchanged": count(Outcome::Unchanged),
        "landed": count(Outcome::Landed),
        "changed": count(Outcome::Changed),
        "failed": count(Outcome::Failed),
        "not_tried": count(Outcome::NotTried),
        "rows": report.units.iter().map(|u| u.rows).sum::<u64>(),
        "bytes": report.units.iter().map(|u| u.bytes).sum::<u64>(),
        "files": report.files().count(),
        "file_bytes": report.files().map(|file| file.bytes).sum::<u64>(),
    })
}
