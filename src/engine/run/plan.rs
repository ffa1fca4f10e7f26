//! The plan of a run: its pairs are locked, the catalog is asked once for all of them, and the days of each are sorted.

use super::context::RunContext;
use super::outcomes::Outcomes;
use super::prepare::PlannedPair;
use super::request::{Options, Request};
use super::sync_days::due_days;
use crate::catalog::Pair;
use crate::catalog::ledger::due::DueDays;
use crate::catalog::ledger::objects;
use crate::engine::locks::lock_holder::LockHolder;
use crate::engine::report::event::Event;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::PairNames;
use crate::warehouse::{Place, pair_tables};

/// Reports that no pair was tried, as the run was interrupted.
pub fn interrupted<T>(context: &RunContext, outcomes: &Outcomes, pairs: &[Pair]) -> Vec<T> {
    for pair in pairs {
        let days = context.request.known_days(pair);
        outcomes.give_up(pair, days, Error::interrupted());
    }
    Vec::new()
}

/// Sorts the days of each pair, once for the whole run.
pub async fn plan(
    context: &RunContext,
    outcomes: &Outcomes,
    locks: &LockHolder,
    pairs: Vec<Pair>,
) -> Result<Vec<PlannedPair>> {
    let mut planned = Vec::with_capacity(pairs.len());
    let session = locks.session();
    let places: Vec<Place<'_>> = pairs.iter().map(Place::of).collect();
    let asked = async {
        let changes = context.changes_tables();
        let tables = pair_tables(session, &places, context.warehouse_context(), changes).await?;
        warn_of_other_roots(context, session, &pairs).await?;
        Ok::<_, Error>((tables, due(context, session, &pairs).await?))
    };
    let (tables, due) = tokio::select! {
        asked = asked => asked?,
        () = context.cancel.cancelled() => return Ok(interrupted(context, outcomes, &pairs)),
    };
    for ((pair, tables), due) in pairs.iter().cloned().zip(tables).zip(due) {
        let (request, options) = (&context.request, context.options);
        let result = tokio::select! {
            planned = PlannedPair::of(session, pair.clone(), tables, due, request, options) => planned,
            () = context.cancel.cancelled() => Err(Error::interrupted()),
        };
        match result {
            Ok(plan) => {
                note_missing_days(context, outcomes, &plan);
                outcomes.expect(&plan.pair, &plan.days.to_do());
                planned.push(plan);
            }
            Err(error) if session.is_closed() => return Err(error),
            Err(error) => outcomes.give_up(&pair, context.request.known_days(&pair), error),
        }
    }
    Ok(planned)
}

/// The order in which pairs are worked on. A sync that does not get through all of them begins with the others next time.
pub fn in_order(request: &Request, mut planned: Vec<PlannedPair>) -> Vec<PlannedPair> {
    if matches!(request, Request::Sync(_)) {
        planned.sort_by_key(|plan| plan.tables.state.compared_at);
    }
    planned
}

/// What is due of each pair, if this is a sync.
async fn due(
    context: &RunContext,
    session: &Session,
    pairs: &[Pair],
) -> Result<Vec<Option<DueDays>>> {
    let Request::Sync(sync) = context.request else {
        return Ok(vec![None; pairs.len()]);
    };
    let Options { to, today, .. } = context.options;
    let due = due_days(session, pairs, sync, to, today).await?;
    Ok(due.into_iter().map(Some).collect())
}

/// What was landed elsewhere stays landed: moving a root is the user's decision.
async fn warn_of_other_roots(
    context: &RunContext,
    session: &Session,
    pairs: &[Pair],
) -> Result<()> {
    let Some(landing) = &context.landing else {
        return Ok(());
    };
    let here = format!("{}/", landing.url());
    let names = pairs
        .iter()
        .map(|pair| (&pair.tenant.name, &pair.template.name));
    let names: Vec<PairNames<'_>> = names.collect();
    let counts = objects::under_other_roots(session, &names, &here).await?;
    for ((tenant, template), count) in names.into_iter().zip(counts) {
        if count == 0 {
            continue;
        }
        let days = if count == 1 { "day" } else { "days" };
        context.observer.event(&Event::Warning(format!(
            "{tenant}/{template}: files of {count} {days} are stored under another root than `{}`; \
             `dayhaul land --rewrite` writes them here, too",
            landing.url()
        )));
    }
    Ok(())
}

/// A user who names days to land expects files for all of them: missing ones are reported, although nothing failed.
fn note_missing_days(context: &RunContext, outcomes: &Outcomes, planned: &PlannedPair) {
    let (missing, named) = context.request.lacking(&planned.known);
    if missing == 0 {
        return;
    }
    let are = if named == 1 { "day is" } else { "days are" };
    let (tenant, template) = (&planned.pair.tenant.name, &planned.pair.template.name);
    outcomes.notes.add(format!(
        "{tenant}/{template}: {missing} of {named} {are} not in the warehouse, so no file was written for them; \
         `dayhaul backfill --land --from D --to D` loads and lands them"
    ));
}
