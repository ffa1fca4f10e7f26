//! Refreshing days that are already loaded.

use super::{Entrant, EntrantRole, ExtraMetric, RatioBasis, Scenario};
use crate::bench::contestant::dayhaul::{Dayhaul, Operation, Variant};
use crate::bench::contestant::refresh::RefreshViews;
use crate::bench::environment::{Environment, LateRows};
use crate::unit::{Day, Window};

/// The default of a template's `lookback_days`.
pub(super) const NIGHTLY_DAYS: usize = 14;

const DAYHAUL: Dayhaul = Dayhaul {
    variant: Variant::Default,
    operation: Operation::Refresh,
};

/// dblink, refreshed concurrently, then Dayhaul.
fn scenario(name: &'static str, days: Window, title: String, question: &str) -> Scenario {
    let views = RefreshViews { concurrently: true };
    Scenario {
        name,
        title,
        question: question.into(),
        compare: RatioBasis::Seconds,
        also: &[],
        shared: None,
        entrants: vec![
            Entrant::new(views, EntrantRole::Baseline, days),
            Entrant::new(DAYHAUL, EntrantRole::Contestant, days),
        ],
    }
}

/// The same, with rows that come late.
fn with_late_rows(mut scenario: Scenario, late: LateRows) -> Scenario {
    for entrant in &mut scenario.entrants {
        entrant.late_rows = Some(late);
    }
    scenario
}

pub fn unchanged(environment: &Environment) -> Scenario {
    let days = environment.last_days(NIGHTLY_DAYS);
    scenario(
        "refresh",
        days,
        format!("Nightly refresh of {} days without changes", days.len()),
        "The latest days are loaded, and nothing has changed at the source since. Readers can read during the refresh.",
    )
}

pub fn late(environment: &Environment) -> Scenario {
    let days = environment.last_days(NIGHTLY_DAYS);
    let middle = i32::try_from(days.len() / 2).unwrap_or(0);
    let title = format!(
        "Nightly refresh of {} days, one late row in one of them",
        days.len()
    );
    let question = "The latest days are loaded. Since then, one row was added to one of them.";
    with_late_rows(
        scenario("refresh-late", days, title, question),
        LateRows {
            day: days.from.plus(middle),
            rows: 1,
        },
    )
}

pub fn hourly(environment: &Environment) -> Scenario {
    let day = environment.last_days(1);
    let mut scenario = scenario(
        "hourly",
        day,
        "Hourly refresh of a day that grew by 4 %".into(),
        "One day is loaded. Since then, one row for every 25 was added. Compare the WAL, too: replicas and backups receive \
         it.",
    );
    scenario.also = &[ExtraMetric::Wal];
    scenario.entrants[0].role = EntrantRole::Contestant;
    let rewrite = RefreshViews {
        concurrently: false,
    };
    scenario
        .entrants
        .insert(0, Entrant::new(rewrite, EntrantRole::Baseline, day));
    with_late_rows(scenario, an_hour_of(environment, day.from))
}

/// The rows that a day gets in an hour: one for every 25.
pub(super) fn an_hour_of(environment: &Environment, day: Day) -> LateRows {
    let rows_per_day = environment.workload.rows_per_day;
    LateRows {
        day,
        rows: rows_per_day.map_or(1, |rows| (rows / 25).max(1)),
    }
}
