//! The middle of a run: workers empty the queue under supervision.

use super::context::RunContext;
use super::duplicates::find_duplicates;
use super::outcomes::Outcomes;
use super::pair::{PreparedPair, RowSource};
use super::request::Request;
use super::state::RunState;
use super::worker::LoadWorker;
use crate::engine::locks::lock_holder::LockHolder;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::pool::Pool;
use crate::engine::schedule::queue::{Limits, PairWork};
use crate::engine::schedule::task::Task;
use crate::error::{INTERRUPTED, Kind};
use crate::unit::{TemplateName, TenantName, Window};
use crate::warehouse;
use futures::StreamExt;
use std::sync::Arc;

/// Does all the work. Returns the seconds of work of each pair, summed over workers.
pub async fn work(
    context: &Arc<RunContext>,
    outcomes: &Arc<Outcomes>,
    locks: &mut LockHolder,
    pairs: Vec<PreparedPair>,
) -> Vec<(TenantName, TemplateName, f64)> {
    let mut works = Vec::with_capacity(pairs.len());
    for pair in &pairs {
        works.push(pair.work().await);
    }
    let run = Arc::new(RunState {
        context: Arc::clone(context),
        pool: Arc::new(Pool::new(limits(context, locks), works)),
        pairs,
        outcomes: Arc::clone(outcomes),
    });
    report_plan(&run);
    empty_queue(&run, locks).await;
    find_duplicates(&run).await;
    if let Some(works) = waiting(&run).await {
        run.pool.refill(works);
        empty_queue(&run, locks).await;
    }
    outcomes.one_report_per_unit();
    if !outcomes.lock().ended_early {
        analyze(&run).await;
    }
    let seconds = std::mem::take(&mut outcomes.lock().seconds);
    let of_pair = |(index, seconds): (usize, f64)| {
        let pair = &run.pairs[index].pair;
        (
            pair.tenant.name.clone(),
            pair.template.name.clone(),
            seconds,
        )
    };
    seconds.into_iter().map(of_pair).collect()
}

fn limits(context: &RunContext, locks: &LockHolder) -> Limits {
    let load = &context.settings.load;
    let per_server = match &context.request {
        // Files are not a server that others need; decoding local ones costs as much CPU as the warehouse.
        Request::Restore(restoring) if restoring.is_local() => {
            locks.session().side_by_side(load.jobs)
        }
        Request::Restore(_) => load.jobs,
        _ => load.per_server,
    };
    Limits {
        jobs: load.jobs,
        per_server,
        window_bytes: load.window_bytes,
        lands: context.landing.is_some(),
        max_failures: load.max_failures,
        max_failures_per_tenant: load.max_failures_per_tenant,
    }
}

/// Reports the work, and the days that need no worker.
fn report_plan(run: &RunState) {
    let days = || run.pairs.iter().map(|pair| &pair.days);
    run.outcomes.event(&Event::Planned {
        units: days().map(super::pair::PairDays::units).sum(),
        skipped: days().map(|days| days.skipped.len()).sum(),
    });
    for PreparedPair {
        pair, source, days, ..
    } in &run.pairs
    {
        let skipped = days.skipped.iter().copied();
        run.outcomes.report_days(pair, skipped, Outcome::Skipped, 0);
        run.outcomes.through(pair, days.waiting_for_build());
        if let RowSource::Files(files) = source
            && !days.lacking.is_empty()
        {
            let lacking = || days.lacking.iter().copied();
            run.outcomes
                .report_days(pair, lacking(), Outcome::Failed, 0);
            let windows = Window::runs(lacking());
            run.outcomes
                .add_failure(pair, windows, files.lacking(), false);
        }
    }
}

/// The work of days that waited until the others were through, if there are any and the run goes on.
async fn waiting(run: &RunState) -> Option<Vec<PairWork<Task>>> {
    if run.pool.stopped().is_cancelled() {
        return None;
    }
    let mut works = Vec::with_capacity(run.pairs.len());
    for (index, pair) in run.pairs.iter().enumerate() {
        if run.pool.queue().is_down(index) {
            pair.state.forget_waiting();
        }
        works.push(pair.waiting_work().await);
    }
    let any = works.iter().any(|work| !work.runs.is_empty());
    any.then_some(works)
}

/// Lets workers work until the queue is empty; ends them when the run is interrupted, the locks are lost, or one dies.
async fn empty_queue(run: &Arc<RunState>, locks: &mut LockHolder) {
    let mut workers = run.pool.start(|slot| LoadWorker::new(run, slot));
    let cancel = &run.context.cancel;
    let mut stopped = false;
    loop {
        let why = tokio::select! {
            death = workers.death() => match death {
                None => return,
                Some(why) => why,
            },
            () = cancel.cancelled(), if !stopped => match locks.cancelled_by() {
                Some(who) => format!("the run was cancelled by {who}"),
                None => INTERRUPTED.to_owned(),
            },
            error = locks.keep(), if !stopped => format!("the pairs' locks were lost: {error}"),
        };
        stopped = true;
        let dropped = run.pool.stop(&why);
        run.outcomes
            .not_tried(&run.pairs, dropped, &why, Kind::Interrupted);
    }
}

/// Updates the statistics of changed tables, several at once.
async fn analyze(run: &RunState) {
    let settings = &run.context.settings;
    let tables = std::mem::take(&mut run.outcomes.lock().changed_tables);
    let owner = &settings.warehouse.owner_role;
    let done = futures::stream::iter(&tables)
        .map(|table| warehouse::analyze(&run.context.warehouse, owner, table))
        .buffer_unordered(settings.load.jobs.max(1));
    let errors = done
        .filter_map(async |result| result.err())
        .collect::<Vec<_>>();
    tokio::select! {
        errors = errors => for error in errors {
            // The rows are loaded; only the planner's statistics are out of date.
            run.outcomes.event(&Event::Warning(format!("failed to analyze: {error}")));
        },
        () = run.context.cancel.cancelled() => {}
    }
}
