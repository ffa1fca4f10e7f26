//! Refreshing days that are already loaded.

use super::{Entrant, EntrantRole, ExtraMetric, RatioBasis, Scenario};
use crate::bench::contestant::dayhaul::{Dayhaul, Operation, Variant};
use crate::bench::contestant::refresh::RefreshViews;
use crate::bench::environment::{Environment, LateRows};
use crate::unit::Window;

/// The default of a template's `lookback_days`.
const NIGHTLY_DAYS: usize = 14;

const DAYHAUL: Dayhaul = Dayhaul {
    variant: Variant::Default,
    operation: Operation::Refresh,
};

fn scenario(name: &'static str, days: Window, title: String, question: &str) -> Scenario {
    Scenario {
        name,
        title,
        question: question.into(),
        compare: RatioBasis::Seconds,
        also: &[],
        late_rows: None,
        shared: None,
        entrants: vec![
            Entrant::new(
                RefreshViews { concurrently: true },
                EntrantRole::Baseline,
                days,
            ),
            Entrant::new(DAYHAUL, EntrantRole::Contestant, days),
        ],
    }
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
    Scenario {
        late_rows: Some(LateRows {
            day: days.from.plus(middle),
            rows: 1,
        }),
        ..scenario(
            "refresh-late",
            days,
            format!(
                "Nightly refresh of {} days, one late row in one of them",
                days.len()
            ),
            "The latest days are loaded. Since then, one row was added to one of them.",
        )
    }
}

pub fn hourly(environment: &Environment) -> Scenario {
    let day = environment.last_days(1);
    let rows = environment
        .workload
        .rows_per_day
        .map_or(1, |rows| (rows / 25).max(1));
    let mut scenario = scenario(
        "hourly",
        day,
        "Hourly refresh of a day that grew by 4 %".into(),
        "One day is loaded. Since then, one row for every 25 was added. Compare the WAL, too: replicas and backups receive \
         it.",
    );
    scenario.also = &[ExtraMetric::Wal];
    scenario.late_rows = Some(LateRows {
        day: day.from,
        rows,
    });
    let rewrite = RefreshViews {
        concurrently: false,
    };
    scenario.entrants[0].role = EntrantRole::Contestant;
    scenario
        .entrants
        .insert(0, Entrant::new(rewrite, EntrantRole::Baseline, day));
    scenario
}
