//! What all workers of a run have in common.

use super::context::RunContext;
use super::outcomes::Outcomes;
use super::pair::PreparedPair;
use super::run_pair::RunPair;
use crate::catalog::ledger::units::Entry;
use crate::engine::report::progress::WindowProgress;
use crate::engine::schedule::pool::{Pool, SourceSlot};
use crate::engine::schedule::queue::{Job, PairIndex};
use crate::engine::schedule::task::Task;
use crate::engine::schedule::watchdog::unless_stalled;
use crate::engine::window::context::WindowLoad;
use crate::engine::window::landing::Lake;
use crate::engine::window::shared_day::SharedDays;
use crate::error::Result;
use crate::warehouse::{Destination, YearBuild};
use std::sync::Arc;

/// What all workers of a run have in common.
pub struct RunState {
    pub context: Arc<RunContext>,
    pub pairs: Vec<RunPair>,
    /// Held while a pair's tables are created.
    pub preparing: tokio::sync::Mutex<()>,
    pub pool: Arc<Pool<Task>>,
    pub outcomes: Arc<Outcomes>,
    /// The days that are read in ranges.
    pub shared_days: SharedDays,
}

impl RunState {
    /// A pair as it is now: without days until it is prepared.
    pub fn pair(&self, index: PairIndex) -> &PreparedPair {
        self.pairs[index].now()
    }

    /// What the ledger records about a pair's days in addition to their tallies.
    pub fn entry(&self, pair: PairIndex, tries: u32) -> Entry<'_> {
        let pair = &self.pair(pair).pair;
        Entry {
            tenant: &pair.tenant.name,
            template: &pair.template.name,
            version: pair.template.version(),
            run: self.context.run,
            tries: i32::try_from(tries).unwrap_or(i32::MAX),
        }
    }

    /// Where the files of a pair go, when any do.
    pub fn lake(&self, pair: PairIndex) -> Option<Lake<'_>> {
        let pair = self.pair(pair);
        self.context.landing.as_ref().map(|landing| Lake {
            landing,
            tenant: &pair.pair.tenant.name,
            schema: &pair.pair.tenant.schema,
            landed: &pair.state.landed,
            run: self.context.run,
        })
    }

    /// One try of a window.
    pub fn window_load<'a>(
        &'a self,
        job: &Job<Task>,
        tries: u32,
        destination: Destination,
        progress: &'a WindowProgress<'a>,
    ) -> WindowLoad<'a> {
        let pair = self.pair(job.pair);
        WindowLoad {
            pair: &pair.pair,
            place: pair.place(),
            entry: self.entry(job.pair, tries),
            window: job.window,
            destination,
            fold_line: pair.state.fold_line,
            settings: &self.context.settings,
            warehouse_version: self.context.warehouse_version,
            reload: self.context.request.reload(),
            lake: self.lake(job.pair),
            slot: SourceSlot {
                pool: &self.pool,
                pair: job.pair,
                window: job.window,
            },
            progress,
            notes: &self.outcomes.notes,
            checked: &self.outcomes.checked,
        }
    }

    pub fn progress(&self, slot: usize) -> WindowProgress<'_> {
        WindowProgress::new(&*self.context.observer, slot)
    }

    /// Ends a try that no longer moves any byte.
    pub async fn watch<T>(
        &self,
        progress: &WindowProgress<'_>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let timeout = self.context.settings.load.stall_timeout;
        unless_stalled(progress, timeout, work).await
    }

    pub fn year_build(&self) -> YearBuild<'_> {
        let load = &self.context.settings.load;
        YearBuild {
            warehouse: self.context.warehouse_context(),
            run: self.context.run,
            jobs: load.jobs,
            barrier_timeout: load.barrier_timeout,
            stop: self.pool.stopped(),
        }
    }
}
