//! Rows whose time moves from one day to another: no reader ever misses one, or sees it twice.

use crate::events;
use crate::readers::{Readers, Way};
use crate::world::World;

const RANGE: [&str; 4] = ["--from", "2024-02-25", "--to", events::TODAY];

/// Ten days in the year table and sixteen in day tables. A window is a day, and takes a while.
fn world(name: &str) -> World {
    let world = World::new(name, &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-02-24", 26, 4);
    world.set_up_events(&["acme"], &events::slow(0.005));
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
