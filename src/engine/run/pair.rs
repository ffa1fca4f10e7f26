//! A pair whose work can begin: its share of the queue, and the way to its source.

use super::shared::lock;
use crate::catalog::{self, Pair, Tenant};
use crate::config::Settings;
use crate::copy::Tally;
use crate::engine::restore::PairFiles;
use crate::engine::schedule::queue::{PairWork, runs_of};
use crate::engine::schedule::retry;
use crate::engine::schedule::task::{Errand, Work};
use crate::engine::schedule::window_size::Pace;
use crate::engine::window::landing::Landed;
use crate::engine::window::load::begin_source;
use crate::error::Result;
use crate::pg::{self, Access, Purpose};
use crate::template::{Bindings, Template, check_source};
use crate::unit::{Day, Window};
use crate::warehouse::{Destination, Place, Shape};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// Where a pair's rows come from.
pub enum Source {
    /// Its tenant's server.
    Tenant(Access),
    Files(Box<PairFiles>),
    /// Whatever is to be done, the warehouse has the rows.
    Nobody,
}

impl Source {
    /// What the limit on windows at once is counted for.
    fn server(&self) -> String {
        match self {
            Source::Tenant(access) => access.url.endpoint(),
            Source::Files(_) => "files".to_owned(),
            Source::Nobody => String::new(),
        }
    }
}

/// A pair whose work can begin.
pub struct ReadyPair {
    pub pair: Pair,
    pub tenant: Tenant,
    pub template: Arc<Template>,
    pub source: Source,
    /// Held while a year is revealed: two reveals at once would each show only their own.
    pub shape: Mutex<Shape>,
    /// Every day that the run is to account for.
    pub asked: BTreeSet<Day>,
    /// Days that the ledger has already.
    pub skipped: BTreeSet<Day>,
    /// Days that an earlier run left in a staging table.
    pub staged: BTreeMap<Day, Tally>,
    /// Days to load.
    pub load: BTreeSet<Day>,
    /// Days that are to come from files, and have none.
    pub lacking: BTreeSet<Day>,
    /// Days to compare with their source.
    pub refresh: BTreeSet<Day>,
    /// Days to land from the warehouse; of those that are staged, too.
    pub land: BTreeSet<Day>,
    /// What of the pair is landed.
    pub landed: Landed,
    /// Days go into files alone.
    pub alone: bool,
    /// Days refreshed by themselves because rows had moved out of them, and they did not fit together with where to.
    pub followed: std::sync::Mutex<BTreeSet<Day>>,
    /// Days from which keys vanished, left as they are until the pair's other days are through.
    pub waiting: std::sync::Mutex<BTreeSet<Day>>,
    /// The others are through: nothing waits any longer.
    pub others_done: AtomicBool,
    /// Bytes per day of the latest days, when there are any.
    pub history: Option<u64>,
}

