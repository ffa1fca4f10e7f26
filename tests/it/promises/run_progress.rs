//! Any session sees how far another's run is while it runs, whatever the run does; and how far it was when it died.

use crate::support::earlier_catalog;
use crate::support::events::{self, TODAY};
use crate::support::readers;
use crate::support::server::Holder;
use crate::support::world::{Running, World};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Six days with rows.
const DAYS: (u32, u32) = (6, 4);

/// The events, a day at a time, of which those of the last day do not come while the source is [closed](events::close).
fn last_day_gated(last: &str) -> String {
    let gate = "pg_advisory_xact_lock_shared(1) IS NOT NULL";
    let template = events::gated();
    assert!(template.contains(gate));
    template.replace(
        gate,
        &format!("CASE WHEN at < '{last} 00:00+00' THEN true ELSE {gate} END"),
    )
}

/// A world whose six days from `from` to `last` are loaded.
fn loaded(name: &str, from: &str, last: &str) -> World {
    let world = World::new(name, &["acme"]).filled(&["acme"], &last_day_gated(last), from, DAYS);
    world.backfill(&["--from", from, "--to", last]).ok();
    world
}

fn newest(world: &World) -> Value {
    let args = ["history", "--last", "1", "--json"];
    world.dayhaul(&args).ok().json()["runs"][0].clone()
}

