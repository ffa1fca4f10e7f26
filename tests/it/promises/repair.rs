//! `verify --repair` makes the warehouse what the sources have: by the difference, in one run, whatever is broken.

use crate::promises::refresh::settled;
use crate::support::events;
use crate::support::world::{Output, World};
use serde_json::Value;

const RANGE: [&str; 4] = ["--from", "2023-12-20", "--to", "2024-03-10"];

/// Two closed years and six day tables.
fn world(name: &str, tenants: &[&str]) -> World {
    let world = World::with_events(name, tenants, "2023-12-20", 82, 10);
    world.backfill(&RANGE).ok();
    world
}

fn verify(world: &World, args: &[&str]) -> Output {
    world.dayhaul(&[&["verify", "--today", events::TODAY], args].concat())
}

fn fingerprint(world: &World) -> Vec<Vec<Option<String>>> {
    world.read(
        "SELECT schema_name, count(*), sum(hashtextextended(concat_ws('|', id, at, note, amount), 0)::numeric) \
         FROM public.event GROUP BY 1 ORDER BY 1",
    )
}

/// What a repair said, and the rows that it deleted and inserted.
struct Mended {
    report: Value,
    written: [i64; 2],
}

/// Breaks something, repairs it in one run, and finds everything well and as it was.
#[track_caller]
fn mends(world: &World, sql: &str) -> Mended {
    let before = fingerprint(world);
    let run = "SELECT coalesce(max(id), 0) FROM _wh.run";
    let last: i64 = world.warehouse.one(run).parse().unwrap();
    world.warehouse.run(sql);
    verify(world, &[]).exits(1);
    let already = writes(world);
    let out = verify(world, &["--repair", "--json"]).ok().json();
    let now = writes(world);
    assert_eq!(out["outcome"], "ok", "{sql}");
    assert_eq!(out["repair"]["run"], last + 1, "{sql}");
    assert_eq!(world.warehouse.one(run), (last + 1).to_string(), "{sql}");
    verify(world, &[]).ok();
    assert_eq!(fingerprint(world), before, "{sql}");
    world.is_clean();
    Mended {
        report: out,
        written: [now[0] - already[0], now[1] - already[1]],
    }
}

/// Rows deleted and inserted so far in the tables of the tenants.
fn writes(world: &World) -> [i64; 2] {
    let text = settled(world);
    let numbers: Vec<i64> = text.split('/').map(|n| n.parse().unwrap()).collect();
    [numbers[2], numbers[0]]
}

#[test]
fn a_changed_byte_is_one_row_away_from_right_and_the_ledger_is_not_asked() {
    let world = world("repair_byte", &["acme"]);
    for table in ["event_2023", "event_2024", "event_2024_03_08"] {
        let mended = mends(
            &world,
            &format!(
                "UPDATE acme.{table} SET note = note || '!' WHERE id = (SELECT max(id) - 3 FROM acme.{table})"
            ),
        );
        assert_eq!(mended.written, [1, 1], "{table}");
    }
    // The ledger lies, and the rows are right: not one is written.
    let mended = mends(
        &world,
        "UPDATE _wh.unit SET digest = repeat('0', 32) WHERE day IN ('2024-01-05', '2024-03-08')",
    );
    assert_eq!(mended.written, [0, 0]);
    // The ledger lies as the rows do: the source alone is right.
    let mended = mends(
        &world,
        "WITH gone AS (DELETE FROM acme.event_2024_03_08 RETURNING 1)
         UPDATE _wh.unit SET rows = 0, digest = repeat('0', 32) FROM (SELECT count(*) FROM gone) AS n WHERE day = '2024-03-08'",
    );
    assert_eq!(mended.written, [0, 10]);
}

#[test]
fn days_far_apart_that_were_deleted_or_doubled_come_back_in_one_run() {
    let world = world("repair_days", &["acme", "beta"]);
    let day = |day: &str| format!("at >= '{day} 00:00+00' AND at < '{day} 24:00+00'");
    let out = mends(
        &world,
        &format!(
            "DELETE FROM acme.event_2023 WHERE {};
             DELETE FROM acme.event_2024 WHERE {};
             DELETE FROM beta.event_2024_03_09;
             DROP INDEX beta.event_2024_i1;
             INSERT INTO beta.event_2024 SELECT * FROM beta.event_2024 WHERE {};
             DELETE FROM acme.event_2024_03_10 WHERE id % 3 = 0",
            day("2023-12-25"),
            day("2024-01-15"),
            day("2024-02-01")
        ),
    )
    .report;
    assert_eq!(out["totals"]["differs"], 5, "{out}");
}

#[test]
fn rows_of_a_day_that_nobody_loaded_make_way_for_the_sources() {
    let world = World::with_events("repair_extra", &["acme"], "2024-03-01", 12, 10);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-10"])
        .ok();
    world.warehouse.run(
        "INSERT INTO acme.event_2024 VALUES (900, '2024-02-10 12:00+00', 'x', 1);
         INSERT INTO acme.event_2024_03_20 VALUES (901, '2024-03-20 12:00+00', 'x', 1)",
    );
    let out = verify(&world, &["--repair", "--json"]).ok().json();
    assert_eq!(out["totals"]["extra"], 2, "{out}");
    assert_eq!(out["repair"]["after"]["totals"]["ok"], 2, "{out}");
    assert_eq!(world.totals().0, "100");
    // Nothing to mend is nothing to do.
    let again = verify(&world, &["--repair", "--json"]).ok().json();
    assert_eq!(again["repair"], Value::Null);
}

#[test]
fn a_dropped_day_table_is_made_anew() {
    let world = world("repair_day_table", &["acme"]);
    let out = mends(&world, "DROP TABLE acme.event_2024_03_08 CASCADE").report;
    assert_eq!(out["totals"]["missing"], 1);
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM pg_indexes WHERE tablename = 'event_2024_03_08'"),
        "3"
    );
}

#[test]
fn a_dropped_year_table_is_made_anew_whole_whatever_days_were_asked_for() {
    let world = world("repair_year_table", &["acme", "beta"]);
    let out = mends(&world, "DROP TABLE acme.event_2023 CASCADE").report;
    assert_eq!(out["totals"]["missing"], 12);
    let before = fingerprint(&world);
    world.warehouse.run(
        "DROP TABLE acme.event_2024 CASCADE; DROP TABLE acme.event_2023 CASCADE;
         DROP TABLE acme.event_2024_03_07 CASCADE",
    );
    let day = ["--from", "2024-01-15", "--to", "2024-01-15"];
    verify(&world, &[&["--repair"], &day[..]].concat()).ok();
    assert_eq!(fingerprint(&world), before);
    verify(&world, &[]).ok();
    world.is_clean();
}

#[test]
fn a_repair_that_was_interrupted_goes_on() {
    let world = world("repair_again", &["acme"]);
    let before = fingerprint(&world);
    world.warehouse.run("DROP TABLE acme.event_2024 CASCADE");
    // One day of the year cannot be loaded.
    world.tenants[0].run("UPDATE event SET note = repeat('x', 30) WHERE id = 400");
    let out = verify(&world, &["--repair", "--json"]).exits(1).json();
    assert_eq!(out["repair"]["after"]["totals"]["not_loaded"], 1, "{out}");
    world.tenants[0].run("UPDATE event SET note = 'note 10' WHERE id = 400");
    // The ledger does not say any more that the day is there, so the next sync loads it.
    world.dayhaul(&["sync", "--today", "2024-03-10"]).ok();
    assert_eq!(fingerprint(&world), before);
    verify(&world, &[]).ok();
    world.is_clean();
}
