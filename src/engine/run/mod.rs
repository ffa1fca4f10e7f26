//! A run: what every command that loads units has in common.
//!
//! ```text
//! lock pairs ─▶ plan their days ─▶ workers ─▶ ledger, report
//!                                  each pair: check its columns at the tenant ─▶ create its tables ─▶ windows
//! ```

mod build_year;
mod context;
pub mod dry_run;
mod duplicates;
mod ending;
mod failed_window;
mod find_source;
mod handler;
mod in_ranges;
mod outcomes;
pub mod pair;
mod plan;
mod prepare;
mod prepare_task;
mod reconcile;
pub mod request;
mod requested_days;
mod run_pair;
mod state;
pub mod sync_days;
mod window_tasks;
mod work;
mod worker;

pub use request::Options;

use super::fold::{FoldTarget, PairFold, Steps, fold_what_closed};
use super::locks::lock_holder::LockHolder;
use super::report::event::Observer;
use super::report::run::RunReport;
use super::window::landing;
use crate::catalog::runs::run::RunHeader;
use crate::catalog::snapshot::restored;
use crate::catalog::{Pair, warehouse_access};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName, Window};
use crate::warehouse::{self, Place};
use context::RunContext;
use outcomes::{Outcomes, key};
use plan::{in_order, interrupted, plan};
use prepare::PlannedPair;
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
    let planned = in_order(&context.request, planned);
    select(&outcomes, &locks).await?;
    let worked = work::work(&context, &outcomes, &mut locks, planned).await;
    let pairs = worked.pairs;
    // A fold asks which days are settled.
    if let Err(error) = outcomes.checked.write(locks.session(), locks.run()).await {
        tracing::debug!(%error, "failed to note which days are unchanged; tried again at the end");
    }
    let folds = fold(&context, &outcomes, &mut locks, &pairs).await;
    let ended = locks.finally(&context.cancel, async |locks| {
        // The days of each pair are known by now.
        select(&outcomes, locks).await?;
        outcomes.checked.write(locks.session(), locks.run()).await?;
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
        pair_seconds: worked.seconds,
        not_recorded,
        ..report(&context, &outcomes, &locks, begun)
    })
}

/// Takes the pairs' locks, always in the same order.
async fn lock(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &mut LockHolder,
    pairs: Vec<Pair>,
) -> Result<Vec<Pair>> {
    let taking = tokio::select! {
        taking = locks.take(&pairs, context.options.held) => Some(taking?),
        () = context.cancel.cancelled() => None,
    };
    let Some(results) = taking else {
        return Ok(interrupted(context, outcomes, &pairs));
    };
    let mut taken = Vec::with_capacity(pairs.len());
    for (pair, result) in pairs.into_iter().zip(results) {
        match result {
            Ok(()) => taken.push(pair),
            Err(error) => {
                outcomes.lock().locked += 1;
                outcomes.give_up(&pair, context.request.known_days(&pair), error);
            }
        }
    }
    Ok(taken)
}

/// Makes views anew that are missing or were changed: readers should not have to wait for sources that cannot be reached.
async fn restore_views(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &LockHolder,
    pairs: Vec<PlannedPair>,
) -> Result<Vec<PlannedPair>> {
    if !context.changes_tables() {
        return Ok(pairs);
    }
    let mut well = Vec::with_capacity(pairs.len());
    let mut seen = BTreeSet::new();
    let session = locks.session();
    for planned in pairs {
        let result = tokio::select! {
            result = look_at_tables(session, &planned, context, outcomes, &mut seen) => result,
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
    planned: &PlannedPair,
    context: &RunContext,
    outcomes: &Outcomes,
    seen: &mut BTreeSet<TemplateName>,
) -> Result<()> {
    let (place, warehouse) = (Place::of(&planned.pair), context.warehouse_context());
    let right = planned.tables.is_view_right(place);
    // The public view is looked at with the first pair.
    if !right || !seen.contains(&place.template.name) {
        warehouse::restore_views(session, place, warehouse, seen).await?;
    }
    if planned.tables.may_have_obstacles {
        for note in warehouse::obstacles(session, place, warehouse).await? {
            outcomes.notes.add(note);
        }
    }
    Ok(())
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
    let (folds, failures) = fold_what_closed(steps, locks, pairs, &context.cancel).await;
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
