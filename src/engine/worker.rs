//! A worker: takes jobs from the queue until none is left.

use super::blame;
use super::event::{Change, Event, Failure, Observer, Outcome, UnitReport};
use super::haul::{Fault, Haul, Hauled, RefreshHints, Refreshed, Side};
use super::pair::ReadyPair;
use super::queue::{Errand, Job, Next, PairIndex, Queue, Work, runs_of};
use super::retry;
use crate::catalog::ledger::{self, Entry, LoadedDay};
use crate::config::Settings;
use crate::copy::Tally;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, Purpose, Session};
use crate::unit::{Day, Unit, Window};
use crate::warehouse::{self, Destination, YearBuild};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What all workers of a run share.
pub(super) struct Shared {
    pub settings: Settings,
    pub warehouse: Access,
    pub run: i64,
    pub reload: bool,
    pub backfill: bool,
    pub pairs: Vec<ReadyPair>,
    pub observer: Arc<dyn Observer>,
    /// Ends the workers early; `stopped` says why.
    pub stop: CancellationToken,
    pub stopped: Mutex<String>,
    pub queue: Mutex<Queue>,
    /// Rung whenever the queue changed.
    pub changed: Notify,
    pub outcomes: Mutex<Outcomes>,
}

/// How the units ended.
#[derive(Default)]
pub(super) struct Outcomes {
    /// The tables (`schema.table`) in which rows changed.
    pub changed_tables: BTreeSet<String>,
    pub units: Vec<UnitReport>,
    pub failures: Vec<Failure>,
    pub seconds: BTreeMap<PairIndex, f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn unit(&self, pair: PairIndex, day: Day) -> Unit {
        let pair = &self.pairs[pair];
        Unit {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            day,
        }
    }

    fn entry(&self, pair: PairIndex, tries: i32) -> Entry<'_> {
        let pair = &self.pairs[pair];
        Entry {
            tenant: &pair.tenant.name,
            template: &pair.template.name,
            version: pair.template.version(),
            run: self.run,
            tries,
        }
    }

    fn year_build(&self) -> YearBuild<'_> {
        let settings = &self.settings;
        YearBuild {
            access: &self.warehouse,
            owner: &settings.warehouse.owner_role,
            reader: &settings.warehouse.reader_role,
            run: self.run,
            jobs: settings.load.jobs,
            lock_timeout: settings.load.lock_timeout,
            barrier_timeout: settings.load.barrier_timeout,
            stop: &self.stop,
        }
    }

    fn report(&self, unit: UnitReport) {
        self.observer.event(&Event::Unit(unit.clone()));
        lock(&self.outcomes).units.push(unit);
    }

    /// Days are through. Those of a staged year count as loaded when the year is revealed.
    fn loaded(&self, pair: PairIndex, destination: Destination, days: &[LoadedDay], tries: u32) {
        self.observer.event(&Event::Through { units: days.len() });
        if !matches!(destination, Destination::Staging(_)) {
            // A backfill's day tables are left to autovacuum: they are many, and small.
            if destination != Destination::DayTable || !self.backfill {
                self.changed(days.iter());
            }
            self.report_loaded(pair, days, tries);
        }
    }

    fn report_loaded(&self, pair: PairIndex, days: &[LoadedDay], tries: u32) {
        for day in days {
            self.report_day(pair, day, Outcome::Loaded, None, tries);
        }
    }

    fn report_day(
        &self,
        pair: PairIndex,
        day: &LoadedDay,
        outcome: Outcome,
        change: Option<Change>,
        tries: u32,
    ) {
        self.report(UnitReport {
            unit: self.unit(pair, day.day),
            outcome,
            rows: day.tally.rows,
            bytes: day.tally.bytes,
            digest: Some(day.tally.digest.to_string()),
            relation: Some(day.relation.clone()),
            tries,
            change,
        });
    }

    /// The tables of these days are no longer as their statistics say.
    fn changed<'a>(&self, days: impl Iterator<Item = &'a LoadedDay>) {
        let tables = days.map(|day| day.relation.clone());
        lock(&self.outcomes).changed_tables.extend(tables);
    }

    fn refreshed(&self, pair: PairIndex, days: &[Refreshed], tries: u32) {
        self.observer.event(&Event::Through { units: days.len() });
        let changed = days
            .iter()
            .filter(|day| !matches!(day, Refreshed::Unchanged(_)));
        self.changed(changed.map(Refreshed::loaded));
        for day in days {
            let (outcome, change) = match day {
                Refreshed::New(_) => (Outcome::Loaded, None),
                Refreshed::Unchanged(_) => (Outcome::Unchanged, None),
                Refreshed::Changed(_, change) => (Outcome::Changed, Some(*change)),
            };
            self.report_day(pair, day.loaded(), outcome, change, tries);
        }
    }

    pub fn report_days(
        &self,
        pair: PairIndex,
        days: impl IntoIterator<Item = Day>,
        outcome: Outcome,
        tries: u32,
    ) {
        for day in days {
            self.report(UnitReport {
                unit: self.unit(pair, day),
                outcome,
                rows: 0,
                bytes: 0,
                digest: None,
                relation: None,
                tries,
                change: None,
            });
        }
    }

    fn add_failure(&self, pair: PairIndex, windows: Vec<Window>, error: Error, not_tried: bool) {
        let pair = &self.pairs[pair];
        lock(&self.outcomes).failures.push(Failure {
            tenant: pair.tenant.name.clone(),
            template: Some(pair.template.name.clone()),
            windows,
            error,
            not_tried,
        });
    }

    /// Ends the run early: what is at work is abandoned, what is left in the queue is not tried.
    pub fn stop(&self, why: &str) {
        why.clone_into(&mut lock(&self.stopped));
        self.stop.cancel();
        let dropped = self.queue().open_for_all();
        self.not_tried(dropped, why, Kind::Interrupted);
    }

    pub fn take_outcomes(&self) -> Outcomes {
        std::mem::take(&mut *lock(&self.outcomes))
    }

    /// Windows that nobody will try, and why.
    pub fn not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        let mut by_pair: BTreeMap<PairIndex, Vec<Window>> = BTreeMap::new();
        for (pair, window) in dropped {
            by_pair.entry(pair).or_default().push(window);
        }
        for (pair, windows) in by_pair {
            let days = windows.iter().flat_map(Window::days);
            self.report_days(pair, days, Outcome::NotTried, 0);
            self.add_failure(pair, windows, Error::new(kind, why), true);
        }
        self.changed.notify_waiters();
    }
}

