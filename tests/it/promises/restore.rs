//! Restore brings days back from their files just as they were, or says of each why not.

use crate::support::events;
use crate::support::killer::Killer;
use crate::support::landed_files::{Lake, Written, template};
use crate::support::server::Database;
use crate::support::world::{Output, World, wait_until};
use dayhaul::copy::Tally;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// What a reader may see, and what the ledger says, of everything: to be the same before and after.
const UNITS: &str = "SELECT tenant, template, day, state, rows, digest, bytes, version, relation FROM _wh.unit ORDER BY 1, 2, 3";
const VIEWS: &str = "SELECT schema_name, (at AT TIME ZONE 'UTC')::date, count(*), sum(amount), sum(hashtext(note)), sum(id) \
     FROM public.event GROUP BY 1, 2 ORDER BY 1, 2";
const RELATIONS: &str = "SELECT n.nspname, c.relname, c.relkind, array_to_string(c.relacl, ' ') FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'i') \
     AND n.nspname NOT IN ('_wh', 'pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2";

type Rows = Vec<Vec<Option<String>>>;

fn picture(world: &World) -> (Rows, Rows, Rows) {
    (
        world.warehouse.rows(UNITS),
        world.read(VIEWS),
        world.warehouse.rows(RELATIONS),
    )
}

/// A year, a piece of another and open days, of two tenants, loaded and landed.
fn landed(name: &str) -> (World, Lake) {
    let world = World::with_events(name, &["acme", "zenith-two"], "2023-12-20", 91, 6);
    world
        .backfill(&["--from", "2023-12-20", "--to", "2024-03-19"])
        .ok();
    let lake = Lake::new();
    world.land(&lake, "event", events::TEMPLATE);
    (world, lake)
}

/// One tenant, few days: for what goes wrong.
fn small(name: &str) -> (World, Lake) {
    let world = World::with_events(name, &["acme"], "2024-01-01", 10, 5);
    world
        .backfill(&["--from", "2024-01-01", "--to", "2024-01-10"])
        .ok();
    let lake = Lake::new();
    world.land(&lake, "event", events::TEMPLATE);
    (world, lake)
}

fn restore(world: &World, args: &[&str]) -> Output {
    world.dayhaul(&[&["restore", "--json", "--today", events::TODAY], args].concat())
}

fn lost(world: &World) {
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
}

#[test]
fn a_lost_warehouse_comes_back_from_its_files_alone() {
    let (world, lake) = landed("lost");
    let before = picture(&world);
    lost(&world);
    let report = restore(&world, &["--from", &lake.url()]).ok().json();
    assert_eq!(report["schema"], "dayhaul.restore/1");
    assert_eq!(report["totals"]["loaded"], 182);
    assert_eq!(report["totals"]["rows"], 91 * 6 * 2);
    assert_eq!(picture(&world), before);
    world.is_clean();
    world.digests_hold("event", events::TEMPLATE);
    // A second time there is nothing to do.
    let again = restore(&world, &["--from", &lake.url()]).ok().json();
    assert_eq!(again["totals"]["loaded"], 0);
    assert_eq!(again["totals"]["skipped"], 182);
}

