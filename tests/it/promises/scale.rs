//! What a run costs with many tenants: sessions at their servers, tables in the warehouse.

use crate::support::events;
use crate::support::server::{self, Database};
use crate::support::world::{World, wait_until};
use dayhaul::cluster::Stop;
use std::time::Duration;

const DAYS: [&str; 4] = ["--from", "2024-02-20", "--to", "2024-03-20"];

/// Sessions that a database has seen so far.
fn sessions(database: &Database) -> i64 {
    let sql = format!(
        "SELECT sessions FROM pg_stat_database WHERE datname = '{}'",
        database.name
    );
    let rows = server::rows(&server::url("postgres"), &sql).unwrap();
    rows[0][0].as_deref().unwrap().parse().unwrap()
}

/// Whether nobody is in a database, asked from another one: asking would be a session, too.
fn is_left(database: &Database) -> bool {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'",
        database.name
    );
    let rows = server::rows(&server::url("postgres"), &sql).unwrap();
    rows[0][0].as_deref() == Some("0")
}

/// How many sessions a command opens at each of the databases.
fn opened(world: &World, databases: &[Database], args: &[&str]) -> Vec<i64> {
    let all_left = || databases.iter().all(is_left);
    wait_until("earlier sessions have ended", all_left);
    let before: Vec<i64> = databases.iter().map(sessions).collect();
    world.dayhaul(args).ok();
    // A server has counted a session at its end at the latest.
    wait_until("the sessions have ended", all_left);
    let after = databases.iter().map(sessions);
    after
        .zip(before)
        .map(|(after, before)| after - before)
        .collect()
}

#[test]
fn a_tenant_costs_one_session_a_run_whatever_its_templates() {
    let tenants = ["acme", "bolt", "crane", "dune", "elm", "fir"];
    let world = World::with_events("scale_sessions", &tenants, "2024-02-20", 30, 4);
    let other = events::TEMPLATE.replace("description = \"Events\"", "description = \"Others\"");
    world.write("templates/other.sql", &other);
    world
        .dayhaul(&["template", "load", "templates/other.sql", "--all-tenants"])
        .ok();
    let backfill = [&["backfill", "--today", events::TODAY], &DAYS[..]].concat();
    world.dayhaul(&backfill).ok();
    // Only at its end may two workers be at one tenant.
    let again = opened(&world, &world.tenants, &["sync", "--today", events::TODAY]);
    assert!(again.iter().sum::<i64>() <= 8, "{again:?}");
    assert!(again.iter().all(|n| *n >= 1), "{again:?}");
    world.is_clean();
}

#[test]
fn tenants_in_one_database_share_sessions() {
    let world = World::new("scale_schemas", &["acme"]);
    let source = &world.tenants[0];
    world.configure("[load]\njobs = 6\nper_server = 2\n");
    world.dayhaul(&["init"]).ok();
    let template = events::TEMPLATE.replace("FROM event", "FROM {schema}.event");
    world.write("templates/event.sql", &template);
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    for n in 0..20 {
        let schema = format!("customer_{n}");
        source.run(&format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.event (id bigint PRIMARY KEY, at timestamptz, note text, \
             amount numeric); INSERT INTO {schema}.event SELECT d, timestamptz '2024-03-01 12:00+00' + d * interval '1 day', \
             'note', {n} FROM generate_series(0, 19) AS d"
        ));
        world
            .dayhaul(&[
                "tenant",
                "add",
                &format!("customer{n}"),
                "--url",
                &source.url(),
                "--source-schema",
                &schema,
                "--template",
                "event",
                "--no-test",
            ])
            .ok();
    }
    let load = [
        "backfill",
        "--from",
        "2024-03-01",
        "--to",
        "2024-03-20",
        "--today",
        events::TODAY,
    ];
    let databases = std::slice::from_ref(source);
    world.dayhaul(&load).ok();
    let sync = ["sync", "--today", events::TODAY];
    let sessions = opened(&world, databases, &sync)[0];
    assert!(sessions <= 4, "{sessions}");
    let each = "SELECT count(*) FROM (SELECT FROM public.event GROUP BY schema_name HAVING count(*) = 20 \
                AND count(DISTINCT amount) = 1) AS whole";
    assert_eq!(world.warehouse.one(each), "20");
}

