//! Landing beside the warehouse, from it, and without it: a file is what the ledger says, or the ledger says that it is not.

use crate::support::digests;
use crate::support::events;
use crate::support::killer::Killer;
use crate::support::lake::forge;
use crate::support::server;
use crate::support::world::World;

/// The end of a year, and days on both sides of the fold line.
const ALL: [&str; 4] = ["--from", "2023-12-28", "--to", "2024-03-20"];

fn world(name: &str) -> World {
    let world = World::new(name, &["acme"]).with_lake();
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2023-12-28", 4, 10);
    events::fill(&world.tenants[0], "2024-02-25", 24, 10);
    world.set_up_events(&["acme"], events::TEMPLATE);
    world
}

fn args<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &ALL[..], more].concat()
}

#[track_caller]
fn totals(report: &serde_json::Value, expected: &[(&str, u64)]) {
    for (key, value) in expected {
        assert_eq!(report["totals"][key], *value, "{key}: {}", report["totals"]);
    }
}

#[test]
fn one_read_of_the_source_fills_the_warehouse_and_the_lake() {
    let world = world("land");
    let report = world.hauls(&args("backfill", &["--land"]), 0);
    // Days without rows, too: a file without rows says that there were none.
    totals(&report, &[("loaded", 84), ("files", 84), ("rows", 280)]);
    assert_eq!(world.lake_is_whole("event"), 84);
    assert_eq!(
        world.read_file("event", "acme", "2024-01-15").unwrap().rows,
        0
    );
    world.digests_hold("event", events::TEMPLATE);
    let source = "SELECT id, at, note::varchar(20), amount::numeric(12,2) FROM event \
                  WHERE at >= '2024-03-01 00:00+00' AND at < '2024-03-02 00:00+00'";
    let (rows, digest) = digests::of(&world.tenants[0].url_utc(), source);
    let file = world.read_file("event", "acme", "2024-03-01").unwrap();
    assert_eq!((file.rows, file.digest), (rows, digest.to_string()));
    world.is_clean();
    // Again: nothing is to be done.
    let files = world.files();
    let report = world.hauls(&args("backfill", &["--land"]), 0);
    totals(&report, &[("skipped", 69), ("unchanged", 15), ("files", 0)]);
    assert_eq!(world.files(), files);
}

#[test]
fn a_refresh_touches_just_the_files_of_days_that_changed() {
    let world = world("land_refresh");
    world.hauls(&args("backfill", &["--to", "both"]), 0);
    let before = world.files();
    let report = world.hauls(&args("refresh", &["--land"]), 0);
    totals(&report, &[("unchanged", 84), ("files", 0)]);
    assert_eq!(world.files(), before);

    // A late row in a day table, a correction in a year table, a row that moves, and a day that has none any more.
    world.tenants[0].run(
        "INSERT INTO event VALUES (900001, '2024-03-18 23:00+00', 'late', 1);
         UPDATE event SET amount = amount + 1 WHERE at >= '2023-12-29 00:00+00' AND at < '2023-12-29 03:00+00';
         UPDATE event SET at = '2024-03-10 12:34+00' WHERE id = (SELECT min(id) FROM event WHERE at >= '2024-03-01 00:00+00');
         DELETE FROM event WHERE at >= '2024-02-26 00:00+00' AND at < '2024-02-27 00:00+00'",
    );
    let report = world.hauls(&args("refresh", &["--land"]), 0);
    totals(&report, &[("changed", 5), ("files", 5), ("unchanged", 79)]);
    let after = world.files();
    let touched: Vec<_> = after
        .iter()
        .filter(|(path, state)| before.get(*path) != Some(state))
        .collect();
    assert_eq!(touched.len(), 5, "{touched:?}");
    world.lake_is_whole("event");
    assert_eq!(
        world.read_file("event", "acme", "2024-02-26").unwrap().rows,
        0
    );
}

