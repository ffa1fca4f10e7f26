//! A pair that is ready for the workers: what to do with its days, and what changes while they work.

use crate::catalog::{self, Pair, Tenant};
use crate::config::Settings;
use crate::copy::Tally;
use crate::engine::restore::PairFiles;
use crate::engine::schedule::queue::{PairWork, runs_of, source_number};
use crate::engine::schedule::task::{QueueTask, Refresh, Task};
use crate::engine::window::landing::Landed;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, SearchPath, Session};
use crate::template::check_source;
use crate::unit::{Day, Window};
use crate::warehouse::{Destination, Place, Shape};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a pair's rows come from.
pub enum RowSource {
    /// Its tenant's server.
    Tenant(Access),
    Files(Box<PairFiles>),
    /// The warehouse has the rows already.
    Nobody,
}

impl RowSource {
    /// What the limit on concurrent windows applies to.
    fn server(&self) -> String {
        match self {
            RowSource::Tenant(access) => access.url.endpoint(),
            RowSource::Files(_) => "files".to_owned(),
            RowSource::Nobody => String::new(),
        }
    }
}

/// A pair that is ready for the workers.
pub struct PreparedPair {
    pub pair: Pair,
    pub source: RowSource,
    pub days: PairDays,
    /// Days go into files alone.
    pub files_only: bool,
    /// Of the latest days, when there are any.
    pub bytes_per_day: Option<u64>,
    pub state: PairProgress,
}

/// What is to be done with the days of a pair.
#[derive(Debug, Default)]
pub struct PairDays {
    /// Every day that the run has to report.
    pub requested: BTreeSet<Day>,
    /// Days that the ledger has already.
    pub skipped: BTreeSet<Day>,
    /// Days that an earlier run left in a staging table.
    pub staged: BTreeMap<Day, Tally>,
    /// Days to load.
    pub load: BTreeSet<Day>,
    /// Days that should come from files and have none.
    pub lacking: BTreeSet<Day>,
    /// Days to compare with their source.
    pub refresh: BTreeSet<Day>,
    /// Days to land from the warehouse; of those that are staged, too.
    pub land: BTreeSet<Day>,
}

impl PairDays {
    /// Days that are staged and have nothing left to do but the year's build.
    pub fn waiting_for_build(&self) -> impl Iterator<Item = Day> {
        let staged = self.staged.keys().copied();
        staged.filter(|day| !self.land.contains(day))
    }

    /// Days that are to be worked on.
    pub fn units(&self) -> usize {
        self.load.len() + self.refresh.len() + self.land.len() + self.waiting_for_build().count()
    }
}

/// What changes while workers are at a pair.
pub struct PairProgress {
    /// Held while a year is revealed: two reveals at once would each show only their own.
    pub shape: tokio::sync::Mutex<Shape>,
    /// From this day on, days have tables of their own; it does not move while workers are at the pair.
    pub fold_line: Day,
    /// What of the pair is landed.
    pub landed: Landed,
    /// Days refreshed separately because rows moved out of them and refreshing both days together failed.
    done_separately: Mutex<BTreeSet<Day>>,
    /// Days from which keys vanished, left as they are until the pair's other days are done.
    waiting: Mutex<BTreeSet<Day>>,
    /// The others are done: nothing waits any longer.
    others_done: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PairProgress {
    pub fn new(shape: Shape, landed: Landed) -> PairProgress {
        PairProgress {
            fold_line: shape.fold_line,
            shape: tokio::sync::Mutex::new(shape),
            landed,
            done_separately: Mutex::default(),
            waiting: Mutex::default(),
            others_done: AtomicBool::new(false),
        }
    }

    pub fn done_separately(&self) -> BTreeSet<Day> {
        lock(&self.done_separately).clone()
    }

    pub fn refreshed_separately(&self, days: impl IntoIterator<Item = Day>) {
        lock(&self.done_separately).extend(days);
    }

    /// Lets days wait until the pair's other days are done.
    pub fn let_wait(&self, days: impl IntoIterator<Item = Day>) {
        lock(&self.waiting).extend(days);
    }

    /// Whether a window from whose days keys vanish may wait: rows that moved may arrive with another.
    pub fn may_wait(&self, has_others: bool) -> bool {
        let waiting = || !lock(&self.waiting).is_empty();
        !self.others_done.load(Ordering::Relaxed) && (has_others || waiting())
    }

    /// The days that wait will not be tried.
    pub fn forget_waiting(&self) {
        lock(&self.waiting).clear();
    }

    /// Nothing waits any longer: gives the days that did.
    fn end_waiting(&self) -> BTreeSet<Day> {
        self.others_done.store(true, Ordering::Relaxed);
        std::mem::take(&mut *lock(&self.waiting))
    }
}

impl PreparedPair {
    pub fn place(&self) -> Place<'_> {
        Place::of(&self.pair)
    }

    /// Whether its rows come from a tenant.
    pub fn has_tenant(&self) -> bool {
        matches!(self.source, RowSource::Tenant(_))
    }

    /// How to reach its tenant.
    ///
    /// # Errors
    /// [`Kind::Bug`] when its rows do not come from there.
    pub fn tenant(&self) -> Result<&Access> {
        match &self.source {
            RowSource::Tenant(access) => Ok(access),
            RowSource::Files(_) | RowSource::Nobody => Err(no_source("tenant")),
        }
    }