#[test]
fn tenants_that_came_from_files_wait_for_their_source_and_go_on_when_they_know_it() {
    let (world, lake) = small("sourceless");
    lost(&world);
    restore(&world, &["--from", &lake.url()]).ok();
    let shown = world.dayhaul(&["tenant", "show", "acme"]).ok();
    assert!(shown.stdout.contains("not known"), "{}", shown.stdout);
    let sync = world.dayhaul(&["sync", "--today", "2024-01-12"]).exits(1);
    assert!(
        sync.stderr.contains("tenant set acme --url"),
        "{}",
        sync.stderr
    );
    world
        .dayhaul(&["tenant", "set", "acme", "--url", &world.tenants[0].url()])
        .ok();
    world.dayhaul(&["sync", "--today", "2024-01-12"]).ok();
    world
        .dayhaul(&["verify", "--from", "2024-01-01", "--to", "2024-01-10"])
        .ok();
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_half_and_the_next_restore_goes_on() {
    let (world, lake) = landed("restore_killed");
    let before = picture(&world);
    lost(&world);
    let url = lake.url();
    let killed = [
        "restore",
        "--today",
        events::TODAY,
        "--from",
        &url,
        "--jobs",
        "3",
    ];
    let mut killer = Killer::new();
    killer.time(&world, &killed);
    // The catalog came from files, which do not know where the tenants are.
    let verify = [
        "--against",
        "ledger",
        "--from",
        "2023-12-20",
        "--to",
        "2024-03-19",
    ];
    for round in 0..5 {
        lost(&world);
        for _ in 0..2 {
            killer.kill(&world, &killed);
            world.nobody_is_left();
            // Whatever readers see of a day is the whole day.
            let some = world.warehouse.rows("SELECT to_regclass('public.event')");
            if some[0][0].is_some() {
                let wrong = "SELECT schema_name, (at AT TIME ZONE 'UTC')::date FROM public.event GROUP BY 1, 2 HAVING count(*) <> 6";
                assert_eq!(world.read(wrong), Rows::new(), "round {round}");
            }
        }
        restore(&world, &["--from", &lake.url()]).ok();
        let after = picture(&world);
        assert_eq!(after.1, before.1, "round {round}");
        assert_eq!(after, before, "round {round}");
        world.all_is_well(events::TEMPLATE, &verify);
    }
    killer.was_in_time();
}

#[test]
fn a_cancelled_restore_ends_cleanly_and_readers_notice_nothing() {
    let (world, lake) = landed("restore_readers");
    let before = picture(&world);
    // A closed year and an open day are lost; the other days are read all the time.
    world
        .warehouse
        .run("DROP TABLE acme.event_2023 CASCADE; DROP TABLE acme.event_2024_03_19 CASCADE");
    let others = "SELECT count(*), sum(amount) FROM zenith_two.event";
    let seen = world.read(others);
    let run = world.start(&["restore", "--today", events::TODAY, "--from", &lake.url()]);
    wait_until("the run is there", || {
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.run WHERE command = 'restore'")
            == "1"
    });
    run.signal(Signal::INT);
    assert_eq!(world.read(others), seen);
    let out = run.output();
    assert!(out.code == 130 || out.code == 0, "{}", out.stderr);
    assert_eq!(world.read(others), seen);
    restore(&world, &["--from", &lake.url()]).ok();
    assert_eq!(picture(&world), before);
    world.is_clean();
}

/// Writes a file whose footer says another digest than its rows have.
fn lie(world: &World, lake: &Lake, day: &str) {
    let lie = Written {
        tenant: "acme",
        schema: "acme",
        template: &template("event", events::TEMPLATE),
        day: day.parse().unwrap(),
        run: 1,
        lie: Some(Tally {
            rows: 5,
            ..Tally::default()
        }),
    };
    let query = format!(
        "SELECT id, at, note::varchar, amount::numeric(12,2) FROM event \
         WHERE (at AT TIME ZONE 'UTC')::date = '{day}'"
    );
    lake.write(&world.tenants[0].url(), &query, &lie);
}

#[test]
fn bad_files_fail_their_days_alone_and_are_named() {
    let (world, lake) = small("bad_files");
    let file = |day: &str| lake.file("event", "acme", day);
    // Cut short.
    let bytes = std::fs::read(file("2024-01-02")).unwrap();
    std::fs::write(file("2024-01-02"), &bytes[..bytes.len() / 2]).unwrap();
    // A footer whose digest lies.
    lie(&world, &lake, "2024-01-04");
    // Another day's file in its place.
    std::fs::copy(file("2024-01-05"), file("2024-01-06")).unwrap();
    // Not written by us at all, and not a Parquet file at all.
    std::fs::write(file("2024-01-08"), b"hello").unwrap();
    // Gone.
    std::fs::remove_file(file("2024-01-09")).unwrap();
    lost(&world);
    let out = restore(&world, &["--from", &lake.url()]).exits(1);
    let report = out.json();
    assert_eq!(report["totals"]["loaded"], 5);
    assert_eq!(report["totals"]["failed"], 5);
    let loaded = world
        .warehouse
        .rows("SELECT extract(day FROM day) FROM _wh.unit WHERE state = 'loaded' ORDER BY day");
    let loaded: Vec<String> = loaded.into_iter().filter_map(|mut r| r[0].take()).collect();
    assert_eq!(loaded, ["1", "3", "5", "7", "10"]);
    assert_eq!(
        world.read("SELECT count(*) FROM public.event")[0][0].as_deref(),
        Some("25")
    );
    let why = |day: &str| -> String {
        let failures = report["failures"].as_array().unwrap();
        let of = |f: &&serde_json::Value| f["days"].to_string().contains(day);
        let found: Vec<_> = failures.iter().filter(of).collect();
        assert_eq!(found.len(), 1, "{day}: {failures:#?}");
        found[0]["error"].as_str().unwrap().to_owned()
    };
    for (day, what) in [
        ("2024-01-02", "date=2024-01-02/data.parquet"),
        ("2024-01-04", "its footer declares 5 rows with digest 0000"),
        ("2024-01-06", "2024-01-05"),
        ("2024-01-08", "date=2024-01-08/data.parquet"),
        ("2024-01-09", "no file of this day"),
    ] {
        assert!(why(day).contains(what), "{day}: {}", why(day));
    }
    world.is_clean();
}

#[test]
fn the_first_place_with_a_whole_file_wins() {
    let (world, lake) = small("places");
    let before = picture(&world);
    let (first, second) = (Lake::new(), Lake::new());
    first.copy_from(&lake);
    second.copy_from(&lake);
    std::fs::write(first.file("event", "acme", "2024-01-03"), b"PAR1").unwrap();
    std::fs::remove_file(first.file("event", "acme", "2024-01-04")).unwrap();
    lie(&world, &first, "2024-01-05");
    std::fs::write(second.file("event", "acme", "2024-01-07"), b"").unwrap();
    lost(&world);
    let (one, two) = (first.url(), second.folder().display().to_string());
    restore(&world, &["--from", &one, "--from", &two]).ok();
    assert_eq!(picture(&world), before);
    // Where no place has a good file, each says why.
    std::fs::write(second.file("event", "acme", "2024-01-03"), b"PAR1").unwrap();
    lost(&world);
    let out = restore(&world, &["--from", &one, "--from", &two])
        .exits(1)
        .json();
    assert_eq!(out["totals"]["failed"], 1);
    let error = out["failures"][0]["error"].to_string();
    for place in [&one, &two] {
        assert!(error.contains(place.as_str()), "{error}");
    }
}

#[test]
fn foreign_files_among_the_days_are_left_out_and_said() {
    let (world, lake) = small("foreign");
    let before = picture(&world);
    let stranger = lake
        .folder()
        .join("event/tenant=acme/date=2024-01-02/part-0.parquet");
    std::fs::write(&stranger, b"hello").unwrap();
    std::fs::write(lake.folder().join("notes.txt"), b"hello").unwrap();
    lost(&world);
    let out = restore(&world, &["--from", &lake.url()]).ok();
    assert!(
        out.stderr.contains("notes.txt") || out.stderr.contains("part-0"),
        "{}",
        out.stderr
    );
    assert_eq!(picture(&world), before);
}

#[test]
fn files_of_an_older_version_get_nulls_for_new_columns_and_keep_their_version() {
    let (world, lake) = small("added");
    // The warehouse is built anew with a template that has one column more.
    world.lose_warehouse();
    let newer = events::TEMPLATE
        .replace(
            "amount = \"numeric(12,2)\"",
            "amount = \"numeric(12,2)\"\nplace = \"text\"",
        )
        .replace("note, amount FROM", "note, amount, 'here' AS place FROM");
    world.set_up_events(&["acme"], &newer);
    let out = restore(&world, &["--from", &lake.url()]).ok();
    let note = out.json()["notes"][0].to_string();
    assert!(note.contains("`place`") && note.contains("null"), "{note}");
    let rows = world.read("SELECT count(*), count(place), sum(amount) FROM public.event");
    assert_eq!(rows[0][0].as_deref(), Some("50"));
    assert_eq!(rows[0][1].as_deref(), Some("0"));
    // Each day is verified by the version that it is of, at the source, too.
    world
        .dayhaul(&["verify", "--from", "2024-01-01", "--to", "2024-01-10"])
        .ok();
    let refreshed = world
        .dayhaul(&["refresh", "--outdated", "--json", "--today", events::TODAY])
        .ok()
        .json();
    assert_eq!(refreshed["totals"]["changed"], 10);
    let places = world.read("SELECT count(place) FROM public.event");
    assert_eq!(places[0][0].as_deref(), Some("50"));
}

#[test]
fn a_column_that_is_no_more_is_left_out_and_said() {
    let (world, lake) = small("removed");
    world.lose_warehouse();
    let fewer = events::TEMPLATE
        .replace("note = \"varchar(20)\"\n", "")
        .replace("indexes = [\"note\"]\n", "")
        .replace("at, note, amount FROM", "at, amount FROM");
    world.set_up_events(&["acme"], &fewer);
    let out = restore(&world, &["--from", &lake.url()]).ok();
    assert!(out.json()["notes"][0].to_string().contains("`note`"));
    world.digests_hold("event", &fewer);
    world
        .dayhaul(&["verify", "--from", "2024-01-01", "--to", "2024-01-10"])
        .ok();
}

#[test]
fn a_column_of_another_type_is_refused_and_named() {
    let (world, lake) = small("retyped");
    world.lose_warehouse();
    let other =
        events::TEMPLATE.replace("amount = \"numeric(12,2)\"", "amount = \"numeric(14,4)\"");
    world.set_up_events(&["acme"], &other);
    let out = restore(&world, &["--from", &lake.url()]).exits(1);
    let json = out.json();
    assert_eq!(json["totals"]["failed"], 10);
    let error = json["failures"][0]["error"].to_string();
    for what in ["`amount`", "numeric(12,2)", "numeric(14,4)", "data.parquet"] {
        assert!(error.contains(what), "{what}: {error}");
    }
    assert_eq!(
        world.read("SELECT count(*) FROM public.event")[0][0].as_deref(),
        Some("0")
    );
}

#[test]
fn a_developers_copy_is_made_in_a_database_of_its_own_and_started_afresh() {
    let (world, lake) = landed("copy");
    let copy = Database::create("copy_of_it");
    let into = copy.url();
    let last = |world: &World, more: &[&str]| {
        restore(
            world,
            &[
                &["--from", &lake.url(), "--into", &into, "--last", "30"],
                more,
            ]
            .concat(),
        )
    };
    let report = last(&world, &["--tenant", "acme"]).ok().json();
    assert_eq!(report["totals"]["loaded"], 30);
    let seen = "SELECT count(*), count(DISTINCT schema_name) FROM public.event";
    assert_eq!(
        copy.rows(seen),
        [[Some("180".to_owned()), Some("1".to_owned())]]
    );
    // The warehouse that is configured has not been touched.
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.run WHERE command = 'restore'"),
        "0"
    );
    // What is not Dayhaul's outlives a fresh start.
    copy.run("CREATE TABLE acme.mine (x int); DELETE FROM acme.event_2024_03_19");
    last(&world, &["--reset"]).exits(2);
    let report = last(&world, &["--reset", "--yes"]).ok().json();
    assert_eq!(report["totals"]["loaded"], 60);
    assert_eq!(
        copy.rows(seen),
        [[Some("360".to_owned()), Some("2".to_owned())]]
    );
    assert_eq!(copy.one("SELECT count(*) FROM acme.mine"), "0");
}