#[test]
fn a_row_that_moved_into_a_refreshed_day_leaves_the_file_of_the_other() {
    let world = world("land_moved");
    world.hauls(&args("backfill", &["--land"]), 0);
    world.tenants[0].run(
        "UPDATE event SET at = '2024-03-19 12:34+00' WHERE id = (SELECT min(id) FROM event WHERE at >= '2024-02-27 00:00+00')",
    );
    let days = ["--from", "2024-03-19", "--to", "2024-03-19"];
    let report = world.hauls(&[&["refresh", "--land"], &days[..]].concat(), 0);
    totals(&report, &[("changed", 2), ("files", 2)]);
    world.lake_is_whole("event");
    assert_eq!(
        world.read_file("event", "acme", "2024-02-27").unwrap().rows,
        9
    );
}

#[test]
fn what_is_loaded_and_not_landed_is_landed_from_the_warehouse_though_the_source_is_dead() {
    let world = world("land_later");
    world.hauls(&args("backfill", &[]), 0);
    assert!(world.files().is_empty());
    let drop = format!("DROP DATABASE {} WITH (FORCE)", world.tenants[0].name);
    server::run(&server::url("postgres"), &drop);
    // The latest days cannot be compared, which is said; they land all the same.
    let report = world.hauls(&args("backfill", &["--land"]), 3);
    totals(&report, &[("landed", 84), ("loaded", 0), ("files", 84)]);
    world.lake_is_whole("event");
    world.is_clean();
}

#[test]
fn land_says_how_many_of_the_named_days_are_not_in_the_warehouse() {
    let world = world("land_lacking");
    let load = ["backfill", "--from", "2024-03-01", "--to", "2024-03-10"];
    world.hauls(&load, 0);
    let land = |from, to, more: &[&str]| {
        let args = ["land", "--from", from, "--to", to, "--today", events::TODAY];
        world.dayhaul(&[&args, more].concat()).ok()
    };
    let said = |from, to, more: &[&str]| {
        let json = land(from, to, &[&["--json"], more].concat()).json();
        assert_eq!(json["outcome"], "done");
        let units = json["units"].as_array().unwrap().len();
        let note = json["notes"][0].as_str().map(str::to_owned);
        let out = land(from, to, more);
        if let Some(note) = &note {
            assert!(out.stderr.contains(note.as_str()), "{}", out.stderr);
        } else {
            assert!(!out.stderr.contains("warehouse"), "{}", out.stderr);
        }
        (units, note)
    };
    let begins = |note: Option<String>, text: &str| {
        let note = note.unwrap();
        assert!(note.starts_with(text), "{note}");
    };
    let (units, note) = said("2024-03-08", "2024-03-14", &[]);
    assert_eq!(units, 3);
    begins(note, "acme/event: 4 of 7 days are not in the warehouse");
    let (units, note) = said("2024-03-11", "2024-03-11", &[]);
    assert_eq!(units, 0);
    begins(note, "acme/event: 1 of 1 day is not in the warehouse");
    assert_eq!(said("2024-03-01", "2024-03-10", &[]), (10, None));
    // Nobody who names no days misses one.
    let out = world.dayhaul(&["land", "--json"]).ok();
    assert!(out.json().get("notes").is_none(), "{}", out.stdout);
    // A day that is in its file alone has its file; there are no rows to write it again from.
    let alone = [
        "--from",
        "2024-03-12",
        "--to",
        "2024-03-12",
        "--to",
        "parquet",
    ];
    world.hauls(&[&["backfill"], &alone[..]].concat(), 0);
    assert_eq!(said("2024-03-12", "2024-03-12", &[]), (0, None));
    let (_, note) = said("2024-03-12", "2024-03-12", &["--rewrite"]);
    begins(note, "acme/event: 1 of 1 day is not in the warehouse");
    assert_eq!(world.lake_is_whole("event"), 11);
}

