//! A run: what every command that loads units has in common.
//!
//! ```text
//! lock pairs ─▶ check columns at the tenants ─▶ create tables and views ─▶ workers ─▶ ledger, report
//! ```

mod build_year;
mod context;
pub mod dry_run;
mod duplicates;
mod ending;
mod failed_window;
mod find_sources;
mod handler;
mod outcomes;
pub mod pair;
mod prepare;
mod reconcile;
pub mod request;
mod requested_days;
mod state;
pub mod sync_days;
mod window_tasks;
mod work;
mod worker;

pub use request::Options;

use super::fold::{FoldTarget, PairFold, Steps, fold_pairs};
use super::locks::lock_holder::LockHolder;
use super::report::event::{Event, Observer};
use super::report::run::RunReport;
use super::window::landing::{self, To};
use crate::catalog::runs::run::RunHeader;
use crate::catalog::snapshot::restored;
use crate::catalog::{Pair, warehouse_access};
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName, Window};
use crate::warehouse::{self, Place};
use context::RunContext;
use find_sources::find_sources;
use outcomes::{Outcomes, key};
use pair::{PreparedPair, RowSource};
use prepare::{PlannedPair, Preparation};
use request::Request;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Carries out a request for `pairs`. A unit's failure is in the report, not an error.
///
/// # Errors
/// The warehouse cannot be reached when the run begins.
pub async fn run(
    settings: &Settings,
    pairs: Vec<Pair>,
    request: Request,
    options: Options,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<RunReport> {
    let begun = Instant::now();
    let landing = if options.to.lands() {
        Some(landing::open(settings)?)
    } else {
        None
    };
    if let Some(landing) = &landing {
        tokio::select! {
            checked = landing.check_writable() => checked?,
            () = cancel.cancelled() => return Err(Error::interrupted()),
        }
    }
    let warehouse = warehouse_access(settings).await?;
    let header = header(&request, options.today);
    let mut locks = LockHolder::begin(&warehouse, settings, &header, &cancel).await?;
    let observer = locks.counting(observer);
    if let Request::Restore(restoring) = &request {
        restored::begun(locks.session(), restoring.record, locks.run()).await?;
    }
    let expected = pairs
        .iter()
        .map(|pair| (key(pair), request.known_days(pair)));
    let outcomes = Arc::new(Outcomes::new(&observer, expected.collect()));
    select(&outcomes, &locks).await?;
    let context = Arc::new(RunContext {
        settings: settings.clone(),
        warehouse,
        warehouse_version: locks.session().server_version(),
        run: locks.run(),
        request,
        options,
        landing,
        observer,
        cancel,
    });
    let locked = lock(&context, &outcomes, &mut locks, pairs).await?;
    let planned = plan(&context, &outcomes, &locks, locked).await?;
    let planned = restore_views(&context, &outcomes, &locks, planned).await?;
    let reachable = find_sources(&context, &outcomes, locks.session(), planned).await;
    let prepared = prepare_all(&context, &outcomes, &locks, reachable).await;
    select(&outcomes, &locks).await?;
    let pairs: Vec<Pair> = prepared.iter().map(|pair| pair.pair.clone()).collect();
    let seconds = work::work(&context, &outcomes, &mut locks, prepared).await;
    let folds = fold(&context, &outcomes, &mut locks, &pairs).await;
    let ended = locks.finally(&context.cancel, async |locks| {
        conclude_restore(&context.request, locks.session(), &pairs).await?;
        reconcile::check_ledger(locks.session(), &outcomes).await?;
        reconcile::report_rest(&context, &outcomes);
        let end = ending::of(&context, &outcomes, locks);
        locks.end(end.outcome, &end.totals, &end.failures).await
    });
    let not_recorded = ended.await.err();
    if let Request::Restore(restoring) = &context.request {
        let snapshot = restoring.snapshot.as_ref().map_or("", |s| s.id.as_str());
        let notes = restoring.remarks.notes(snapshot);
        notes.into_iter().for_each(|note| outcomes.notes.add(note));
    }
    reconcile::report_rest(&context, &outcomes);
    Ok(RunReport {
        folds,
        pair_seconds: seconds,
        not_recorded,
        ..report(&context, &outcomes, &locks, begun)
    })
}

/// Takes the pairs' locks, one after another, always in the same order.
async fn lock(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &mut LockHolder,
    pairs: Vec<Pair>,
) -> Result<Vec<Pair>> {
    let mut taken = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let result = tokio::select! {
            result = locks.take(&pair, context.options.held) => result,
            () = context.cancel.cancelled() => Err(Error::interrupted()),
        };
        match result {
            Ok(()) => taken.push(pair),
            Err(error) if error.kind() == Kind::Locked => {
                outcomes.lock().locked += 1;
                outcomes.give_up(&pair, context.request.known_days(&pair), error);
            }
            Err(error) if error.kind() == Kind::Interrupted => {
                outcomes.give_up(&pair, context.request.known_days(&pair), error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

/// Sorts the days of each pair, once for the whole run.
async fn plan(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &LockHolder,
    pairs: Vec<Pair>,
) -> Result<Vec<PlannedPair>> {
    let mut planned = Vec::with_capacity(pairs.len());
    let session = locks.session();
    for pair in pairs {
        let result = tokio::select! {
            planned = PlannedPair::of(session, pair.clone(), &context.request, context.options) => planned,
            () = context.cancel.cancelled() => Err(Error::interrupted()),
        };
        match result {
            Ok(plan) => {
                warn_of_other_roots(context, &plan);
                note_missing_days(context, outcomes, &plan);
                planned.push(plan);
            }
            Err(error) if session.is_closed() => return Err(error),
            Err(error) => outcomes.give_up(&pair, context.request.known_days(&pair), error),
        }
    }
    Ok(planned)
}

/// Makes views anew that are missing or were changed: readers should not have to wait for sources that cannot be reached.
async fn restore_views(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &LockHolder,
    pairs: Vec<PlannedPair>,
) -> Result<Vec<PlannedPair>> {
    let files_only = context.options.to == To::Parquet;
    if files_only || matches!(context.request, Request::Land { .. }) {
        return Ok(pairs);
    }
    let mut well = Vec::with_capacity(pairs.len());
    let mut seen = BTreeSet::new();
    let session = locks.session();
    for planned in pairs {
        let place = Place::of(&planned.pair);
        let result = tokio::select! {
            result = look_at_tables(session, place, context, outcomes, &mut seen) => result,
            () = context.cancel.cancelled() => Err(Error::interrupted()),
        };
        match result {
            Ok(()) => well.push(planned),
            Err(error) if session.is_closed() => return Err(error),
            Err(error) => {
                let pair = &planned.pair;
                outcomes.give_up(pair, context.request.known_days(pair), error);
            }
        }
    }
    Ok(well)
}

/// Makes a pair's views anew where needed, and notes what would keep its tables from being changed or replaced.
async fn look_at_tables(
    session: &Session,
    place: Place<'_>,
    context: &RunContext,
    outcomes: &Outcomes,
    seen: &mut BTreeSet<TemplateName>,
) -> Result<()> {
    let warehouse = context.warehouse_context();
    warehouse::restore_views(session, place, warehouse, seen).await?;
    for note in warehouse::obstacles(session, place, warehouse).await? {
        outcomes.notes.add(note);
    }
    Ok(())
}

/// What was landed elsewhere stays landed: moving a root is the user's decision.
fn warn_of_other_roots(context: &RunContext, planned: &PlannedPair) {
    let Some(landing) = &context.landing else {
        return;
    };
    let here = format!("{}/", landing.url());
    let landed = planned.known.values().filter(|s| s.is_landed());
    let landed = landed.filter_map(|standing| standing.object.as_ref());
    let count = landed.filter(|o| !o.url.starts_with(&here)).count();
    if count > 0 {
        let days = if count == 1 { "day" } else { "days" };
        let (tenant, template) = (&planned.pair.tenant.name, &planned.pair.template.name);
        context.observer.event(&Event::Warning(format!(
            "{tenant}/{template}: files of {count} {days} are stored under another root than `{}`; \
             `dayhaul land --rewrite` writes them here, too",
            landing.url()
        )));
    }
}

/// A user who names days to land expects files for all of them: missing ones are reported, although nothing failed.
fn note_missing_days(context: &RunContext, outcomes: &Outcomes, planned: &PlannedPair) {
    let (missing, named) = context.request.lacking(&planned.known);
    if missing == 0 {
        return;
    }
    let are = if named == 1 { "day is" } else { "days are" };
    let (tenant, template) = (&planned.pair.tenant.name, &planned.pair.template.name);
    outcomes.notes.add(format!(
        "{tenant}/{template}: {missing} of {named} {are} not in the warehouse, so no file was written for them; \
         `dayhaul backfill --land --from D --to D` loads and lands them"
    ));
}

/// Creates tables and views, in one session: the lock holder's.
async fn prepare_all(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &LockHolder,
    pairs: Vec<(PlannedPair, RowSource)>,
) -> Vec<PreparedPair> {
    let preparation = Preparation {
        context,
        session: locks.session(),
        notes: &outcomes.notes,
    };
    let mut prepared = Vec::with_capacity(pairs.len());
    for (planned, source) in pairs {
        let pair = planned.pair.clone();
        let result = tokio::select! {
            result = preparation.prepare(planned, source) => result,
            () = context.cancel.cancelled() => break,
        };
        match result {
            Ok(pair) => {
                outcomes.expect(&pair.pair, &pair.days.requested);
                prepared.push(pair);
            }
            Err(error) => outcomes.give_up(&pair, context.request.known_days(&pair), error),
        }
    }
    prepared
}

/// Records what is to be known of the restored days. One that was settled in the snapshot is settled again when it has the
/// same rows.
async fn conclude_restore(request: &Request, session: &Session, pairs: &[Pair]) -> Result<()> {
    let Request::Restore(restoring) = request else {
        return Ok(());
    };
    restored::ended(session, restoring.record, restoring.remarks.totals()).await?;
    for pair in pairs {
        if let Some(snapshot) = &restoring.snapshot {
            let (tenant, template) = (&pair.tenant.name, &pair.template.name);
            let known = snapshot.units(tenant, template)?;
            restored::take_over_checks(session, tenant, template, &known).await?;
        }
    }
    Ok(())
}

/// A restore and a landing read no source.
fn header(request: &Request, today: Day) -> RunHeader {
    let header = RunHeader::of_this_process(request.command());
    match request {
        Request::Restore(_) | Request::Land { .. } => header,
        _ => header.reading_on(today),
    }
}

/// Stores what the run is for: first the pairs, with the days that are known of each; when these are resolved, once more.
async fn select(outcomes: &Outcomes, locks: &LockHolder) -> Result<()> {
    let expected = outcomes.lock().expected.clone();
    let pairs = expected
        .iter()
        .map(|((tenant, template), days)| (tenant, template, Window::runs(days.iter().copied())));
    locks.select(pairs).await
}

/// A sync folds what has closed, after everything else.
async fn fold(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &mut LockHolder,
    pairs: &[Pair],
) -> Vec<PairFold> {
    let goes_on = !context.cancel.is_cancelled() && !outcomes.lock().ended_early;
    if !matches!(context.request, Request::Sync(_)) || !goes_on {
        return Vec::new();
    }
    let steps = Steps {
        settings: &context.settings,
        access: &context.warehouse,
        run: context.run,
        target: FoldTarget::OpenDays {
            today: context.options.today,
        },
        observer: &*context.observer,
        progress: None,
    };
    let (folds, failures) = fold_pairs(steps, locks, pairs, &context.cancel).await;
    outcomes.lock().failures.extend(failures);
    folds
}

fn report(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &LockHolder,
    begun: Instant,
) -> RunReport {
    let collected = std::mem::take(&mut *outcomes.lock());
    let pairs = collected.expected.keys();
    let tenants: HashSet<&TenantName> = pairs.map(|(tenant, _)| tenant).collect();
    let mut units = collected.units;
    units.sort_by(|a, b| a.unit.cmp(&b.unit));
    RunReport {
        run: Some(context.run),
        units,
        failures: collected.failures,
        notes: outcomes.notes.take(),
        folds: Vec::new(),
        interrupted: context.cancel.is_cancelled(),
        cancelled_by: locks.cancelled_by(),
        pairs: collected.expected.len(),
        locked_pairs: collected.locked,
        tenants: tenants.len(),
        unreachable_tenants: collected.unreachable.len(),
        pair_seconds: Vec::new(),
        not_recorded: None,
        elapsed: begun.elapsed(),
    }
}
