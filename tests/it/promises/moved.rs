//! Rows whose time moves from one day to another: no reader ever misses one, or sees it twice.

use crate::support::events;
use crate::support::readers::{Readers, Way};
use crate::support::world::World;

const RANGE: [&str; 4] = ["--from", "2024-02-25", "--to", events::TODAY];

/// Ten days in the year table and sixteen in day tables. A window is a day, and takes a while.
fn world(name: &str) -> World {
    let world = World::with_slow_events(name, &["acme"], "2024-02-24", (26, 4), 0.005);
    world.backfill(&RANGE).ok();
    world
}

/// Moves the first row of a day, whichever it is now.
fn move_row(world: &World, from: &str, to: &str) {
    world.tenants[0].run(&format!(
        "UPDATE event SET at = '{to} 12:00+00' WHERE id = \
           (SELECT min(id) FROM event WHERE (at AT TIME ZONE 'UTC')::date = '{from}' AND (at AT TIME ZONE 'UTC')::time <> '12:00')"
    ));
}

/// Rows of some ids, seen all the time.
fn watch(world: &World, of: &str, ways: &[Way]) -> Readers {
    let count = |view: &str| format!("SELECT count(*)::text FROM {view} WHERE {of}");
    Readers::of(world, &[&count("public.event"), &count("acme.event")], ways)
}

const WAYS: [Way; 3] = [Way::Committed, Way::Repeatable, Way::Late];

fn in_source(world: &World) -> Vec<String> {
    let sql =
        "SELECT id, at AT TIME ZONE 'UTC' FROM event WHERE at >= '2024-02-25 00:00+00' ORDER BY id";
    let rows = world.tenants[0].rows(sql);
    rows.iter().map(|row| format!("{row:?}")).collect()
}

#[track_caller]
fn is_right(world: &World) {
    let rows = world.read("SELECT id, at AT TIME ZONE 'UTC' FROM public.event ORDER BY id");
    let rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(rows, in_source(world));
    world.is_clean();
    world.dayhaul(&["verify", "--today", events::TODAY]).ok();
}

#[test]
fn a_row_that_moves_between_windows_is_never_missed() {
    let world = world("moved_seen");
    let total = world.totals().0;
    let readers = watch(&world, "true", &WAYS);
    let refresh = [&["refresh", "--today", events::TODAY], &RANGE[..]].concat();
    for moves in [
        // To a later day, to an earlier one; within the year table, within day tables, and between them.
        vec![("2024-03-10", "2024-03-15")],
        vec![("2024-03-16", "2024-03-09")],
        vec![("2024-02-26", "2024-03-02")],
        vec![("2024-03-02", "2024-02-27")],
        vec![("2024-02-28", "2024-03-12")],
        vec![("2024-03-13", "2024-02-28")],
        // One after another, there and back, and in a ring.
        vec![
            ("2024-03-06", "2024-03-08"),
            ("2024-03-08", "2024-03-11"),
            ("2024-03-11", "2024-03-18"),
        ],
        vec![
            ("2024-02-29", "2024-03-17"),
            ("2024-03-17", "2024-02-29"),
            ("2024-03-01", "2024-03-14"),
            ("2024-03-14", "2024-03-19"),
            ("2024-03-19", "2024-03-01"),
        ],
    ] {
        for (from, to) in &moves {
            move_row(&world, from, to);
        }
        let report = world.dayhaul(&[&refresh[..], &["--json"]].concat()).ok();
        let moved = moves.len();
        let totals = &report.json()["totals"];
        assert_eq!(
            (&totals["deleted"], &totals["inserted"]),
            (&moved.into(), &moved.into()),
            "{moves:?}"
        );
        assert_eq!(totals["units"], 25, "{moves:?}");
        is_right(&world);
    }
    let seen = readers.stop();
    assert!(seen.polls > 50, "{seen:?}");
    assert_eq!(seen.totals, [total].into(), "{seen:?}");
    seen.nobody_waited();
}

