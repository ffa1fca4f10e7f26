//! What a run reports is in the ledger, and every unit is reported.

use super::context::RunContext;
use super::outcomes::Outcomes;
use super::request::DaysByPair;
use crate::catalog::ledger::objects::{self, StoredUnit};
use crate::engine::report::event::{Failure, Outcome, UnitReport};
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName, Unit, Window};
use std::collections::BTreeSet;

/// Checks that the ledger has what was reported as loaded. Loads commit without waiting for the disk: a warehouse that
/// crashed in the meantime may have lost the last of them, rows and ledger together.
///
/// # Errors
/// The warehouse's.
pub async fn check_ledger(session: &Session, outcomes: &Outcomes) -> Result<()> {
    for ((tenant, template), days) in lost_days(session, outcomes).await? {
        let mut collected = outcomes.lock();
        for unit in &mut collected.units {
            let named = unit.unit.tenant == tenant && unit.unit.template == template;
            if named && days.contains(&unit.unit.day) {
                unit.outcome = Outcome::Failed;
            }
        }
        collected.failures.push(Failure {
            tenant,
            template: Some(template),
            windows: days.into_iter().map(Window::single).collect(),
            error: Error::new(
                Kind::Connect,
                "loaded, but lost again: the warehouse crashed before it reached the disk",
            )
            .with_hint("run the same command again: it loads what is missing"),
            not_tried: false,
        });
    }
    Ok(())
}

/// The days that were reported and that the ledger does not have as they were reported.
async fn lost_days(session: &Session, outcomes: &Outcomes) -> Result<DaysByPair> {
    let mut lost = DaysByPair::new();
    let pairs: Vec<_> = outcomes.lock().expected.keys().cloned().collect();
    for (tenant, template) in pairs {
        let reported = |unit: &&UnitReport| {
            let done = matches!(
                unit.outcome,
                Outcome::Loaded | Outcome::Changed | Outcome::Landed
            );
            done && unit.unit.tenant == tenant && unit.unit.template == template
        };
        let days: Vec<Day> = {
            let collected = outcomes.lock();
            let units = collected.units.iter().filter(reported);
            units.map(|unit| unit.unit.day).collect()
        };
        if days.is_empty() {
            continue;
        }
        let found = objects::units_of(session, &tenant, &template, days).await?;
        let missing: BTreeSet<Day> = {
            let collected = outcomes.lock();
            let reported = collected.units.iter().filter(reported);
            let lost = reported.filter(|unit| !is_as_reported(unit, found.get(&unit.unit.day)));
            lost.map(|unit| unit.unit.day).collect()
        };
        if !missing.is_empty() {
            lost.insert((tenant, template), missing);
        }
    }
    Ok(lost)
}

/// Reports the rest: every unit that was not reported was not tried.
pub fn report_rest(context: &RunContext, outcomes: &Outcomes) {
    let (expected, reported) = {
        let collected = outcomes.lock();
        let reported = collected.units.iter().map(|report| report.unit.clone());
        (
            collected.expected.clone(),
            reported.collect::<BTreeSet<_>>(),
        )
    };
    for ((tenant, template), days) in expected {
        let unit = |day| Unit {
            tenant: tenant.clone(),
            template: template.clone(),
            day,
        };
        let mut rest = days;
        rest.retain(|day| !reported.contains(&unit(*day)));
        for day in &rest {
            outcomes.report(UnitReport::new(unit(*day), Outcome::NotTried));
        }
        let pair = (&tenant, &template);
        let (rest, others_failed) = list_with_others(&mut outcomes.lock().failures, pair, rest);
        if rest.is_empty() {
            continue;
        }
        let error = if context.cancel.is_cancelled() {
            Error::interrupted()
        } else if others_failed {
            Error::refused("not shown before days that failed are loaded")
                .with_hint("run the same command again: it loads what is missing")
        } else {
            Error::new(Kind::Bug, "these days were neither loaded nor reported")
                .with_hint("run the same command again: it loads what is missing")
        };
        outcomes.lock().failures.push(Failure {
            tenant,
            template: Some(template),
            windows: Window::runs(rest),
            error,
            not_tried: true,
        });
    }
}

/// Lists the days that no failure of the pair lists: with what was not tried, if something was, because what ended the others
/// ended them, too (staged days wait for the others of their year). Gives the days that are left, and whether others failed.
fn list_with_others(
    failures: &mut [Failure],
    (tenant, template): (&TenantName, &TemplateName),
    mut days: BTreeSet<Day>,
) -> (BTreeSet<Day>, bool) {
    let mut of_pair: Vec<&mut Failure> = failures
        .iter_mut()
        .filter(|f| f.tenant == *tenant && f.template.as_ref().is_none_or(|t| t == template))
        .collect();
    // One without days is about the whole pair.
    if of_pair.iter().any(|f| f.windows.is_empty()) {
        return (BTreeSet::new(), true);
    }
    for failure in &of_pair {
        days.retain(|day| !failure.windows.iter().any(|w| w.contains(*day)));
    }
    match of_pair
        .iter_mut()
        .rev()
        .find(|f| f.not_tried && f.template.is_some())
    {
        Some(failure) => {
            failure.windows.extend(Window::runs(days));
            (BTreeSet::new(), true)
        }
        None => (days, !of_pair.is_empty()),
    }
}

/// Whether the ledger has what a unit was reported with: its rows, and the file that was written of them.
fn is_as_reported(unit: &UnitReport, found: Option<&StoredUnit>) -> bool {
    let Some(found) = found else { return false };
    let written = unit.object.as_ref().is_some_and(|object| object.written);
    let object = found.object.as_ref().map(|o| o.digest.to_string());
    let rows = found.digest.map(|digest| digest.to_string());
    // A day without a table is right if its file is.
    let rows_are = unit.relation.is_none() || (found.loaded && rows == unit.digest);
    rows_are && (!written || object == unit.digest)
}