impl ReadyPair {
    pub fn place(&self) -> Place<'_> {
        Place {
            tenant: &self.tenant.name,
            schema: &self.tenant.schema,
            template: &self.template,
        }
    }

    /// Whether its rows come from a tenant.
    pub fn has_tenant(&self) -> bool {
        matches!(self.source, Source::Tenant(_))
    }

    /// Whether it is this run that brings a day's rows into the warehouse.
    pub fn loads(&self, day: Day) -> bool {
        !self.alone && self.load.contains(&day)
    }

    /// # Errors
    /// A placeholder of the query has no value.
    pub fn bind(&self, window: Window) -> Result<String> {
        self.template.bind(&Bindings {
            window,
            schema: &self.tenant.schema,
            vars: &self.tenant.vars,
        })
    }

    /// Whether a window from whose days keys vanish may wait: rows that moved may come with another.
    pub fn may_wait(&self, has_others: bool) -> bool {
        let waiting = || !lock(&self.waiting).is_empty();
        !self.others_done.load(Ordering::Relaxed) && (has_others || waiting())
    }

    /// The days that are to be refreshed with `window`, when they waited for the others.
    pub fn waited_with(&self, window: Window) -> BTreeSet<Day> {
        if !self.others_done.load(Ordering::Relaxed) {
            return BTreeSet::new();
        }
        let mut days = std::mem::take(&mut *lock(&self.waiting));
        days.retain(|day| !window.contains(*day));
        days
    }

    /// The queue's share of this pair once all its days but those that waited are through: the first of these, which takes
    /// the others along.
    pub async fn waiting_work(&self) -> PairWork {
        self.others_done.store(true, Ordering::Relaxed);
        let first = lock(&self.waiting).first().copied();
        let shape = self.shape.lock().await;
        let refresh = |day: Day| {
            (
                Work::Refresh.on(shape.destination(day)),
                Window::single(day),
            )
        };
        self.share(first.map(refresh).into_iter().collect())
    }

    /// The queue's share of this pair.
    pub async fn work(&self) -> PairWork {
        let shape = self.shape.lock().await;
        let errand = |day: Day| {
            let destination = shape.destination(day);
            if self.land.contains(&day) {
                let staged = self.staged.contains_key(&day);
                // Where a loaded day stands, the ledger says.
                return Work::Land.on(if staged {
                    destination
                } else {
                    Destination::DayTable
                });
            }
            if self.alone {
                return Work::Alone.on(Destination::DayTable);
            }
            // A year that is being built has nothing to compare with.
            if self.refresh.contains(&day) && !matches!(destination, Destination::Staging(_)) {
                Work::Refresh.on(destination)
            } else if matches!(self.source, Source::Files(_)) {
                Work::Restore.on(destination)
            } else {
                Work::Load.on(destination)
            }
        };
        let parts = [&self.load, &self.refresh, &self.land];
        let days: BTreeSet<Day> = parts.into_iter().flatten().copied().collect();
        let runs = runs_of(days, errand);
        let staged_years = self
            .staged
            .keys()
            .map(|day| Work::Load.on(shape.destination(*day)));
        let years = runs
            .iter()
            .map(|(errand, _)| *errand)
            .chain(staged_years)
            .filter_map(Errand::staged_year)
            .collect();
        PairWork {
            years,
            replaced_years: shape.rebuilding.clone(),
            ..self.share(runs)
        }
    }

    fn share(&self, runs: VecDeque<(Errand, Window)>) -> PairWork {
        PairWork {
            tenant: self.tenant.name.to_string(),
            server: self.source.server(),
            runs,
            years: BTreeSet::new(),
            pace: Pace::new(self.history),
            one_day_windows: self.template.one_day_windows(),
            replaced_years: BTreeSet::new(),
            running: BTreeMap::new(),
            pulled: BTreeSet::new(),
            postponed: BTreeSet::new(),
        }
    }
}

/// Connects to a pair's source and checks that the query gives the template's columns, losslessly.
///
/// # Errors
/// The source cannot be reached, or its columns drifted.
pub async fn check_at_source(
    pair: &Pair,
    access: &Access,
    window: Window,
    settings: &Settings,
) -> Result<()> {
    let query = pair.template.bind(&Bindings {
        window,
        schema: &pair.tenant.schema,
        vars: &pair.tenant.vars,
    })?;
    retry::a_few_times(async || {
        let session = pg::connect(access, Purpose::Source).await?;
        session
            .batch(&begin_source(settings.load.statement_timeout))
            .await?;
        let columns = pg::describe(&session, &query).await?;
        session.batch("COMMIT").await?;
        check_source(&pair.template, &columns)
    })
    .await
}

/// How to reach a tenant.
///
/// # Errors
/// The URL or the password reference makes no sense here.
pub async fn access(tenant: &Tenant, settings: &Settings) -> Result<Access> {
    catalog::access(tenant, settings).await
}
