//! A rebuild loads anew beside what readers see; they keep the old until the new is whole.

use crate::support::events;
use crate::support::server;
use crate::support::world::World;

const ALL: [&str; 6] = [
    "--from",
    "2023-12-01",
    "--to",
    "2024-03-20",
    "--today",
    events::TODAY,
];

fn loaded(name: &str) -> World {
    let world = World::with_events(name, &["acme"], "2023-12-01", 111, 8);
    world.dayhaul(&[&["backfill"], &ALL[..]].concat()).ok();
    assert_eq!(world.totals().0, "888");
    world
}

fn rebuild(world: &World, args: &[&str]) -> serde_json::Value {
    world
        .dayhaul(&[&["rebuild", "--json", "--today", events::TODAY], args].concat())
        .ok()
        .json()
}

#[test]
fn corrupted_rows_of_years_and_days_are_as_the_source_has_them_again() {
    let world = loaded("corrupted");
    let before = world.totals();
    world.warehouse.run(
        "UPDATE acme.event_2023 SET amount = 0 WHERE id % 3 = 0; DELETE FROM acme.event_2024 WHERE id % 5 = 0;
         DELETE FROM acme.event_2024_03_10",
    );
    let report = rebuild(&world, &["--from", "2023-12-01", "--to", "2024-03-20"]);
    assert_eq!(report["totals"]["loaded"], 111);
    assert_eq!(world.totals(), before);
    world.is_clean();
    // The reader's role still reads, and the indexes have the year's names.
    assert_eq!(
        world.warehouse.one("SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'event_2023'"),
        "event_2023_i1 event_2023_i2 event_2023_i3"
    );
}

#[test]
fn a_day_of_a_closed_year_brings_its_whole_year() {
    let world = loaded("whole_year");
    let before = world.totals();
    let report = rebuild(&world, &["--from", "2023-12-05", "--to", "2023-12-05"]);
    assert_eq!(report["totals"]["loaded"], 31);
    assert_eq!(world.totals(), before);
    world.is_clean();
}

#[test]
fn a_dropped_table_is_made_anew() {
    let world = loaded("dropped");
    let before = world.totals();
    world.warehouse.run("DROP TABLE acme.event_2023 CASCADE");
    let out = world
        .backfill(&["--from", "2023-12-01", "--to", "2023-12-02"])
        .exits(1);
    assert!(out.stderr.contains("dayhaul rebuild"), "{}", out.stderr);
    rebuild(&world, &["--from", "2023-12-05", "--to", "2023-12-05"]);
    assert_eq!(world.totals(), before);
    world.is_clean();
}

#[test]
fn a_day_that_fails_leaves_the_old_year_to_the_readers_and_the_next_run_goes_on() {
    let world = loaded("half_rebuild");
    let before = world.totals();
    world.tenants[0].run("UPDATE event SET note = repeat('x', 30) WHERE id = 20");
    let args = ["rebuild", "--year", "2023", "--today", events::TODAY];
    world.dayhaul(&args).exits(1);
    assert_eq!(world.totals(), before, "the old year is there, whole");
    assert_eq!(
        world.warehouse.one("SELECT count(*) FROM acme.event_2023"),
        "248"
    );
    // A backfill does not mistake what is staged for its own.
    world.dayhaul(&[&["backfill"], &ALL[..]].concat()).ok();
    assert_eq!(world.totals(), before);
    // Rows that were refreshed meanwhile are not lost to what was staged before.
    world.tenants[0].run("UPDATE event SET note = 'short' WHERE id = 20; UPDATE event SET amount = 5000 WHERE id = 100");
    world
        .dayhaul(&[
            "refresh",
            "--from",
            "2023-12-01",
            "--to",
            "2023-12-31",
            "--today",
            events::TODAY,
        ])
        .ok();
    world.dayhaul(&args).ok();
    assert_eq!(
        world.read("SELECT count(*) FROM acme.event WHERE amount = 5000 OR note = 'short'")[0][0]
            .as_deref(),
        Some("2")
    );
    assert_eq!(world.totals().0, "888");
    world.is_clean();
}

#[test]
fn a_reader_with_an_old_snapshot_keeps_its_rows() {
    let world = loaded("old_snapshot");
    world.configure("[load]\nbarrier_timeout = \"1s\"\n");
    let sum = "SELECT count(*)::text, sum(amount)::text FROM acme.event";
    let url = world.warehouse.url();
    crate::support::server::block_on(async {
        let reader = crate::support::server::connect(&url).await.unwrap();
        reader
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            .await
            .unwrap();
        let rebuild = || world.dayhaul(&["rebuild", "--year", "2023", "--today", events::TODAY]);
        let refused = tokio::task::block_in_place(rebuild).exits(1);
        assert!(
            refused.stderr.contains("older snapshots"),
            "{}",
            refused.stderr
        );
        let row = reader.query_one(sum, &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "888");
        reader.batch_execute("COMMIT").await.unwrap();
        tokio::task::block_in_place(rebuild).ok();
    });
    assert_eq!(world.totals().0, "888");
    world.is_clean();
}

