//! Fold and unfold: move closed days into their year tables, or back, without disturbing readers.
//!
//! ```text
//! lock pairs ─▶ sweep, copy unseen (jobs pairs at once) ─▶ one barrier for all ─▶ reveal, sweep ─▶ report
//! ```

mod copy;
mod outcome;
mod pairs_fold;
mod plan;
mod reveal;
mod steps;

pub use super::report::fold::{FoldReport, PairFold, Standing};
pub use pairs_fold::Steps;
pub use plan::{FoldTarget, dry_run};
pub use steps::{fold_pairs, fold_what_closed};

use super::locks::held_pairs::HeldPairs;
use super::locks::lock_holder::{LockHolder, kept_failures};
use super::report::event::{Event, Observer};
use crate::catalog::runs::run::RunHeader;
use crate::catalog::{Pair, warehouse_access};
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::warehouse::{self, Place, WarehouseContext};
use outcome::{PairEnd, failure, untouched};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The request of a fold or unfold.
#[derive(Debug, Clone, Copy)]
pub struct Fold {
    pub target: FoldTarget,
    pub held: HeldPairs,
}

/// Runs a fold (or unfold) of `pairs` to its end. A pair's failure is in the report, not an error.
///
/// # Errors
/// An unfold that would leave later days folded; the warehouse cannot be reached when the run begins.
pub async fn fold(
    settings: &Settings,
    pairs: Vec<Pair>,
    request: &Fold,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<FoldReport> {
    let begun = Instant::now();
    request.target.check(&pairs)?;
    let access = warehouse_access(settings).await?;
    let header = RunHeader::of_this_process(request.target.command());
    let mut locks = LockHolder::begin(&access, settings, &header, &cancel).await?;
    let names = pairs
        .iter()
        .map(|p| (&p.tenant.name, &p.template.name, Vec::new()));
    locks.select(names).await?;
    let mut report = FoldReport {
        run: Some(locks.run()),
        pairs: Vec::with_capacity(pairs.len()),
        failures: Vec::new(),
        interrupted: false,
        cancelled_by: None,
        locked_pairs: 0,
        not_recorded: None,
        elapsed: begun.elapsed(),
    };
    let taken = take(&mut locks, pairs, request.held, &cancel, &mut report).await?;
    let context = WarehouseContext::new(&access, settings);
    let well = look_at_tables(&locks, taken, context, &*observer, &cancel, &mut report).await?;
    let progress = locks.progress();
    let steps = Steps {
        settings,
        access: &access,
        run: locks.run(),
        target: request.target,
        observer: &*observer,
        progress: Some(&progress),
    };
    let (folded, failures) = fold_pairs(steps, &mut locks, &well, &cancel).await;
    report.pairs.extend(folded);
    report
        .pairs
        .sort_by(|a, b| (&a.tenant, &a.template).cmp(&(&b.tenant, &b.template)));
    report.failures.extend(failures);
    report.interrupted = cancel.is_cancelled();
    report.cancelled_by = locks.cancelled_by();
    let ended = locks.finally(&cancel, async |locks| {
        let failures = kept_failures(&report.failures);
        locks
            .end(outcome(&report, request.held), &totals(&report), &failures)
            .await
    });
    report.not_recorded = ended.await.err();
    report.elapsed = begun.elapsed();
    Ok(report)
}

/// Locks the pairs, always in the same order. Returns those that could be locked.
async fn take(
    locks: &mut LockHolder,
    pairs: Vec<Pair>,
    held: HeldPairs,
    cancel: &CancellationToken,
    report: &mut FoldReport,
) -> Result<Vec<Pair>> {
    let results = tokio::select! {
        results = locks.take(&pairs, held) => results?,
        () = cancel.cancelled() => pairs.iter().map(|_| Err(Error::interrupted())).collect(),
    };
    let mut taken = Vec::with_capacity(pairs.len());
    for (pair, result) in pairs.into_iter().zip(results) {
        let Err(error) = result else {
            taken.push(pair);
            continue;
        };
        report.locked_pairs += usize::from(error.kind() == Kind::Locked);
        report.pairs.push(untouched(&pair, Standing::NotTried));
        report.failures.push(failure(&pair, error));
    }
    Ok(taken)
}

/// Makes views anew where needed, and names what a fold would leave behind, before anything moves. Returns the pairs whose
/// views are well.
async fn look_at_tables(
    locks: &LockHolder,
    pairs: Vec<Pair>,
    context: WarehouseContext<'_>,
    observer: &dyn Observer,
    cancel: &CancellationToken,
    report: &mut FoldReport,
) -> Result<Vec<Pair>> {
    let session = locks.session();
    let mut well = Vec::with_capacity(pairs.len());
    let mut seen = BTreeSet::new();
    for pair in pairs {
        let place = Place::of(&pair);
        let restored = tokio::select! {
            restored = warehouse::restore_views(session, place, context, &mut seen) => restored,
            () = cancel.cancelled() => Err(Error::interrupted()),
        };
        if let Err(error) = restored {
            if session.is_closed() {
                return Err(error);
            }
            let end = PairEnd::failed(&pair, error);
            report.pairs.push(end.fold);
            report.failures.extend(end.failure);
            continue;
        }
        for note in warehouse::obstacles(session, place, context).await? {
            observer.event(&Event::Warning(note));
        }
        well.push(pair);
    }
    Ok(well)
}

fn outcome(report: &FoldReport, held: HeldPairs) -> &'static str {
    if report.cancelled_by.is_some() {
        "cancelled"
    } else if report.interrupted {
        "interrupted"
    } else if report.failures.is_empty() || held.excuses(&report.failures) {
        "done"
    } else {
        "failed"
    }
}

/// The totals for `_wh.run`.
fn totals(report: &FoldReport) -> serde_json::Value {
    let moved = |pair: &&PairFold| pair.standing == Standing::Moved;
    let not_yet = |pair: &&PairFold| matches!(pair.standing, Standing::NotYet(_));
    serde_json::json!({
        "pairs": report.pairs.iter().filter(moved).count(),
        "not_yet": report.pairs.iter().filter(not_yet).count(),
        "days": report.pairs.iter().map(PairFold::days).sum::<u64>(),
        "rows": report.pairs.iter().map(PairFold::rows).sum::<u64>(),
    })
}