/// Days of the report by how they ended.
fn ended(report: &serde_json::Value) -> Vec<(&str, &str)> {
    let units = report["units"].as_array().unwrap().iter();
    units
        .map(|u| (u["day"].as_str().unwrap(), u["outcome"].as_str().unwrap()))
        .collect()
}

#[test]
fn days_that_are_there_are_skipped_though_nobody_knows_the_source() {
    let world = world("land_sourceless");
    let days = |to: &'static str| ["--from", "2024-03-01", "--to", to];
    let backfill =
        |to, more: &[&str], code| world.hauls(&[&["backfill"], &days(to)[..], more].concat(), code);
    backfill("2024-03-03", &["--to", "parquet"], 0);
    // As a restore from files leaves it.
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = NULL, password_ref = NULL");
    let there = ["2024-03-01", "2024-03-02", "2024-03-03"].map(|day| (day, "skipped"));
    let report = backfill("2024-03-03", &["--to", "parquet"], 0);
    assert_eq!(ended(&report), there);
    assert_eq!(report["failures"], serde_json::json!([]));
    // A day that is not there needs the source, and is the only one that is not tried.
    let report = backfill("2024-03-04", &["--to", "parquet"], 1);
    assert_eq!(
        ended(&report),
        [&there[..], &[("2024-03-04", "not_tried")]].concat()
    );
    assert_eq!(
        report["failures"][0]["days"],
        serde_json::json!([["2024-03-04", "2024-03-04"]])
    );
    // The warehouse has none of them.
    let report = backfill("2024-03-03", &[], 1);
    totals(&report, &[("not_tried", 3), ("skipped", 0)]);

    let url = world.tenants[0].url();
    world
        .dayhaul(&["tenant", "add", "acme", "--url", &url, "--no-test"])
        .ok();
    backfill("2024-03-03", &[], 0);
    world.warehouse.run("UPDATE _wh.tenant SET url = NULL");
    assert_eq!(ended(&backfill("2024-03-03", &[], 0)), there);
    let report = backfill("2024-03-04", &["--land"], 1);
    totals(&report, &[("not_tried", 1), ("skipped", 3), ("files", 0)]);
}

#[test]
fn land_writes_files_of_what_the_warehouse_has() {
    let world = world("land_command");
    world.hauls(&args("backfill", &[]), 0);
    let few = ["--from", "2024-03-01", "--to", "2024-03-10"];
    let report = world.hauls(&[&["land"], &few[..]].concat(), 0);
    assert_eq!(report["schema"], "dayhaul.land/1");
    totals(&report, &[("landed", 10), ("files", 10)]);
    let object = &report["units"][0]["object"];
    assert!(object["url"].as_str().unwrap().starts_with("file:///"));
    assert_eq!(object["written"], true);
    let report = world.hauls(&["land"], 0);
    totals(&report, &[("landed", 74), ("skipped", 10)]);
    world.lake_is_whole("event");
    let before = world.files();
    totals(
        &world.hauls(&["land"], 0),
        &[("landed", 0), ("skipped", 84)],
    );
    assert_eq!(world.files(), before);
    totals(&world.hauls(&["land", "--rewrite"], 0), &[("landed", 84)]);
    world.lake_is_whole("event");
}

#[test]
fn files_alone_need_no_table() {
    let world = world("land_alone");
    let report = world.hauls(&args("backfill", &["--to", "parquet"]), 0);
    totals(&report, &[("landed", 84), ("loaded", 0), ("files", 84)]);
    world.lake_is_whole("event");
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM pg_class WHERE relname LIKE 'event%'"),
        "0"
    );
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'landed' AND relation IS NULL"),
        "84"
    );
    let before = world.files();
    let report = world.hauls(&args("backfill", &["--to", "parquet"]), 0);
    totals(&report, &[("skipped", 69), ("unchanged", 15)]);
    world.tenants[0].run("DELETE FROM event WHERE id IN (SELECT min(id) FROM event)");
    let report = world.hauls(&args("refresh", &["--to", "parquet"]), 0);
    totals(&report, &[("changed", 1), ("unchanged", 83), ("files", 1)]);
    world.lake_is_whole("event");
    let after = world.files();
    assert_eq!(after.iter().filter(|(p, s)| before[*p] != **s).count(), 1);
    // The warehouse comes later: it takes nothing for loaded that is in files alone.
    let report = world.hauls(&args("backfill", &[]), 0);
    totals(&report, &[("loaded", 84), ("files", 0)]);
    world.digests_hold("event", events::TEMPLATE);
    world.lake_is_whole("event");
}

