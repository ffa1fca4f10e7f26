//! The middle of a run: workers empty the queue under supervision.

use super::context::RunContext;
use super::duplicates::find_duplicates;
use super::find_source::is_at_source;
use super::outcomes::Outcomes;
use super::prepare::PlannedPair;
use super::request::Request;
use super::run_pair::RunPair;
use super::state::RunState;
use super::worker::LoadWorker;
use crate::catalog::Pair;
use crate::engine::locks::lock_holder::LockHolder;
use crate::engine::report::event::Event;
use crate::engine::schedule::pool::Pool;
use crate::engine::schedule::queue::{Limits, PairWork};
use crate::engine::schedule::task::Task;
use crate::engine::window::shared_day::SharedDays;
use crate::error::{INTERRUPTED, Kind};
use crate::unit::{TemplateName, TenantName};
use crate::warehouse;
use futures::StreamExt;
use std::sync::Arc;

/// What the work came to, apart from the units.
pub struct Worked {
    /// Seconds of work of each pair, summed over workers.
    pub seconds: Vec<(TenantName, TemplateName, f64)>,
    /// The pairs that were worked on.
    pub pairs: Vec<Pair>,
}

/// Does all the work.
pub async fn work(
    context: &Arc<RunContext>,
    outcomes: &Arc<Outcomes>,
    locks: &mut LockHolder,
    planned: Vec<PlannedPair>,
) -> Worked {
    let today = context.options.today;
    outcomes.event(&Event::Planned {
        units: planned.iter().map(|pair| pair.days.to_do().len()).sum(),
        skipped: planned.iter().map(|pair| pair.days.skipped.len()).sum(),
    });
    let (mut pairs, mut works) = (Vec::new(), Vec::new());
    for planned in planned {
        let at_source = is_at_source(&context.request, &planned);
        let pair = RunPair::new(planned, today);
        works.push(pair.first_work(&context.request, today, at_source));
        pairs.push(pair);
    }
    let run = Arc::new(RunState {
        context: Arc::clone(context),
        pool: Arc::new(Pool::new(limits(context, locks), works)),
        pairs,
        preparing: tokio::sync::Mutex::default(),
        outcomes: Arc::clone(outcomes),
        shared_days: SharedDays::default(),
    });
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
        let pair = &run.pair(index).pair;
        (
            pair.tenant.name.clone(),
            pair.template.name.clone(),
            seconds,
        )
    };
    let prepared = run.pairs.iter().filter(|pair| pair.is_prepared());
    Worked {
        seconds: seconds.into_iter().map(of_pair).collect(),
        pairs: prepared.map(|pair| pair.now().pair.clone()).collect(),
    }
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

/// The work of days that waited until the others were through, if there are any and the run goes on.
async fn waiting(run: &RunState) -> Option<Vec<PairWork<Task>>> {
    if run.pool.stopped().is_cancelled() {
        return None;
    }
    let mut works = Vec::with_capacity(run.pairs.len());
    for (index, pair) in run.pairs.iter().map(RunPair::now).enumerate() {
        if run.pool.queue().is_down(index) {
            pair.state.forget_waiting();
        }
        works.push(pair.waiting_work());
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
