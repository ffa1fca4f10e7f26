//! The middle of a run: workers work the queue off, and are watched.

use super::Run;
use super::pair::ReadyPair;
use super::request::Ask;
use super::shared::{Shared, lock};
use super::worker::Worker;
use crate::engine::locks::lock_holder::Keeper;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::queue::{Limits, PairWork, Queue};
use crate::warehouse;
use futures::StreamExt;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

impl Run<'_> {
    /// Works all that is to be done off.
    pub async fn work(&mut self, keeper: &mut Keeper, pairs: Vec<ReadyPair>) {
        let (mut units, mut skipped) = (0, 0);
        let mut works = Vec::with_capacity(pairs.len());
        for pair in &pairs {
            let staged = pair.staged.keys().filter(|day| !pair.land.contains(day));
            units += pair.load.len() + pair.refresh.len() + pair.land.len() + staged.count();
            skipped += pair.skipped.len();
            works.push(pair.work().await);
        }
        self.observer.event(&Event::Planned { units, skipped });
        let limits = self.limits(keeper);
        let shared = Arc::new(Shared {
            settings: self.settings.clone(),
            warehouse: self.access.clone(),
            run: keeper.run(),
            reload: self.ask.reload(),
            fresh: matches!(self.ask, Ask::Backfill { .. } | Ask::Restore(_)),
            landing: self.landing.clone(),
            rewrite: self.ask.rewrite(),
            pairs,
            observer: Arc::clone(&self.observer),
            stop: CancellationToken::new(),
            stopped: Mutex::new(String::new()),
            queue: Mutex::new(Queue::new(limits, works)),
            changed: Notify::new(),
            outcomes: Mutex::new(std::mem::take(&mut self.outcomes)),
        });
        for (index, pair) in shared.pairs.iter().enumerate() {
            shared.report_days(index, pair.skipped.iter().copied(), Outcome::Skipped, 0);
            let through = pair.staged.keys().filter(|day| !pair.land.contains(day));
            shared.observer.event(&Event::Through {
                units: through.count(),
            });
            shared.report_lacking(index);
        }
        work_off(&shared, keeper, &self.cancel).await;
        self.look_for_doubled_rows(&shared).await;
        if let Some(works) = waiting(&shared).await {
            *shared.queue() = Queue::new(limits, works);
            work_off(&shared, keeper, &self.cancel).await;
        }
        self.outcomes = shared.take_outcomes();
        self.outcomes.one_report_a_unit();
        self.analyze().await;
        self.seconds = self
            .outcomes
            .seconds
            .iter()
            .map(|(index, seconds)| {
                let pair = &shared.pairs[*index];
                (
                    pair.tenant.name.clone(),
                    pair.template.name.clone(),
                    *seconds,
                )
            })
            .collect();
    }

    fn limits(&self, keeper: &Keeper) -> Limits {
        let load = &self.settings.load;
        Limits {
            jobs: load.jobs,
            per_server: match &self.ask {
                // Files are no server that others need.
                Ask::Restore(restoring) => match restoring.is_local() {
                    true => keeper.session().side_by_side(load.jobs),
                    false => load.jobs,
                },
                _ => load.per_server,
            },
            window_bytes: load.window_bytes,
            lands: self.landing.is_some(),
            max_failures: load.max_failures,
            max_failures_per_tenant: load.max_failures_per_tenant,
        }
    }

    /// Brings the statistics of changed tables up, several at once.
    async fn analyze(&self) {
        let tables = &self.outcomes.changed_tables;
        let owner = &self.settings.warehouse.owner_role;
        let done = futures::stream::iter(tables)
            .map(|table| warehouse::analyze(self.access, owner, table))
            .buffer_unordered(self.settings.load.jobs.max(1));
        let errors = done
            .filter_map(async |result| result.err())
            .collect::<Vec<_>>();
        tokio::select! {
            errors = errors => for error in errors {
                // The rows are in; only the planner knows less.
                self.observer.event(&Event::Warning(format!("not analyzed: {error}")));
            },
            () = self.cancel.cancelled() => {}
        }
    }
}

/// Days that waited until the others were through, if there are any and the run goes on.
async fn waiting(shared: &Shared) -> Option<Vec<PairWork>> {
    if shared.stop.is_cancelled() {
        return None;
    }
    let mut works = Vec::with_capacity(shared.pairs.len());
    for (index, pair) in shared.pairs.iter().enumerate() {
        if shared.queue().is_down(index) {
            lock(&pair.waiting).clear();
        }
        works.push(pair.waiting_work().await);
    }
    if works.iter().all(|work| work.runs.is_empty()) {
        return None;
    }
    Some(works)
}

/// Lets workers work until the queue is empty.
async fn work_off(shared: &Arc<Shared>, keeper: &mut Keeper, cancel: &CancellationToken) {
    let mut workers = JoinSet::new();
    for slot in 0..shared.settings.load.jobs.max(1) {
        let shared = Arc::clone(shared);
        workers.spawn_blocking(move || Worker::run(shared, slot));
    }
    oversee(shared, keeper, cancel, &mut workers).await;
}

/// Waits for the workers; ends them when the run is interrupted, the locks are lost, or one of them dies.
async fn oversee(
    shared: &Shared,
    keeper: &mut Keeper,
    cancel: &CancellationToken,
    workers: &mut JoinSet<std::io::Result<()>>,
) {
    let mut told = false;
    loop {
        let why = tokio::select! {
            joined = workers.join_next() => match joined {
                None => return,
                Some(Ok(Ok(()))) => continue,
                // Its window would stay at work for ever, and the others wait for it.
                Some(Ok(Err(error))) => format!("a worker could not start: {error}"),
                Some(Err(died)) => format!("a worker died: {died}"),
            },
            () = cancel.cancelled(), if !told => match keeper.cancelled_by() {
                Some(who) => format!("the run was cancelled by {who}"),
                None => "the run was interrupted".to_owned(),
            },
            error = keeper.keep(), if !told => format!("the pairs' locks were lost: {error}"),
        };
        told = true;
        shared.stop(&why);
    }
}
