//! Where a pair's rows come from: its tenant, which is contacted in the session that will read its windows, or files.

use super::pair::{self, FoundPath, RowSource};
use super::prepare::PlannedPair;
use super::request::Request;
use super::requested_days::can_land;
use super::worker::LoadWorker;
use crate::catalog::registry::search_paths;
use crate::catalog::registry::windows::Windows;
use crate::catalog::{Pair, Tenant};
use crate::engine::schedule::retry;
use crate::engine::window::landing::To;
use crate::engine::window::window_check::{self, WindowCheck};
use crate::error::{Kind, Result};
use crate::pg::Access;
use crate::pg::settings::search_path::list;
use crate::unit::{Day, Window};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether a pair's tenant is to be contacted.
pub fn is_at_source(request: &Request, planned: &PlannedPair) -> bool {
    let days = &planned.days;
    let all_there = !request.makes_lost_tables() && days.has_sourceless() && !days.needs_source();
    !all_there && !matches!(request, Request::Land { .. } | Request::Restore(_))
}

/// The days for which a source would have been needed: they are reported, and not tried. What can land from the warehouse
/// does so; it stays unsettled.
pub fn take_days_of_source(planned: &mut PlannedPair, to: To) -> BTreeSet<Day> {
    let mut left = std::mem::take(&mut planned.days.load);
    for day in std::mem::take(&mut planned.days.refresh) {
        let lands = planned
            .known
            .get(&day)
            .is_some_and(|unit| can_land(unit, to));
        let days = if lands {
            &mut planned.days.land
        } else {
            &mut left
        };
        days.insert(day);
    }
    left
}

impl LoadWorker {
    /// What is to be read. A tenant's query is described there; the session stays open.
    pub async fn find_source(&mut self, planned: &mut PlannedPair) -> Result<RowSource> {
        let run = Arc::clone(&self.run);
        let request = &run.context.request;
        if let Request::Restore(restoring) = request {
            // A restore never contacts a tenant.
            return Ok(RowSource::Files(Box::new(restoring.files(&planned.pair)?)));
        }
        if !is_at_source(request, planned) {
            return Ok(RowSource::Nobody);
        }
        let found = self.contact(planned).await;
        if found.is_err() {
            self.sessions.abort_source().await;
        }
        if let Err(error) = &found
            && error.kind() == Kind::Connect
        {
            let tenant = planned.pair.tenant.name.clone();
            run.outcomes.lock().unreachable.insert(tenant);
        }
        found
    }

    async fn contact(&mut self, planned: &mut PlannedPair) -> Result<RowSource> {
        let run = Arc::clone(&self.run);
        let context = &run.context;
        let access = pair::access(&planned.pair.tenant, &context.settings).await?;
        let probe = Window::single(context.request.probe(context.options.today));
        let path = retry::a_few_times(async || {
            let checked = self.check_at_source(&planned.pair, &access, probe).await;
            if checked.is_err() {
                self.sessions.abort_source().await;
            }
            checked
        })
        .await?;
        if let FoundPath::New(path) = &path {
            planned.pair.tenant.search_path = path.clone();
        }
        self.settle_path(&planned.pair.tenant, path).await?;
        self.check_windows(planned, &access).await?;
        Ok(RowSource::Tenant(access))
    }

    async fn check_at_source(
        &mut self,
        pair: &Pair,
        access: &Access,
        probe: Window,
    ) -> Result<FoundPath> {
        let session = self.sessions.source(access).await?;
        pair::check_at_source(pair, session, probe, &self.run.context.settings).await
    }

    /// Records the search path of a tenant that had none, before its rows are read with it. One whose days were read with
    /// `public` keeps it: that is said.
    async fn settle_path(&mut self, tenant: &Tenant, path: FoundPath) -> Result<()> {
        match path {
            FoundPath::Known => {}
            FoundPath::New(path) => {
                let session = self.warehouse().await?;
                search_paths::record(session, &tenant.name, &path).await?;
            }
            FoundPath::Other(login) => self.run.outcomes.notes.add(format!(
                "{0}: its queries find tables in schema `public` alone, as in earlier versions of Dayhaul, but its login has \
                 the search path `{1}`; choose one with `dayhaul tenant set {0} --search-path public` or \
                 `dayhaul tenant set {0} --search-path '{1}'`",
                tenant.name,
                list(&login)
            )),
        }
        Ok(())
    }

    /// Before days are fetched together for the first time, a few of them are compared with what they are alone.
    async fn check_windows(&mut self, planned: &mut PlannedPair, access: &Access) -> Result<()> {
        let run = Arc::clone(&self.run);
        let pair = &planned.pair;
        if pair.template.one_day_windows || pair.windows.is_some() {
            return Ok(());
        }
        let lost = run.context.request.makes_lost_tables();
        let Some(days) = planned.read_at_source(lost).filter(|days| days.len() > 1) else {
            return Ok(());
        };
        let pair = &mut planned.pair;
        let (sessions, settings) = (&mut self.sessions, &run.context.settings);
        match window_check::check_windows(pair, sessions, access, days, settings).await? {
            WindowCheck::Found(windows) => {
                pair.windows = Some(windows);
                planned.windows = Some(windows);
            }
            WindowCheck::Differs(error) => return Err(error),
            WindowCheck::NothingToCompare => {}
            WindowCheck::Unknown(error) => {
                tracing::info!(
                    tenant = %pair.tenant.name,
                    template = %pair.template.name,
                    %error,
                    "windows could not be compared with their days; this run fetches days one by one"
                );
                // For this run alone.
                pair.windows = Some(Windows::ByDay);
            }
        }
        Ok(())
    }
}
