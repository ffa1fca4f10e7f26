//! Whatever dies in the middle, nothing is half there, and running it again completes it.

use crate::support::events;
use crate::support::killer::Killer;
use crate::support::server;
use crate::support::world::{World, wait_until};
use dayhaul::cluster::Stop;
use dayhaul::cluster::{Cluster, Programs, THROW_AWAY};
use std::time::Duration;

const KILLS: u32 = 12;

#[test]
fn killed_at_any_moment_and_run_again_the_totals_are_right() {
    let mut killer = Killer::new();
    // The end of a year, the beginning of the next, and day tables.
    let world = World::new("killed", &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2023-12-20", 12, 5);
    events::fill(&world.tenants[0], "2024-01-01", 12, 5);
    events::fill(&world.tenants[0], "2024-03-05", 16, 5);
    // What is asked for is three ranges, so that empty days take no time.
    let template = events::slow(0.03);
    world.set_up_events(&["acme"], &template);
    let ranges = [
        ["--from", "2023-12-20", "--to", "2024-01-12"],
        ["--from", "2024-03-05", "--to", "2024-03-20"],
    ];
    let backfill = ["backfill", "--today", events::TODAY];
    for kill in 0..KILLS {
        // Each leaves the next one less to do.
        killer.takes(Duration::from_millis(700));
        let range = &ranges[(kill / 8) as usize];
        killer.kill(&world, &[&backfill, &range[..]].concat());
        world.nobody_is_left();
        // Readers see whole days only.
        let half = "SELECT count(*) FROM (SELECT at::date, count(*) AS n FROM public.event GROUP BY 1) AS d WHERE n <> 5";
        if world
            .warehouse
            .one("SELECT to_regclass('public.event') IS NULL")
            == "f"
        {
            assert_eq!(
                world.read(half)[0][0].as_deref(),
                Some("0"),
                "after kill {kill}"
            );
        }
    }
    // The rest, and its verification, with more days at once: the source is slow.
    world.configure("[load]\njobs = 8\nper_server = 8\n");
    for range in ranges {
        world.backfill(&range).ok();
    }
    assert_eq!(world.totals().0, "200");
    for range in ranges {
        world.all_is_well(&template, &range);
    }
    println!(
        "runs: {}",
        world.warehouse.one("SELECT count(*) FROM _wh.run")
    );
}

#[test]
fn a_source_backend_killed_in_the_middle_of_a_copy_is_asked_again() {
    let world = World::with_slow_events("killed_backend", &["acme"], "2024-03-18", (1, 20), 0.1);
    let run = world.start_backfill(&["--from", "2024-03-18", "--to", "2024-03-18", "--json"]);
    let copying = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dayhaul' \
        AND query LIKE 'COPY%' AND state = 'active'";
    let source = &world.tenants[0];
    wait_until("a COPY runs", || {
        source.one(&format!("SELECT count(*) {copying}")) != "0"
    });
    std::thread::sleep(Duration::from_millis(150));
    source.rows(&format!("SELECT pg_terminate_backend(pid) {copying}"));
    let run = run.output().ok().json();
    assert_eq!(run["units"][0]["tries"], 2);
    assert_eq!(world.totals().0, "20");
    world.is_clean();
    world.digests_hold("event", &events::slow(0.1));
}

#[test]
fn a_tenant_that_disappears_in_the_middle_fails_and_the_others_load() {
    let world =
        World::with_slow_events("disappears", &["acme", "beta"], "2024-03-08", (12, 5), 0.03);
    let run = world.start_backfill(&["--from", "2024-03-08", "--to", "2024-03-19", "--json"]);
    wait_until("both tenants have begun", || {
        world
            .warehouse
            .one("SELECT count(DISTINCT tenant) FROM _wh.unit")
            == "2"
    });
    server::run(
        &server::url("postgres"),
        &format!("DROP DATABASE {} WITH (FORCE)", world.tenants[0].name),
    );
    let run = run.output().exits(1).json();
    let failures = run["failures"].as_array().unwrap();
    assert!(
        !failures.is_empty() && failures.iter().all(|f| f["tenant"] == "acme"),
        "{failures:#?}"
    );
    assert!(
        failures[0]["error"].to_string().contains("does not exist"),
        "{failures:#?}"
    );
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE tenant = 'beta' AND state = 'loaded'"),
        "12"
    );
    world.is_clean();
}

