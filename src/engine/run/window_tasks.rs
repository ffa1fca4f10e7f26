//! The tasks of a window, and what follows a try.

use super::pair::PreparedPair;
use super::worker::LoadWorker;
use crate::catalog::ledger::objects;
use crate::catalog::ledger::rows::{self, Ledger};
use crate::engine::report::event::Event;
use crate::engine::schedule::next_step::{NextStep, after_failed_try, after_too_large};
use crate::engine::schedule::queue::Job;
use crate::engine::schedule::task::{QueueTask, Refresh, Task};
use crate::engine::window::context::RefreshContext;
use crate::engine::window::encoding_probe;
use crate::engine::window::landing::FromWarehouse;
use crate::engine::window::outcome::{DoneDays, WindowOutcome};
use crate::error::{Error, Kind, Result, Side};
use crate::unit::{Day, Window};
use crate::warehouse::Destination;
use std::collections::BTreeSet;
use std::sync::Arc;

impl LoadWorker {
    pub fn window_started(&self, job: &Job<Task>) {
        let pair = &self.run.pair(job.pair).pair;
        self.run.outcomes.event(&Event::WindowStarted {
            slot: self.slot,
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            window: job.window,
        });
    }

    pub fn window_ended(&self) {
        let slot = self.slot;
        self.run.outcomes.event(&Event::WindowEnded { slot });
    }

    pub async fn load(
        &mut self,
        job: &Job<Task>,
        tries: u32,
        destination: Destination,
    ) -> Result<WindowOutcome> {
        let run = Arc::clone(&self.run);
        let progress = run.progress(self.slot);
        let (source, warehouse) = self.connect(job.pair).await?;
        let window = run.window_load(job, tries, destination, &progress);
        match run.large_day(job) {
            Some(large) => {
                let loaded = window.load_large_day(large, source, warehouse);
                run.watch(&progress, loaded).await
            }
            None => run.watch(&progress, window.load(source, warehouse)).await,
        }
    }

    pub async fn refresh(
        &mut self,
        job: &Job<Task>,
        tries: u32,
        refresh: &Refresh,
    ) -> Result<WindowOutcome> {
        let run = Arc::clone(&self.run);
        let pair = run.pair(job.pair);
        let progress = run.progress(self.slot);
        let destination = pair.state.shape.lock().await.destination(job.window.from);
        self.find_files(pair, job.window, refresh).await?;
        let (source, warehouse) = self.connect(job.pair).await?;
        let window = run.window_load(job, tries, destination, &progress);
        if refresh.replace {
            return run
                .watch(&progress, window.replace(source, warehouse))
                .await;
        }
        let mut with = Vec::with_capacity(refresh.with.len());
        for day in &refresh.with {
            let destination = pair.state.shape.lock().await.destination(*day);
            with.push(window.of(Window::single(*day), destination));
        }
        let has_others = run.pool.queue().has_others(job.pair, job.window);
        let context = RefreshContext {
            refresh,
            done_separately: pair.state.done_separately(),
            with: &with,
            may_wait: !refresh.separate && pair.state.may_wait(has_others),
        };
        let refreshed = window.refresh(source, warehouse, &context);
        run.watch(&progress, refreshed).await
    }

    /// Looks up the files of days that were not requested: their rows moved.
    async fn find_files(
        &mut self,
        pair: &PreparedPair,
        window: Window,
        refresh: &Refresh,
    ) -> Result<()> {
        let (requested, landed) = (&pair.days.requested, &pair.state.landed);
        let days = window.days().chain(refresh.with.iter().copied());
        let is_unknown = |day: &Day| !requested.contains(day) && landed.get(*day).is_none();
        let unknown: Vec<Day> = days.filter(is_unknown).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let (tenant, template) = (&pair.pair.tenant.name, &pair.pair.template.name);
        let units = objects::units_of(self.warehouse().await?, tenant, template, unknown).await?;
        for (day, unit) in units {
            if let Some(object) = unit.object {
                landed.found(day, object);
            }
        }
        Ok(())
    }

