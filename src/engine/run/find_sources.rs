//! Where each pair's rows come from: its tenant, which is contacted, or files.

use super::context::RunContext;
use super::outcomes::Outcomes;
use super::pair::{self, FoundPath, RowSource};
use super::prepare::PlannedPair;
use super::request::Request;
use super::requested_days::can_land;
use crate::catalog::Tenant;
use crate::catalog::registry::search_paths;
use crate::catalog::registry::windows::Windows;
use crate::engine::restore::Restoring;
use crate::engine::window::landing::To;
use crate::engine::window::window_check::{self, WindowCheck};
use crate::error::{Kind, Result};
use crate::pg::settings::search_path::list;
use crate::pg::{Access, Session};
use crate::unit::{Day, Window};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Describes every pair's query at its tenant, several at once. A pair whose rows are all in the warehouse needs no source;
/// without its source, a pair continues with the days that do not need it.
pub async fn find_sources(
    context: &RunContext,
    outcomes: &Outcomes,
    session: &Session,
    pairs: Vec<PlannedPair>,
) -> Vec<(PlannedPair, RowSource)> {
    if let Request::Restore(restoring) = &context.request {
        return find_files(context, outcomes, restoring, pairs);
    }
    // Days of tables that no longer exist are found later.
    let more_to_come = context.request.makes_lost_tables();
    let checks = futures::stream::iter(pairs).map(|mut planned| async move {
        let source = find_source(context, &mut planned).await;
        (planned, source)
    });
    let mut checks = checks.buffered(context.settings.load.jobs.max(1));
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    loop {
        let next = tokio::select! {
            next = checks.next() => next,
            () = context.cancel.cancelled() => None,
        };
        match next {
            None => return found,
            Some((mut planned, looked)) => {
                let looked = match looked {
                    Ok((source, path)) => {
                        let note = settle_path(session, &planned.pair.tenant, path).await;
                        note.map(|note| (source, note))
                    }
                    Err(error) => {
                        if error.kind() == Kind::Connect {
                            let tenant = planned.pair.tenant.name.clone();
                            outcomes.lock().unreachable.insert(tenant);
                        }
                        Err(error)
                    }
                };
                let error = match looked {
                    Ok((source, note)) => {
                        let tenant = &planned.pair.tenant;
                        if let Some(note) = note
                            && told.insert(tenant.name.clone())
                        {
                            outcomes.notes.add(note);
                        }
                        found.push((planned, source));
                        continue;
                    }
                    Err(error) => error,
                };
                let left = take_days_of_source(&mut planned, context.options.to);
                outcomes.expect(&planned.pair, &left);
                outcomes.give_up(&planned.pair, left, error);
                if !more_to_come && planned.days.has_sourceless() {
                    found.push((planned, RowSource::Nobody));
                }
            }
        }
    }
}

/// What is to be read, and what the contact found out about the tenant's search path.
async fn find_source(
    context: &RunContext,
    planned: &mut PlannedPair,
) -> Result<(RowSource, FoundPath)> {
    let (request, settings) = (&context.request, &context.settings);
    let days = &planned.days;
    let all_there = !request.makes_lost_tables() && days.has_sourceless() && !days.needs_source();
    if all_there || matches!(request, Request::Land { .. }) {
        return Ok((RowSource::Nobody, FoundPath::Known));
    }
    let access = pair::access(&planned.pair.tenant, settings).await?;
    let probe = Window::single(request.probe(context.options.today));
    let path = pair::check_at_source(&planned.pair, &access, probe, settings).await?;
    if let FoundPath::New(path) = &path {
        planned.pair.tenant.search_path = path.clone();
    }
    check_windows(context, planned, &access).await?;
    Ok((RowSource::Tenant(access), path))
}

/// Records the search path of a tenant that had none, before its rows are read with it. One whose days were read with
/// `public` keeps it: what is to be told about that is the answer.
async fn settle_path(
    session: &Session,
    tenant: &Tenant,
    path: FoundPath,
) -> Result<Option<String>> {
    match path {
        FoundPath::Known => Ok(None),
        FoundPath::New(path) => {
            search_paths::record(session, &tenant.name, &path).await?;
            Ok(None)
        }
        FoundPath::Other(login) => Ok(Some(format!(
            "{0}: its queries find tables in schema `public` alone, as in earlier versions of Dayhaul, but its login has the \
             search path `{1}`; choose one with `dayhaul tenant set {0} --search-path public` or \
             `dayhaul tenant set {0} --search-path '{1}'`",
            tenant.name,
            list(&login)
        ))),
    }
}

/// Before days are fetched together for the first time, a few of them are compared with what they are alone.
async fn check_windows(
    context: &RunContext,
    planned: &mut PlannedPair,
    access: &Access,
) -> Result<()> {
    let pair = &planned.pair;
    if pair.template.one_day_windows || pair.windows.is_some() {
        return Ok(());
    }
    let lost = context.request.makes_lost_tables();
    let Some(days) = planned.read_at_source(lost).filter(|days| days.len() > 1) else {
        return Ok(());
    };
    let pair = &mut planned.pair;
    match window_check::check_windows(pair, access, days, &context.settings).await? {
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

/// A restore never contacts a tenant.
fn find_files(
    context: &RunContext,
    outcomes: &Outcomes,
    restoring: &Arc<Restoring>,
    pairs: Vec<PlannedPair>,
) -> Vec<(PlannedPair, RowSource)> {
    let mut found = Vec::with_capacity(pairs.len());
    for planned in pairs {
        let pair = &planned.pair;
        match restoring.files(pair) {
            Ok(files) => found.push((planned, RowSource::Files(Box::new(files)))),
            Err(error) => outcomes.give_up(pair, context.request.known_days(pair), error),
        }
    }
    found
}

/// The days for which a source would have been needed: they are reported, and not tried. What can land from the warehouse
/// does so; it stays unsettled.
fn take_days_of_source(planned: &mut PlannedPair, to: To) -> BTreeSet<Day> {
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
