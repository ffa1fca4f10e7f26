//! A worker: takes jobs from the queue until none is left.

use super::pair::Source;
use super::shared::{Shared, lock};
use crate::catalog::ledger::{staged, units};
use crate::engine::report::event::Event;
use crate::engine::report::window_outcome::{Fault, Hauled, Refreshed, Side};
use crate::engine::schedule::next_step::{After, what_now};
use crate::engine::schedule::queue::{Job, Next, PairIndex};
use crate::engine::schedule::retry;
use crate::engine::schedule::sessions::Sessions;
use crate::engine::schedule::task::{Errand, Work};
use crate::engine::window::landing::FromWarehouse;
use crate::engine::window::load::{Haul, RefreshHints};
use crate::engine::window::moved_rows::Asking;
use crate::error::{Error, Kind};
use crate::pg::Session;
use crate::unit::{Day, Window};
use crate::warehouse::Destination;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// What to do after a try to load or refresh.
enum AfterLoad {
    After(After),
    /// Fetch it again, and replace what is there.
    Replace,
    /// Refresh it instead of loading it: its keys stand in other days.
    AsRefresh,
    /// Refresh these days with it: rows moved from there.
    With(BTreeSet<Day>),
    /// First refresh the days that were to go with it, each by itself: together it does not work.
    Apart,
}

impl From<After> for AfterLoad {
    fn from(after: After) -> AfterLoad {
        AfterLoad::After(after)
    }
}

pub struct Worker {
    pub shared: Arc<Shared>,
    slot: usize,
    /// A day is refreshed by itself that was to go together with others: it waits for nobody.
    apart: bool,
    pub sessions: Sessions,
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
            sessions: Sessions::durable(shared.landing.is_some()),
            shared,
            slot,
            apart: false,
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
        let mut with = match errand.work {
            Work::Refresh => shared.pairs[pair].waited_with(window),
            _ => BTreeSet::new(),
        };
        let fault = loop {
            tries += 1;
            shared.observer.event(&Event::WindowStarted {
                slot: self.slot,
                tenant: place.tenant.clone(),
                template: place.template.name.clone(),
                window,
            });
            let after = self
                .attempt(pair, window, errand, (replace, &with), tries)
                .await;
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
                    let errand = Work::Refresh.on(errand.destination);
                    return shared.queue().put_back_as(pair, window, errand);
                }
                AfterLoad::Replace => replace = true,
                AfterLoad::With(days) => with.extend(days),
                AfterLoad::Apart => Box::pin(self.follow(pair, std::mem::take(&mut with))).await,
                // Which of them is to blame, each will tell by itself.
                AfterLoad::After(After::Failed(_)) if !with.is_empty() => {
                    Box::pin(self.follow(pair, std::mem::take(&mut with))).await;
                }
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

