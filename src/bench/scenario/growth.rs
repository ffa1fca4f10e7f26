//! How the cost grows with the number of days and tenants.

use super::{Entrant, EntrantRole, RatioBasis, Scenario};
use crate::bench::contestant::dayhaul::{Dayhaul, Variant};
use crate::bench::environment::Environment;
use crate::report::numbers::counted;
use std::collections::BTreeSet;

/// Parts of the whole period, in days of 366.
const DAYS: [usize; 3] = [30, 120, 366];
/// Parts of all tenants, of ten.
const TENANTS: [u16; 3] = [1, 4, 10];

fn scenario(
    name: &'static str,
    title: &str,
    question: &str,
    mut entrants: Vec<Entrant>,
) -> Scenario {
    if let Some(first) = entrants.first_mut() {
        first.role = EntrantRole::Baseline;
    }
    Scenario {
        name,
        title: title.into(),
        question: question.into(),
        compare: RatioBasis::SecondsPerUnit,
        also: &[],
        shared: None,
        entrants,
    }
}

fn entrant(environment: &Environment, days: usize, tenants: u16) -> Entrant {
    let loader = Dayhaul::backfill(Variant::Default);
    let share = format!(
        "{} × {}",
        counted(tenants.into(), "tenant"),
        counted(days as u64, "day")
    );
    Entrant {
        tenants,
        label: Some(format!("dayhaul backfill, {share}")),
        ..Entrant::new(loader, EntrantRole::Contestant, environment.last_days(days))
    }
}

pub fn days(environment: &Environment) -> Scenario {
    let all = environment.window().len();
    let sizes: BTreeSet<usize> = DAYS.iter().map(|n| (all * n / DAYS[2]).max(1)).collect();
    scenario(
        "growth-days",
        "Cost per day as the period grows",
        "A backfill of one tenant's latest days into an empty warehouse. Ratios compare the time per day.",
        sizes
            .into_iter()
            .map(|size| entrant(environment, size, 1))
            .collect(),
    )
}

pub fn tenants(environment: &Environment) -> Scenario {
    let all = environment.workload.tenants;
    let sizes: BTreeSet<u16> = TENANTS
        .iter()
        .map(|n| (all * n / TENANTS[2]).max(1))
        .collect();
    scenario(
        "growth-tenants",
        "Cost per tenant as their number grows",
        "A backfill of all days of all tenants into an empty warehouse. Ratios compare the time per tenant and day.",
        sizes
            .into_iter()
            .map(|size| entrant(environment, environment.window().len(), size))
            .collect(),
    )
}
