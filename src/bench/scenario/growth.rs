//! How the cost grows with days and with tenants.

use super::{Compare, Entrant, Role, Scenario};
use crate::bench::contestant::dayhaul::{Dayhaul, Variant};
use crate::bench::ground::Ground;
use crate::report::numbers::counted;
use std::collections::BTreeSet;

/// Days as shares of the whole period: of 366 days, 30, 120 and all.
const DAYS: [usize; 3] = [30, 120, 366];
/// Tenants as shares of all: of ten, one, four and all.
const TENANTS: [u16; 3] = [1, 4, 10];

fn scenario(
    name: &'static str,
    title: &str,
    question: &str,
    mut entrants: Vec<Entrant>,
) -> Scenario {
    if let Some(first) = entrants.first_mut() {
        first.role = Role::Baseline;
    }
    Scenario {
        name,
        title: title.into(),
        question: question.into(),
        compare: Compare::SecondsPerUnit,
        also: &[],
        change: None,
        shared: None,
        entrants,
    }
}

fn entrant(ground: &Ground, days: usize, tenants: u16) -> Entrant {
    let loader = Dayhaul::backfill(Variant::AsIs);
    let (d, t) = (
        counted(days as u64, "day"),
        counted(tenants.into(), "tenant"),
    );
    Entrant {
        tenants,
        label: Some(format!("dayhaul backfill, {t} × {d}")),
        ..Entrant::new(loader, Role::Contestant, ground.last_days(days))
    }
}

pub fn days(ground: &Ground) -> Scenario {
    let all = ground.window.len();
    let sizes: BTreeSet<usize> = DAYS.iter().map(|n| (all * n / DAYS[2]).max(1)).collect();
    scenario(
        "growth-days",
        "Cost of a day as the period grows",
        "A backfill of the latest days of one tenant, into an empty warehouse. Ratios are of the time per day.",
        sizes
            .into_iter()
            .map(|size| entrant(ground, size, 1))
            .collect(),
    )
}

pub fn tenants(ground: &Ground) -> Scenario {
    let all = ground.tenants;
    let sizes: BTreeSet<u16> = TENANTS
        .iter()
        .map(|n| (all * n / TENANTS[2]).max(1))
        .collect();
    scenario(
        "growth-tenants",
        "Cost of a tenant as there are more of them",
        "A backfill of all days for all tenants, into an empty warehouse. Ratios are of the time per tenant and day.",
        sizes
            .into_iter()
            .map(|size| entrant(ground, ground.window.len(), size))
            .collect(),
    )
}