    /// Its files.
    ///
    /// # Errors
    /// [`Kind::Bug`] when its rows do not come from there.
    pub fn files(&self) -> Result<&PairFiles> {
        match &self.source {
            RowSource::Files(files) => Ok(files),
            RowSource::Tenant(_) | RowSource::Nobody => Err(no_source("files")),
        }
    }

    /// Whether this run loads a day's rows into the warehouse.
    pub fn brings_rows_of(&self, day: Day) -> bool {
        !self.files_only && self.days.load.contains(&day)
    }

    /// # Errors
    /// A placeholder of the query has no value.
    pub fn query(&self, window: Window) -> Result<String> {
        query(&self.pair, window)
    }

    /// The queue's share of this pair.
    pub async fn work(&self) -> PairWork<Task> {
        let shape = self.state.shape.lock().await;
        let days = &self.days;
        let parts = [&days.load, &days.refresh, &days.land];
        let todo: BTreeSet<Day> = parts.into_iter().flatten().copied().collect();
        let runs = runs_of(todo, |day| self.task(day, shape.destination(day)));
        let staged = days.staged.keys();
        let staged = staged.filter_map(|day| shape.destination(*day).staged_year());
        let years = runs.iter().filter_map(|(task, _)| task.staged_year());
        PairWork {
            builds: years
                .chain(staged)
                .map(|year| (year, Task::BuildYear { year }))
                .collect(),
            replaced_years: shape.rebuilding.clone(),
            ..self.share(runs)
        }
    }

    /// What is to be done with a day.
    fn task(&self, day: Day, destination: Destination) -> Task {
        let days = &self.days;
        if days.land.contains(&day) {
            let staged = days.staged.contains_key(&day);
            // The ledger knows where the rows of a loaded day are.
            let staged_year = destination.staged_year().filter(|_| staged);
            Task::LandFromWarehouse { staged_year }
        } else if self.files_only {
            Task::FilesOnly
        } else if days.refresh.contains(&day) && destination.staged_year().is_none() {
            Task::Refresh(Refresh::default())
        } else if matches!(self.source, RowSource::Files(_)) {
            let with = BTreeSet::new();
            Task::Restore { destination, with }
        } else {
            // Including days to refresh of a year that is being built: there is nothing to compare with.
            Task::Load { destination }
        }
    }

    /// The queue's share of this pair when all its days except the waiting ones are done: the first of these, and the
    /// others with it.
    pub fn waiting_work(&self) -> PairWork<Task> {
        let mut waiting = self.state.end_waiting();
        let first = waiting.pop_first().map(|day| {
            let refresh = Refresh {
                with: waiting,
                ..Refresh::default()
            };
            (Task::Refresh(refresh), Window::single(day))
        });
        self.share(first.into_iter().collect())
    }

    fn share(&self, runs: VecDeque<(Task, Window)>) -> PairWork<Task> {
        PairWork {
            tenant: self.pair.tenant.name.to_string(),
            server: self.source.server(),
            source: source_number(&self.pair.tenant),
            runs,
            builds: BTreeMap::new(),
            bytes_per_day: self.bytes_per_day,
            latest_first: false,
            one_day_windows: self.pair.one_day_windows(),
            replaced_years: BTreeSet::new(),
        }
    }
}

fn no_source(what: &str) -> Error {
    Error::new(Kind::Bug, format!("the pair has no {what} to read"))
}

fn query(pair: &Pair, window: Window) -> Result<String> {
    pair.template.bind(&pair.tenant.bindings(window))
}

/// What the first contact with a source found out about its search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundPath {
    /// It was recorded already.
    Known,
    /// It is to be recorded.
    New(SearchPath),
    /// The login's is another than the one that the tenant's days were read with.
    Other(Vec<String>),
}

/// Checks at a pair's source that the query gives the template's columns, losslessly.
///
/// # Errors
/// The source's; its search path changed, or its columns drifted. The session is in an unknown state then.
pub async fn check_at_source(
    pair: &Pair,
    session: &Session,
    window: Window,
    settings: &Settings,
) -> Result<FoundPath> {
    let query = query(pair, window)?;
    let mut tenant = Cow::Borrowed(&pair.tenant);
    let found = find_path(session, &pair.tenant.search_path).await?;
    if let FoundPath::New(path) = &found {
        tenant.to_mut().search_path = path.clone();
    }
    let transaction = tenant.transaction(settings.load.statement_timeout);
    let names = pair
        .template
        .columns
        .iter()
        .map(|column| column.name.clone());
    let names: Vec<String> = names.collect();
    let columns = pg::describe_in(session, &transaction, &query, &names).await?;
    check_source(&pair.template, &columns)?;
    Ok(found)
}

/// Asks for the login's search path, unless the tenant's is decided.
async fn find_path(session: &Session, path: &SearchPath) -> Result<FoundPath> {
    if !path.is_undecided() {
        return Ok(FoundPath::Known);
    }
    let login = pg::source::login_search_path(session).await?;
    Ok(match path.decided(login.clone()) {
        Some(path) => FoundPath::New(path),
        None => FoundPath::Other(login),
    })
}

/// How to reach a tenant.
///
/// # Errors
/// The URL or the password reference is invalid on this host.
pub async fn access(tenant: &Tenant, settings: &Settings) -> Result<Access> {
    catalog::access(tenant, settings).await
}