#[test]
fn a_row_that_moves_is_not_missed_among_rows_that_come_and_go() {
    let world = world("moved_among");
    let source = &world.tenants[0];
    // Of each day the second row goes, and another comes; the first moves three days on, or back.
    let day = "(at AT TIME ZONE 'UTC')::date";
    source.run(&format!(
        "CREATE TABLE first AS SELECT DISTINCT ON ({day}) id, at FROM event WHERE at >= '2024-02-25 00:00+00' ORDER BY {day}, at;
         DELETE FROM event WHERE id IN (SELECT id + 1 FROM first);
         INSERT INTO event SELECT 100000 + id, at + interval '1 hour', 'new', 1 FROM first;
         UPDATE event SET at = at + CASE WHEN id % 8 = 1 THEN -3 ELSE 3 END * interval '1 day'
           WHERE id IN (SELECT id FROM first WHERE at BETWEEN '2024-02-28 00:00+00' AND '2024-03-17 00:00+00')",
    ));
    let first = source.one("SELECT string_agg(id::text, ',') FROM first");
    let readers = watch(&world, &format!("id IN ({first})"), &WAYS);
    world
        .dayhaul(
            &[
                &["sync", "--lookback", "30"],
                &["--today", events::TODAY][..],
            ]
            .concat(),
        )
        .ok();
    let seen = readers.stop();
    assert_eq!(seen.totals, ["25".to_owned()].into(), "{seen:?}");
    is_right(&world);
}

#[test]
fn days_that_do_not_fit_together_are_brought_up_apart() {
    let world = World::with_events("moved_apart", &["acme"], "2024-02-25", 25, 1000);
    world.configure("[load]\nwindow_bytes = \"64kB\"\n");
    world.backfill(&RANGE).ok();
    for (from, to) in [
        ("2024-03-10", "2024-03-15"),
        ("2024-03-16", "2024-03-09"),
        ("2024-02-26", "2024-03-12"),
    ] {
        move_row(&world, from, to);
        let refresh = [&["refresh", "--json", "--today", events::TODAY], &RANGE[..]].concat();
        let totals = &world.dayhaul(&refresh).ok().json()["totals"];
        assert_eq!(
            (&totals["deleted"], &totals["inserted"]),
            (&1.into(), &1.into())
        );
        is_right(&world);
    }
}

#[test]
fn files_of_days_between_which_rows_moved_hold_what_the_days_do() {
    let world = world("moved_files").with_lake();
    world.hauls(&["land"], 0);
    for (from, to) in [
        ("2024-03-10", "2024-03-15"),
        ("2024-03-16", "2024-03-09"),
        ("2024-02-27", "2024-03-12"),
    ] {
        move_row(&world, from, to);
        // Another day loses a row for good.
        let last = "SELECT max(id) FROM event WHERE at < '2024-03-19 00:00+00'";
        world.tenants[0].run(&format!("DELETE FROM event WHERE id = ({last})"));
        let refresh = ["refresh", "--land"];
        let report = world.hauls(&[&refresh, &RANGE[..]].concat(), 0);
        assert_eq!(report["totals"]["files"], 3, "{report}");
        world.lake_is_whole("event");
        world.nothing_is_aside();
        is_right(&world);
    }
}

/// What a sync that looks back two days pulls.
const LOOKBACK: [&str; 5] = ["sync", "--lookback", "2", "--today", events::TODAY];

