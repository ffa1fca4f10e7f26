//! A pair made ready: its columns checked at the tenant, its days sorted into done and to do, its tables made.

use super::ask::Ask;
use super::haul::begin_source;
use super::pace::Pace;
use super::queue::{Errand, PairWork, runs_of};
use super::restore::PairFiles;
use super::retry;
use crate::catalog::{self, Pair, Tenant, fold_line, ledger, relations, staged};
use crate::config::Settings;
use crate::copy::Tally;
use crate::error::Result;
use crate::pg::{self, Access, Purpose, Session};
use crate::template::{Bindings, Template, check_source};
use crate::unit::{Day, Window};
use crate::warehouse::{self, Destination, Place, Shape};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Where a pair's rows come from.
pub(super) enum Source {
    /// Its tenant's server.
    Tenant(Access),
    Files(PairFiles),
}

impl Source {
    /// What the limit on windows at once is counted for.
    fn server(&self) -> String {
        match self {
            Source::Tenant(access) => access.url.endpoint(),
            Source::Files(_) => "files".to_owned(),
        }
    }
}

/// A pair whose work can begin.
pub(super) struct ReadyPair {
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
    /// Days refreshed because rows had moved out of them.
    pub followed: std::sync::Mutex<BTreeSet<Day>>,
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

    /// # Errors
    /// A placeholder of the query has no value.
    pub fn bind(&self, window: Window) -> Result<String> {
        self.template.bind(&Bindings {
            window,
            schema: &self.tenant.schema,
            vars: &self.tenant.vars,
        })
    }

    /// The queue's share of this pair.
    pub async fn work(&self) -> PairWork {
        let shape = self.shape.lock().await;
        let errand = |day: Day| {
            let destination = shape.destination(day);
            // A year that is being built has nothing to compare with.
            if self.refresh.contains(&day) && !matches!(destination, Destination::Staging(_)) {
                Errand::refresh(destination)
            } else if matches!(self.source, Source::Files(_)) {
                Errand::restore(destination)
            } else {
                Errand::load(destination)
            }
        };
        let runs = runs_of(self.load.union(&self.refresh).copied(), errand);
        let staged_years = self
            .staged
            .keys()
            .map(|day| Errand::load(shape.destination(*day)));
        let years = runs
            .iter()
            .map(|(errand, _)| *errand)
            .chain(staged_years)
            .filter_map(Errand::staged_year)
            .collect();
        PairWork {
            tenant: self.tenant.name.to_string(),
            server: self.source.server(),
            runs,
            years,
            pace: Pace::new(self.history),
            one_day_windows: self.template.one_day_windows(),
            replaced_years: shape.rebuilding.clone(),
            running: BTreeMap::new(),
            postponed: BTreeSet::new(),
        }
    }
}

/// Connects to a pair's source and checks that the query gives the template's columns, losslessly.
///
/// # Errors
/// The source cannot be reached, or its columns drifted.
pub(super) async fn check_at_source(
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

/// Sorts the days that are asked for and makes the tables they need.
///
/// # Errors
/// Refused when a relation that is not ours stands in the way, or when a pair that is to be synced has no first day; the
/// warehouse's.
pub(super) async fn make_ready(
    session: &Session,
    pair: Pair,
    source: Source,
    ask: &Ask,
    today: Day,
    run: i64,
    settings: &Settings,
) -> Result<ReadyPair> {
    let (tenant, template) = (&pair.tenant.name, &pair.template.name);
    if ask.makes_lost_anew() {
        for lost in relations::forget_lost(session, tenant, template).await? {
            tracing::warn!(relation = lost, "is gone from the database, and made anew");
        }
        staged::forget_lost(session, tenant, template).await?;
    }
    if matches!(ask, Ask::Restore(_)) {
        ledger::forget_lost(session, tenant, template).await?;
    }
    let loaded = ledger::loaded_versions(session, tenant, template).await?;
    let mut days = ask.days(&pair, &loaded, today)?;
    let first = Shape::first_fold_line(today, pair.template.open_days);
    let from = days.earliest();
    let fold_line = fold_line::settle(session, tenant, template, from, first).await?;
    let place = Place {
        tenant,
        schema: &pair.tenant.schema,
        template: &pair.template,
    };
    let lock_timeout = settings.load.lock_timeout;
    let rebuild = matches!(ask, Ask::Rebuild { .. });
    warehouse::drop_retired(session, place, run, lock_timeout).await?;
    let owned = relations::of_pair(session, tenant, template).await?;
    let mut shape = Shape::new(fold_line, &owned);
    if rebuild {
        let years = days.widen_to_years(&loaded, fold_line);
        shape.rebuilding = shape.years.intersection(&years).copied().collect();
    }
    let anew = shape.rebuilding.clone();
    warehouse::drop_stale_days(session, place, &mut shape, &anew, run, lock_timeout).await?;
    let asked: BTreeSet<Day> = days.all();
    let staged: BTreeMap<Day, Tally> = staged::days(session, tenant, template)
        .await?
        .into_values()
        .flatten()
        // What an interrupted rebuild staged beside a year's table is a rebuild's to go on with.
        .filter(|(day, _)| {
            asked.contains(day) && matches!(shape.destination(*day), Destination::Staging(_))
        })
        .collect();
    let not_staged = |days: BTreeSet<Day>| -> BTreeSet<Day> {
        days.into_iter()
            .filter(|day| !staged.contains_key(day))
            .collect()
    };
    let (mut load, refresh) = (not_staged(days.load), not_staged(days.refresh));
    let mut lacking = BTreeSet::new();
    if let Source::Files(files) = &source {
        (lacking, load) = load
            .into_iter()
            .partition(|day| files.wanted.lacking.contains(day));
    }
    let reader = &settings.warehouse.reader_role;
    let todo: BTreeSet<Day> = load.union(&refresh).copied().collect();
    warehouse::prepare(
        session,
        place,
        &mut shape,
        &todo,
        today,
        reader,
        lock_timeout,
    )
    .await?;
    warehouse::show(session, place, &shape, (today, &todo), reader, lock_timeout).await?;
    let history = ledger::bytes_per_day(session, tenant, template).await?;
    Ok(ReadyPair {
        tenant: pair.tenant.clone(),
        template: Arc::clone(&pair.template),
        pair,
        source,
        shape: Mutex::new(shape),
        asked,
        skipped: days.skipped,
        staged,
        lacking,
        load,
        refresh,
        followed: std::sync::Mutex::default(),
        history,
    })
}

/// How to reach a tenant.
///
/// # Errors
/// The URL or the password reference makes no sense here.
pub(super) async fn access(tenant: &Tenant, settings: &Settings) -> Result<Access> {
    catalog::access(tenant, settings).await
}
