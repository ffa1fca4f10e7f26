//! Prepares locked pairs for the workers: sorts their days into done and to do, creates their tables.

use super::context::RunContext;
use super::pair::{PairDays, PairProgress, PreparedPair, RowSource};
use super::request::{Options, PairLedger, Request};
use super::requested_days::RequestedDays;
use crate::catalog::Pair;
use crate::catalog::ledger::due::DueDays;
use crate::catalog::ledger::objects::{self, StoredUnit};
use crate::catalog::ledger::staged;
use crate::catalog::registry::fold_line::{self, FoldLine};
use crate::catalog::registry::windows::{self, Windows};
use crate::catalog::registry::{lost, relations};
use crate::copy::Tally;
use crate::engine::report::notes::Notes;
use crate::engine::schedule::retry;
use crate::engine::window::landing::{Landed, To};
use crate::error::Result;
use crate::pg::Session;
use crate::schema::arrow::arrow_schema;
use crate::unit::{Day, TemplateName, TenantName, Window};
use crate::warehouse::{self, Ahead, Destination, PairTables, Place, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// A locked pair, and what to do with its days.
#[derive(Clone)]
pub struct PlannedPair {
    pub pair: Pair,
    pub days: RequestedDays,
    /// The units that are loaded or landed; for a sync, those of its days.
    pub known: BTreeMap<Day, StoredUnit>,
    /// What was found out about the pair's windows and is to be recorded.
    pub windows: Option<Windows>,
    /// Its tables when it was locked.
    pub tables: PairTables,
}

impl PlannedPair {
    /// Sorts the days that are requested, once. `due` is what is due of the pair, for a sync.
    ///
    /// # Errors
    /// Refused when a pair that is to be synced has no first day, or when a column cannot land; the warehouse's.
    pub async fn of(
        session: &Session,
        pair: Pair,
        tables: PairTables,
        due: Option<DueDays>,
        request: &Request,
        options: Options,
    ) -> Result<PlannedPair> {
        if options.to.lands() {
            arrow_schema(&pair.template.columns)?;
        }
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        let mut ledger = PairLedger {
            units: BTreeMap::new(),
            due,
        };
        let is_sync = matches!(request, Request::Sync(_));
        if !is_sync {
            ledger.units = objects::units(session, tenant, template).await?;
        }
        let days = request.days(&pair, &ledger, options.to, options.today)?;
        let known = if is_sync {
            objects::units_of(session, tenant, template, days.all()).await?
        } else {
            ledger.units
        };
        Ok(PlannedPair {
            windows: None,
            pair,
            days,
            known,
            tables,
        })
    }

    /// From the first to the last of the days that may be read at the source. `lost`: days of lost tables may come to them.
    pub fn read_at_source(&self, lost: bool) -> Option<Window> {
        let asked = self.days.load.iter().chain(&self.days.refresh);
        let known = self.known.keys().filter(|_| lost);
        let days: BTreeSet<Day> = asked.chain(known).copied().collect();
        Some(Window::new(*days.first()?, days.last()?.next()))
    }

    fn names(&self) -> (&TenantName, &TemplateName) {
        (&self.pair.tenant.name, &self.pair.template.name)
    }

    fn place(&self) -> Place<'_> {
        Place::of(&self.pair)
    }

    /// Removes from the days to load those that should come from files and have none.
    fn take_lacking(&mut self, source: &RowSource) -> BTreeSet<Day> {
        let RowSource::Files(files) = source else {
            return BTreeSet::new();
        };
        let lacking;
        (lacking, self.days.load) = std::mem::take(&mut self.days.load)
            .into_iter()
            .partition(|day| files.wanted.lacking.contains(day));
        lacking
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

/// Prepares pairs, one after another, in one session.
#[derive(Clone, Copy)]
pub struct Preparation<'a> {
    pub context: &'a RunContext,
    pub session: &'a Session,
    pub notes: &'a Notes,
}

impl Preparation<'_> {
    /// Creates the tables that the days of a pair need, if any.
    ///
    /// # Errors
    /// Refused when a relation that Dayhaul does not own is in the way; the warehouse's.
    pub async fn prepare(self, planned: PlannedPair, source: RowSource) -> Result<PreparedPair> {
        if let Some(windows) = planned.windows {
            let (tenant, template) = planned.names();
            let version = planned.pair.template.version();
            windows::record(self.session, tenant, template, version, windows).await?;
        }
        if !self.context.changes_tables() {
            return self.without_tables(planned, source).await;
        }
        self.with_tables(planned, source).await
    }

    /// Days that go into files alone, or are in the warehouse: its tables stay as they are.
    async fn without_tables(self, planned: PlannedPair, source: RowSource) -> Result<PreparedPair> {
        let session = self.session;
        let (tenant, template) = planned.names();
        if self.context.options.to.lands() {
            objects::withdraw_staged(session, tenant, template, []).await?;
        }
        if let Some(from) = planned.days.earliest() {
            retry::a_few_times(async || {
                fold_line::remember_first(session, tenant, template, from).await
            })
            .await?;
        }
        let line = fold_line::get(session, tenant, template).await?;
        let owned = relations::of_pair(session, tenant, template).await?;
        let nowhere = FoldLine {
            day: self.context.options.today,
            hides: false,
        };
        let shape = Shape::new(line.unwrap_or(nowhere), &owned);
        Ok(self.as_planned(planned, source, shape))
    }

    async fn with_tables(self, planned: PlannedPair, source: RowSource) -> Result<PreparedPair> {
        if let Some(shape) = self.ready_shape(&planned) {
            return Ok(self.as_planned(planned, source, shape));
        }
        let mut planned = self.without_lost_tables(planned).await?;
        let mut shape = self.shape(&mut planned).await?;
        let requested = planned.days.all();
        let staged = self.staged(&planned, &shape, &requested).await?;
        let days = &mut planned.days;
        for part in [&mut days.load, &mut days.refresh, &mut days.land] {
            part.retain(|day| !staged.contains_key(day));
        }
        let landed = planned.landed();
        if self.context.options.to.lands() {
            let unlanded = self.landed_of_staged(&planned, &staged, &landed).await?;
            planned.days.land.extend(unlanded);
        }
        let lacking = planned.take_lacking(&source);
        self.create_tables(&planned, &mut shape).await?;
        let bytes_per_day = planned.tables.state.bytes_per_day;
        let days = PairDays {
            requested,
            staged,
            lacking,
            ..PairDays::from(planned.days)
        };
        let state = PairProgress::new(shape, landed);
        Ok(self.assemble(planned.pair, source, days, state, bytes_per_day))
    }

    /// The shape of a pair whose tables are ready for its days.
    fn ready_shape(self, planned: &PlannedPair) -> Option<Shape> {
        if self.context.request.makes_lost_tables() {
            return None;
        }
        let (days, today) = (&planned.days, self.context.options.today);
        let todo = &days.load | &days.refresh;
        let tables = &planned.tables;
        tables.ready_for(planned.place(), &days.all(), &todo, today)
    }

    /// Creates the tables that the days to load or refresh need, and the views that show them.
    async fn create_tables(self, planned: &PlannedPair, shape: &mut Shape) -> Result<()> {
        let (today, place) = (self.context.options.today, planned.place());
        let todo = &planned.days.load | &planned.days.refresh;
        let context = self.context.warehouse_context();
        warehouse::prepare(self.session, place, shape, &todo, today, context).await?;
        let ahead = self.ahead(planned, shape);
        warehouse::show(self.session, place, shape, today, &todo, ahead, context).await
    }

    /// A sync folds at its end what has closed since the last one.
    fn ahead(self, planned: &PlannedPair, shape: &Shape) -> Ahead {
        let open = planned.pair.template.open_days;
        let line = Shape::first_fold_line(self.context.options.today, open);
        let folds = matches!(self.context.request, Request::Sync(_)) && shape.fold_line < line;
        if folds { Ahead::WithFold } else { Ahead::Now }
    }

    /// Forgets tables that no longer exist, if this run creates them again: their days count as not loaded.
    async fn without_lost_tables(self, planned: PlannedPair) -> Result<PlannedPair> {
        if !self.context.request.makes_lost_tables() {
            return Ok(planned);
        }
        let (tenant, template) = planned.names();
        let lost = lost::forget_lost(self.session, tenant, template).await?;
        for relation in &lost.relations {
            tracing::warn!(
                relation,
                "no longer exists in the database, and is created again"
            );
        }
        let mut planned = PlannedPair::of(
            self.session,
            planned.pair,
            planned.tables,
            None,
            &self.context.request,
            self.context.options,
        )
        .await?;
        // A restore requests those that have files anyway.
        if !matches!(self.context.request, Request::Restore(_)) {
            planned.days.load_lost(&lost.days);
        }
        Ok(planned)
    }

    /// The pair's tables as they are, with the years that are to be rebuilt.
    async fn shape(self, planned: &mut PlannedPair) -> Result<Shape> {
        let (session, today) = (self.session, self.context.options.today);
        let lock_timeout = self.context.settings.load.lock_timeout;
        let (tenant, template) = planned.names();
        let first = Shape::first_fold_line(today, planned.pair.template.open_days);
        let from = planned.days.earliest();
        let line = retry::a_few_times(async || {
            fold_line::settle(session, tenant, template, from, first).await
        })
        .await?;
        let (place, run) = (planned.place(), self.context.run);
        for left in warehouse::drop_retired(session, place, run, lock_timeout).await? {
            self.notes.add(left.warning());
        }
        let owned = relations::of_pair(session, tenant, template).await?;
        let mut shape = Shape::new(line, &owned);
        if matches!(self.context.request, Request::Rebuild { .. }) {
            let years = planned.days.widen_to_years(&planned.known, line.day);
            shape.rebuilding = shape.years.intersection(&years).copied().collect();
        }
        let (place, rebuilt) = (planned.place(), shape.rebuilding.clone());
        warehouse::drop_stale_days(
            session,
            place,
            &mut shape,
            &rebuilt,
            self.context.run,
            lock_timeout,
        )
        .await?;
        Ok(shape)
    }

    /// The requested days that an earlier run left in a staging table.
    async fn staged(
        self,
        planned: &PlannedPair,
        shape: &Shape,
        requested: &BTreeSet<Day>,
    ) -> Result<BTreeMap<Day, Tally>> {
        let (tenant, template) = planned.names();
        let staged = staged::days(self.session, tenant, template).await?;
        // What an interrupted rebuild staged next to a year's table is for a rebuild to continue.
        let ours = |day: &Day| {
            requested.contains(day) && matches!(shape.destination(*day), Destination::Staging(_))
        };
        let days = staged.into_values().flatten();
        Ok(days.filter(|(day, _)| ours(day)).collect())
    }

    /// Takes over the objects of staged days, and gives the days that have none.
    async fn landed_of_staged(
        self,
        planned: &PlannedPair,
        staged: &BTreeMap<Day, Tally>,
        known: &Landed,
    ) -> Result<BTreeSet<Day>> {
        let (tenant, template) = planned.names();
        objects::withdraw_staged(self.session, tenant, template, staged.keys().copied()).await?;
        let mut objects = objects::staged(self.session, tenant, template).await?;
        let mut unlanded = BTreeSet::new();
        for day in staged.keys() {
            match objects.remove(day) {
                Some(object) => known.found(*day, object),
                None => {
                    known.forget(*day);
                    unlanded.insert(*day);
                }
            }
        }
        Ok(unlanded)
    }

    /// A pair whose plan holds as it is.
    fn as_planned(self, planned: PlannedPair, source: RowSource, shape: Shape) -> PreparedPair {
        let state = PairProgress::new(shape, planned.landed());
        let bytes_per_day = planned.tables.state.bytes_per_day;
        let days = PairDays {
            requested: planned.days.all(),
            ..PairDays::from(planned.days)
        };
        self.assemble(planned.pair, source, days, state, bytes_per_day)
    }

    fn assemble(
        self,
        pair: Pair,
        source: RowSource,
        days: PairDays,
        state: PairProgress,
        bytes_per_day: Option<u64>,
    ) -> PreparedPair {
        PreparedPair {
            bytes_per_day,
            files_only: self.context.options.to == To::Parquet,
            pair,
            source,
            days,
            state,
        }
    }
}

impl From<RequestedDays> for PairDays {
    fn from(days: RequestedDays) -> PairDays {
        PairDays {
            load: days.load,
            refresh: days.refresh,
            land: days.land,
            skipped: days.skipped,
            ..PairDays::default()
        }
    }
}