#[test]
fn a_warehouse_that_was_never_restored_is_not_reset() {
    let (world, lake) = small("no_reset");
    let before = picture(&world);
    let out = restore(&world, &["--from", &lake.url(), "--reset", "--yes"]).exits(2);
    assert!(out.stderr.contains("was not restored"), "{}", out.stderr);
    assert_eq!(picture(&world), before);
    // Nor when files mended it.
    world.warehouse.run("DROP TABLE acme.event_2024 CASCADE");
    restore(&world, &["--from", &lake.url()]).ok();
    restore(&world, &["--from", &lake.url(), "--reset", "--yes"]).exits(2);
    assert_eq!(picture(&world), before);
}

#[test]
fn what_came_from_the_tenants_is_not_reset() {
    let (world, lake) = small("no_reset_since");
    lost(&world);
    restore(&world, &["--from", &lake.url(), "--last", "72"]).ok();
    world
        .dayhaul(&["tenant", "add", "acme", "--url", &world.tenants[0].url()])
        .ok();
    world
        .backfill(&["--from", "2024-01-01", "--to", "2024-01-08"])
        .ok();
    let before = picture(&world);
    let out = restore(&world, &["--from", &lake.url(), "--reset", "--yes"]).exits(2);
    assert!(out.stderr.contains("from the tenants"), "{}", out.stderr);
    assert_eq!(picture(&world), before);
}