    pub async fn restore(
        &mut self,
        job: &Job<Task>,
        tries: u32,
        destination: Destination,
        with: &BTreeSet<Day>,
    ) -> Result<WindowOutcome> {
        let run = Arc::clone(&self.run);
        let pair = run.pair(job.pair);
        let progress = run.progress(self.slot);
        let warehouse = self.warehouse().await?;
        let window = run.window_load(job, tries, destination, &progress);
        let restored = window.restore(pair.files()?, with, warehouse, &pair.state.landed);
        run.watch(&progress, restored).await
    }

    pub async fn files_only(&mut self, job: &Job<Task>, tries: u32) -> Result<WindowOutcome> {
        let run = Arc::clone(&self.run);
        let lake = run.lake(job.pair).ok_or_else(no_landing)?;
        let progress = run.progress(self.slot);
        let (source, warehouse) = self.connect(job.pair).await?;
        let window = run.window_load(job, tries, Destination::DayTable, &progress);
        let landed = window.land_alone(lake, source, warehouse);
        run.watch(&progress, landed).await
    }

    /// Lands days from the warehouse.
    pub async fn land(
        &mut self,
        job: &Job<Task>,
        tries: u32,
        staged_year: Option<i32>,
    ) -> Result<WindowOutcome> {
        let run = Arc::clone(&self.run);
        let lake = run.lake(job.pair).ok_or_else(no_landing)?;
        let progress = run.progress(self.slot);
        let warehouse = self.warehouse().await?;
        let land = FromWarehouse {
            place: run.pair(job.pair).place(),
            entry: run.entry(job.pair, tries),
            lake,
            window: job.window,
            destination: staged_year.map_or(Destination::DayTable, Destination::Staging),
            rewrite: run.context.request.rewrite(),
            progress: &progress,
        };
        run.watch(&progress, land.land(warehouse)).await
    }