/// Asks another process until it shows that the newest run has done so much. A heartbeat comes every five seconds.
#[track_caller]
fn shows(world: &World, run: &mut Running, progress: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let newest = newest(world);
        if newest["progress"] == *progress {
            return newest;
        }
        assert!(!run.is_over(), "it ended: {newest}");
        assert!(Instant::now() < deadline, "no {progress}: {newest}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Holds a command at the last of its days, compares what others see, and lets it end.
fn held_at_the_last_day(world: &World, command: &str, from: &str, last: &str) {
    let args = [command, "--from", from, "--to", last, "--today", TODAY];
    held_by(events::close(&world.tenants[0]), world, &args);
}

/// Holds a command at one of its six days.
fn held_by(closed: Holder, world: &World, args: &[&str]) {
    let mut run = world.start(args);
    let five = json!({"planned": 6, "done": 5});
    let running = shows(world, &mut run, &five);
    assert_eq!(running["command"], args[0]);
    assert_eq!(running["outcome"], "running");
    let list = world.dayhaul(&["history"]).ok().stdout;
    let line = list.lines().nth(1).unwrap();
    assert!(
        line.contains("running") && line.ends_with("5 of 6"),
        "{list}"
    );
    let id = running["run"].to_string();
    let page = world.dayhaul(&["history", &id]).ok().stdout;
    assert!(page.contains("5 of 6 units"), "{page}");
    closed.let_go();
    run.output().ok();
    let done = newest(world);
    assert_eq!(
        (&done["outcome"], &done["progress"]),
        (&"done".into(), &Value::Null)
    );
    let page = world.dayhaul(&["history", &id]).ok().stdout;
    assert!(!page.contains("5 of 6"), "{page}");
}

#[test]
fn others_see_how_far_a_refresh_is_that_finds_nothing_to_write() {
    let (from, last) = ("2024-03-10", "2024-03-15");
    let world = loaded("progress_refresh", from, last);
    held_at_the_last_day(&world, "refresh", from, last);
    // It wrote nothing: what the ledger says of the run would have shown nothing.
    assert_eq!(newest(&world)["unchanged"], 6);
    world.is_clean();
}

#[test]
fn others_see_how_far_a_rebuild_of_a_year_is_before_any_day_is_shown() {
    let (from, last) = ("2023-12-26", "2023-12-31");
    let world = loaded("progress_rebuild", from, last);
    held_at_the_last_day(&world, "rebuild", from, last);
    assert_eq!(newest(&world)["loaded"], 6);
    world.is_clean();
}

#[test]
fn others_see_how_far_a_first_load_is() {
    let (from, last) = ("2023-12-26", "2023-12-31");
    let template = last_day_gated(last);
    let world = World::new("progress_load", &["acme"]).filled(&["acme"], &template, from, DAYS);
    held_at_the_last_day(&world, "backfill", from, last);
}

#[test]
fn others_see_how_far_a_sync_is() {
    let world = loaded("progress_sync", "2024-03-10", "2024-03-15");
    let closed = events::close(&world.tenants[0]);
    held_by(closed, &world, &["sync", "--today", "2024-03-15"]);
    world.is_clean();
}

#[test]
fn others_see_how_far_a_landing_is() {
    let (from, last) = ("2024-03-10", "2024-03-15");
    let world = loaded("progress_land", from, last);
    let lake = tempfile::tempdir().unwrap();
    world.configure(&format!(
        "[landing]\nurl = \"file://{}\"\n",
        lake.path().display()
    ));
    let table = "LOCK TABLE acme.event_2024_03_15 IN ACCESS EXCLUSIVE MODE";
    let held = Holder::new(&world.warehouse, table);
    held_by(held, &world, &["land", "--from", from, "--to", last]);
    assert_eq!(newest(&world)["landed"], 6);
}

#[test]
fn others_see_how_far_a_fold_is_that_waits_for_readers() {
    let world = loaded("progress_fold", "2024-03-10", "2024-03-15");
    let old = readers::Snapshot::open(&world, "event", "amount");
    let mut run = world.start(&["fold", "--year", "2024", "--today", TODAY]);
    let running = shows(&world, &mut run, &json!({"planned": 6, "done": 6}));
    assert_eq!(
        (&running["command"], &running["outcome"]),
        (&"fold".into(), &"running".into())
    );
    drop(old);
    run.output().ok();
    let done = newest(&world);
    assert_eq!(
        (&done["moved"], &done["progress"]),
        (&6.into(), &Value::Null)
    );
    world.is_clean();
}

#[test]
fn a_run_that_died_shows_how_far_it_was() {
    let (from, last) = ("2024-03-10", "2024-03-15");
    let world = loaded("progress_died", from, last);
    let closed = events::close(&world.tenants[0]);
    let refresh = ["refresh", "--from", from, "--to", last, "--today", TODAY];
    let mut run = world.start(&refresh);
    let five = json!({"planned": 6, "done": 5});
    shows(&world, &mut run, &five);
    drop(run);
    // Three heartbeats later, without waiting for them.
    world
        .warehouse
        .run("UPDATE _wh.run SET heartbeat_at = heartbeat_at - interval '16 seconds'");
    world.no_lock_is_left();
    let died = newest(&world);
    assert_eq!(
        (&died["outcome"], &died["progress"]),
        (&"died".into(), &five)
    );
    // The next run marks it as died, and takes nothing of that away.
    closed.let_go();
    world.dayhaul(&refresh).ok();
    let run = died["run"].to_string();
    let marked = world.dayhaul(&["history", &run, "--json"]).ok().json();
    let marked = &marked["runs"][0];
    assert_ne!(marked["ended_at"], Value::Null);
    assert_eq!(marked["progress"], five);
    world.is_clean();
}

#[test]
fn a_catalog_of_the_version_before_is_brought_up_with_its_runs() {
    let world = loaded("progress_migrate", "2024-03-10", "2024-03-15");
    let runs = "SELECT md5(string_agg((to_jsonb(r) - 'progress')::text, E'\\n' ORDER BY id)) FROM _wh.run r";
    let before = world.warehouse.one(runs);
    earlier_catalog::bring_back(&world.warehouse, 10);
    let old = world.dayhaul(&["history"]).exits(2);
    assert!(old.stderr.contains("run `dayhaul init`"), "{}", old.stderr);
    let out = world.dayhaul(&["init"]).ok();
    assert!(out.stdout.contains("migration 0011"), "{}", out.stdout);
    assert_eq!(world.warehouse.one(runs), before);
    let run = newest(&world);
    assert_eq!(
        (&run["loaded"], &run["progress"]),
        (&6.into(), &Value::Null)
    );
}