#[test]
fn few_tables_are_kept_and_what_is_open_beyond_them_is_folded_by_the_next_sync() {
    let world = World::with_events("scale_tables", &["acme"], "2024-02-20", 40, 3);
    world
        .dayhaul(&[&["backfill", "--today", events::TODAY], &DAYS[..]].concat())
        .ok();
    let days = || {
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.relation WHERE kind = 'day'")
    };
    assert_eq!(days(), "18", "16 that are open, and 2 ahead");
    let few = events::TEMPLATE.replace("open_days = 16\n", "");
    world.write("event.sql", &few);
    world.dayhaul(&["template", "load", "event.sql"]).ok();
    world.dayhaul(&["sync", "--today", "2024-03-21"]).ok();
    assert_eq!(days(), "5", "3 that are open, and 2 ahead");
    world.dayhaul(&["sync", "--today", "2024-03-22"]).ok();
    assert_eq!(days(), "5");
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename IN ('event_2024_03_23', 'event_2024_03_24')";
    assert_eq!(world.warehouse.one(indexes), "0", "days ahead have none");
    world.is_clean();
}

#[test]
fn a_refresh_fetches_days_on_both_sides_of_the_fold_line_together() {
    let world = World::with_events("scale_window", &["acme"], "2024-02-20", 30, 4);
    let few = events::TEMPLATE.replace("open_days = 16\n", "");
    world.write("event.sql", &few);
    world.dayhaul(&["template", "load", "event.sql"]).ok();
    world
        .dayhaul(&[&["backfill", "--today", events::TODAY], &DAYS[..]].concat())
        .ok();
    // Moved over the line, changed on both sides of it, gone, new.
    world.tenants[0].run(
        "UPDATE event SET at = at + interval '5 days' WHERE id IN (SELECT min(id) FROM event WHERE at >= '2024-03-15 00:00+00');
         UPDATE event SET note = 'changed' WHERE at >= '2024-03-16 00:00+00' AND at < '2024-03-20 00:00+00';
         DELETE FROM event WHERE id = (SELECT max(id) FROM event);
         INSERT INTO event VALUES (9000, '2024-03-10 01:00+00', 'late', 1), (9001, '2024-03-19 01:00+00', 'late', 2)",
    );
    let report = world
        .dayhaul(&["sync", "--today", events::TODAY, "--json"])
        .ok()
        .json();
    assert!(
        report["totals"]["changed"].as_u64() >= Some(6),
        "{report:#}"
    );
    world.all_is_well(&few, &["--from", "2024-02-20", "--to", "2024-03-20"]);
}

#[test]
fn pairs_that_are_prepared_while_the_warehouse_restarts_are_loaded() {
    let (_folder, mut cluster) = server::own(("max_connections", "40"));
    let tenants = [
        "acme", "bolt", "crane", "dune", "elm", "fir", "gull", "hare",
    ];
    let world = World::new("scale_restart", &tenants)
        .with_warehouse(&cluster)
        .filled(&tenants, &events::slow(0.05), "2024-03-15", (5, 3));
    let days = ["--from", "2024-03-15", "--to", "2024-03-19", "--json"];
    let run = world.start_backfill(&days);
    wait_until("some days are loaded", || {
        world.warehouse.one("SELECT count(*) > 2 FROM _wh.unit") == "t"
    });
    cluster.stop(Stop::Fast).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    cluster.restart().unwrap();
    let report = run.output().ok().json();
    assert_eq!(report["totals"]["loaded"], 40, "{report:#}");
    assert_eq!(world.totals().0, "120");
    world.is_clean();
}
