//! One writer per (tenant, template).

use crate::support::events;
use crate::support::server::Holder;
use crate::support::world::{World, wait_until};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const SELECTION: [&str; 4] = ["--from", "2024-03-08", "--to", "2024-03-19"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SELECTION[..], more].concat()
}

#[test]
fn a_second_run_says_who_holds_the_pair_and_loads_what_nobody_holds() {
    let tenants = ["acme", "beta"];
    let world = World::new("two_runs", &tenants);
    let world = world.filled(&tenants, &events::gated(), "2024-03-08", (12, 5));
    let closed = events::close(&world.tenants[0]);
    let first = world.start_backfill(&args(&["--tenant", "acme"]));
    wait_until("the first run has begun", || {
        world.warehouse.one("SELECT count(*) FROM _wh.lease") != "0"
    });
    let run = world.warehouse.one("SELECT id FROM _wh.run");

    let second = world.backfill(&args(&["--tenant", "acme"])).exits(4);
    for words in [
        &format!("held by run {run} (`backfill`"),
        " since 20",
        "--wait",
    ] {
        assert!(second.stderr.contains(words), "{words}: {}", second.stderr);
    }
    world
        .backfill(&args(&["--tenant", "acme", "--if-locked", "ok"]))
        .ok();
    let waiting = world.start_backfill(&args(&["--tenant", "acme", "--wait", "--json"]));
    let half = world.backfill(&args(&["--json"])).exits(1).json();
    assert_eq!(
        (&half["totals"]["loaded"], &half["totals"]["not_tried"]),
        (&12.into(), &12.into())
    );

    closed.let_go();
    first.output().ok();
    let waited = waiting.output().ok().json();
    assert_eq!(waited["totals"]["unchanged"], 12, "{waited}");
    assert_eq!(world.totals().0, "120");
    world.is_clean();
}

#[test]
fn a_run_whose_lease_was_taken_over_publishes_nothing_more() {
    let world = World::with_slow_events("taken_over", &["acme"], "2024-03-08", (12, 5), 0.04);
    // Between the transactions of one worker the lease is free for a moment.
    world.configure("[load]\njobs = 1\n");
    let run = world.start_backfill(&args(&["--json"]));
    wait_until("some days are loaded", || {
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded'")
            != "0"
    });
    // Waits for the transactions that are publishing right now, and none publishes after it.
    world.warehouse.run("UPDATE _wh.lease SET run = 0");
    let loaded = "SELECT count(*) FROM _wh.unit WHERE state = 'loaded'";
    let (before, rows) = (world.warehouse.one(loaded), world.totals().0);
    let out = run.output().exits(1);
    let message = out.json()["failures"][0]["error"].to_string();
    assert!(message.contains("run 0 took the pair over"), "{message}");
    assert_eq!(
        (world.warehouse.one(loaded), world.totals().0),
        (before, rows)
    );
    world.backfill(&SELECTION).ok();
    assert_eq!(world.totals().0, "60");
    world.is_clean();
}

#[test]
fn an_interrupt_ends_the_run_within_two_seconds_and_leaves_no_lock_and_no_half_table() {
    for (name, signal) in [("sigint", Signal::INT), ("sigterm", Signal::TERM)] {
        // A year that is being staged, and day tables behind it.
        let world = World::with_slow_events(name, &["acme"], "2024-02-28", (20, 400), 0.0005);
        let selection = ["--from", "2024-02-28", "--to", "2024-03-18", "--json"];
        let run = world.start_backfill(&selection);
        wait_until("a few days are through, and one is on its way", || {
            world.warehouse.one("SELECT count(*) > 2 FROM _wh.staged") == "t"
                && world.warehouse.one(
                    "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()",
                ) != "0"
        });
        let asked = Instant::now();
        run.signal(signal);
        let out = run.output().exits(130).json();
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        assert_eq!(out["outcome"], "interrupted");
        assert_eq!(out["totals"]["failed"], 0, "{out}");
        assert_eq!(
            world.warehouse.one("SELECT outcome FROM _wh.run"),
            "interrupted"
        );

        world.nobody_is_left();
        assert!(
            asked.elapsed() < Duration::from_secs(4),
            "{:?}",
            asked.elapsed()
        );
        let half = "SELECT count(*) FROM (SELECT at::date, count(*) AS n FROM acme.event_2024_staging GROUP BY 1) AS d WHERE n <> 400";
        assert_eq!(
            world
                .warehouse
                .one(&format!("SET TimeZone = 'UTC'; {half}")),
            "0"
        );
        assert_eq!(
            world
                .warehouse
                .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded'"),
            out["totals"]["loaded"].to_string()
        );
        world.backfill(&selection).ok();
        assert_eq!(world.totals().0, "8000");
        world.is_clean();
        world.digests_hold("event", &crate::support::events::slow(0.0005));
    }
}

#[test]
fn what_somebody_else_holds_is_left_to_them_when_so_asked_and_nobody_else_is_named() {
    let world = World::with_events("held", &["acme", "beta"], "2024-03-08", 3, 5);
    let days = ["--json", "--from", "2024-03-08", "--to", "2024-03-10"];
    world.backfill(&days).ok();
    // Who has the lock is not in the lease yet, which still names the run that has ended.
    let key = xxhash_rust::xxh3::xxh3_64(b"dayhaul pair acme event").cast_signed();
    let lock = format!("SELECT pg_advisory_xact_lock({key})");
    let holder = Holder::new(&world.warehouse, &lock);
    let beside = |args: &[&str]| world.backfill(&[&days, args].concat());
    for (args, code) in [
        (&[][..], 1),
        (&["--if-locked", "ok"], 0),
        (&["--tenant", "acme"], 4),
        (&["--tenant", "acme", "--if-locked", "ok"], 0),
    ] {
        let out = beside(args).exits(code);
        assert!(
            out.stderr.contains("held by another session"),
            "{}",
            out.stderr
        );
        assert_eq!(out.json()["exit_code"], code, "{args:?}");
    }
    holder.let_go();
    beside(&[]).ok();
}