#[test]
fn a_sync_lands_what_is_new_what_changed_and_what_was_never_landed() {
    let world = world("land_sync");
    world.hauls(&args("backfill", &[]), 0);
    world.configure(&format!(
        "[landing]\nurl = \"{}\"\nenabled = true\n",
        world.lake_url()
    ));
    let report = world.hauls(&["sync", "--no-land"], 0);
    totals(&report, &[("files", 0)]);
    let report = world.hauls(&["sync"], 0);
    totals(&report, &[("landed", 84), ("files", 84)]);
    world.lake_is_whole("event");
    world.is_clean();
    totals(
        &world.hauls(&["sync"], 0),
        &[("unchanged", 15), ("files", 0)],
    );
}

#[test]
fn a_rebuilt_year_is_landed_anew() {
    let world = world("land_rebuild");
    world.hauls(&args("backfill", &["--land"]), 0);
    world.tenants[0].run("UPDATE event SET amount = amount + 1 WHERE id % 2 = 0");
    let days = ["--from", "2024-02-20", "--to", "2024-03-20"];
    world.hauls(&[&["rebuild", "--land"], &days[..]].concat(), 0);
    world.lake_is_whole("event");
    world.digests_hold("event", events::TEMPLATE);
    world.is_clean();
}

#[test]
fn killed_at_any_moment_and_run_again_warehouse_and_lake_are_whole() {
    let mut killer = Killer::new();
    let backfill = args("backfill", &["--land", "--today", events::TODAY]);
    let refresh = args("refresh", &["--land", "--today", events::TODAY]);
    killer.time(&world("land_timed"), &backfill);
    let world = world("land_killed");
    for _ in 0..6 {
        killer.kill(&world, &backfill);
        world.nobody_is_left();
    }
    world.dayhaul(&backfill).ok();
    world.lake_is_whole("event");
    let verify = [&ALL[..], &["--against", "all"]].concat();
    world.all_is_well(events::TEMPLATE, &verify);
    let change = |round: u32| {
        world.tenants[0].run(&format!(
            "UPDATE event SET amount = amount + 1 WHERE id % 7 = {round};
             INSERT INTO event SELECT 700000 + {round} * 100 + n, timestamptz '2024-03-01 00:00+00' + n * interval '1 day', 'late', n
             FROM generate_series(1, 10) AS n"
        ));
    };
    change(0);
    let mut killer = Killer::new();
    killer.time(&world, &refresh);
    for round in 1..=6 {
        change(round);
        killer.kill(&world, &refresh);
        world.nobody_is_left();
        world.dayhaul(&refresh).ok();
        world.lake_is_whole("event");
        world.all_is_well(events::TEMPLATE, &verify);
    }
    killer.was_in_time();
}

