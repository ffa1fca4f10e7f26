//! `status --check` says what is wrong with a pair as a whole.

use crate::support::events::{self, TODAY};
use crate::support::server;
use crate::support::world::World;
use serde_json::Value;

const DAYS: [&str; 6] = [
    "--from",
    "2024-03-18",
    "--to",
    "2024-03-19",
    "--today",
    TODAY,
];

fn status(world: &World, more: &[&str], code: i32) -> Value {
    let status = ["status", "--check", "--json", "--today", TODAY];
    world.dayhaul(&[&status, more].concat()).exits(code).json()
}

fn remark(status: &Value, pair: usize) -> String {
    status["pairs"][pair]["remark"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_pair_whose_last_run_failed_or_that_was_never_loaded_is_not_well_and_the_others_are() {
    let world = World::with_events("health", &["acme", "beta"], "2024-03-18", 2, 3);
    let never = status(&world, &[], 1);
    assert!(remark(&never, 0).contains("never loaded"), "{never}");
    world.dayhaul(&[&["backfill"], &DAYS[..]].concat()).ok();
    status(&world, &[], 0);
    // A tenant that cannot be reached: the days that it has are all there.
    let drop = format!("DROP DATABASE {} WITH (FORCE)", world.tenants[1].name);
    server::run(&server::url("postgres"), &drop);
    world.dayhaul(&[&["refresh"], &DAYS[..]].concat()).exits(1);
    let found = status(&world, &[], 1);
    assert_eq!(found["pairs"][0]["last_run"]["outcome"], "done");
    assert_eq!(found["pairs"][1]["last_run"]["outcome"], "failed");
    assert_eq!(remark(&found, 0), "");
    assert!(remark(&found, 1).contains("dayhaul history 2"), "{found}");
    let page = world.dayhaul(&["status", "--today", TODAY]).ok().stdout;
    assert!(
        page.contains("beta/event: its last run, 2 (refresh), failed"),
        "{page}"
    );
    // A tenant that was disabled is said, and no failure unless somebody wants it to be.
    world.dayhaul(&["tenant", "disable", "beta"]).ok();
    status(&world, &[], 0);
    status(&world, &["--strict"], 1);
    events::fill(&world.tenants[0], "2024-03-19", 1, 1);
    world.dayhaul(&[&["refresh"], &DAYS[..]].concat()).ok();
    status(&world, &[], 0);
}
