//! Rows that no day has are never loaded; `tenant test` and `verify` count them.

use crate::support::events::{self, TODAY};
use crate::support::world::World;
use serde_json::{Value, json};

/// 20 days of 2 rows, and rows that no window of days asks for.
fn world(name: &str, template: &str) -> World {
    let world = World::new(name, &["acme"]);
    let world = world.filled(&["acme"], template, "2024-03-01", (20, 2));
    world.tenants[0].run(
        "INSERT INTO event SELECT 1000 + n, NULL, 'no time', 1 FROM generate_series(1, 10) AS n; \
         INSERT INTO event SELECT 2000 + n, 'infinity', 'never', 1 FROM generate_series(1, 5) AS n; \
         INSERT INTO event SELECT 3000 + n, '-infinity', 'always', 1 FROM generate_series(1, 2) AS n; \
         INSERT INTO event SELECT 4000 + n, '9999-12-31', 'sentinel', 1 FROM generate_series(1, 3) AS n; \
         INSERT INTO event SELECT 5000 + n, '2023-02-01', 'old', 1 FROM generate_series(1, 4) AS n",
    );
    let days = ["--from", "2024-03-01", "--to", "2024-03-19"];
    world.backfill(&days).ok();
    world
}

fn verify(world: &World, more: &[&str]) -> Value {
    let verify = ["verify", "--json", "--today", TODAY];
    let found = world.dayhaul(&[&verify, more].concat()).ok().json();
    found["rows_of_no_day"].clone()
}

#[test]
fn rows_that_no_day_has_are_counted_by_test_and_verify() {
    let world = world("rows_of_no_day", events::TEMPLATE);
    let counted = json!([{"tenant": "acme", "template": "event", "no_time": 10, "infinite": 7, "before": 4, "after": 3, "error": null}]);
    assert_eq!(verify(&world, &[]), counted);
    assert_eq!(verify(&world, &["--last", "1"]), counted);
    assert_eq!(verify(&world, &["--against", "ledger"]), json!([]));

    let said = world.dayhaul(&["verify", "--today", TODAY]).ok();
    let line = "acme/event: the source has rows that are in no day: 10 without a time, 7 at an infinite time, \
         4 before 2024-03-01, 3 after 2024-03-20";
    assert!(said.stdout.contains(line), "{}", said.stdout);

    // For a test, each day from 1970 on is one.
    let tested = world.dayhaul(&["tenant", "test", "acme"]).ok();
    let line = "tenant `acme`, template `event`: rows that are in no day up to today: 10 without a time, \
         7 at an infinite time, 3 after ";
    assert!(tested.stderr.contains(line), "{}", tested.stderr);
    let tested = world.dayhaul(&["tenant", "test", "acme", "--json"]).ok();
    let rows = &tested.json()["tenants"][0]["templates"][0]["rows_of_no_day"];
    assert_eq!(rows["no_time"], 10, "{rows}");
    assert_eq!(rows["before"], 0, "{rows}");

    // Once the source is right, nothing is said.
    world.tenants[0].run("DELETE FROM event WHERE id > 1000");
    let said = world.dayhaul(&["verify", "--today", TODAY]).ok();
    assert!(!said.stdout.contains("in no day"), "{}", said.stdout);
    let tested = world.dayhaul(&["tenant", "test", "acme"]).ok();
    assert!(!tested.stderr.contains("in no day"), "{}", tested.stderr);
}

#[test]
fn they_are_counted_in_other_forms_of_query_and_time() {
    let bounded = "SELECT id, at, note, amount FROM event WHERE at >= {from} AND at < {to}";
    for (name, form) in [
        (
            "no_day_cte",
            "WITH bounded AS (SELECT * FROM event WHERE ({from} <= at AND (at < {to})) AND id > 0)\n\
             SELECT id, at, note, amount FROM bounded WHERE note IS NOT NULL",
        ),
        (
            "no_day_union",
            "SELECT id, at, note, amount FROM event WHERE at >= {from} AND at < {to} AND id % 2 = 0\n\
             UNION ALL SELECT id, at, note, amount FROM event WHERE at >= {from} AND at < {to} AND id % 2 = 1",
        ),
        (
            "no_day_day",
            "SELECT id, at, note, amount FROM event WHERE (at AT TIME ZONE 'UTC')::date = {day} -- a day",
        ),
    ] {
        let world = world(name, &events::TEMPLATE.replace(bounded, form));
        let rows = verify(&world, &[]);
        assert_eq!(rows[0]["no_time"], 10, "{form}: {rows}");
        assert_eq!(rows[0]["infinite"], 7, "{form}: {rows}");
        assert_eq!(rows[0]["before"], 4, "{form}: {rows}");
        assert_eq!(rows[0]["after"], 3, "{form}: {rows}");
    }
}

#[test]
fn a_date_has_rows_of_no_day_too_and_a_query_that_is_not_understood_says_so() {
    let dates = events::TEMPLATE
        .replace("at = \"timestamptz\"", "at = \"date\"")
        .replace("SELECT id, at,", "SELECT id, at::date AS at,");
    let world = world("no_day_date", &dates);
    let rows = verify(&world, &[]);
    assert_eq!(rows[0]["no_time"], 10, "{rows}");
    assert_eq!(rows[0]["after"], 3, "{rows}");

    let ranges = dates.replace(
        "at >= {from} AND at < {to}",
        "tstzrange({from}, {to}) @> at",
    );
    world.write("templates/event.sql", &ranges);
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    let said = world.dayhaul(&["verify", "--today", TODAY]).ok();
    let line = "acme/event: rows that are in no day were not counted: the query uses its window in other ways";
    assert!(said.stdout.contains(line), "{}", said.stdout);
    let rows = verify(&world, &[]);
    assert_eq!(rows[0]["no_time"], Value::Null, "{rows}");
}
