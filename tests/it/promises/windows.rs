//! A day's rows do not depend on the days that were fetched with it.

use crate::support::events::{self, TEMPLATE, TODAY, one_day_windows};
use crate::support::world::{Output, World};
use std::sync::atomic::{AtomicBool, Ordering};

const FROM: &str = "2024-03-01";
const BACKFILL: [&str; 4] = ["--from", FROM, "--to", "2024-03-10"];

/// A summary per note, of which each window has one row for each note.
const SUMMARY: &str = r#"/*
time_column = "at"

[columns]
note = "text"
n = "bigint"
at = "timestamptz"
*/
SELECT note, count(*) AS n, min(at) AS at FROM event WHERE at >= {from} AND at < {to} GROUP BY note
"#;

/// Ten days with 20 events each.
fn world(name: &str, template: &str) -> World {
    World::new(name, &["acme"]).filled(&["acme"], template, FROM, (10, 20))
}

/// The events with another query.
fn with_query(select: &str) -> String {
    let (front, _) = TEMPLATE.split_once("SELECT").unwrap();
    format!("{}{select}\n", front.replace("unique = [\"id\"]\n", ""))
}

/// What the catalog has about the windows of the only pair.
fn recorded(world: &World) -> String {
    world.warehouse.one(
        "SELECT concat_ws(' ', windows, windows_from, windows_to, windows_version = x.version) \
         FROM _wh.pair p JOIN _wh.template x ON x.name = p.template",
    )
}

#[track_caller]
fn is_refused(world: &World, out: &Output) {
    let text = &out.stderr;
    assert_ne!(out.code, 0, "{text}");
    assert!(
        text.contains("the query's result depends on the window"),
        "{text}"
    );
    assert!(text.contains("2024-03-"), "{text}");
    assert!(text.contains("windows = \"day\""), "{text}");
    let loaded = world.warehouse.one(
        "SELECT (SELECT count(*) FROM _wh.unit) + (SELECT count(*) FROM _wh.staged) + (SELECT count(*) FROM _wh.relation)",
    );
    assert_eq!(loaded, "0", "rows of the ledger, and tables");
    assert_eq!(recorded(world), "");
}

#[test]
fn a_query_that_depends_on_its_window_is_refused_before_anything_is_loaded() {
    let bounds = "WHERE at >= {from} AND at < {to}";
    let columns = "id, at, note, amount";
    for (name, template) in [
        ("w_group", SUMMARY.to_owned()),
        (
            "w_limit",
            with_query(&format!(
                "SELECT {columns} FROM event {bounds} ORDER BY id DESC LIMIT 30"
            )),
        ),
        (
            "w_distinct",
            with_query(&format!(
                "SELECT DISTINCT ON (note) {columns} FROM event {bounds} ORDER BY note, at"
            )),
        ),
        (
            "w_number",
            with_query(&format!(
                "SELECT row_number() OVER () AS id, at, note, amount FROM event {bounds}"
            )),
        ),
        (
            "w_total",
            with_query(&format!(
                "SELECT id, at, note, sum(amount) OVER (PARTITION BY note) AS amount FROM event {bounds}"
            )),
        ),
        (
            "w_random",
            with_query(&format!(
                "SELECT id, at, left(random()::text, 20) AS note, amount FROM event {bounds}"
            )),
        ),
        (
            "w_having",
            with_query(&format!(
                "SELECT max(id) AS id, min(at) AS at, note, 0.5 AS amount FROM event {bounds} GROUP BY note HAVING count(*) > 2"
            )),
        ),
    ] {
        let world = world(name, &template);
        let out = world.backfill(&BACKFILL);
        is_refused(&world, &out);
        let out = world.dayhaul(&["sync", "--today", TODAY]);
        assert_ne!(out.code, 0, "{}", out.stderr);
        assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.unit"), "0");
    }
}

