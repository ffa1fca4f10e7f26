//! With a snapshot the catalog comes back as it was, and status tells two warehouses apart.

use crate::support::events;
use crate::support::landed_files::{Lake, Written, template};
use crate::support::server::Database;
use crate::support::world::World;

const CATALOG: [&str; 4] = [
    "SELECT name, schema_name, url, password_ref, vars, enabled, source_schema, search_path, search_path_from \
     FROM _wh.tenant ORDER BY 1",
    "SELECT name, version, source FROM _wh.template ORDER BY 1",
    "SELECT template, version, source, loaded_at FROM _wh.template_version ORDER BY 1, 2",
    "SELECT tenant, template, enabled, first_day, fold_line FROM _wh.pair ORDER BY 1, 2",
];

const UNITS: &str = "SELECT tenant, template, day, state, rows, digest, version, relation FROM _wh.unit ORDER BY 1, 2, 3";
const VIEW: &str = "SELECT schema_name, count(*), sum(amount), sum(hashtext(note)) FROM public.event GROUP BY 1 ORDER BY 1";

fn landed(name: &str) -> (World, Lake) {
    let world = World::with_events(name, &["acme", "beta"], "2023-12-25", 86, 4);
    world
        .backfill(&["--from", "2023-12-25", "--to", "2024-03-19"])
        .ok();
    let lake = Lake::new();
    world.land(&lake, "event", events::TEMPLATE);
    world.configure(&format!("[landing]\nurl = \"{}\"\n", lake.url()));
    (world, lake)
}

#[test]
fn a_warehouse_that_was_dropped_is_back_after_two_commands() {
    let (world, _lake) = landed("disaster");
    // Not everything is as a fresh load would make it.
    world.dayhaul(&["tenant", "disable", "beta"]).ok();
    world.warehouse.run(
        "UPDATE _wh.tenant SET password_ref = 'env:ACME', vars = '{\"client\": \"7\"}', source_schema = 'Acme', \
             search_path = '{public,ext}', search_path_from = 'chosen' WHERE name = 'acme'",
    );
    let catalog = || CATALOG.map(|sql| world.warehouse.rows(sql));
    let before = (catalog(), world.warehouse.rows(UNITS), world.read(VIEW));
    let data = world.dayhaul(&["status", "--data", "--json"]).ok().json()["data"].clone();
    let taken = world.dayhaul(&["snapshot", "--json"]).ok().json();
    assert_eq!(taken["id"], data);

    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    let out = world.dayhaul(&["restore", "--today", events::TODAY]).ok();
    assert!(
        out.stderr.contains(taken["id"].as_str().unwrap()),
        "{}",
        out.stderr
    );
    assert_eq!(
        (catalog(), world.warehouse.rows(UNITS), world.read(VIEW)),
        before
    );
    world.is_clean();

    let status = world
        .dayhaul(&["status", "--data", "--json", "--today", events::TODAY])
        .ok()
        .json();
    assert_eq!(status["data"], data);
    assert_eq!(status["restored"]["snapshot"], taken["id"]);
    assert_eq!(status["restored"]["outcome"], "done");
    let page = world.dayhaul(&["status"]).ok().stdout;
    let said = format!(
        "restored from snapshot {} of",
        taken["id"].as_str().unwrap()
    );
    assert!(page.contains(&said), "{page}");
    // Runs go on counting after the lost warehouse's.
    let runs = world.warehouse.one("SELECT min(id) > 1 FROM _wh.run");
    assert_eq!(runs, "t");
}

#[test]
fn a_snapshot_holds_no_secret_and_no_row() {
    let (world, lake) = landed("no_secret");
    world
        .warehouse
        .run("UPDATE _wh.tenant SET password_ref = 'env:ACME_PASSWORD' WHERE name = 'acme'");
    let out = world.folder().join("kept.json");
    world
        .dayhaul(&["snapshot", "--out", out.to_str().unwrap()])
        .ok();
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("\"env:ACME_PASSWORD\"") && text.contains("dayhaul.snapshot/1"));
    assert!(!text.contains("note 1"), "values of rows");
    // It may lie anywhere.
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    let from = lake.url();
    world
        .dayhaul(&[
            "restore",
            "--from",
            &from,
            "--snapshot",
            "kept.json",
            "--today",
            events::TODAY,
        ])
        .ok();
    assert_eq!(
        world
            .warehouse
            .one("SELECT password_ref FROM _wh.tenant WHERE name = 'acme'"),
        "env:ACME_PASSWORD"
    );
}

#[test]
fn the_newest_snapshots_are_kept() {
    let (world, lake) = landed("kept");
    let folder = lake.folder().join("_dayhaul");
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    std::fs::create_dir_all(&folder).unwrap();
    for year in [2019, 2020, 2021] {
        let name = format!("snapshot-{year}0101T000000Z-0123456789ab.json");
        std::fs::write(folder.join(name), "{}").unwrap();
    }
    std::fs::write(folder.join("other.json"), "{}").unwrap();
    let out = world
        .dayhaul(&["snapshot", "--keep", "2", "--json"])
        .ok()
        .json();
    assert_eq!(out["removed"].as_array().unwrap().len(), 2);
    let left = names();
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(left[0], "other.json");
    assert!(left[1].starts_with("snapshot-2021"), "{left:?}");
}