/// A year whose rebuild failed on one day: the others are staged.
fn half_rebuilt(name: &str) -> World {
    let world = loaded(name);
    world.tenants[0].run("UPDATE event SET note = repeat('x', 30) WHERE id = 400");
    let year = ["rebuild", "--year", "2024", "--today", events::TODAY];
    world.dayhaul(&year).exits(1);
    world.tenants[0].run("UPDATE event SET note = 'mended' WHERE id = 400");
    assert_eq!(world.totals().0, "888");
    assert_ne!(world.warehouse.one("SELECT count(*) FROM _wh.staged"), "0");
    world
}

#[test]
fn after_an_interrupted_rebuild_sync_folds_on_and_says_what_is_left_to_do() {
    let world = half_rebuilt("half_sync");
    events::fill(&world.tenants[0], "2024-03-21", 31, 8);
    let first: chrono::NaiveDate = events::TODAY.parse().unwrap();
    for n in (1..=31).step_by(6) {
        let today = (first + chrono::Days::new(n)).to_string();
        let out = world.dayhaul(&["sync", "--json", "--today", &today]).ok();
        assert_eq!(out.json()["folds"][0]["outcome"], "moved", "{}", out.stdout);
        let what = "`dayhaul rebuild --tenant acme --template event --year 2024` finishes it";
        assert!(out.stderr.contains(what), "{}", out.stderr);
        assert_eq!(world.totals().0, (888 + 8 * n).to_string(), "{today}");
    }
    assert_eq!(
        world.warehouse.one("SELECT fold_line FROM _wh.pair"),
        "2024-04-05"
    );
    // The days that came since are of the new year, too.
    world.tenants[0].run("UPDATE event SET amount = 5000 WHERE id IN (300, 950)");
    world
        .dayhaul(&["rebuild", "--year", "2024", "--today", "2024-04-20"])
        .ok();
    assert_eq!(world.totals().0, "1136");
    let new = "SELECT count(*) FROM acme.event WHERE amount = 5000 OR note = 'mended'";
    assert_eq!(world.read(new)[0][0].as_deref(), Some("2"));
    world.is_clean();
    world
        .dayhaul(&["verify", "--against", "ledger", "--today", "2024-04-20"])
        .ok();
}

#[test]
fn a_day_is_compared_with_what_readers_see_not_with_what_a_rebuild_staged() {
    let world = half_rebuilt("half_refresh");
    // What was staged has it already; what readers see has not.
    world.warehouse.run(
        "UPDATE _wh.unit SET rows = 7, digest = repeat('0', 32) WHERE day = '2024-01-10';
         DELETE FROM acme.event_2024 WHERE id = (SELECT min(id) FROM acme.event_2024 WHERE at >= '2024-01-10 00:00+00')",
    );
    let day = ["--from", "2024-01-10", "--to", "2024-01-10"];
    let report = world
        .dayhaul(&[&["refresh", "--json", "--today", events::TODAY], &day[..]].concat())
        .ok()
        .json();
    assert_eq!(report["totals"]["inserted"], 1, "{report}");
    assert_eq!(world.totals().0, "888");
}

#[test]
fn days_that_are_unfolded_leave_what_a_rebuild_staged() {
    let world = half_rebuilt("half_unfold");
    let before = world.totals();
    let staged = |from: &str| {
        let sql = format!("SELECT count(*) FROM _wh.staged WHERE day >= '{from}'");
        world.warehouse.one(&sql)
    };
    assert_ne!(staged("2024-02-10"), "0");
    world.dayhaul(&["unfold", "--from", "2024-02-10"]).ok();
    assert_eq!(staged("2024-02-10"), "0");
    assert_ne!(staged("2024-01-01"), "0");
    // With the last of its days the table goes.
    world.dayhaul(&["unfold", "--from", "2024-01-01"]).ok();
    world.is_clean();
    world.dayhaul(&["fold", "--today", events::TODAY]).ok();
    assert_eq!(world.totals(), before);
    world.is_clean();
}

#[test]
fn autovacuum_of_the_old_year_gives_way_to_the_new_one() {
    let (_dir, cluster) = server::own(("autovacuum_naptime", "1s"));
    let acme = ["acme"];
    let world = World::new("autovacuum", &acme).with_warehouse(&cluster);
    let world = world.filled(&acme, events::TEMPLATE, "2023-12-01", (31, 3000));
    world
        .backfill(&["--from", "2023-12-01", "--to", "2023-12-31"])
        .ok();
    let before = world.totals();
    // It would take ten minutes.
    world.warehouse.run(
        "ALTER TABLE acme.event_2023 SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
           autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100);
         UPDATE acme.event_2023 SET amount = 0",
    );
    world.wait_for(
        "SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = 'acme.event_2023'::regclass)",
    );
    rebuild(&world, &["--year", "2023"]);
    assert_eq!(world.totals(), before);
    world.is_clean();
}
