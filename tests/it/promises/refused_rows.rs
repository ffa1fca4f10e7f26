//! Rows that only an index refuses find their way to their day.

use crate::support::events;
use crate::support::world::World;

const YEAR: [&str; 5] = ["--from", "2023-11-01", "--to", "2023-12-30", "--json"];
const DAYS: u32 = 60;

/// More than an index takes, and not to be compressed.
const LONG: &str = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 150) AS i)";

fn world(name: &str) -> World {
    let template = events::TEMPLATE.replace("varchar(20)", "text");
    World::new(name, &["acme"]).filled(&["acme"], &template, "2023-11-01", (DAYS, 4))
}

fn lengthen(world: &World, ids: &str) {
    world.tenants[0].run(&format!(
        "UPDATE event SET note = {LONG} WHERE id IN ({ids})"
    ));
}

#[test]
fn a_value_too_long_for_an_index_fails_its_day_and_not_its_year() {
    let world = world("too_long");
    lengthen(&world, "82, 83, 201");
    for _ in 0..2 {
        let report = world.backfill(&YEAR).exits(1).json();
        assert_eq!(report["totals"]["failed"], 2, "{report}");
        let mut days: Vec<&str> = report["failures"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|failure| failure["days"].as_array().unwrap())
            .filter_map(|days| days[0].as_str())
            .collect();
        days.sort_unstable();
        assert_eq!(days, ["2023-11-21", "2023-12-21"], "{report}");
        assert_eq!(world.totals().0, ((DAYS - 2) * 4).to_string());
    }
    let hint = world.backfill(&YEAR[..4]).exits(1).stderr;
    assert!(hint.contains("remove the index"), "{hint}");
    let status = world.dayhaul(&["status", "--json", "--today", events::TODAY]);
    assert_eq!(status.ok().json()["pairs"][0]["failed"], 2);
    let why = world
        .dayhaul(&["why", "acme", "event", "2023-11-21", "--json"])
        .ok()
        .json();
    assert_eq!(why["state"], "failed");
    assert!(why["error"].as_str().unwrap().contains("2704"), "{why}");
    world.tenants[0].run("UPDATE event SET note = 'short'");
    world.backfill(&YEAR).ok();
    assert_eq!(world.totals().0, (DAYS * 4).to_string());
    world.is_clean();
}

#[test]
fn a_day_table_fails_alone_as_well() {
    let world = World::new("too_long_days", &["acme"]);
    let template = events::TEMPLATE.replace("varchar(20)", "text");
    let world = world.filled(&["acme"], &template, "2024-02-20", (24, 4));
    lengthen(&world, "41");
    let period = ["--from", "2024-02-20", "--to", "2024-03-14", "--json"];
    let report = world.backfill(&period).exits(1).json();
    assert_eq!(report["totals"]["failed"], 1, "{report}");
    assert_eq!(world.totals().0, "92");
}

#[test]
fn a_failing_index_expression_and_a_deferred_constraint_fail_their_day_alone() {
    let world = world("by_hand");
    world.backfill(&YEAR[..4]).ok();
    let schema = "acme";
    world.warehouse.run(&format!(
        "CREATE INDEX by_hand ON {schema}.event_2023 ((1 / (amount - 7)));
         ALTER TABLE {schema}.event_2023 ADD CONSTRAINT late UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED"
    ));
    world.tenants[0].run(
        "UPDATE event SET amount = 7 WHERE id = 82; UPDATE event SET amount = 0.01 WHERE id = 201",
    );
    let reload = [&YEAR[..], &["--reload"]].concat();
    let report = world.backfill(&reload).exits(1).json();
    assert_eq!(report["totals"]["failed"], 2, "{report}");
    assert_eq!(report["totals"]["loaded"], DAYS - 2, "{report}");
}

#[test]
fn a_year_that_cannot_be_built_says_why_in_status_and_why() {
    let world = world("no_year");
    world.configure("[load]\nmax_failures_per_tenant = 2\n");
    lengthen(&world, "1, 21, 82, 201");
    let report = world.backfill(&YEAR).exits(1).json();
    assert_eq!(report["totals"]["failed"], DAYS, "{report}");
    assert_eq!(world.totals().0, "0");
    let status = world.dayhaul(&["status", "--json", "--today", events::TODAY]);
    assert_eq!(status.ok().json()["pairs"][0]["failed"], DAYS);
    let why = world.dayhaul(&["why", "acme", "event", "2023-11-02"]).ok();
    for words in ["staged", "building year 2023", "2704"] {
        assert!(why.stdout.contains(words), "{words}: {}", why.stdout);
    }
    // The way out that the hint names.
    let without = events::TEMPLATE
        .replace("varchar(20)", "text")
        .replace("indexes = [\"note\"]\n", "");
    world.write("templates/event.sql", &without);
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    world.backfill(&YEAR).ok();
    assert_eq!(world.totals().0, (DAYS * 4).to_string());
    world.is_clean();
}
