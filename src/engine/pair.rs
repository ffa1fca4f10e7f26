//! A pair made ready: its columns checked at the tenant, its days sorted into done and to do, its tables made.

use super::ask::{Ask, Days};
use super::haul::begin_source;
use super::land::{Landed, To};
use super::pace::Pace;
use super::queue::{Errand, PairWork, runs_of};
use super::restore::PairFiles;
use super::retry;
use super::run::Options;
use super::shared::lock;
use crate::catalog::landed::{self, Standing};
use crate::catalog::{self, Pair, Tenant, fold_line, ledger, relations, staged};
use crate::config::Settings;
use crate::copy::Tally;
use crate::error::Result;
use crate::pg::{self, Access, Purpose, Session};
use crate::schema::arrow::arrow_schema;
use crate::template::{Bindings, Template, check_source};
use crate::unit::{Day, Window};
use crate::warehouse::{self, Destination, Place, Shape};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// Where a pair's rows come from.
pub(super) enum Source {
    /// Its tenant's server.
    Tenant(Access),
    Files(PairFiles),
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
    /// Days to land from the warehouse; of those that are staged, too.
    pub land: BTreeSet<Day>,
    /// What of the pair is landed.
    pub landed: Landed,
    /// Days go into files alone.
    pub alone: bool,
    /// Days refreshed because rows had moved out of them.
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
        let refresh = |day: Day| (Errand::refresh(shape.destination(day)), Window::single(day));
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
                return Errand::land(if staged {
                    destination
                } else {
                    Destination::DayTable
                });
            }
            if self.alone {
                return Errand::alone(Destination::DayTable);
            }
            // A year that is being built has nothing to compare with.
            if self.refresh.contains(&day) && !matches!(destination, Destination::Staging(_)) {
                Errand::refresh(destination)
            } else if matches!(self.source, Source::Files(_)) {
                Errand::restore(destination)
            } else {
                Errand::load(destination)
            }
        };
        let parts = [&self.load, &self.refresh, &self.land];
        let days: BTreeSet<Day> = parts.into_iter().flatten().copied().collect();
        let runs = runs_of(days, errand);
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

/// A pair whose lock is held, and what is to be done with its days.
pub(super) struct Planned {
    pub pair: Pair,
    pub days: Days,
    pub known: BTreeMap<Day, Standing>,
}

impl Planned {
    /// Sorts the days that are asked for, once.
    ///
    /// # Errors
    /// Refused when a pair that is to be synced has no first day, or when a column cannot land; the warehouse's.
    pub async fn of(session: &Session, pair: Pair, ask: &Ask, options: Options) -> Result<Planned> {
        if options.to.lands() {
            arrow_schema(&pair.template.columns)?;
        }
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        let known = landed::units(session, tenant, template).await?;
        let days = ask.days(&pair, &known, options.to, options.today)?;
        Ok(Planned { pair, days, known })
    }

    fn place(&self) -> Place<'_> {
        Place {
            tenant: &self.pair.tenant.name,
            schema: &self.pair.tenant.schema,
            template: &self.pair.template,
        }
    }

    /// The objects of the pair's units.
    fn landed(&self) -> Landed {
        let landed = Landed::default();
        for (day, standing) in &self.known {
            if let Some(object) = &standing.object {
                landed.found(*day, object.clone());
            }
        }
        landed
    }
}

/// What the tables of a pair are made with.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    pub session: &'a Session,
    pub ask: &'a Ask,
    pub options: Options,
    pub run: i64,
    pub settings: &'a Settings,
}

