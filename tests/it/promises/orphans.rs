//! Tables that Dayhaul made and its catalog does not know keep no pair stuck: `verify --repair` drops them.

use crate::support::events::{self, TODAY};
use crate::support::world::World;
use serde_json::Value;

const DAYS: [&str; 6] = [
    "--from",
    "2023-12-30",
    "--to",
    "2024-01-02",
    "--today",
    "2024-01-03",
];

/// Two tenants with days on both sides of a year's end. Acme's tables are there as after an interrupted transaction that
/// was committed in part: the catalog knows none of them.
fn interrupted(name: &str) -> World {
    let world = World::new(name, &["acme", "bolt"]);
    let template = events::TEMPLATE.replace("open_days = 16", "open_days = 3");
    let world = world.filled(&["acme", "bolt"], &template, "2023-12-30", (4, 5));
    world.dayhaul(&[&["backfill"], &DAYS[..]].concat()).ok();
    world.warehouse.run(
        "DROP VIEW acme.event CASCADE; \
         DELETE FROM _wh.unit WHERE tenant = 'acme'; DELETE FROM _wh.relation WHERE tenant = 'acme'; \
         UPDATE _wh.pair SET fold_line = NULL WHERE tenant = 'acme'; \
         ALTER TABLE acme.event_2023 RENAME TO event_2023_staging; \
         DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP INDEX %s', indexrelid::regclass), ';') \
             FROM pg_index WHERE indrelid = 'acme.event_2023_staging'::regclass); END $$; \
         TRUNCATE acme.event_2024_01_01, acme.event_2024_01_02",
    );
    world
}

fn verify(world: &World, more: &[&str], code: i32) -> Value {
    let verify = ["verify", "--json", "--against", "ledger", "--today", TODAY];
    world.dayhaul(&[&verify, more].concat()).exits(code).json()
}

fn relations(json: &Value) -> Vec<&str> {
    let orphans = json["orphans"].as_array().expect("orphans");
    let names = orphans.iter().map(|o| o["relation"].as_str().unwrap());
    names.collect()
}

#[test]
fn what_an_interrupted_transaction_left_is_dropped_and_the_pair_goes_on() {
    let world = interrupted("orphans");
    let stuck = world.dayhaul(&[&["backfill"], &DAYS[..]].concat()).exits(1);
    for said in ["is not in the catalog", "dayhaul verify --repair"] {
        assert!(stuck.stderr.contains(said), "{}", stuck.stderr);
    }
    let found = verify(&world, &[], 1);
    let names = relations(&found);
    for table in ["event_2023_staging", "event_2024_01_01", "event_2024_01_04"] {
        assert!(names.contains(&format!("acme.{table}").as_str()), "{found}");
    }
    assert!(
        names.iter().all(|name| name.starts_with("acme.")),
        "{found}"
    );
    let staging = &found["orphans"][0];
    assert_eq!(staging["has_rows"], true, "{staging}");
    assert_eq!(staging["repairable"], true, "{staging}");
    verify(&world, &["--tenant", "bolt"], 0);
    let page = world
        .dayhaul(&["verify", "--repair", "--today", "2024-01-03"])
        .ok();
    assert!(
        page.stdout
            .contains("table `acme.event_2023_staging` is Dayhaul's"),
        "{}",
        page.stdout
    );
    verify(&world, &[], 0);
    world.dayhaul(&[&["backfill"], &DAYS[..]].concat()).ok();
    assert_eq!(world.totals().0, "40");
    world.dayhaul(&["verify"]).ok();
}

#[test]
fn a_table_with_rows_that_somebody_may_read_stays_and_is_named() {
    let world = interrupted("orphans_rows");
    world.warehouse.run(
        "INSERT INTO acme.event_2024_01_01 SELECT * FROM bolt.event_2024_01_01; \
         CREATE VIEW public.bi AS SELECT id FROM acme.event_2024_01_02",
    );
    let repair = world
        .dayhaul(&["verify", "--repair", "--today", "2024-01-03"])
        .exits(1);
    assert!(
        repair.stdout.contains("`acme.event_2024_01_01` is Dayhaul's, but not in the catalog; it has rows: drop it yourself, or move it to another schema"),
        "{}",
        repair.stdout
    );
    // Something that people built on a table is never dropped with it.
    assert!(
        repair.stderr.contains("DROP VIEW \"public\".\"bi\""),
        "{}",
        repair.stderr
    );
    let found = verify(&world, &[], 1);
    assert_eq!(
        relations(&found),
        ["acme.event_2024_01_01", "acme.event_2024_01_02"]
    );
    world
        .warehouse
        .run("DROP VIEW public.bi; ALTER TABLE acme.event_2024_01_01 SET SCHEMA public");
    world
        .dayhaul(&["verify", "--repair", "--today", "2024-01-03"])
        .ok();
    world.dayhaul(&[&["backfill"], &DAYS[..]].concat()).ok();
    assert_eq!(world.totals().0, "40");
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM public.event_2024_01_01"),
        "5"
    );
}

#[test]
fn a_table_that_only_looks_like_ours_is_not_touched() {
    let world = interrupted("orphans_alike");
    // With the days of another year; without the CHECK; of no template of ours; of another owner.
    let owner = &world.owner;
    world.warehouse.run(&format!(
        "SET ROLE {owner}; \
         CREATE TABLE acme.event_2019_staging (LIKE bolt.event_2023 INCLUDING ALL); \
         CREATE TABLE acme.event_2018_staging (id int); \
         CREATE TABLE acme.visit_2023_staging (LIKE bolt.event_2023 INCLUDING ALL); \
         RESET ROLE; CREATE TABLE acme.event_2023 (LIKE bolt.event_2023 INCLUDING ALL)"
    ));
    world
        .dayhaul(&["verify", "--repair", "--today", "2024-01-03"])
        .ok();
    let alike = "SELECT count(*) FROM pg_tables WHERE schemaname = 'acme' AND tablename IN \
        ('event_2019_staging', 'event_2018_staging', 'visit_2023_staging', 'event_2023')";
    assert_eq!(world.warehouse.one(alike), "4");
}
