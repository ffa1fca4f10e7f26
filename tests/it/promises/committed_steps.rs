//! A step that is committed is done: what cannot be cleaned away behind it is named, and stops no later run.

use crate::support::events;
use crate::support::world::World;
use serde_json::Value;

const FROM: &str = "2024-03-10";

fn loaded(name: &str) -> World {
    let world = World::new(name, &["acme"]);
    let template = events::TEMPLATE.replace("open_days = 16", "open_days = 3");
    let world = world.filled(&["acme"], &template, FROM, (10, 4));
    world.backfill(&["--from", FROM, "--to", "2024-03-19"]).ok();
    world
}

fn notes(report: &Value) -> String {
    let notes = report.get("notes").cloned();
    notes.unwrap_or_else(|| serde_json::json!([])).to_string()
}

const REBUILD: [&str; 6] = [
    "rebuild",
    "--year",
    "2024",
    "--json",
    "--today",
    events::TODAY,
];

#[test]
fn a_view_on_a_year_table_is_named_and_fails_no_rebuild() {
    let world = loaded("done_year");
    let (w, source) = (&world.warehouse, &world.tenants[0]);
    w.run("CREATE SCHEMA bi; CREATE VIEW bi.old AS SELECT * FROM acme.event_2024");
    for round in 1..=3 {
        source.run(&format!(
            "UPDATE event SET note = 'round {round}' WHERE id = 1"
        ));
        let rebuilt = world.dayhaul(&REBUILD).ok();
        // Named before anything is replaced; then, that the table behind it stays.
        let report = rebuilt.json();
        let named = notes(&report);
        if round == 1 {
            assert!(
                named.contains("view `bi.old` depends on `acme.event_2024`"),
                "{named}"
            );
        }
        assert!(
            named.contains("DROP VIEW \\\"bi\\\".\\\"old\\\""),
            "{named}"
        );
        assert_eq!(report["failures"], serde_json::json!([]));
        let note = "SELECT note FROM public.event WHERE id = 1";
        assert_eq!(world.read(note)[0][0], Some(format!("round {round}")));
        let sync = world
            .dayhaul(&["sync", "--json", "--today", events::TODAY])
            .ok();
        assert!(notes(&sync.json()).contains("bi.old"), "{}", sync.stderr);
    }
    let left = "SELECT count(*) FROM _wh.relation WHERE kind = 'retired'";
    assert_eq!(w.one(left), "1");
    w.run("DROP SCHEMA bi CASCADE");
    let sync = world
        .dayhaul(&["sync", "--json", "--today", events::TODAY])
        .ok();
    assert_eq!(notes(&sync.json()), "[]");
    assert_eq!(w.one(left), "0");
    world.is_clean();
}

#[test]
fn each_rebuild_may_leave_a_table_behind() {
    let world = loaded("done_years");
    let w = &world.warehouse;
    w.run("CREATE SCHEMA bi");
    for round in 1..=3 {
        w.run(&format!(
            "CREATE VIEW bi.v{round} AS SELECT * FROM acme.event_2024"
        ));
        world.dayhaul(&REBUILD).ok();
    }
    assert_eq!(
        w.one("SELECT count(*) FROM _wh.relation WHERE kind = 'retired'"),
        "3"
    );
    w.run("DROP SCHEMA bi CASCADE");
    world.dayhaul(&["sync", "--today", events::TODAY]).ok();
    world.is_clean();
}

#[test]
fn a_materialized_view_on_a_day_that_is_folded_is_named_and_stops_nothing() {
    let world = loaded("done_day");
    let w = &world.warehouse;
    w.run("CREATE MATERIALIZED VIEW public.mine AS SELECT * FROM acme.event_2024_03_18");
    let run = world.dayhaul(&["fold", "--today", "2024-03-22"]).ok();
    assert!(
        run.stderr
            .contains("materialized view `public.mine` depends on `acme.event_2024_03_18`"),
        "{}",
        run.stderr
    );
    for today in ["2024-03-22", "2024-03-23"] {
        let sync = world.dayhaul(&["sync", "--json", "--today", today]).ok();
        assert!(
            sync.stderr
                .contains("DROP MATERIALIZED VIEW \"public\".\"mine\""),
            "{}",
            sync.stderr
        );
        assert_eq!(world.totals().0, "40");
    }
    let there = "SELECT to_regclass('acme.event_2024_03_18') IS NOT NULL";
    assert_eq!(w.one(there), "t");
    w.run("DROP MATERIALIZED VIEW public.mine");
    let sync = world.dayhaul(&["sync", "--today", "2024-03-23"]).ok();
    assert!(!sync.stderr.contains("mine"), "{}", sync.stderr);
    assert_eq!(w.one(there), "f");
    world.is_clean();
}

