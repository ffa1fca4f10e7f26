//! Every day that a run did not bring in is in a range that it lists.

use crate::support::events;
use crate::support::server::{self, rows};
use crate::support::world::World;
use std::collections::BTreeSet;

/// A day at a time; from the 10th on, no row comes while the source is [closed](events::close).
fn gated_from_the_tenth() -> String {
    events::one_day_windows(events::TEMPLATE).replace(
        "WHERE",
        "WHERE CASE WHEN {from} >= '2023-03-10 00:00+00' THEN pg_advisory_xact_lock_shared(1) IS NOT NULL ELSE true END AND",
    )
}

/// The days of a failure's ranges.
fn days(failure: &serde_json::Value) -> Vec<String> {
    let ranges = failure["days"].as_array().expect("ranges of days");
    let mut days = Vec::new();
    for range in ranges {
        let day = |at: usize| -> u32 { range[at].as_str().unwrap()[8..].parse().unwrap() };
        days.extend((day(0)..=day(1)).map(|day| format!("2023-03-{day:02}")));
    }
    days
}

#[test]
fn staged_days_of_a_tenant_that_goes_down_are_listed_with_the_others() {
    let world = World::new("staged_listed", &["acme"]);
    let world = world.filled(&["acme"], &gated_from_the_tenth(), "2023-03-01", (19, 3));
    let gate = events::close(&world.tenants[0]);
    let run = world.start_backfill(&[
        "--from",
        "2023-03-01",
        "--to",
        "2023-03-19",
        "--jobs",
        "1",
        "--json",
    ]);
    world.wait_for("SELECT count(*) = 9 FROM _wh.staged");
    let name = world.tenants[0].one("SELECT current_database()");
    let admin = server::url("postgres");
    server::run(
        &admin,
        &format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false"),
    );
    let ended = rows(
        &admin,
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = '{name}' AND application_name = 'dayhaul'"
        ),
    );
    assert!(!ended.expect("sessions").is_empty());
    let json = run.output().exits(1).json();
    gate.let_go();

    let failures = json["failures"].as_array().expect("failures");
    let listed: Vec<String> = failures.iter().flat_map(days).collect();
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), 19, "every day once: {json}");
    assert_eq!(listed.len(), 19, "every day once: {json}");
    let totals = &json["totals"];
    assert_eq!(
        totals["failed"].as_u64().unwrap() + totals["not_tried"].as_u64().unwrap(),
        19,
        "{totals}"
    );

    server::run(
        &admin,
        &format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true"),
    );
    world
        .backfill(&["--from", "2023-03-01", "--to", "2023-03-19"])
        .ok();
    assert_eq!(world.totals().0, "57");
}