/// What to do after a try.
pub(super) enum After {
    Done,
    /// Nothing of it was done, and nobody is to blame: the run is being interrupted.
    Interrupted,
    Retry(Fault),
    Failed(Fault),
    /// Fetch it again in these pieces.
    Pieces(Vec<Window>),
    /// Fetch it again, shorter.
    Shorter,
}

/// What to do after a try to load or refresh.
enum AfterLoad {
    After(After),
    /// Fetch it again, and replace what is there.
    Replace,
    /// Refresh it instead of loading it: its keys stand in other days.
    AsRefresh,
    /// First refresh these days: rows moved from there.
    Follow(BTreeSet<Day>),
}

impl From<After> for AfterLoad {
    fn from(after: After) -> AfterLoad {
        AfterLoad::After(after)
    }
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    slot: usize,
    warehouse: Option<Session>,
    source: Option<(PairIndex, Session)>,
}

impl Worker {
    /// Works on the calling thread until nothing is left: both connections of a window are served there, so that no byte
    /// has to wake another thread.
    pub fn run(shared: Arc<Shared>, slot: usize) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(Worker::new(shared, slot).work());
        Ok(())
    }

    fn new(shared: Arc<Shared>, slot: usize) -> Worker {
        Worker {
            shared,
            slot,
            warehouse: None,
            source: None,
        }
    }

    async fn work(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the queue is read, so that no change is missed.
            changed.as_mut().enable();
            let next = self.shared.queue().next();
            match next {
                Next::Finished => return,
                Next::Wait => tokio::select! {
                    () = changed => {}
                    () = shared.stop.cancelled() => return,
                },
                Next::Job(job) => {
                    let begun = Instant::now();
                    let pair = match job {
                        Job::Window {
                            pair,
                            window,
                            errand,
                        } => {
                            self.window(pair, window, errand).await;
                            pair
                        }
                        Job::Year { pair, year } => {
                            self.year(pair, year).await;
                            self.shared.queue().year_done();
                            pair
                        }
                    };
                    let seconds = begun.elapsed().as_secs_f64();
                    *lock(&self.shared.outcomes).seconds.entry(pair).or_default() += seconds;
                    self.shared.changed.notify_waiters();
                }
            }
        }
    }

    async fn window(&mut self, pair: PairIndex, window: Window, errand: Errand) {
        let shared = Arc::clone(&self.shared);
        let place = shared.pairs[pair].place();
        let mut waits = retry::of_window();
        let mut tries = 0;
        let mut replace = false;
        let fault = loop {
            tries += 1;
            shared.observer.event(&Event::WindowStarted {
                slot: self.slot,
                tenant: place.tenant.clone(),
                template: place.template.name.clone(),
                window,
            });
            let after = self.attempt(pair, window, errand, replace, tries).await;
            shared
                .observer
                .event(&Event::WindowEnded { slot: self.slot });
            match after {
                AfterLoad::After(After::Done) => return,
                AfterLoad::After(After::Interrupted) => {
                    shared.queue().abandoned(pair, window);
                    let why = lock(&shared.stopped).clone();
                    return shared.not_tried(vec![(pair, window)], &why, Kind::Interrupted);
                }
                AfterLoad::After(After::Pieces(pieces)) => {
                    return shared.queue().put_back(pair, window, &pieces);
                }
                AfterLoad::After(After::Shorter) => return shared.queue().cut(pair, window),
                AfterLoad::AsRefresh => {
                    let errand = Errand::refresh(errand.destination);
                    return shared.queue().put_back_as(pair, window, errand);
                }
                AfterLoad::Replace => replace = true,
                AfterLoad::Follow(days) => Box::pin(self.follow(pair, &days)).await,
                AfterLoad::After(After::Failed(fault)) => break fault,
                AfterLoad::After(After::Retry(fault)) => {
                    let Some(wait) = waits.next() else {
                        break fault;
                    };
                    shared.observer.event(&Event::Retry {
                        tenant: place.tenant.clone(),
                        template: place.template.name.clone(),
                        window,
                        attempt: tries,
                        wait,
                        error: fault.error.to_string(),
                    });
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = shared.stop.cancelled() => {}
                    }
                }
            }
        };
        let fault = self.blame(pair, window, fault).await;
        self.fail(pair, window, tries, fault).await;
    }

    /// Adds to an error about the encoding of a text the column that holds it.
    async fn blame(&mut self, pair: PairIndex, window: Window, fault: Fault) -> Fault {
        if fault.side != Side::Source || !blame::is_about_encoding(&fault.error) {
            return fault;
        }
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let load = &shared.settings.load;
        let search = async {
            let query = ready.bind(window)?;
            self.connect(pair).await?;
            let Some((_, session)) = &self.source else {
                return Ok(None);
            };
            let timeout = load.statement_timeout;
            blame::column_not_in_utf8(session, &ready.template, &query, timeout)
                .await
                .map_err(Fault::from)
        };
        // Bounded like a COPY that moves nothing: the unit has failed, and others wait for this worker.
        match tokio::time::timeout(load.stall_timeout, search).await {
            Ok(Ok(Some(column))) => Fault {
                error: fault.error.at(format!("column `{column}`")),
                ..fault
            },
            _ => {
                self.end_sessions().await;
                fault
            }
        }
    }

    async fn attempt(
        &mut self,
        pair: PairIndex,
        window: Window,
        errand: Errand,
        replace: bool,
        tries: u32,
    ) -> AfterLoad {
        let stop = self.shared.stop.clone();
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            result = self.haul(pair, window, errand, replace, tries) => Some(result),
        };
        if !matches!(result, Some(Ok(Hauled::Loaded(_) | Hauled::Refreshed(_)))) {
            self.end_sessions().await;
        }
        let shared = Arc::clone(&self.shared);
        let fault = match result {
            None => return After::Interrupted.into(),
            Some(Ok(Hauled::Loaded(days))) => {
                let bytes = days.iter().map(|d| d.tally.bytes).sum();
                shared.queue().loaded(pair, window, bytes);
                shared.loaded(pair, errand.destination, &days, tries);
                return After::Done.into();
            }
            Some(Ok(Hauled::Refreshed(days))) => {
                let bytes = days.iter().map(|d| d.loaded().tally.bytes).sum();
                shared.queue().loaded(pair, window, bytes);
                shared.refreshed(pair, &days, tries);
                return After::Done.into();
            }
            Some(Ok(Hauled::Replace)) => return AfterLoad::Replace,
            Some(Ok(Hauled::Elsewhere(days))) => return AfterLoad::Follow(days),
            Some(Ok(Hauled::AlreadyThere)) => {
                match self.found(pair, window, errand.destination).await {
                    Ok(()) => return After::Done.into(),
                    Err(fault) => fault,
                }
            }
            Some(Ok(Hauled::TooMuch)) => return After::Shorter.into(),
            Some(Err(fault)) => fault,
        };
        tracing::debug!(tenant = %shared.pairs[pair].tenant.name, %window, error = %fault.error, "haul failed");
        let year = matches!(errand.destination, Destination::Year(_));
        let taken = fault.error.sqlstate() == Some("23505");
        if taken && year && window.len() == 1 && errand.work == Work::Load {
            return AfterLoad::AsRefresh;
        }
        what_now(window, fault).into()
    }

    /// Rows moved out of `days`, into the window at hand: these are refreshed first, by this worker, and once, so that each
    /// row ends up in one place.
    async fn follow(&mut self, pair: PairIndex, days: &BTreeSet<Day>) {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        lock(&ready.followed).extend(days);
        for day in days {
            let destination = ready.shape.lock().await.destination(*day);
            self.window(pair, Window::single(*day), Errand::refresh(destination))
                .await;
        }
    }

    async fn haul(
        &mut self,
        pair: PairIndex,
        window: Window,
        errand: Errand,
        replace: bool,
        tries: u32,
    ) -> Result<Hauled, Fault> {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let query = ready.bind(window)?;
        self.connect(pair).await?;
        let (Some((_, source)), Some(warehouse)) = (&self.source, &self.warehouse) else {
            return Err(Error::new(Kind::Bug, "no session").into());
        };
        let load = &shared.settings.load;
        let haul = Haul {
            place: ready.place(),
            entry: shared.entry(pair, i32::try_from(tries).unwrap_or(i32::MAX)),
            window,
            destination: errand.destination,
            query: &query,
            reload: shared.reload,
            statement_timeout: load.statement_timeout,
            stall_timeout: load.stall_timeout,
            budget: load.window_bytes,
        };
        let slot = self.slot;
        let hints = RefreshHints {
            replace,
            followed: lock(&ready.followed).clone(),
        };
        haul.run(source, warehouse, errand.work, &hints, |rows, bytes| {
            shared.observer.event(&Event::Moved { slot, rows, bytes });
        })
        .await
    }

    /// Makes sure that both sessions are there, the source's for this pair's tenant.
    async fn connect(&mut self, pair: PairIndex) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let pairs = &shared.pairs;
        let same_tenant = |other: PairIndex| pairs[other].tenant.name == pairs[pair].tenant.name;
        if !self
            .source
            .as_ref()
            .is_some_and(|(of, s)| same_tenant(*of) && !s.is_closed())
        {
            let session = pg::connect(&pairs[pair].access, Purpose::Source)
                .await
                .map_err(|error| Fault {
                    side: Side::Source,
                    error: error.at("source"),
                })?;
            self.source = Some((pair, session));
        }
        self.warehouse().await?;
        Ok(())
    }

    async fn warehouse(&mut self) -> Result<&Session, Fault> {
        if self.warehouse.as_ref().is_none_or(Session::is_closed) {
            let shared = &self.shared;
            let owner = &shared.settings.warehouse.owner_role;
            let session = warehouse::open_session(&shared.warehouse, owner)
                .await
                .map_err(|error| Fault {
                    side: Side::Warehouse,
                    error: error.at("warehouse"),
                })?;
            self.warehouse = Some(session);
        }
        self.warehouse
            .as_ref()
            .ok_or_else(|| Error::new(Kind::Bug, "no session").into())
    }

    /// After a try that did not end well nobody knows what the sessions are doing: both are ended, and what the source
    /// still computes is cancelled.
    async fn end_sessions(&mut self) {
        let goodbye = async {
            if let Some((_, session)) = self.source.take() {
                session.abort().await;
            }
            if let Some(session) = self.warehouse.take() {
                session.abort().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), goodbye)
            .await
            .is_err()
        {
            tracing::debug!("a server did not answer the request to cancel");
        }
    }

    /// Takes over from the ledger what a try loaded whose commit's answer was lost.
    async fn found(
        &mut self,
        pair: PairIndex,
        window: Window,
        destination: Destination,
    ) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let entry = shared.entry(pair, 1);
        let warehouse = self.warehouse().await?;
        let days = ledger::found(warehouse, &entry, window)
            .await
            .map_err(|error| Fault {
                side: Side::Warehouse,
                error,
            })?;
        let bytes = days.iter().map(|d| d.tally.bytes).sum();
        shared.queue().loaded(pair, window, bytes);
        shared.loaded(pair, destination, &days, 1);
        Ok(())
    }

    /// The window failed for good: ledger, report, circuit.
    async fn fail(&mut self, pair: PairIndex, window: Window, tries: u32, fault: Fault) {
        let shared = Arc::clone(&self.shared);
        let entry = shared.entry(pair, i32::try_from(tries).unwrap_or(i32::MAX));
        let message = fault.error.to_string();
        let unreachable = fault.error.kind() == Kind::Connect;
        if fault.side != Side::Warehouse || !unreachable {
            let recorded = match self.warehouse().await {
                Ok(session) => ledger::fail(session, &entry, window.days(), &message).await,
                Err(fault) => Err(fault.error),
            };
            if let Err(error) = recorded {
                shared.observer.event(&Event::Warning(format!(
                    "the failure of {window} could not be written into the ledger: {error}"
                )));
            }
        }
        shared.report_days(pair, window.days(), Outcome::Failed, tries);
        let side = fault.side;
        shared.add_failure(pair, vec![window], fault.error, false);
        let dropped = {
            let mut queue = shared.queue();
            if unreachable && side == Side::Warehouse {
                queue.failed(pair, window, false);
                queue.open_for_all()
            } else {
                queue.failed(pair, window, unreachable)
            }
        };
        if !dropped.is_empty() {
            let why = format!("not tried after other failures, the last: {message}");
            shared.not_tried(dropped, &why, Kind::Refused);
        }
    }

    /// Builds and reveals a year whose windows are through.
    async fn year(&mut self, pair: PairIndex, year: i32) {
        let stop = self.shared.stop.clone();
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let mut waits = retry::of_window();
        let error = loop {
            let result = tokio::select! {
                biased;
                () = stop.cancelled() => Err(Error::new(Kind::Interrupted, lock(&self.shared.stopped).as_str())),
                result = self.build_year(pair, year) => result,
            };
            let Err(error) = result else { return };
            self.end_sessions().await;
            let replaces = ready.shape.lock().await.rebuilding.contains(&year);
            if error.sqlstate() == Some("23505")
                && !replaces
                && self.set_duplicates_aside(pair, year, &error).await
            {
                continue;
            }
            match waits.next() {
                Some(wait) if error.is_transient() => tokio::time::sleep(wait).await,
                _ => break error,
            }
        };
        let error = error.at(format!("building year {year}")).with_hint(
            "its rows are kept in the staging table; run the same command again to go on",
        );
        self.year_failed(pair, year, error).await;
    }

    /// After the unique index of a staged year met its match: fails the days that hold such rows. Whether there are any.
    async fn set_duplicates_aside(&mut self, pair: PairIndex, year: i32, error: &Error) -> bool {
        let shared = Arc::clone(&self.shared);
        let place = shared.pairs[pair].place();
        let entry = shared.entry(pair, 1);
        let aside = async {
            let session = self.warehouse().await.map_err(|fault| fault.error)?;
            let build = shared.year_build();
            let days = warehouse::set_duplicates_aside(session, place, year, build).await?;
            ledger::fail(session, &entry, days.iter().copied(), error.message()).await?;
            Ok::<_, Error>(days)
        };
        let days = match aside.await {
            Ok(days) => days,
            Err(error) => {
                tracing::warn!(%error, "days with duplicate rows could not be set aside");
                return false;
            }
        };
        if days.is_empty() {
            return false;
        }
        let asked = &shared.pairs[pair].asked;
        let asked = days.iter().copied().filter(|d| asked.contains(d));
        shared.report_days(pair, asked, Outcome::Failed, 1);
        let windows = runs_of(days.iter().copied(), |_| ());
        let mut told =
            Error::new(error.kind(), error.message()).at(format!("building year {year}"));
        if let Some(code) = error.sqlstate() {
            told = told.with_sqlstate(code, false);
        }
        if let Some(hint) = error.hint() {
            told = told.with_hint(hint);
        }
        let windows = windows.into_iter().map(|(_, window)| window).collect();
        shared.add_failure(pair, windows, told, false);
        true
    }

    async fn year_failed(&mut self, pair: PairIndex, year: i32, error: Error) {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let days: Vec<Day> = {
            let reported = lock(&shared.outcomes);
            let done: BTreeSet<Day> = reported
                .units
                .iter()
                .filter(|u| {
                    u.unit.tenant == ready.tenant.name && u.unit.template == ready.template.name
                })
                .map(|u| u.unit.day)
                .collect();
            let mine = |day: &Day| day.year() == year && !done.contains(day);
            ready
                .load
                .iter()
                .chain(ready.staged.keys())
                .copied()
                .filter(mine)
                .collect()
        };
        let interrupted = error.kind() == Kind::Interrupted;
        let outcome = if interrupted {
            Outcome::NotTried
        } else {
            Outcome::Failed
        };
        let windows = runs_of(days.iter().copied().collect::<BTreeSet<_>>(), |_| ())
            .into_iter()
            .map(|(_, window)| window)
            .collect();
        shared.report_days(pair, days, outcome, 1);
        shared.add_failure(pair, windows, error, interrupted);
    }

    async fn build_year(&mut self, pair: PairIndex, year: i32) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let session = self.warehouse().await.map_err(|fault| fault.error)?;
        let build = shared.year_build();
        let stage = |what: &str| {
            shared.observer.event(&Event::Stage {
                tenant: ready.tenant.name.clone(),
                template: ready.template.name.clone(),
                what: format!("{year}: {what}"),
            });
        };
        let revealed =
            warehouse::build_year(session, ready.place(), &ready.shape, year, build, stage).await?;
        let left =
            warehouse::drop_retired(session, ready.place(), shared.run, build.lock_timeout).await?;
        for table in left {
            shared.observer.event(&Event::Warning(format!(
                "`{}.{table}` is still read; the next run drops it",
                ready.tenant.schema
            )));
        }
        let relation = format!(
            "{}.{}",
            ready.tenant.schema,
            warehouse::year_table(&ready.template.name, year)
        );
        let days: Vec<LoadedDay> = revealed
            .into_iter()
            .filter(|(day, _): &(Day, Tally)| ready.asked.contains(day))
            .map(|(day, tally)| LoadedDay {
                day,
                tally,
                relation: relation.clone(),
            })
            .collect();
        shared.report_loaded(pair, &days, 1);
        Ok(())
    }
}

