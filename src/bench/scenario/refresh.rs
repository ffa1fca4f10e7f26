//! Days that are there are brought up to date.

use super::{Also, Compare, Entrant, Role, Scenario};
use crate::bench::contestant::dayhaul::{Act, Dayhaul, Variant};
use crate::bench::contestant::refresh::RefreshViews;
use crate::bench::ground::{Change, Ground};
use crate::unit::Window;

/// A fortnight: a template's `lookback_days` unless it says otherwise.
const NIGHTLY_DAYS: usize = 14;

const DAYHAUL: Dayhaul = Dayhaul {
    variant: Variant::AsIs,
    act: Act::Refresh,
};

fn scenario(name: &'static str, days: Window, title: String, question: &str) -> Scenario {
    Scenario {
        name,
        title,
        question: question.into(),
        compare: Compare::Seconds,
        also: &[],
        change: None,
        shared: None,
        entrants: vec![
            Entrant::new(RefreshViews { concurrently: true }, Role::Baseline, days),
            Entrant::new(DAYHAUL, Role::Contestant, days),
        ],
    }
}

pub fn unchanged(ground: &Ground) -> Scenario {
    let days = ground.last_days(NIGHTLY_DAYS);
    scenario(
        "refresh",
        days,
        format!("Nightly refresh of {} days, nothing changed", days.len()),
        "The latest days are loaded, and nothing has changed at the source since; readers go on meanwhile.",
    )
}

pub fn late(ground: &Ground) -> Scenario {
    let days = ground.last_days(NIGHTLY_DAYS);
    let middle = i32::try_from(days.len() / 2).unwrap_or(0);
    Scenario {
        change: Some(Change {
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
            "The latest days are loaded; since then, one row has appeared in one of them.",
        )
    }
}

pub fn hourly(ground: &Ground) -> Scenario {
    let day = ground.last_days(1);
    let rows = ground.rows_per_day.map_or(1, |rows| (rows / 25).max(1));
    let mut scenario = scenario(
        "hourly",
        day,
        "Hourly refresh of a day that grew by 4 %".into(),
        "One day is loaded; since then, one row for every 25 has come. Look at the WAL, too: it is what replicas and backups \
         get.",
    );
    scenario.also = &[Also::Wal];
    scenario.change = Some(Change {
        day: day.from,
        rows,
    });
    let rewrite = RefreshViews {
        concurrently: false,
    };
    scenario.entrants[0].role = Role::Contestant;
    scenario
        .entrants
        .insert(0, Entrant::new(rewrite, Role::Baseline, day));
    scenario
}
