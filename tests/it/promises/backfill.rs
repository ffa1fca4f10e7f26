//! The main job: days come into the warehouse once, whole, where they belong, and a second run finds them there.

use crate::support::events;
use crate::support::world::World;

#[test]
fn days_before_the_fold_line_go_into_their_years_and_the_others_into_day_tables() {
    let world = World::with_events("fold_line", &["acme"], "2023-12-30", 82, 10);
    let out = world
        .backfill(&["--from", "2023-12-30", "--to", "2024-03-20"])
        .ok();
    assert!(out.stdout.contains("820"), "{}", out.stdout);

    let relations = world
        .warehouse
        .rows("SELECT relation, count(*), sum(rows) FROM _wh.unit GROUP BY 1 ORDER BY min(day)");
    let text =
        |row: &Vec<Option<String>>| row.iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(text(&relations[0]), "acme.event_2023 2 20");
    assert_eq!(text(&relations[1]), "acme.event_2024 64 640");
    assert_eq!(text(&relations[2]), "acme.event_2024_03_05 1 10");
    assert_eq!(relations.len(), 2 + 16);
    assert_eq!(world.totals().0, "820");
    // Tables of the coming days are there, and shown, so that midnight needs no DDL.
    let ahead = world.read("SELECT count(*) FROM acme.event_2024_03_22");
    assert_eq!(ahead[0][0].as_deref(), Some("0"));
    world.is_clean();
}

#[test]
fn running_it_again_loads_nothing_twice() {
    let world = World::with_events("again", &["acme", "beta"], "2024-03-01", 20, 10);
    let args = ["--from", "2024-03-01", "--to", "2024-03-20"];
    let first = world
        .backfill(&[&args[..], &["--json", "--jobs", "1"]].concat())
        .ok()
        .json();
    assert_eq!(first["schema"], "dayhaul.backfill/1");
    assert_eq!(first["totals"]["loaded"], 40);
    let before = world.totals();
    let second = world
        .backfill(&[&args[..], &["--json"]].concat())
        .ok()
        .json();
    // Days that may still get rows are compared.
    let total = |name: &str| second["totals"][name].clone();
    assert_eq!(
        [total("loaded"), total("skipped"), total("unchanged")],
        [0, 10, 30]
    );
    assert_eq!(world.totals(), before);
    assert_eq!(before.0, "400");
    // What was added at the source since comes with --reload, into day and year tables alike, and nothing doubles.
    events::fill(&world.tenants[0], "2024-03-01", 20, 1);
    world.backfill(&[&args[..], &["--reload"]].concat()).ok();
    assert_eq!(world.totals().0, "420");
    world.is_clean();
}

#[test]
fn a_day_without_rows_is_loaded_and_a_day_never_asked_for_is_not() {
    let world = World::with_events("empty_day", &["acme"], "2024-03-10", 1, 5);
    world
        .backfill(&["--from", "2024-03-09", "--to", "2024-03-11"])
        .ok();
    let units = world
        .warehouse
        .rows("SELECT day, state, rows FROM _wh.unit ORDER BY day");
    let text: Vec<String> = units
        .iter()
        .map(|r| r.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        text,
        [
            "2024-03-09 loaded 0",
            "2024-03-10 loaded 5",
            "2024-03-11 loaded 0"
        ]
    );
}

#[test]
fn an_existing_year_takes_more_days_directly() {
    let world = World::with_events("more_days", &["acme"], "2023-01-01", 30, 10);
    world
        .backfill(&["--from", "2023-01-01", "--to", "2023-01-10"])
        .ok();
    world
        .backfill(&["--from", "2023-01-01", "--to", "2023-01-30"])
        .ok();
    assert_eq!(world.totals().0, "300");
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(DISTINCT relation) FROM _wh.unit"),
        "1"
    );
    world.is_clean();
}

#[test]
fn a_future_day_is_allowed_and_said() {
    let world = World::with_events("future", &["acme"], "2024-03-19", 2, 5);
    let out = world
        .backfill(&["--from", "2024-03-19", "--to", "2024-03-25"])
        .ok();
    assert!(
        out.stderr.contains("not over") || out.stderr.contains("future"),
        "{}",
        out.stderr
    );
    assert_eq!(world.totals().0, "10");
}

#[test]
fn the_readers_role_reads_every_view_and_table_and_nothing_of_the_catalog() {
    let world = World::with_events("reader", &["acme-prod"], "2024-01-01", 80, 3);
    world
        .backfill(&["--from", "2024-01-01", "--to", "2024-03-20"])
        .ok();
    let relations = world
        .warehouse
        .rows("SELECT schema_name, name FROM _wh.relation ORDER BY 1, 2");
    assert!(relations.len() > 20);
    for row in relations {
        let (schema, name) = (row[0].clone().unwrap(), row[1].clone().unwrap());
        world.read(&format!("SELECT count(*) FROM {schema}.{name}"));
    }
    let denied = crate::support::server::rows(
        &world.warehouse.url(),
        &format!(
            "SET ROLE \"{}\"; SELECT count(*) FROM _wh.unit",
            world.reader
        ),
    );
    assert_eq!(denied.unwrap_err().code().unwrap().code(), "42501");
}

#[test]
fn one_public_view_shows_every_tenant_with_its_schema_first() {
    let world = World::with_events("public_view", &["acme", "beta"], "2024-03-18", 2, 4);
    world.backfill(&["--last", "2"]).ok();
    let rows = world.read("SELECT schema_name, count(*) FROM public.event GROUP BY 1 ORDER BY 1");
    let text: Vec<String> = rows
        .iter()
        .map(|r| r.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(text, ["acme 8", "beta 8"]);
    let first = world.read(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'event' \
         AND ordinal_position = 1",
    );
    assert_eq!(first[0][0].as_deref(), Some("schema_name"));
}

#[test]
fn a_query_that_wants_a_day_gets_one_day_at_a_time() {
    let world = World::new("one_day", &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-01", 10, 10);
    let template = events::TEMPLATE.replace(
        "at >= {from} AND at < {to}",
        "at >= ({day}::timestamp AT TIME ZONE 'UTC') AND at < (({day} + 1)::timestamp AT TIME ZONE 'UTC')",
    );
    world.set_up_events(&["acme"], &template);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-10"])
        .ok();
    assert_eq!(world.totals().0, "100");
}

#[test]
fn a_day_larger_than_the_budget_streams_and_a_window_larger_than_it_is_cut() {
    let world = World::with_events("budget", &["acme"], "2024-03-10", 8, 4000);
    world.configure("[load]\nwindow_bytes = \"64kB\"\n");
    world
        .backfill(&["--from", "2024-03-10", "--to", "2024-03-17"])
        .ok();
    assert_eq!(world.totals().0, "32000");
    // History says that days are small; this one is not.
    world.warehouse.run("UPDATE _wh.unit SET bytes = 10");
    events::fill(&world.tenants[0], "2024-02-20", 6, 4000);
    world
        .warehouse
        .run("UPDATE _wh.pair SET fold_line = '2024-02-01'");
    world
        .backfill(&["--from", "2024-02-20", "--to", "2024-02-25"])
        .ok();
    assert_eq!(world.totals().0, "56000");
    world.is_clean();
}