#[test]
fn with_windows_of_a_day_each_day_has_the_rows_that_it_has_alone() {
    let world = world("w_day", &one_day_windows(SUMMARY));
    world.backfill(&BACKFILL).ok();
    let days = world.read(
        "SELECT (at AT TIME ZONE 'UTC')::date, count(*), sum(n) FROM public.event GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(days.len(), 10);
    for day in &days {
        assert_eq!(
            day[1..],
            [Some("20".to_owned()), Some("20".to_owned())],
            "{day:?}"
        );
    }
    assert_eq!(recorded(&world), "");
    world
        .dayhaul(&["verify", "--from", FROM, "--to", "2024-03-10"])
        .ok();
    let out = world
        .dayhaul(&[
            "refresh",
            "--from",
            FROM,
            "--to",
            "2024-03-10",
            "--today",
            TODAY,
            "--json",
        ])
        .ok();
    assert_eq!(out.json()["totals"]["unchanged"], 10, "{}", out.stdout);
}

#[test]
fn days_that_were_loaded_in_long_windows_are_outdated_once_windows_are_days() {
    let world = world("w_mended", SUMMARY);
    let enable = [
        "tenant",
        "enable",
        "acme",
        "--template",
        "event",
        "--assume-window-safe",
    ];
    world.dayhaul(&enable).ok();
    assert_eq!(recorded(&world), "assumed t");
    world.backfill(&BACKFILL).ok();
    assert_ne!(
        world.read("SELECT count(*) FROM public.event"),
        [[Some("200".into())]]
    );
    world.write("templates/event.sql", &one_day_windows(SUMMARY));
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    world
        .dayhaul(&["refresh", "--outdated", "--today", TODAY])
        .ok();
    assert_eq!(
        world.read("SELECT count(*) FROM public.event"),
        [[Some("200".into())]]
    );
}

#[test]
fn a_query_that_does_not_is_compared_once_for_each_version() {
    let world = world("w_proved", TEMPLATE);
    world.backfill(&BACKFILL).ok();
    assert_eq!(recorded(&world), "proved 2024-03-07 2024-03-11 t");
    let at = || world.warehouse.one("SELECT windows_at FROM _wh.pair");
    let first = at();
    world
        .dayhaul(&["refresh", "--last", "12", "--today", TODAY])
        .ok();
    assert_eq!(at(), first);
    let changed = TEMPLATE.replace("SELECT id", "SELECT id + 0 AS id");
    world.write("templates/event.sql", &changed);
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    assert_eq!(recorded(&world), "proved 2024-03-07 2024-03-11 f");
    world
        .dayhaul(&["refresh", "--outdated", "--today", TODAY])
        .ok();
    assert_eq!(recorded(&world), "proved 2024-03-07 2024-03-11 t");
    assert_ne!(at(), first);
}

#[test]
fn days_with_rows_are_found_between_empty_ones() {
    let world = World::new("w_sparse", &["acme"]).filled(&["acme"], TEMPLATE, FROM, (1, 5));
    events::fill(&world.tenants[0], "2023-05-05", 1, 5);
    world
        .backfill(&["--from", "2023-01-01", "--to", "2024-03-10"])
        .ok();
    assert_eq!(recorded(&world), "proved 2023-05-03 2024-03-02 t");
    assert_eq!(world.totals().0, "10");
}

#[test]
fn rows_that_come_during_the_comparison_are_no_difference() {
    let world = world("w_busy", TEMPLATE);
    let source = &world.tenants[0];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                source.run(
                    "INSERT INTO event SELECT max(id) + n, timestamptz '2024-03-10 12:00+00', 'new', n \
                     FROM event, generate_series(1, 3) AS n GROUP BY n",
                );
            }
        });
        for _ in 0..5 {
            world.warehouse.run("UPDATE _wh.pair SET windows = NULL");
            let out = world.dayhaul(&[
                "refresh",
                "--from",
                "2024-03-05",
                "--to",
                "2024-03-10",
                "--today",
                TODAY,
            ]);
            done.store(out.code != 0, Ordering::Relaxed);
            out.ok();
            assert_eq!(recorded(&world), "proved 2024-03-07 2024-03-11 t");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn days_too_large_to_compare_are_fetched_one_by_one() {
    let world = World::new("w_large", &["acme"]);
    world.configure("[load]\nwindow_bytes = \"64kB\"\n");
    let world = world.filled(&["acme"], TEMPLATE, FROM, (4, 4000));
    world.backfill(&["--from", FROM, "--to", "2024-03-04"]).ok();
    assert_eq!(recorded(&world), "by day t");
    assert_eq!(world.totals().0, "16000");
}

#[test]
fn a_day_that_cannot_be_read_keeps_no_other_from_being_loaded() {
    let world = world(
        "w_broken",
        &TEMPLATE.replace("amount FROM", "(amount + 0 / (id - 191)) AS amount FROM"),
    );
    let out = world.backfill(&BACKFILL).exits(1);
    assert!(out.stderr.contains("division by zero"), "{}", out.stderr);
    assert_eq!(
        world
            .warehouse
            .one("SELECT string_agg(day::text, ' ') FROM _wh.unit WHERE state = 'failed'"),
        "2024-03-10"
    );
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded'"),
        "9"
    );
    assert_eq!(recorded(&world), "");
}