    /// What follows a try.
    pub async fn after_window(
        &mut self,
        job: &Job<Task>,
        tries: u32,
        outcome: Result<WindowOutcome>,
    ) -> NextStep<Task> {
        match outcome {
            Ok(WindowOutcome::Done(_)) => self.sessions.rest(),
            _ => self.sessions.end().await,
        }
        let error = match outcome {
            Ok(WindowOutcome::Done(done)) => return self.done(job, tries, done),
            Ok(WindowOutcome::Split(pieces)) => return NextStep::Split(pieces),
            Ok(WindowOutcome::RefreshAs(refresh)) => {
                return NextStep::Again(Task::Refresh(refresh));
            }
            Ok(WindowOutcome::RestoreWith(with)) => {
                let destination = Destination::Year(job.window.from.year());
                return NextStep::Again(Task::Restore { destination, with });
            }
            Ok(WindowOutcome::TooLarge) => {
                let separately = Self::separately(job);
                let step = after_too_large(&job.task, job.window, separately);
                return self.noted(job, step);
            }
            Ok(WindowOutcome::AlreadyLoaded) if self.run.context.landing.is_some() => {
                // Their rows are loaded, but their files may be missing.
                let staged_year = job.task.staged_year();
                return NextStep::PutBackAs(Task::LandFromWarehouse { staged_year });
            }
            Ok(WindowOutcome::AlreadyLoaded) => match self.found(job).await {
                Ok(done) => return self.done(job, 1, done),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let tenant = &self.run.pair(job.pair).pair.tenant.name;
        tracing::debug!(%tenant, window = %job.window, trouble = error.trouble().as_str(), %error, "a try failed");
        let error = self.check_root(error).await;
        let separately = Self::separately(job);
        match after_failed_try(&job.task, job.window, tries, error, separately) {
            NextStep::Failed(error) => NextStep::Failed(self.name_column(job, error).await),
            step => self.noted(job, step),
        }
    }

    /// Reports days that are through.
    fn done(&self, job: &Job<Task>, tries: u32, done: DoneDays) -> NextStep<Task> {
        let run = &self.run;
        let pair = run.pair(job.pair);
        let staged_year = job.task.staged_year();
        let of_window = done.days.iter().map(|day| &day.loaded);
        let of_window = of_window.filter(|loaded| job.window.contains(loaded.day));
        let bytes = of_window.map(|loaded| loaded.tally.bytes).sum();
        // The day tables of many new days are left to autovacuum: they are small.
        let new_day_tables = matches!(
            job.task,
            Task::Load {
                destination: Destination::DayTable
            } | Task::Restore {
                destination: Destination::DayTable,
                ..
            }
        );
        if staged_year.is_none() && !(new_day_tables && run.context.loads_new_days()) {
            run.outcomes.changed(done.days.iter());
        }
        let staged = staged_year.is_some();
        run.outcomes
            .window_done(job.pair, pair, &done, staged, tries);
        let without_file = done.days.iter().filter(|day| day.lacks_file);
        let land = Window::runs(without_file.map(|day| day.loaded.day)).into_iter();
        pair.state.let_wait(done.waiting);
        NextStep::Done {
            bytes,
            more: land
                .map(|window| (Task::LandFromWarehouse { staged_year }, window))
                .collect(),
        }
    }

    /// Reads from the ledger what an earlier try loaded: its commit succeeded, but the answer was lost.
    async fn found(&mut self, job: &Job<Task>) -> Result<DoneDays> {
        let run = Arc::clone(&self.run);
        let entry = run.entry(job.pair, 1);
        let warehouse = self.warehouse().await?;
        let ledger = match job.task.staged_year() {
            Some(_) => Ledger::Staged,
            None => Ledger::Units,
        };
        let days = rows::found(warehouse, &entry, ledger, job.window).await?;
        Ok(DoneDays::loaded(days))
    }

    /// The days that are refreshed with a window, each by itself.
    fn separately(job: &Job<Task>) -> Vec<(Task, Window)> {
        let Task::Refresh(refresh) = &job.task else {
            return Vec::new();
        };
        let mut tasks = Vec::with_capacity(refresh.with.len());
        for day in &refresh.with {
            let task = Task::Refresh(Refresh {
                separate: true,
                ..Refresh::default()
            });
            tasks.push((task, Window::single(*day)));
        }
        tasks
    }

    /// Remembers the days that are refreshed before the window. Each is refreshed once, so that each row ends up in one
    /// place. For a moment it is in none.
    fn noted(&self, job: &Job<Task>, step: NextStep<Task>) -> NextStep<Task> {
        if let NextStep::After { first, .. } = &step {
            let days = first.iter().flat_map(|(_, window)| window.days());
            let state = &self.run.pair(job.pair).state;
            state.refreshed_separately(days);
        }
        step
    }

    /// Adds the column to an error about the encoding of a text.
    async fn name_column(&mut self, job: &Job<Task>, error: Error) -> Error {
        if error.side() != Some(Side::Source) || !encoding_probe::is_about_encoding(&error) {
            return error;
        }
        let run = Arc::clone(&self.run);
        let pair = run.pair(job.pair);
        let load = &run.context.settings.load;
        let search = async {
            let query = pair.query(job.window)?;
            let (session, _) = self.connect(job.pair).await?;
            let transaction = pair.pair.tenant.transaction(load.statement_timeout);
            let template = &pair.pair.template;
            encoding_probe::column_not_in_utf8(session, template, &query, transaction).await
        };
        // Bounded like a COPY that moves nothing: the unit has failed, and others wait for this worker.
        let found = tokio::time::timeout(load.stall_timeout, search).await;
        self.sessions.end().await;
        match found {
            Ok(Ok(Some(column))) => error.at(format!("column `{column}`")),
            _ => error,
        }
    }

    /// Distinguishes a file that cannot be written from a root that cannot be written at all: then nothing can be landed.
    async fn check_root(&self, error: Error) -> Error {
        let Some(landing) = &self.run.context.landing else {
            return error;
        };
        if error.side() != Some(Side::Landing) || error.kind() != Kind::Io {
            return error;
        }
        match landing.check_writable().await {
            Ok(()) => error,
            Err(root) => {
                let error = Error::new(Kind::Connect, root.to_string()).on(Side::Landing);
                match root.hint() {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
        }
    }
}

fn no_landing() -> Error {
    Error::new(Kind::Bug, "no landing URL is configured")
}