#[test]
fn an_older_copy_of_a_file_is_told_from_the_ledgers_and_a_newer_one_is_taken() {
    let (world, lake) = landed("older_copy");
    world.dayhaul(&["snapshot"]).ok();
    let event = template("event", events::TEMPLATE);
    let write = |day: &str, run: i64| {
        let query = format!(
            "SELECT id, at, note::varchar, (amount + 1)::numeric(12,2) FROM event \
             WHERE (at AT TIME ZONE 'UTC')::date = '{day}'"
        );
        let written = Written {
            tenant: "acme",
            schema: "acme",
            template: &event,
            day: day.parse().unwrap(),
            run,
            lie: None,
        };
        lake.write(&world.tenants[0].url(), &query, &written);
    };
    let last: i64 = world
        .warehouse
        .one("SELECT max(id) FROM _wh.run")
        .parse()
        .unwrap();
    write("2024-02-01", 1);
    write("2024-02-02", last + 1);
    std::fs::remove_file(lake.file("event", "beta", "2024-03-19")).unwrap();
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    let restore = ["restore", "--json", "--today", events::TODAY];
    let report = world.dayhaul(&restore).exits(1).json();
    assert_eq!(report["totals"]["failed"], 2);
    let failures = report["failures"].to_string();
    for what in [
        "2024-02-01",
        "the ledger of snapshot",
        "2024-03-19",
        "no file of this day",
    ] {
        assert!(failures.contains(what), "{what}: {failures}");
    }
    // Whoever knows better takes the files as they are.
    let report = world
        .dayhaul(&[&restore[..], &["--no-snapshot"]].concat())
        .ok()
        .json();
    assert_eq!(report["totals"]["loaded"], 1);
}

#[test]
fn status_counts_what_is_loaded_landed_failed_and_missing() {
    let world = World::with_events("status", &["acme"], "2024-03-01", 19, 3);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-10"])
        .ok();
    world
        .backfill(&["--from", "2024-03-15", "--to", "2024-03-19"])
        .ok();
    let status = |args: &[&str]| {
        world.dayhaul(&[&["status", "--json", "--today", events::TODAY], args].concat())
    };
    let found = status(&[]).ok().json();
    assert_eq!(found["schema"], "dayhaul.status/1");
    assert_eq!(found["outcome"], "not_ok");
    let pair = &found["pairs"][0];
    assert_eq!((&pair["loaded"], &pair["missing"]), (&15.into(), &4.into()));
    assert_eq!(pair["missing_days"][0][0], "2024-03-11");
    assert_eq!(pair["last_run"]["outcome"], "done");
    assert!(found["restored"].is_null());
    status(&["--check"]).exits(1);
    status(&["--check", "--from", "2024-03-01", "--to", "2024-03-10"]).ok();
    world
        .backfill(&["--from", "2024-03-11", "--to", "2024-03-14"])
        .ok();
    status(&["--check"]).ok();
    let page = world.dayhaul(&["status", "--today", events::TODAY]).ok();
    assert!(page.stdout.contains("acme"), "{}", page.stdout);
}

#[test]
fn two_copies_of_the_same_days_have_the_same_data() {
    let (world, lake) = landed("same_data");
    world.dayhaul(&["snapshot"]).ok();
    let (one, two) = (Database::create("copy_one"), Database::create("copy_two"));
    let data = |copy: &Database, last: &str| {
        let (url, into) = (lake.url(), copy.url());
        world
            .dayhaul(&[
                "restore",
                "--from",
                &url,
                "--into",
                &into,
                "--last",
                last,
                "--today",
                events::TODAY,
            ])
            .ok();
        world.write(
            "copy.toml",
            &format!(
                "[warehouse]\nurl = \"{into}\"\nowner_role = \"{}\"\nreader_role = \"{}\"\n",
                world.owner, world.reader
            ),
        );
        let status = [
            "status",
            "--data",
            "--config",
            "copy.toml",
            "--json",
            "--today",
            events::TODAY,
        ];
        world.dayhaul(&status).ok().json()["data"].clone()
    };
    let first = data(&one, "7");
    assert_eq!(first, data(&two, "7"));
    assert_ne!(first, data(&two, "8"));
}

#[test]
fn what_a_load_landed_comes_back_with_its_objects() {
    let world = World::new("landed_by_load", &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2023-12-28", 12, 7);
    let lake = Lake::new();
    world.configure(&format!(
        "[landing]\nurl = \"{}\"\nenabled = true\n",
        lake.url()
    ));
    // An amount that loses the zeros behind its last digit on its way through the file.
    let inexact = events::TEMPLATE.replace(
        "amount = \"numeric(12,2)\"",
        "amount = { type = \"numeric\", land = \"decimal(20,6)\" }",
    );
    world.set_up_events(&["acme"], &inexact);
    world
        .backfill(&["--from", "2023-12-28", "--to", "2024-01-08"])
        .ok();
    let objects =
        "SELECT day, state, rows, object FROM _wh.unit WHERE object_digest = digest ORDER BY 1";
    let before = (world.warehouse.rows(objects), world.read(VIEW_OF_SUMS));
    assert_eq!(before.0.len(), 12);
    world.dayhaul(&["snapshot"]).ok();
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    world.dayhaul(&["restore", "--today", events::TODAY]).ok();
    assert_eq!(
        (world.warehouse.rows(objects), world.read(VIEW_OF_SUMS)),
        before
    );
    world.digests_hold("event", &inexact);
    world.dayhaul(&["verify", "--against", "ledger"]).ok();
}

const VIEW_OF_SUMS: &str =
    "SELECT count(*), trim_scale(sum(amount)), sum(hashtext(note)) FROM public.event";