#[test]
fn a_template_that_is_assumed_safe_is_recorded_for_all_its_tenants() {
    let world = world("w_assumed", SUMMARY);
    let load = [
        "template",
        "load",
        "templates/event.sql",
        "--assume-window-safe",
    ];
    world.dayhaul(&load).ok();
    assert_eq!(recorded(&world), "assumed t");
    world.backfill(&BACKFILL).ok();
    assert_eq!(recorded(&world), "assumed t");
}

#[test]
fn a_query_that_depends_on_its_window_is_refused_when_it_is_enabled_or_loaded() {
    let world = World::new("w_enabled", &["acme"]).filled(&["acme"], TEMPLATE, FROM, (10, 20));
    world.backfill(&BACKFILL).ok();
    // A changed template, of a tenant that has it.
    world.write("templates/event.sql", SUMMARY);
    let load = ["template", "load", "templates/event.sql"];
    let out = world.dayhaul(&load).exits(2);
    for said in [
        "nothing was loaded: ",
        "2024-03-",
        "the query's result depends on the window",
        "add `--assume-window-safe`",
    ] {
        assert!(out.stderr.contains(said), "{said}: {}", out.stderr);
    }
    let is_old = "SELECT count(*) FROM _wh.template WHERE source LIKE '%count(*)%'";
    assert_eq!(world.warehouse.one(is_old), "0");
    // A template that nobody has yet: it is compared where it is enabled.
    world.write("templates/summary.sql", SUMMARY);
    world
        .dayhaul(&["template", "load", "templates/summary.sql"])
        .ok();
    let enable = ["tenant", "enable", "acme", "--template", "summary"];
    let from = [&enable[..], &["--from", FROM]].concat();
    let out = world.dayhaul(&from).exits(2);
    assert!(
        out.stderr
            .contains("dayhaul tenant enable acme --template summary --assume-window-safe"),
        "{}",
        out.stderr
    );
    let pairs = "SELECT string_agg(concat_ws(' ', template, windows), ', ' ORDER BY template) FROM _wh.pair";
    assert_eq!(world.warehouse.one(pairs), "event proved");
    let assume = [&from[..], &["--assume-window-safe"]].concat();
    world.dayhaul(&assume).ok();
    assert_eq!(world.warehouse.one(pairs), "event proved, summary assumed");
    // A source that cannot be asked keeps nothing from being enabled; the first load compares.
    world.write("templates/third.sql", TEMPLATE);
    world
        .dayhaul(&["template", "load", "templates/third.sql"])
        .ok();
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgres://nobody@127.0.0.1:1/nowhere'");
    let third = [
        "tenant",
        "enable",
        "acme",
        "--template",
        "third",
        "--from",
        FROM,
    ];
    let out = world.dayhaul(&third).ok();
    assert!(
        out.stderr
            .contains("acme/third: windows of several days were not compared"),
        "{}",
        out.stderr
    );
}