#[test]
fn a_locked_source_table_is_waited_for_within_bounds_and_then_named() {
    let world = World::with_events("source_locked", &["acme"], "2024-03-18", 2, 5);
    world.configure("[load]\nstatement_timeout = \"300ms\"\n");
    let lock = || events::lock(&world.tenants[0]);
    let holder = lock();
    let failed = world.backfill(&["--last", "2"]).exits(1);
    for words in [
        "acme/event",
        "statement timeout",
        "statement_timeout",
        "lock",
    ] {
        assert!(failed.stderr.contains(words), "{words}: {}", failed.stderr);
    }
    let run = world.start_backfill(&["--last", "2"]);
    std::thread::sleep(Duration::from_millis(600));
    holder.let_go();
    run.output().ok();
    assert_eq!(world.totals().0, "10");
    world.is_clean();
}

#[test]
fn a_copy_that_moves_nothing_is_ended_and_asked_again() {
    let world = World::new("stalled", &["acme"]);
    world.configure("[load]\nstall_timeout = \"1s\"\n");
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-18", 2, 5);
    world.set_up_events(&["acme"], &events::gated());
    let holder = events::close(&world.tenants[0]);
    let run = world.start_backfill(&["--from", "2024-03-18", "--to", "2024-03-18", "--json"]);
    let source = &world.tenants[0];
    let waiting = || {
        source.one(
            "SELECT coalesce(max(pid), 0)::text FROM pg_stat_activity \
             WHERE application_name = 'dayhaul' AND wait_event = 'advisory'",
        )
    };
    wait_until("a COPY waits", || waiting() != "0");
    let first = waiting();
    wait_until("it is asked again", || {
        !["0", &first].contains(&waiting().as_str())
    });
    holder.let_go();
    let out = run.output().ok();
    assert!(
        out.stderr.contains("nothing moved for 1 s"),
        "{}",
        out.stderr
    );
    assert!(out.json()["units"][0]["tries"].as_u64() > Some(1));
    world.is_clean();
}

#[test]
fn a_warehouse_that_crashes_in_the_middle_of_a_copy_keeps_nothing_half_and_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let mut cluster = Cluster::start(&programs, dir.path(), &THROW_AWAY[..2]).unwrap();
    let world = World::new("crashed", &["acme"]).with_warehouse(&cluster);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-02-28", 20, 400);
    let template = events::slow(0.0005);
    world.set_up_events(&["acme"], &template);
    let selection = ["--from", "2024-02-28", "--to", "2024-03-18", "--json"];
    let run = world.start_backfill(&selection);
    wait_until("rows are on their way", || {
        world.warehouse.one(
            "SELECT count(*) > 4 FROM (SELECT FROM _wh.unit UNION ALL SELECT FROM _wh.staged) AS u",
        ) == "t"
            && world
                .warehouse
                .one("SELECT count(*) FROM pg_stat_progress_copy")
                != "0"
    });
    cluster.stop(Stop::Immediate).unwrap();
    cluster.restart().unwrap();
    let half = "SELECT count(*) FROM (SELECT at::date, count(*) AS n FROM public.event GROUP BY 1) AS d WHERE n <> 400";
    assert_eq!(world.read(half)[0][0].as_deref(), Some("0"));
    let out = run.output();
    assert!(out.code == 0 || out.code == 1, "{out:?}");
    // What it said was loaded is there, though the crash took commits that were not on disk yet.
    let loaded = out.json()["totals"]["loaded"].to_string();
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded'"),
        loaded
    );
    world.backfill(&selection).ok();
    assert_eq!(world.totals().0, "8000");
    world.is_clean();
    world.digests_hold("event", &template);
}

#[test]
fn a_day_whose_commit_the_warehouse_lost_is_not_reported_as_loaded() {
    let world = World::with_slow_events("lost_commit", &["acme"], "2024-03-08", (12, 5), 0.03);
    let selection = ["--from", "2024-03-08", "--to", "2024-03-19", "--json"];
    let run = world.start_backfill(&selection);
    let loaded = "SELECT count(*) > 0 FROM _wh.unit WHERE day = '2024-03-08' AND state = 'loaded'";
    wait_until("the first day is loaded", || {
        world.warehouse.one(loaded) == "t"
    });
    // What a crash does to a commit that was not on the disk: rows and ledger are as before it.
    world
        .warehouse
        .run("TRUNCATE acme.event_2024_03_08; DELETE FROM _wh.unit WHERE day = '2024-03-08'");
    let run = run.output().exits(1).json();
    assert_eq!(
        (&run["totals"]["loaded"], &run["totals"]["failed"]),
        (&11.into(), &1.into())
    );
    assert_eq!(run["failures"][0]["days"][0][0], "2024-03-08");
    assert!(
        run["failures"][0]["error"]
            .to_string()
            .contains("lost again")
    );
    world.backfill(&selection).ok();
    assert_eq!(world.totals().0, "60");
    world.is_clean();
}