#[test]
fn a_database_that_does_not_exist_is_refused_with_what_to_do() {
    let (world, lake) = small("nowhere");
    let into = Database::create("gone");
    let url = into.url().replace(&into.name, "not_there_at_all");
    let out = restore(&world, &["--from", &lake.url(), "--into", &url]).exits(3);
    assert!(out.stderr.contains("createdb"), "{}", out.stderr);
    let secret = url.replace("postgres@", "postgres:hunter2@");
    let out = restore(&world, &["--from", &lake.url(), "--into", &secret]).exits(2);
    assert!(!out.stderr.contains("hunter2"), "{}", out.stderr);
    let out = restore(&world, &["--from", "/not/there"]).exits(2);
    assert!(out.stderr.contains("/not/there"), "{}", out.stderr);
    restore(&world, &["--from", "yesterday"]).exits(2);
}

/// A file that only a dead place has would else be missed without a word.
#[cfg(feature = "s3")]
#[test]
fn a_place_that_cannot_be_reached_is_said_at_once_and_can_be_left_out() {
    let (mut world, lake) = small("dead_place");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    world.variables = crate::support::s3_server::variables(nobody);
    lost(&world);
    let out = restore(&world, &["--from", "s3://lake/x", "--from", &lake.url()]).exits(3);
    assert!(out.stderr.contains("s3://lake/x"), "{}", out.stderr);
    assert!(
        out.stderr.contains("remove this `--from`"),
        "{}",
        out.stderr
    );
    restore(&world, &["--from", &lake.url()]).ok();
    let out = restore(&world, &["--from", "/not/there", "--from", &lake.url()]).exits(2);
    assert!(out.stderr.contains("/not/there"), "{}", out.stderr);
}