    async fn attempt(
        &mut self,
        pair: PairIndex,
        window: Window,
        errand: Errand,
        (replace, with): (bool, &BTreeSet<Day>),
        tries: u32,
    ) -> AfterLoad {
        let stop = self.shared.stop.clone();
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            result = self.haul(pair, window, errand, (replace, with), tries) => Some(result),
        };
        if !matches!(
            result,
            Some(Ok(Hauled::Loaded(_)
                | Hauled::Refreshed(_)
                | Hauled::Waiting(..)))
        ) {
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
                if replace {
                    shared.loaded_unseen(pair, days.iter().map(Refreshed::loaded));
                }
                self.refreshed(pair, window, errand, days, tries);
                return After::Done.into();
            }
            Some(Ok(Hauled::Waiting(days, waiting))) => {
                lock(&shared.pairs[pair].waiting).extend(waiting);
                self.refreshed(pair, window, errand, days, tries);
                return After::Done.into();
            }
            Some(Ok(Hauled::Replace)) => return AfterLoad::Replace,
            Some(Ok(Hauled::Elsewhere(days))) => return AfterLoad::With(days),
            Some(Ok(Hauled::AlreadyThere)) if shared.landing.is_some() => {
                // The rows, that is: their files may be missing.
                let land = Work::Land.on(errand.destination);
                shared.queue().put_back_as(pair, window, land);
                return After::Done.into();
            }
            Some(Ok(Hauled::AlreadyThere)) => {
                match self.found(pair, window, errand.destination).await {
                    Ok(()) => return After::Done.into(),
                    Err(fault) => fault,
                }
            }
            Some(Ok(Hauled::TooMuch)) if window.len() == 1 && !with.is_empty() => {
                return AfterLoad::Apart;
            }
            Some(Ok(Hauled::TooMuch)) => return After::Shorter.into(),
            Some(Ok(Hauled::Pieces(pieces))) => return After::Pieces(pieces).into(),
            Some(Err(fault)) => fault,
        };
        tracing::debug!(tenant = %shared.pairs[pair].tenant.name, %window, error = %fault.error, "haul failed");
        let year = matches!(errand.destination, Destination::Year(_));
        let taken = fault.error.sqlstate() == Some("23505");
        if taken && year && window.len() == 1 && errand.work == Work::Load {
            return AfterLoad::AsRefresh;
        }
        what_now(window, self.look_at_root(fault).await).into()
    }

    fn refreshed(
        &self,
        pair: PairIndex,
        window: Window,
        errand: Errand,
        days: Vec<Refreshed>,
        tries: u32,
    ) {
        let of_window = days.iter().map(Refreshed::loaded);
        let of_window = of_window.filter(|loaded| window.contains(loaded.day));
        let bytes = of_window.map(|loaded| loaded.tally.bytes).sum();
        let (unlanded, days): (Vec<Refreshed>, Vec<Refreshed>) = days
            .into_iter()
            .partition(|day| matches!(day, Refreshed::Unlanded(_)));
        let unlanded = unlanded.iter().map(|day| day.loaded().day);
        let mut queue = self.shared.queue();
        queue.loaded(pair, window, bytes);
        let land = Work::Land.on(errand.destination);
        queue.add(pair, land, &Window::runs(unlanded));
        drop(queue);
        self.shared
            .refreshed(pair, errand.destination, &days, tries);
    }

    /// Refreshes days out of which rows moved into the window at hand, before it, and once, so that each row ends up in
    /// one place. For a moment it stands in none.
    async fn follow(&mut self, pair: PairIndex, days: BTreeSet<Day>) {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        lock(&ready.followed).extend(&days);
        self.apart = true;
        for day in days {
            let destination = ready.shape.lock().await.destination(day);
            self.window(pair, Window::single(day), Work::Refresh.on(destination))
                .await;
        }
        self.apart = false;
    }

    async fn haul(
        &mut self,
        pair: PairIndex,
        window: Window,
        errand: Errand,
        (replace, with): (bool, &BTreeSet<Day>),
        tries: u32,
    ) -> Result<Hauled, Fault> {
        if errand.work == Work::Land {
            return self.land(pair, window, errand.destination, tries).await;
        }
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let query = match ready.source {
            Source::Tenant(_) => ready.bind(window)?,
            Source::Files(_) | Source::Nobody => String::new(),
        };
        self.connect(pair).await?;
        let (source, Some(warehouse)) = self.sessions.opened() else {
            return Err(Error::new(Kind::Bug, "no session").into());
        };
        let load = &shared.settings.load;
        if tries > 1 {
            shared.queue().pulls_again(pair, window);
        }
        let pulled = || {
            shared.queue().pulled(pair, window);
            shared.changed.notify_waiters();
        };
        let haul = Haul {
            place: ready.place(),
            entry: shared.entry(pair, i32::try_from(tries).unwrap_or(i32::MAX)),
            window,
            destination: errand.destination,
            query: &query,
            masks: shared.settings.masks.as_ref(),
            reload: shared.reload,
            statement_timeout: load.statement_timeout,
            stall_timeout: load.stall_timeout,
            budget: load.window_bytes,
            lake: shared.lake(pair),
            pulled: &pulled,
        };
        let mut beside = Vec::with_capacity(with.len());
        for day in with {
            let destination = ready.shape.lock().await.destination(*day);
            beside.push((*day, destination, ready.bind(Window::single(*day))?));
        }
        let beside: Vec<Haul<'_>> = beside
            .iter()
            .map(|(day, destination, query)| Haul {
                window: Window::single(*day),
                destination: *destination,
                query,
                ..haul
            })
            .collect();
        let slot = self.slot;
        let asking = Asking {
            bind: &|window| ready.bind(window),
            warn: &|note| shared.warn(note),
        };
        let hints = RefreshHints {
            replace,
            apart: self.apart,
            followed: lock(&ready.followed).clone(),
            with: &beside,
            patient: !self.apart && ready.may_wait(shared.queue().has_others(pair, window)),
            asking,
        };
        let moved = |rows, bytes| {
            shared.observer.event(&Event::Moved { slot, rows, bytes });
        };
        match (&ready.source, source) {
            (Source::Files(files), _) => {
                let warn = |note| shared.warn(note);
                haul.restore(files, warehouse, &ready.landed, warn, moved)
                    .await
            }
            (Source::Tenant(_), Some(source)) => {
                haul.run(source, warehouse, errand.work, &hints, moved)
                    .await
            }
            (Source::Tenant(_) | Source::Nobody, _) => {
                Err(Error::new(Kind::Bug, "no session").into())
            }
        }
    }

    /// Lands days from the warehouse.
    async fn land(
        &mut self,
        pair: PairIndex,
        window: Window,
        destination: Destination,
        tries: u32,
    ) -> Result<Hauled, Fault> {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let Some(lake) = shared.lake(pair) else {
            return Err(Error::new(Kind::Bug, "nobody said where files go").into());
        };
        let slot = self.slot;
        let warehouse = self.warehouse().await?;
        let land = FromWarehouse {
            place: ready.place(),
            entry: shared.entry(pair, i32::try_from(tries).unwrap_or(i32::MAX)),
            lake,
            window,
            destination,
            rewrite: shared.rewrite,
            stall_timeout: shared.settings.load.stall_timeout,
        };
        land.run(warehouse, |rows, bytes| {
            shared.observer.event(&Event::Moved { slot, rows, bytes });
        })
        .await
    }

    /// Makes sure that both sessions are there, the source's for this pair's tenant.
    pub async fn connect(&mut self, pair: PairIndex) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        if let Source::Tenant(access) = &ready.source {
            self.sessions.source(&ready.tenant.name, access).await?;
        }
        self.warehouse().await?;
        Ok(())
    }

    pub async fn warehouse(&mut self) -> Result<&Session, Fault> {
        let shared = &self.shared;
        let owner = &shared.settings.warehouse.owner_role;
        self.sessions.warehouse(&shared.warehouse, owner).await
    }

    /// To be called after every try that did not end well.
    pub async fn end_sessions(&mut self) {
        self.sessions.end().await;
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
        let days = match destination {
            Destination::Staging(_) => staged::found(warehouse, &entry, window).await,
            _ => units::found(warehouse, &entry, window).await,
        };
        let days = days.map_err(|error| Fault {
            side: Side::Warehouse,
            error,
        })?;
        let bytes = days.iter().map(|d| d.tally.bytes).sum();
        shared.queue().loaded(pair, window, bytes);
        shared.loaded(pair, destination, &days, 1);
        Ok(())
    }
}