#[test]
fn a_row_that_moves_to_a_day_that_nobody_pulls_is_never_missed() {
    // Asked for a day at a time, and for all days at once; beyond the year, too.
    for (name, template) in [
        ("moved_out_days", events::slow(0.0)),
        ("moved_out_range", events::TEMPLATE.to_owned()),
    ] {
        let acme = ["acme"];
        let world = World::new(name, &acme).filled(&acme, &template, "2023-12-20", (91, 4));
        let source = &world.tenants[0];
        let all = ["--from", "2023-12-20", "--to", "2024-03-19"];
        world.backfill(&all).ok();
        world.dayhaul(&LOOKBACK).ok();
        let total = world.totals().0;
        let readers = watch(&world, "note <> 'late'", &WAYS);
        for to in [
            "2024-03-14", // a day table
            "2024-02-08", // the year, 40 days ago
            "2023-12-25", // another year
        ] {
            move_row(&world, "2024-03-19", to);
            // Rows that come at the same time do not hide it; nor do those that are gone for good.
            source.run(
                "INSERT INTO event SELECT max(id) + 1, '2024-03-19 23:00+00', 'late', 1 FROM event",
            );
            let late = source.one("SELECT count(*) FROM event WHERE note = 'late'");
            world.dayhaul(&LOOKBACK).ok();
            let seen = world.read("SELECT count(*) FROM public.event");
            let expected = total.parse::<u32>().unwrap() + late.parse::<u32>().unwrap();
            assert_eq!(
                seen[0][0].as_deref(),
                Some(expected.to_string().as_str()),
                "{to}"
            );
            world.is_clean();
            world.dayhaul(&["verify", "--today", events::TODAY]).ok();
        }
        let seen = readers.stop();
        assert_eq!(seen.totals, [total].into(), "{seen:?}");
        // What is deleted is nowhere.
        source.run("DELETE FROM event WHERE at >= '2024-03-18 00:00+00' AND note <> 'late'");
        let out = world.dayhaul(&LOOKBACK).ok();
        assert!(!out.stderr.contains("moved"), "{}", out.stderr);
        world.dayhaul(&["verify", "--today", events::TODAY]).ok();
    }
}

#[test]
fn keys_of_several_columns_are_found_where_they_went() {
    let template = events::TEMPLATE.replace(
        "unique = [\"id\"]",
        "unique = [\"note\", \"id\", \"amount\"]",
    );
    let template = template.replace("varchar(20)", "text");
    let acme = ["acme"];
    let world = World::new("moved_keys", &acme).filled(&acme, &template, "2024-02-01", (49, 4));
    let source = &world.tenants[0];
    source.run("UPDATE event SET note = $$it's {a}, \"b\" \\ c $$ || id % 2 WHERE id % 3 = 0; UPDATE event SET note = '' WHERE id % 7 = 0");
    world
        .backfill(&["--from", "2024-02-01", "--to", "2024-03-19"])
        .ok();
    source.run("UPDATE event SET at = at - interval '30 days' WHERE at >= '2024-03-18 00:00+00' AND at < '2024-03-20 00:00+00'");
    world.dayhaul(&LOOKBACK).ok();
    assert_eq!(world.totals().0, "196");
    world.dayhaul(&["verify", "--today", events::TODAY]).ok();
}

#[test]
fn a_source_that_cannot_say_in_time_where_rows_went_is_not_waited_for() {
    // Only over many days it takes long.
    let template = events::TEMPLATE.replace(
        "WHERE",
        "WHERE ({to} - {from} < interval '32 days' OR pg_sleep(5) IS NOT NULL) AND",
    );
    let acme = ["acme"];
    let world = World::new("moved_late", &acme).filled(&acme, &template, "2024-02-01", (49, 4));
    for month in [
        ("2024-02-01", "2024-02-15"),
        ("2024-02-16", "2024-03-02"),
        ("2024-03-03", "2024-03-19"),
    ] {
        world.backfill(&["--from", month.0, "--to", month.1]).ok();
    }
    world.configure("[load]\nstall_timeout = \"2s\"\n");
    move_row(&world, "2024-03-19", "2024-02-08");
    let out = world.dayhaul(&LOOKBACK).ok();
    for words in [
        "gone from the source (1)",
        "statement timeout",
        "dayhaul verify",
    ] {
        assert!(out.stderr.contains(words), "{words}: {}", out.stderr);
    }
    let verify = ["verify", "--today", events::TODAY];
    let out = world.dayhaul(&verify).exits(1);
    assert!(out.stdout.contains("2024-02-08"), "{}", out.stdout);
    world
        .dayhaul(&[&["verify", "--repair"], &verify[1..]].concat())
        .ok();
    assert_eq!(world.totals().0, "196");
}