/// Retry, split or give up: SQLSTATE and kind decide.
pub(super) fn what_now(window: Window, fault: Fault) -> After {
    let error = &fault.error;
    if fault.side == Side::Source && window.len() > 1 {
        // Shorter queries pass where longer ones were cancelled.
        if pg::sqlstate::is_recovery_conflict(error) || error.sqlstate() == Some("57014") {
            return After::Shorter;
        }
    }
    if error.is_transient() {
        return After::Retry(fault);
    }
    if let Some(bad) = error.day()
        && window.len() > 1
        && window.contains(bad)
    {
        return After::Pieces(around(window, bad));
    }
    // Rows that are not the window's, or a value that one side cannot take: find the day, and load the others.
    let about_rows = error.kind() == Kind::Data
        || error
            .sqlstate()
            .is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
    match window.halves() {
        Some((first, second)) if about_rows => After::Pieces(vec![first, second]),
        _ => After::Failed(fault),
    }
}

/// The window without `bad`, and `bad` by itself.
fn around(window: Window, bad: Day) -> Vec<Window> {
    let mut pieces = Vec::with_capacity(3);
    if window.from < bad {
        pieces.push(Window::new(window.from, bad));
    }
    pieces.push(Window::single(bad));
    if bad.next() < window.to {
        pieces.push(Window::new(bad.next(), window.to));
    }
    pieces
}