#[test]
fn a_publication_without_a_replica_identity_is_met_early_and_has_two_ways_out() {
    let world = loaded("done_publication");
    let (w, source) = (&world.warehouse, &world.tenants[0]);
    w.run("CREATE PUBLICATION p FOR ALL TABLES");
    let init = world.dayhaul(&["init"]).ok();
    for said in [
        "publication `p`",
        "replica_identity = \"full\"",
        "ALTER PUBLICATION \"p\" SET",
    ] {
        assert!(init.stderr.contains(said), "{said}: {}", init.stderr);
    }
    // What a line that moves leaves behind cannot be deleted, and is hidden.
    let unfold = world.dayhaul(&["unfold", "--from", "2024-03-15"]).ok();
    assert!(
        unfold.stderr.contains("hidden rows of `acme.event_2024`"),
        "{}",
        unfold.stderr
    );
    assert_eq!(world.totals().0, "40");
    let fold = world
        .dayhaul(&["fold", "--json", "--today", "2024-03-22"])
        .exits(1);
    assert_eq!(
        fold.json()["pairs"][0]["outcome"],
        "not_yet",
        "{}",
        fold.stdout
    );
    assert_eq!(world.totals().0, "40");
    source.run("UPDATE event SET note = 'new' WHERE id = 40; DELETE FROM event WHERE id = 39");
    let reload = ["--reload", "--from", "2024-03-19", "--to", "2024-03-19"];
    let failed = world.backfill(&reload).exits(1);
    assert!(
        failed.stderr.contains("replica_identity"),
        "{}",
        failed.stderr
    );
    // One way out.
    world.configure("replica_identity = \"full\"\n");
    let sync = world
        .dayhaul(&["sync", "--json", "--today", "2024-03-20"])
        .ok();
    assert_eq!(notes(&sync.json()), "[]");
    world.backfill(&reload).ok();
    assert_eq!(world.totals().0, "39");
    assert_eq!(
        w.one("SELECT string_agg(DISTINCT relreplident::text, '') FROM pg_class c JOIN _wh.relation r \
               ON c.oid = to_regclass(format('%I.%I', r.schema_name, r.name)) WHERE r.kind IN ('day', 'year')"),
        "f"
    );
    world.dayhaul(&["fold", "--today", "2024-03-22"]).ok();
    world.is_clean();
}

#[test]
fn the_way_out_of_a_publication_of_the_schema_works_as_it_is_written() {
    let world = loaded("done_schema");
    let (w, source) = (&world.warehouse, &world.tenants[0]);
    if w.one("SELECT current_setting('server_version_num')::int < 150000") == "t" {
        println!("skipped: PostgreSQL 14 publishes no schemas");
        return;
    }
    for publication in [
        "FOR TABLES IN SCHEMA acme",
        "FOR TABLE acme.event_2024, acme.event_2024_03_19",
    ] {
        w.run(&format!("CREATE PUBLICATION p {publication}"));
        source.run("UPDATE event SET amount = amount + 1 WHERE id > 36");
        let refresh = [
            "refresh",
            "--from",
            "2024-03-19",
            "--to",
            "2024-03-19",
            "--json",
            "--today",
            events::TODAY,
        ];
        let failed = world.dayhaul(&refresh).exits(1).json();
        let note = failed["notes"][0].as_str().expect("a note").to_owned();
        let (_, statement) = note.split_once("or run: ").expect("a statement");
        w.run(statement);
        let done = world.dayhaul(&refresh).ok().json();
        assert_eq!(notes(&done), "[]");
        w.run("DROP PUBLICATION p");
    }
}
