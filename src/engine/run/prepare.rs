//! From a pair whose lock is held to one whose work can begin: its days sorted into done and to do, its tables made.

use super::Options;
use super::pair::{ReadyPair, Source};
use super::request::{Ask, Days};
use crate::catalog::Pair;
use crate::catalog::ledger::objects::{self, Standing};
use crate::catalog::ledger::{staged, units};
use crate::catalog::registry::fold_line::{self, FoldLine};
use crate::catalog::registry::relations;
use crate::config::Settings;
use crate::copy::Tally;
use crate::engine::window::landing::{Landed, To};
use crate::error::Result;
use crate::pg::{Access, Session};
use crate::schema::arrow::arrow_schema;
use crate::unit::{Day, TemplateName, TenantName};
use crate::warehouse::{self, Destination, Place, Preparing, Shape};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Mutex;

/// A pair whose lock is held, and what is to be done with its days.
pub struct Planned {
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
        let known = objects::units(session, &pair.tenant.name, &pair.template.name).await?;
        let days = ask.days(&pair, &known, options.to, options.today)?;
        Ok(Planned { pair, days, known })
    }

    fn names(&self) -> (&TenantName, &TemplateName) {
        (&self.pair.tenant.name, &self.pair.template.name)
    }

    fn place(&self) -> Place<'_> {
        Place {
            tenant: &self.pair.tenant.name,
            schema: &self.pair.tenant.schema,
            template: &self.pair.template,
        }
    }

    /// Takes out of the days to load those that are to come from files, and have none.
    fn take_lacking(&mut self, source: &Source) -> BTreeSet<Day> {
        let Source::Files(files) = source else {
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

/// What the tables of a pair are made with.
#[derive(Clone, Copy)]
pub struct Making<'a> {
    pub session: &'a Session,
    pub access: &'a Access,
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
        let (tenant, template) = planned.names();
        if self.options.to.lands() {
            objects::withdraw_staged(session, tenant, template, []).await?;
        }
        if let Some(from) = planned.days.earliest() {
            fold_line::remember_first(session, tenant, template, from).await?;
        }
        let line = fold_line::get(session, tenant, template).await?;
        let owned = relations::of_pair(session, tenant, template).await?;
        let nowhere = FoldLine {
            day: self.options.today,
            hides: false,
        };
        let shape = Shape::new(line.unwrap_or(nowhere), &owned);
        let asked = planned.days.all();
        let landed = planned.landed();
        let staged = BTreeMap::new();
        let ready = self.assemble(
            planned,
            source,
            shape,
            (asked, staged, BTreeSet::new()),
            landed,
        );
        ready.await
    }

    async fn with_tables(self, planned: Planned, source: Source) -> Result<ReadyPair> {
        let session = self.session;
        let mut planned = self.without_lost_tables(planned).await?;
        let mut shape = self.shape(&mut planned).await?;
        let asked = planned.days.all();
        let staged = self.staged(&planned, &shape, &asked).await?;
        let days = &mut planned.days;
        for part in [&mut days.load, &mut days.refresh, &mut days.land] {
            part.retain(|day| !staged.contains_key(day));
        }
        let landed = planned.landed();
        if self.options.to.lands() {
            let unlanded = self.landed_of_staged(&planned, &staged, &landed).await?;
            planned.days.land.extend(unlanded);
        }
        let lacking = planned.take_lacking(&source);
        let (today, place) = (self.options.today, planned.place());
        let reader = &self.settings.warehouse.reader_role;
        let lock_timeout = self.settings.load.lock_timeout;
        let todo: BTreeSet<Day> = planned
            .days
            .load
            .union(&planned.days.refresh)
            .copied()
            .collect();
        let with = Preparing {
            access: self.access,
            owner: &self.settings.warehouse.owner_role,
            reader,
            lock_timeout,
        };
        warehouse::prepare(session, place, &mut shape, &todo, today, with).await?;
        warehouse::show(session, place, &shape, (today, &todo), reader, lock_timeout).await?;
        self.assemble(planned, source, shape, (asked, staged, lacking), landed)
            .await
    }

    /// Forgets tables that are gone, when this run makes them anew: their days are not loaded any more.
    async fn without_lost_tables(self, planned: Planned) -> Result<Planned> {
        if !self.ask.makes_lost_tables() {
            return Ok(planned);
        }
        let (tenant, template) = planned.names();
        let lost = relations::forget_lost(self.session, tenant, template).await?;
        for relation in &lost.relations {
            tracing::warn!(relation, "is gone from the database, and made anew");
        }
        let mut planned = Planned::of(self.session, planned.pair, self.ask, self.options).await?;
        // Of a restore, those that have files are asked for as it is.
        if !matches!(self.ask, Ask::Restore(_)) {
            planned.days.bring_back(&lost.days);
        }
        Ok(planned)
    }

    /// The pair's tables as they are, with what is to be built anew.
    async fn shape(self, planned: &mut Planned) -> Result<Shape> {
        let (session, today) = (self.session, self.options.today);
        let lock_timeout = self.settings.load.lock_timeout;
        let (tenant, template) = planned.names();
        let first = Shape::first_fold_line(today, planned.pair.template.open_days);
        let from = planned.days.earliest();
        let line = fold_line::settle(session, tenant, template, from, first).await?;
        warehouse::drop_retired(session, planned.place(), self.run, lock_timeout).await?;
        let owned = relations::of_pair(session, tenant, template).await?;
        let mut shape = Shape::new(line, &owned);
        if matches!(self.ask, Ask::Rebuild { .. }) {
            let years = planned.days.widen_to_years(&planned.known, line.day);
            shape.rebuilding = shape.years.intersection(&years).copied().collect();
        }
        let (place, anew) = (planned.place(), shape.rebuilding.clone());
        warehouse::drop_stale_days(session, place, &mut shape, &anew, self.run, lock_timeout)
            .await?;
        Ok(shape)
    }

    /// The days that are asked for and that an earlier run left in a staging table.
    async fn staged(
        self,
        planned: &Planned,
        shape: &Shape,
        asked: &BTreeSet<Day>,
    ) -> Result<BTreeMap<Day, Tally>> {
        let (tenant, template) = planned.names();
        let staged = staged::days(self.session, tenant, template).await?;
        // What an interrupted rebuild staged beside a year's table is a rebuild's to go on with.
        let ours = |day: &Day| {
            asked.contains(day) && matches!(shape.destination(*day), Destination::Staging(_))
        };
        let days = staged.into_values().flatten();
        Ok(days.filter(|(day, _)| ours(day)).collect())
    }

    /// Takes over the objects of staged days, and gives the days that have none.
    async fn landed_of_staged(
        self,
        planned: &Planned,
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

    async fn assemble(
        self,
        planned: Planned,
        source: Source,
        shape: Shape,
        (asked, staged, lacking): (BTreeSet<Day>, BTreeMap<Day, Tally>, BTreeSet<Day>),
        landed: Landed,
    ) -> Result<ReadyPair> {
        let Planned { pair, days, .. } = planned;
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        let history = units::bytes_per_day(self.session, tenant, template).await?;
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
            alone: self.options.to == To::Parquet,
            followed: std::sync::Mutex::default(),
            waiting: std::sync::Mutex::default(),
            others_done: AtomicBool::new(false),
            history,
        })
    }
}