#[test]
fn the_warehouses_own_files_are_in_its_ledger_again() {
    let (world, lake) = small("home");
    world.configure(&format!("[landing]\nurl = \"{}\"\n", lake.url()));
    lost(&world);
    restore(&world, &[]).ok();
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE object LIKE 'file:%data.parquet' AND object_digest = digest"),
        "10"
    );
}

#[test]
fn days_are_restored_again_only_when_asked() {
    let (world, lake) = small("reload");
    let before = picture(&world);
    world
        .warehouse
        .run("DELETE FROM acme.event_2024 WHERE id % 2 = 0");
    let days = ["--from", "2024-01-01", "--to", "2024-01-10"];
    let url = lake.url();
    let args = [&["--from", url.as_str()], &days[..]].concat();
    let report = restore(&world, &args).ok().json();
    assert_eq!(report["totals"]["skipped"], 10);
    let report = restore(&world, &[&args[..], &["--reload"]].concat())
        .ok()
        .json();
    assert_eq!(report["totals"]["loaded"], 10);
    assert_eq!(picture(&world), before);
}

/// Rows of a day that is much larger than any buffer stream through.
#[test]
fn a_large_day_streams() {
    let world = World::with_events("large_day", &["acme"], "2024-01-01", 1, 60_000);
    world
        .backfill(&["--from", "2024-01-01", "--to", "2024-01-01"])
        .ok();
    let lake = Lake::new();
    world.land(&lake, "event", events::TEMPLATE);
    let before = picture(&world);
    lost(&world);
    let begun = Instant::now();
    restore(&world, &["--from", &lake.url()]).ok();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(picture(&world), before);
}