#[test]
fn a_template_that_cannot_land_is_refused_before_any_row_moves() {
    let world = World::new("land_refused", &["acme"]).with_lake();
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-01", 3, 5);
    let template = events::TEMPLATE.replace("numeric(12,2)", "numeric");
    world.set_up_events(&["acme"], &template);
    let file = world.write("templates/event.sql", &template);
    let load = ["template", "load", file.to_str().unwrap(), "--landing"];
    let refused = world.dayhaul(&load).exits(2);
    assert!(refused.stderr.contains("`amount`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("land ="), "{}", refused.stderr);
    let days = ["--from", "2024-03-01", "--to", "2024-03-03"];
    let report = world.hauls(&[&["backfill", "--land"], &days[..]].concat(), 1);
    assert!(
        report["failures"][0]["error"]
            .as_str()
            .unwrap()
            .contains("`amount`"),
        "{report}"
    );
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.unit"), "0");
    // With the policy it lands, as what it says.
    let text = template.replace(
        "\"numeric\"",
        "{ type = \"numeric\", land = \"decimal(20,6)\" }",
    );
    let file = world.write("templates/event.sql", &text);
    world
        .dayhaul(&["template", "load", file.to_str().unwrap(), "--landing"])
        .ok();
    world.hauls(&[&["backfill", "--land"], &days[..]].concat(), 0);
    let read = world.read_file("event", "acme", "2024-03-02").unwrap();
    assert_eq!(
        Some(read.digest),
        read.footer.restored_digest.map(|d| d.to_string())
    );
}

#[test]
fn a_value_that_no_file_can_hold_fails_its_day_and_no_other() {
    let world = world("land_nan");
    world.tenants[0]
        .run("UPDATE event SET amount = 'NaN' WHERE id = (SELECT min(id) FROM event WHERE at >= '2024-03-12 00:00+00')");
    let report = world.hauls(&args("backfill", &["--land"]), 1);
    totals(&report, &[("loaded", 83), ("failed", 1), ("files", 83)]);
    let failure = &report["failures"][0];
    assert_eq!(
        failure["days"],
        serde_json::json!([["2024-03-12", "2024-03-12"]])
    );
    assert!(
        failure["error"].as_str().unwrap().contains("`amount`"),
        "{failure}"
    );
    assert_eq!(world.lake_is_whole("event"), 83);
    world.is_clean();
}

#[test]
fn a_lake_that_vanishes_fails_the_days_and_a_later_run_lands_them() {
    let world = World::new("land_gone", &["acme"]).with_lake();
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-08", 12, 10);
    world.set_up_events(&["acme"], &events::slow(0.02));
    let days = ["--from", "2024-03-08", "--to", "2024-03-19", "--land"];
    let run = world.start_backfill(&[&days[..], &["--json"]].concat());
    crate::support::world::wait_until("a file is there", || !world.files().is_empty());
    std::fs::rename(world.lake(), world.folder().join("away")).unwrap();
    let report = run.output().exits(1).json();
    assert!(report["totals"]["failed"].as_u64().unwrap() > 0, "{report}");
    let error = report["failures"][0]["error"].as_str().unwrap();
    assert!(error.contains("lake"), "{error}");
    assert!(!world.lake().exists(), "a root is not made anew");
    // Where a file could not be finished, its rows are not in the warehouse; what is there is whole.
    world.is_clean();
    std::fs::rename(world.folder().join("away"), world.lake()).unwrap();
    world.hauls(&[&["backfill"], &days[..]].concat(), 0);
    assert_eq!(world.lake_is_whole("event"), 12);
}

#[test]
fn a_lake_that_is_not_there_is_said_before_anything_moves() {
    let world = world("land_missing");
    std::fs::remove_dir(world.lake()).unwrap();
    let out = world.dayhaul(&args("backfill", &["--land"])).exits(2);
    assert!(out.stderr.contains("lake"), "{}", out.stderr);
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.run"), "0");
    world.configure("");
    let out = world.dayhaul(&args("backfill", &["--land"])).exits(2);
    assert!(out.stderr.contains("[landing]"), "{}", out.stderr);
    let out = world.dayhaul(&["verify", "--to", "parquet"]).exits(2);
    assert!(out.stderr.contains("--to"), "{}", out.stderr);
}

#[test]
fn verify_reads_the_files_and_says_of_each_what_is_wrong_with_it() {
    let world = world("land_verify");
    let days = ["--from", "2024-02-25", "--to", "2024-03-19"];
    world.hauls(&[&["backfill", "--land"], &days[..]].concat(), 0);
    let verify = |args: &[&str], code| {
        let args = [&["verify", "--json"], args].concat();
        world.dayhaul(&args).exits(code).json()
    };
    for against in ["parquet", "all"] {
        let found = verify(&["--against", against], 0);
        assert_eq!(found["totals"]["ok"], 24, "{}", found["totals"]);
        assert_eq!(found["units"][0]["parquet"]["rows"], 10);
        assert_eq!(found["units"][0]["parquet"], found["units"][0]["ledger"]);
    }
    let file = |day: &str| world.file("event", "acme", day);
    std::fs::remove_file(file("2024-03-01")).unwrap();
    let whole = std::fs::read(file("2024-03-02")).unwrap();
    std::fs::write(file("2024-03-02"), &whole[..whole.len() - 40]).unwrap();
    std::fs::write(file("2024-03-03"), &whole).unwrap();
    std::fs::write(file("2024-03-04"), "PAR1 or not").unwrap();
    world.forge("2024-03-05", "2024-03-06", false);
    world.forge("2024-03-07", "2024-03-08", true);
    world
        .warehouse
        .run("UPDATE _wh.unit SET object = NULL, object_digest = NULL WHERE day = '2024-03-09'");
    let found = verify(&["--against", "parquet"], 1);
    let units = found["units"].as_array().unwrap();
    let of = |day: &str| {
        let unit = units.iter().find(|u| u["day"] == day).unwrap();
        (unit["outcome"].as_str().unwrap(), unit["differs"].as_str())
    };
    assert_eq!(of("2024-03-01"), ("missing_file", None));
    assert_eq!(of("2024-03-02"), ("failed", None));
    assert_eq!(of("2024-03-03"), ("failed", None));
    assert_eq!(of("2024-03-04"), ("failed", None));
    assert_eq!(of("2024-03-05"), ("failed", None), "its footer lies");
    assert_eq!(of("2024-03-07"), ("differs", Some("parquet")));
    assert_eq!(of("2024-03-09"), ("not_landed", None));
    assert_eq!(found["totals"]["ok"], 17, "{}", found["totals"]);
    let failures = found["failures"].to_string();
    for day in ["2024-03-02", "2024-03-03", "2024-03-04", "2024-03-05"] {
        let object = format!("date={day}/data.parquet");
        assert!(failures.contains(&object), "{object}: {failures}");
    }
    // All of it is mended from the warehouse.
    world.hauls(&["land", "--rewrite"], 0);
    verify(&["--against", "parquet"], 0);
    world
        .dayhaul(&["verify", "--against", "parquet", "--repair"])
        .exits(2);
}

impl World {
    fn forge(&self, day: &str, from: &str, honest: bool) {
        forge(&self.landing(), day, from, honest);
    }
}

#[test]
fn files_that_stand_alone_are_verified_against_the_ledger_and_the_source() {
    let world = world("land_verify_alone");
    let days = ["--from", "2024-02-25", "--to", "2024-03-19"];
    world.hauls(&[&["backfill", "--to", "parquet"], &days[..]].concat(), 0);
    for against in ["parquet", "all"] {
        let found = world.dayhaul(&["verify", "--json", "--against", against]);
        assert_eq!(found.ok().json()["totals"]["ok"], 24);
    }
    world.forge("2024-03-07", "2024-03-08", true);
    let found = world.dayhaul(&["verify", "--json", "--against", "all"]);
    let found = found.exits(1).json();
    assert_eq!(found["totals"]["differs"], 1);
    let unit = found["units"].as_array().unwrap().iter();
    let mut unit = unit.filter(|u| u["outcome"] == "differs");
    assert_eq!(unit.next().unwrap()["differs"], "parquet");
    // Those that look at the warehouse find nothing there that they could miss.
    let found = world.dayhaul(&["verify", "--json"]).ok().json();
    assert_eq!(found["totals"]["units"], 0);
}
