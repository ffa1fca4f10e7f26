//! A day is left alone only once it was compared with its source at or after its end plus the lookback.

use crate::support::events::{self, TEMPLATE};
use crate::support::world::{Output, World, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// Twelve of the day's 24 events.
fn half_a_day(name: &str, day: &str) -> World {
    let world = World::new(name, &["acme"]);
    events::create(&world.tenants[0]);
    rows(&world, day, 0, 11);
    world.set_up_events(&["acme"], TEMPLATE);
    world
}

/// One event an hour.
fn rows(world: &World, day: &str, from: u32, to: u32) {
    world.tenants[0].run(&format!(
        "INSERT INTO event SELECT extract(epoch FROM at)::bigint, at, 'late', 1 FROM generate_series( \
         timestamptz '{day} 00:00+00' + interval '{from} h', timestamptz '{day} 00:00+00' + interval '{to} h', interval '1 h') AS at"
    ));
}

/// Gives the pair its first day.
fn enable_from(world: &World, day: &str) {
    let pair = ["tenant", "enable", "acme", "--template", "event"];
    world.dayhaul(&[&pair[..], &["--from", day]].concat()).ok();
}

fn loaded(world: &World, day: &str) -> String {
    let sql =
        format!("SELECT count(*) FROM public.event WHERE (at AT TIME ZONE 'UTC')::date = '{day}'");
    world.read(&sql)[0][0].clone().unwrap()
}

fn on(world: &World, command: &[&str], today: &str) -> Output {
    world.dayhaul(&[command, &["--today", today]].concat())
}

fn status(world: &World, today: &str) -> Value {
    let out = on(world, &["status", "--check", "--json"], today);
    let status = out.json();
    assert_eq!(status["exit_code"], out.code);
    status
}

fn why(world: &World, day: &str) -> Value {
    world
        .dayhaul(&["why", "acme", "event", day, "--json"])
        .ok()
        .json()
}

#[test]
fn a_day_that_was_loaded_before_its_end_is_completed_by_the_next_backfill() {
    let world = half_a_day("settled_noon", "2024-06-14");
    let day = ["backfill", "--from", "2024-06-14", "--to", "2024-06-14"];
    on(&world, &day, "2024-06-14").ok();
    rows(&world, "2024-06-14", 12, 23);
    on(&world, &["backfill", "--last", "1"], "2024-06-15").ok();
    assert_eq!(loaded(&world, "2024-06-14"), "24");
    // Days of the future, loaded ahead: each is loaded for good once it has ended.
    let ahead = ["backfill", "--from", "2024-06-15", "--to", "2024-06-20"];
    on(&world, &ahead, "2024-06-15").ok();
    for day in 15..=20 {
        rows(&world, &format!("2024-06-{day}"), 0, 23);
        on(
            &world,
            &["backfill", "--last", "1"],
            &format!("2024-06-{}", day + 1),
        )
        .ok();
        assert_eq!(loaded(&world, &format!("2024-06-{day}")), "24", "{day}");
    }
}

#[test]
fn after_a_month_of_absence_a_sync_completes_what_was_loaded_before_its_end() {
    let world = half_a_day("settled_away", "2024-06-14");
    enable_from(&world, "2024-06-14");
    on(&world, &["sync"], "2024-06-14").ok();
    rows(&world, "2024-06-14", 12, 23);
    assert_eq!(status(&world, "2024-06-15")["outcome"], "ok");
    for today in ["2024-06-16", "2024-07-14"] {
        let status = status(&world, today);
        assert_eq!(status["outcome"], "not_ok", "{today}");
        let overdue = &status["pairs"][0]["overdue_days"][0];
        assert_eq!(overdue[0], "2024-06-14", "{status}");
    }
    let coverage = [
        "verify",
        "--coverage",
        "--from",
        "2024-06-14",
        "--to",
        "2024-06-14",
    ];
    on(&world, &coverage, "2024-06-15").ok();
    let out = on(&world, &coverage, "2024-07-14").exits(1);
    assert!(
        out.stdout
            .contains("not compared with the source since they ended"),
        "{}",
        out.stdout
    );
    let before = why(&world, "2024-06-14");
    assert_eq!(
        (&before["settled"], &before["checked_on"]),
        (&false.into(), &"2024-06-14".into())
    );
    let page = world
        .dayhaul(&["why", "acme", "event", "2024-06-14"])
        .ok()
        .stdout;
    assert!(
        page.contains("no: last compared 2024-06-14, before its end"),
        "{page}"
    );

    // Folded meanwhile, which is allowed.
    let folded = on(&world, &["fold", "--json"], "2024-07-14").ok().json();
    assert!(
        folded["pairs"][0]["unsettled"].as_u64() > Some(0),
        "{folded:#}"
    );
    on(&world, &["sync"], "2024-07-14").ok();
    assert_eq!(loaded(&world, "2024-06-14"), "24");
    assert_eq!(why(&world, "2024-06-14")["settled"], true);
    on(&world, &coverage, "2024-07-14").ok();
    assert_eq!(status(&world, "2024-07-14")["pairs"][0]["unsettled"], 15);
}

#[test]
fn a_tenant_that_was_disabled_longer_than_the_lookback_gets_its_late_rows() {
    let world = half_a_day("settled_disabled", "2024-06-14");
    enable_from(&world, "2024-06-14");
    // Compared after its end, and not yet after the lookback.
    on(&world, &["sync"], "2024-06-20").ok();
    world.dayhaul(&["tenant", "disable", "acme"]).ok();
    rows(&world, "2024-06-14", 12, 23);
    on(&world, &["sync"], "2024-07-20").exits(2);
    world.dayhaul(&["tenant", "enable", "acme"]).ok();
    let overdue = status(&world, "2024-07-20");
    assert_eq!(
        overdue["pairs"][0]["overdue_days"][0][0], "2024-06-14",
        "{overdue}"
    );
    on(&world, &["sync", "--lookback", "1"], "2024-07-20").ok();
    assert_eq!(loaded(&world, "2024-06-14"), "24");
}

#[test]
fn a_settled_day_is_left_alone_but_for_its_turn() {
    let world = World::with_events("settled_sweep", &["acme"], "2024-03-01", 60, 2);
    let all = ["backfill", "--from", "2024-03-01", "--to", "2024-04-29"];
    on(&world, &all, "2024-07-01").ok();
    on(&world, &["sync", "--no-sweep"], "2024-07-01").ok();
    // A row later than any lookback.
    rows(&world, "2024-03-07", 3, 3);
    let units = |args: &[&str], today: &str| {
        let report = on(&world, &[&["sync", "--json"], args].concat(), today)
            .ok()
            .json();
        let units = report["units"].as_array().unwrap().clone();
        units
            .into_iter()
            .filter(|unit| unit["day"].as_str() < Some("2024-06-17"))
            .count()
    };
    assert_eq!(units(&["--no-sweep"], "2024-07-02"), 0);
    // 108 days have settled: four a night, whatever the number of syncs.
    assert_eq!(units(&[], "2024-07-02"), 4);
    assert_eq!(units(&[], "2024-07-02"), 0, "a second sync of the day");
    for night in 3..32 {
        let today = format!("2024-07-{night:02}");
        on(&world, &["sync"], &today).ok();
    }
    assert_eq!(loaded(&world, "2024-03-07"), "3");
    world.configure("[load]\nsweep_days = 0\n");
    assert_eq!(units(&[], "2024-08-02"), 0);
}

#[test]
fn a_day_of_a_year_that_was_finished_later_is_as_old_as_its_reading() {
    let slow = events::slow(0.02).replace("open_days = 16", "lookback_days = 60\nopen_days = 3");
    let world = World::new("settled_staged", &["acme"]);
    let world = world.filled(&["acme"], &slow, "2023-03-01", (20, 20));
    let year = ["backfill", "--from", "2023-03-01", "--to", "2023-03-20"];
    let first = world.start(&[&year[..], &["--today", "2023-04-10", "--jobs", "1"]].concat());
    wait_until("days are staged", || {
        world.warehouse.one("SELECT count(*) FROM _wh.staged") != "0"
    });
    first.signal(Signal::INT);
    first.output().exits(130);
    let day = |sql: &str| {
        world
            .warehouse
            .one(&format!("SELECT {sql}(day) FROM _wh.staged"))
    };
    let staged = day("min");
    assert_eq!(why(&world, &staged)["state"], "staged");
    let later = world.warehouse.one(
        "SELECT max(d)::date FROM generate_series('2023-03-01'::date, '2023-03-20', '1 day') AS d \
         WHERE d NOT IN (SELECT day FROM _wh.staged)",
    );
    on(&world, &year, "2023-06-01").ok();
    for (day, settled, checked_on) in [(&staged, false, "2023-04-10"), (&later, true, "2023-06-01")]
    {
        let unit = why(&world, day);
        assert_eq!(
            (&unit["state"], &unit["settled"], &unit["checked_on"]),
            (&"loaded".into(), &settled.into(), &checked_on.into()),
            "{unit}"
        );
    }
    rows(&world, &staged, 1, 2);
    on(&world, &year, "2023-06-01").ok();
    assert_eq!(loaded(&world, &staged), "22");
}

#[test]
fn a_restored_day_is_settled_if_the_snapshot_says_so() {
    let world = World::with_events("settled_restored", &["acme"], "2024-03-01", 10, 5).with_lake();
    let days = [
        "backfill",
        "--land",
        "--from",
        "2024-03-01",
        "--to",
        "2024-03-10",
    ];
    on(&world, &days, "2024-03-20").ok();
    world.dayhaul(&["snapshot"]).ok();
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    on(
        &world,
        &["restore", "--from", &world.lake_url()],
        "2024-05-20",
    )
    .ok();
    for (day, settled) in [("2024-03-05", true), ("2024-03-06", false)] {
        let unit = why(&world, day);
        assert_eq!(
            (&unit["settled"], &unit["checked_on"]),
            (&settled.into(), &"2024-03-20".into()),
            "{day}"
        );
    }
    // Files alone do not know when they were compared.
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    let restore = ["restore", "--no-snapshot", "--from", &world.lake_url()];
    on(&world, &restore, "2024-05-20").ok();
    let unit = why(&world, "2024-03-05");
    assert_eq!(
        (&unit["settled"], &unit["checked_on"]),
        (&false.into(), &Value::Null)
    );
}