#[test]
fn a_key_that_the_source_has_on_two_days_fails_its_day_and_no_other() {
    let world = World::with_events("moved_twice", &["acme"], "2024-02-25", 25, 4);
    let source = &world.tenants[0];
    world.backfill(&RANGE).ok();
    source.run("ALTER TABLE event DROP CONSTRAINT event_pkey");
    // Between two day tables, within the year, from one to the other: with the day that has the key, and without it.
    for (has, gets) in [
        ("2024-03-10", "2024-03-15"),
        ("2024-02-26", "2024-02-27"),
        ("2024-03-16", "2024-02-28"),
    ] {
        source.run(&format!(
            "INSERT INTO event SELECT id, '{gets} 12:00+00', 'twice', 1 FROM event WHERE (at AT TIME ZONE 'UTC')::date = '{has}' LIMIT 1"
        ));
        for range in [[has, gets], [gets, gets], ["2024-02-25", "2024-03-19"]] {
            let from = range.iter().min().unwrap();
            let to = range.iter().max().unwrap();
            let refresh = [
                "refresh",
                "--json",
                "--today",
                events::TODAY,
                "--from",
                from,
                "--to",
                to,
            ];
            let report = world.dayhaul(&refresh).exits(1).json();
            assert_eq!(report["totals"]["failed"], 1, "{has} {gets}: {report}");
            let failure = &report["failures"][0];
            assert_eq!(failure["days"][0][0], gets, "{failure}");
            assert!(
                failure["error"]
                    .to_string()
                    .contains(&format!("the same `id` is on {has}, too")),
                "{failure}"
            );
        }
        source.run("DELETE FROM event WHERE note = 'twice'");
        world
            .dayhaul(&[&["refresh", "--today", events::TODAY], &RANGE[..]].concat())
            .ok();
        is_right(&world);
    }
}

#[test]
fn a_row_that_moves_into_a_day_that_is_loaded_later_ends_up_once() {
    // A number that grows, a random one, and two columns; 11 November 2023 is the first day.
    for (name, key, unique) in [
        ("doubled_serial", "n::text", "[\"id\"]"),
        ("doubled_random", "md5(n::text)", "[\"note\"]"),
        ("doubled_two", "(n % 3)::text", "[\"note\", \"id\"]"),
    ] {
        let template = events::TEMPLATE
            .replace("unique = [\"id\"]", &format!("unique = {unique}"))
            .replace("varchar(20)", "text");
        let acme = ["acme"];
        let world = World::new(name, &acme).filled(&acme, &template, "2023-11-11", (130, 4));
        let source = &world.tenants[0];
        source.run(&format!(
            "UPDATE event SET note = {}",
            key.replace('n', "id")
        ));
        let load = |from: &str, to: &str| {
            let backfill = ["--json", "--from", from, "--to", to];
            world.backfill(&backfill).ok().json()
        };
        load("2023-11-11", "2023-12-10");
        let verify = ["verify", "--today", events::TODAY];
        // Into a year that has a table, into one that has not, into day tables; from each of them.
        for (from, to, moves) in [
            (
                "2023-12-11",
                "2023-12-31",
                vec![("2023-11-20", "2023-12-15")],
            ),
            (
                "2024-01-01",
                "2024-03-04",
                vec![("2023-11-21", "2024-02-01"), ("2023-12-28", "2024-01-05")],
            ),
            (
                "2024-03-05",
                "2024-03-19",
                vec![("2023-11-22", "2024-03-06"), ("2024-02-01", "2024-03-18")],
            ),
        ] {
            for (from, to) in &moves {
                move_row(&world, from, to);
            }
            let report = load(from, to);
            let changed = report["totals"]["changed"].as_u64().unwrap();
            assert_eq!(changed, moves.len() as u64, "{name} {from}: {report}");
            assert_eq!(report["totals"]["failed"], 0, "{report}");
            world.is_clean();
            world.dayhaul(&verify).ok();
        }
        assert_eq!(world.totals().0, "520");
        // A month later, days of which nobody heard come by a sync.
        events::fill(source, "2024-03-20", 40, 4);
        source.run(&format!(
            "UPDATE event SET note = {} WHERE at >= '2024-03-20 00:00+00'",
            key.replace('n', "id")
        ));
        move_row(&world, "2024-01-20", "2024-03-29");
        let sync = ["sync", "--lookback", "2", "--today", "2024-04-28"];
        world.dayhaul(&sync).ok();
        world.dayhaul(&["verify", "--today", "2024-04-28"]).ok();
        assert_eq!(world.totals().0, "680");
        world.is_clean();
    }
}