impl Making<'_> {
    /// Makes the tables that the days of a pair need, if any.
    ///
    /// # Errors
    /// Refused when a relation that is not ours stands in the way; the warehouse's.
    pub async fn ready(self, planned: Planned, source: Source) -> Result<ReadyPair> {
        let alone = self.options.to == To::Parquet;
        if alone || matches!(self.ask, Ask::Land { .. }) {
            return self.without_tables(planned, source).await;
        }
        self.with_tables(planned, source).await
    }

    /// Days that go into files alone, or are there: the warehouse keeps its shape.
    async fn without_tables(self, planned: Planned, source: Source) -> Result<ReadyPair> {
        let session = self.session;
        let (tenant, template) = (&planned.pair.tenant.name, &planned.pair.template.name);
        if self.options.to.lands() {
            landed::withdraw_staged(session, tenant, template, []).await?;
        }
        if let Some(from) = planned.days.earliest() {
            fold_line::remember_first(session, tenant, template, from).await?;
        }
        let line = fold_line::get(session, tenant, template).await?;
        let owned = relations::of_pair(session, tenant, template).await?;
        let shape = Shape::new(line.unwrap_or(self.options.today), &owned);
        let history = ledger::bytes_per_day(session, tenant, template).await?;
        Ok(ReadyPair {
            tenant: planned.pair.tenant.clone(),
            template: Arc::clone(&planned.pair.template),
            source,
            shape: Mutex::new(shape),
            asked: planned.days.all(),
            landed: planned.landed(),
            pair: planned.pair,
            skipped: planned.days.skipped,
            staged: BTreeMap::new(),
            lacking: BTreeSet::new(),
            load: planned.days.load,
            refresh: planned.days.refresh,
            land: planned.days.land,
            alone: self.options.to == To::Parquet,
            followed: std::sync::Mutex::default(),
            waiting: std::sync::Mutex::default(),
            others_done: AtomicBool::new(false),
            history,
        })
    }

    async fn with_tables(self, mut planned: Planned, source: Source) -> Result<ReadyPair> {
        let Making {
            session,
            ask,
            options,
            run,
            settings,
        } = self;
        let today = options.today;
        let pair = planned.pair.clone();
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        if ask.makes_lost_tables() {
            let lost = relations::forget_lost(session, tenant, template).await?;
            for relation in &lost.relations {
                tracing::warn!(relation, "is gone from the database, and made anew");
            }
            planned = Planned::of(session, pair.clone(), ask, options).await?;
            // Of a restore, those that have files are asked for as it is.
            if !matches!(ask, Ask::Restore(_)) {
                planned.days.bring_back(&lost.days);
            }
        }
        let first = Shape::first_fold_line(today, pair.template.open_days);
        let from = planned.days.earliest();
        let fold_line = fold_line::settle(session, tenant, template, from, first).await?;
        let lock_timeout = settings.load.lock_timeout;
        warehouse::drop_retired(session, planned.place(), run, lock_timeout).await?;
        let owned = relations::of_pair(session, tenant, template).await?;
        let mut shape = Shape::new(fold_line, &owned);
        if matches!(ask, Ask::Rebuild { .. }) {
            let years = planned.days.widen_to_years(&planned.known, fold_line);
            shape.rebuilding = shape.years.intersection(&years).copied().collect();
        }
        let anew = shape.rebuilding.clone();
        let place = planned.place();
        warehouse::drop_stale_days(session, place, &mut shape, &anew, run, lock_timeout).await?;
        let asked: BTreeSet<Day> = planned.days.all();
        let staged: BTreeMap<Day, Tally> = staged::days(session, tenant, template)
            .await?
            .into_values()
            .flatten()
            // What an interrupted rebuild staged beside a year's table is a rebuild's to go on with.
            .filter(|(day, _)| {
                asked.contains(day) && matches!(shape.destination(*day), Destination::Staging(_))
            })
            .collect();
        let landed = planned.landed();
        let mut days = planned.days.clone();
        for part in [&mut days.load, &mut days.refresh, &mut days.land] {
            part.retain(|day| !staged.contains_key(day));
        }
        if options.to.lands() {
            landed::withdraw_staged(session, tenant, template, staged.keys().copied()).await?;
            let mut objects = landed::staged(session, tenant, template).await?;
            for day in staged.keys() {
                match objects.remove(day) {
                    Some(object) => landed.found(*day, object),
                    None => {
                        landed.forget(*day);
                        days.land.insert(*day);
                    }
                }
            }
        }
        let mut lacking = BTreeSet::new();
        if let Source::Files(files) = &source {
            (lacking, days.load) = days
                .load
                .into_iter()
                .partition(|day| files.wanted.lacking.contains(day));
        }
        let reader = &settings.warehouse.reader_role;
        let todo: BTreeSet<Day> = days.load.union(&days.refresh).copied().collect();
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
            load: days.load,
            refresh: days.refresh,
            land: days.land,
            landed,
            alone: false,
            followed: std::sync::Mutex::default(),
            waiting: std::sync::Mutex::default(),
            others_done: AtomicBool::new(false),
            history,
        })
    }
}

/// How to reach a tenant.
///
/// # Errors
/// The URL or the password reference makes no sense here.
pub(super) async fn access(tenant: &Tenant, settings: &Settings) -> Result<Access> {
    catalog::access(tenant, settings).await
}
