//! What was done is known afterwards: runs that died, runs that were cancelled, what failed, one day's whole life.

use crate::support::earlier_catalog;
use crate::support::events;
use crate::support::world::{Output, Running, World, wait_until};
use std::time::{Duration, Instant};

/// A tenant whose days from `day` on take a minute each at the source.
fn slow_from(world: &World, day: &str) -> String {
    world.tenants[0].run(
        "CREATE FUNCTION slow(t timestamptz, slow_from timestamptz) RETURNS boolean LANGUAGE plpgsql AS \
         $$ BEGIN IF t >= slow_from THEN PERFORM pg_sleep(60); END IF; RETURN true; END $$",
    );
    let query = "WHERE at >= {from} AND at < {to}";
    events::one_day_windows(events::TEMPLATE)
        .replace(query, &format!("{query} AND slow(at, '{day} 00:00+00')"))
}

/// Starts a backfill and comes back when it works at the slow day.
fn start_slow(world: &World, args: &[&str]) -> Running {
    let running = world.start(&[&["backfill", "--today", events::TODAY, "--json"], args].concat());
    wait_until("the slow query runs", || {
        world.tenants[0].one(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
        ) == "t"
    });
    running
}

/// A slow world: days 2024-03-10 to 12 of which the last is slow.
fn slow_world(name: &str) -> World {
    let world = World::new(name, &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-10", 3, 5);
    let template = slow_from(&world, "2024-03-12");
    world.set_up_events(&["acme"], &template);
    world
}

const SLOW_DAYS: [&str; 4] = ["--from", "2024-03-10", "--to", "2024-03-12"];

fn mend(world: &World) {
    world.tenants[0].run(
        "CREATE OR REPLACE FUNCTION slow(t timestamptz, slow_from timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    );
}

fn history(world: &World, args: &[&str]) -> serde_json::Value {
    let json = world
        .dayhaul(&[&["history", "--json"], args].concat())
        .ok()
        .json();
    assert_eq!(json["schema"], "dayhaul.history/1");
    json["runs"].clone()
}

fn why(world: &World, day: &str) -> serde_json::Value {
    let args = [
        "why",
        "acme",
        "event",
        day,
        "--today",
        events::TODAY,
        "--json",
    ];
    let json = world.dayhaul(&args).ok().json();
    assert_eq!(json["schema"], "dayhaul.why/1");
    json
}

/// The outcomes of a day's attempts, in order.
fn outcomes(life: &serde_json::Value) -> Vec<String> {
    let attempts = life["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|a| a["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_run_that_was_killed_is_shown_as_died_and_the_next_one_marks_it() {
    let world = slow_world("died");
    let child = start_slow(&world, &SLOW_DAYS);
    assert_eq!(history(&world, &[])[0]["outcome"], "running");
    drop(child);
    // Three heartbeats later, without waiting for them.
    world
        .warehouse
        .run("UPDATE _wh.run SET heartbeat_at = heartbeat_at - interval '16 seconds'");
    wait_until("it is shown as died", || {
        history(&world, &[])[0]["outcome"] == "died"
    });
    assert_eq!(history(&world, &["--failed"])[0]["run"], 1);
    assert_eq!(
        world.warehouse.one("SELECT outcome FROM _wh.run"),
        "",
        "looking changes nothing"
    );
    let out = world.dayhaul(&["cancel", "1"]).exits(2);
    assert!(out.stderr.contains("died"), "{}", out.stderr);

    mend(&world);
    world.backfill(&SLOW_DAYS).ok();
    assert_eq!(
        world
            .warehouse
            .one("SELECT outcome || (ended_at = heartbeat_at) FROM _wh.run WHERE id = 1"),
        "diedtrue"
    );
    let runs = history(&world, &[]);
    assert_eq!(
        (&runs[0]["outcome"], &runs[1]["outcome"]),
        (&"done".into(), &"died".into())
    );
    world.is_clean();
}

#[test]
fn a_run_whose_host_is_slow_is_not_taken_for_dead_while_its_session_lives() {
    let world = slow_world("silent");
    let child = start_slow(&world, &SLOW_DAYS);
    world
        .warehouse
        .run("UPDATE _wh.run SET heartbeat_at = heartbeat_at - interval '1 hour'");
    assert_eq!(history(&world, &[])[0]["outcome"], "running");
    drop(child);
}

#[test]
fn cancel_ends_a_run_within_seconds_with_nothing_half_done() {
    let world = slow_world("cancel");
    let child = start_slow(&world, &SLOW_DAYS);
    let begun = Instant::now();
    let mut cancel = world.command(&["cancel", "1", "--wait", "--json"]);
    let out = Output::of(cancel.env("USER", "alice")).ok();
    assert_eq!(out.json()["schema"], "dayhaul.cancel/1");
    assert_eq!(out.json()["outcome"], "cancelled");
    let ended = child.output().exits(130);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        ended.stderr.contains("cancelled by alice on "),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.json()["outcome"], "cancelled");

    let run = &history(&world, &["1"])[0];
    assert_eq!(run["outcome"], "cancelled");
    assert!(
        run["cancel_requested_by"]
            .as_str()
            .unwrap()
            .starts_with("alice on ")
    );
    world.is_clean();
    let again = world.dayhaul(&["cancel", "1"]).exits(2);
    assert!(
        again.stderr.contains("already ended as cancelled"),
        "{}",
        again.stderr
    );
    let unknown = world.dayhaul(&["cancel", "77"]).exits(2);
    assert!(
        unknown.stderr.contains("there is no run 77"),
        "{}",
        unknown.stderr
    );

    mend(&world);
    world.backfill(&SLOW_DAYS).ok();
    assert_eq!(world.totals().0, "15");
}

#[test]
fn a_run_that_waits_for_a_pair_is_cancelled_too() {
    let world = slow_world("cancel_waiting");
    let holder = start_slow(&world, &SLOW_DAYS);
    let waiting = world.start(&[
        "backfill",
        "--today",
        events::TODAY,
        "--last",
        "1",
        "--wait",
    ]);
    wait_until("it waits", || {
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.run WHERE selection IS NOT NULL OR id = 2")
            == "2"
    });
    world.dayhaul(&["cancel", "2", "--wait"]).ok();
    waiting.output().exits(130);
    assert_eq!(history(&world, &["1"])[0]["outcome"], "running");
    drop(holder);
}

#[test]
fn history_counts_what_the_report_counted_and_lists_each_failure_once() {
    let world = World::with_events("counts", &["acme", "beta"], "2024-03-01", 10, 5);
    // A value too long, on one day of one tenant.
    world.tenants[0]
        .run("INSERT INTO event VALUES (999, '2024-03-04 12:00+00', repeat('x', 21), 1)");
    let days = ["--from", "2024-03-01", "--to", "2024-03-10", "--json"];
    let report = world.backfill(&days).exits(1).json();
    let run = &history(&world, &["1"])[0];
    for (count, expected) in [
        ("loaded", 19),
        ("skipped", 0),
        ("failed", 1),
        ("not_tried", 0),
        ("rows", 95),
    ] {
        assert_eq!(report["totals"][count], expected, "{count}");
        assert_eq!(run[count], report["totals"][count], "{count}");
    }
    assert_eq!(run["outcome"], report["outcome"]);
    let failures = run["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["tenant"], "acme");
    assert_eq!(failures[0]["days"][0][0], "2024-03-04");
    assert_eq!(failures[0]["error"], report["failures"][0]["error"]);
    // The attempts by themselves say the same of what they know: so a run that died is told.
    let attempted = world.warehouse.rows(
        "SELECT count(*) FILTER (WHERE outcome = 'loaded'), count(*) FILTER (WHERE outcome = 'failed'), sum(rows) \
         FROM _wh.attempt WHERE run = 1",
    );
    assert_eq!(
        attempted[0],
        [Some("19".into()), Some("1".into()), Some("95".into())]
    );
    world.warehouse.run("UPDATE _wh.run SET failures = NULL");
    assert_eq!(
        history(&world, &["1"])[0]["failures"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    world.backfill(&["--last", "1", "--tenant", "beta"]).ok();
    assert_eq!(history(&world, &[])[0]["run"], 2);
    assert_eq!(
        history(&world, &["--last", "1"]).as_array().unwrap().len(),
        1
    );
    assert_eq!(history(&world, &["--tenant", "acme"])[0]["run"], 1);
    assert_eq!(history(&world, &["--template", "event"])[0]["run"], 2);
    assert_eq!(history(&world, &["--failed"]).as_array().unwrap().len(), 1);
    let unknown = world.dayhaul(&["history", "--tenant", "acne"]).exits(2);
    assert!(
        unknown.stderr.contains("did you mean `acme`"),
        "{}",
        unknown.stderr
    );

    let page = world.dayhaul(&["history", "1"]).ok().stdout;
    assert_eq!(
        page.matches("failed: acme/event 2024-03-04").count(),
        1,
        "{page}"
    );
    let table = world.dayhaul(&["history"]).ok().stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
}

#[test]
fn a_pair_that_was_not_tried_is_in_the_history_with_its_cause() {
    let world = World::with_events("unreached", &["acme"], "2024-03-01", 2, 5);
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgresql://127.0.0.1:1/none'");
    world.backfill(&["--last", "2"]).exits(3);
    let run = &history(&world, &["1"])[0];
    assert_eq!(run["not_tried"], 2);
    let failure = &run["failures"][0];
    assert_eq!(failure["not_tried"], true);
    assert_eq!(
        failure["days"],
        serde_json::json!([["2024-03-18", "2024-03-19"]])
    );
}

#[test]
fn why_tells_a_days_life() {
    let world = World::with_events("why", &["acme"], "2024-03-08", 3, 5);
    let never = why(&world, "2024-03-09");
    assert_eq!(
        (&never["state"], never["attempts"].as_array().unwrap().len()),
        (&"never_tried".into(), 0)
    );
    assert!(
        never["next"][0]
            .as_str()
            .unwrap()
            .contains("no day was ever requested")
    );

    world.tenants[0].run("ALTER TABLE event RENAME COLUMN amount TO amounts; \
        ALTER TABLE event ADD COLUMN amount numeric; UPDATE event SET amount = amounts, note = repeat('x', 21) WHERE at < '2024-03-09 00:00+00'; \
        UPDATE event SET amount = amounts");
    world
        .backfill(&["--from", "2024-03-08", "--to", "2024-03-09"])
        .exits(1);
    let failed = why(&world, "2024-03-08");
    assert_eq!(failed["state"], "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("note"),
        "{failed}"
    );
    assert!(
        failed["next"][0]
            .as_str()
            .unwrap()
            .contains("tries it again")
    );
    assert_eq!(outcomes(&failed), ["failed"]);

    world.tenants[0].run("UPDATE event SET note = 'x'");
    world
        .backfill(&["--from", "2024-03-08", "--to", "2024-03-09"])
        .ok();
    let loaded = why(&world, "2024-03-08");
    assert_eq!(outcomes(&loaded), ["failed", "loaded"]);
    assert_eq!(
        (&loaded["state"], &loaded["rows"], &loaded["rows_found"]),
        (&"loaded".into(), &5.into(), &5.into())
    );
    assert_eq!(loaded["relation"], "acme.event_2024_03_08");
    assert_eq!(loaded["attempts"][1]["digest"], loaded["digest"]);
    assert_eq!(loaded["version"], loaded["current_version"]);
    assert_eq!(loaded["held_by"], serde_json::Value::Null);
    assert!(
        loaded["next"][0].as_str().unwrap().contains("`sync`"),
        "{loaded}"
    );

    let reload = ["--from", "2024-03-08", "--to", "2024-03-08", "--reload"];
    world.backfill(&reload).ok();
    world.tenants[0].run("UPDATE event SET note = 'y'");
    world.backfill(&reload).ok();
    let reloaded = why(&world, "2024-03-08");
    assert_eq!(
        outcomes(&reloaded),
        ["failed", "loaded", "reloaded", "changed"]
    );
    assert_eq!(reloaded["attempts"][3]["run"], 4);

    // Rows that went missing outside Dayhaul are seen.
    world
        .warehouse
        .run("DELETE FROM acme.event_2024_03_08 WHERE id % 5 = 0");
    let page = world
        .dayhaul(&[
            "why",
            "acme",
            "event",
            "2024-03-08",
            "--today",
            events::TODAY,
        ])
        .ok()
        .stdout;
    assert!(page.contains("holds 4 rows of that day"), "{page}");
    assert!(page.contains("next:"), "{page}");

    assert!(
        why(&world, "2024-03-07")["next"][0]
            .as_str()
            .unwrap()
            .contains("before the first day")
    );
    assert!(
        why(&world, "2024-03-21")["next"][0]
            .as_str()
            .unwrap()
            .contains("future")
    );
    let near = world
        .dayhaul(&["why", "acne", "event", "2024-03-08"])
        .exits(2);
    assert!(
        near.stderr.contains("did you mean `acme`"),
        "{}",
        near.stderr
    );
    let near = world
        .dayhaul(&["why", "acme", "evnet", "2024-03-08"])
        .exits(2);
    assert!(
        near.stderr.contains("did you mean `event`"),
        "{}",
        near.stderr
    );
}

#[test]
fn why_tells_of_a_day_that_waits_in_a_year_that_is_being_built() {
    let world = World::new("why_staged", &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2023-01-01", 40, 5);
    let template = slow_from(&world, "2023-02-09");
    world.set_up_events(
        &["acme"],
        &template.replace("at >= {from}", "{day} IS NOT NULL AND at >= {from}"),
    );
    let year = ["--from", "2023-01-01", "--to", "2023-02-09"];
    let child = start_slow(&world, &year);
    wait_until("the others are staged", || {
        world.warehouse.one("SELECT count(*) FROM _wh.staged") == "39"
    });
    let held = why(&world, "2023-01-01");
    assert!(
        held["held_by"]
            .as_str()
            .unwrap()
            .contains("run 1 (`backfill`"),
        "{held}"
    );
    world.dayhaul(&["cancel", "1", "--wait"]).ok();
    child.output().exits(130);
    let staged = why(&world, "2023-01-01");
    assert_eq!(
        (&staged["state"], &staged["relation"]),
        (&"staged".into(), &"acme.event_2023_staging".into())
    );
    assert_eq!(staged["rows_found"], 5);
    assert_eq!(outcomes(&staged), ["staged"]);
    assert!(
        staged["next"][0]
            .as_str()
            .unwrap()
            .contains("year is complete")
    );

    mend(&world);
    world.backfill(&year).ok();
    let loaded = why(&world, "2023-01-01");
    assert_eq!(
        (&loaded["state"], &loaded["relation"]),
        (&"loaded".into(), &"acme.event_2023".into())
    );
    assert_eq!(outcomes(&loaded), ["staged", "loaded"]);
    assert_eq!(
        (&loaded["attempts"][0]["run"], &loaded["attempts"][1]["run"]),
        (&1.into(), &2.into())
    );
    assert!(loaded["next"][0].as_str().unwrap().contains("settled"));
}

#[test]
fn a_catalog_of_the_first_version_is_brought_up_without_loss() {
    let world = World::with_events("migrate", &["acme"], "2024-03-01", 5, 5);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-05"])
        .ok();
    let ledger = "SELECT md5(string_agg((to_jsonb(u) - 'checked_on')::text, E'\\n' ORDER BY day)) FROM _wh.unit u";
    let before = (world.warehouse.one(ledger), why(&world, "2024-03-02"));
    earlier_catalog::bring_back(&world.warehouse, 1);
    let old = world.dayhaul(&["history"]).exits(2);
    assert!(old.stderr.contains("run `dayhaul init`"), "{}", old.stderr);
    let out = world.dayhaul(&["init"]).ok();
    assert!(out.stdout.contains("migration 0002"), "{}", out.stdout);
    let mut after = (world.warehouse.one(ledger), why(&world, "2024-03-02"));
    assert_eq!(outcomes(&after.1), ["loaded"]);
    // It is judged by the clock when it was compared, not by `--today`.
    assert_ne!(before.1["checked_on"], after.1["checked_on"]);
    for key in ["settled", "checked_on", "next"] {
        after.1[key] = before.1[key].clone();
    }
    after.1["attempts"][0]["at"] = before.1["attempts"][0]["at"].clone();
    assert_eq!(after, before);
    let runs = history(&world, &["--tenant", "acme"]);
    assert_eq!(
        (&runs[0]["loaded"], &runs[0]["rows"]),
        (&5.into(), &25.into())
    );
}
