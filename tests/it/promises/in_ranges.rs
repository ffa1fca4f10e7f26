//! A very large day is read in ranges of its time, side by side, and is a day like any other.

use super::pgbouncer::Pooler;
use crate::support::events::{self, TEMPLATE};
use crate::support::login;
use crate::support::readers::Readers;
use crate::support::server::{self, Database, Holder};
use crate::support::world::{Output, Running, World, wait_until};
use rustix::process::Signal;

/// The day that is read in ranges; those before it are loaded whole, and say how large a day is.
const LARGE: &str = "2024-03-19";

/// What a source has of that day, with something of every column.
const ROWS: &str = "SELECT id, at AT TIME ZONE 'UTC', note, amount::numeric(12,2) FROM";

/// The events, of which no row comes while somebody keeps the source [closed](events::close).
fn gated() -> String {
    TEMPLATE.replace(
        "WHERE",
        "WHERE pg_advisory_xact_lock_shared(1) IS NOT NULL AND",
    )
}

/// Three days of 6,000 rows, of which two are loaded, before a day counts as large from 64 kB on.
fn world(name: &str, template: &str) -> World {
    world_of(name, &["acme"], template)
}

fn world_of(name: &str, tenants: &[&str], template: &str) -> World {
    let mut world = World::new(name, tenants);
    for source in &world.tenants {
        events::create(source);
        events::fill(source, "2024-03-17", 3, 6000);
        source.run("ANALYZE event");
    }
    world.set_up_events(tenants, template);
    world
        .backfill(&["--from", "2024-03-17", "--to", "2024-03-18"])
        .ok();
    cut_from(&mut world, "64kB");
    world
}

fn cut_from(world: &mut World, range_bytes: &str) {
    world.configure(&format!("[load]\nrange_bytes = \"{range_bytes}\"\n"));
    world.variables = vec![("DAYHAUL_LOG".into(), "dayhaul=debug".into())];
}

const ARGS: [&str; 4] = ["--from", LARGE, "--to", LARGE];

fn load(world: &World) -> Output {
    world.backfill(&[&ARGS[..], &["--json"]].concat()).ok()
}

/// A load whose readers wait at the gate: two, each at a range of its own.
fn load_at_gate(world: &World) -> Running {
    let run = world.start_backfill(&[&ARGS[..], &["--json"]].concat());
    wait_until("two sessions are at the day", || {
        at_gate(&world.tenants[0]) == "2"
    });
    run
}

fn at_gate(source: &Database) -> String {
    source.one(
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted",
    )
}

#[track_caller]
fn in_ranges(out: &Output) -> bool {
    out.stderr.contains("a day is read in ranges")
}

fn of_day(table: &str) -> String {
    format!(
        "{ROWS} {table} WHERE at >= '{LARGE} 00:00+00' AND at < timestamptz '{LARGE} 00:00+00' + interval '1 day' \
         ORDER BY id"
    )
}

#[track_caller]
fn is_loaded_as(world: &World, expected: &[Vec<Option<String>>]) {
    assert!(expected.len() > 1000, "{}", expected.len());
    assert_eq!(world.read(&of_day("acme.event")), expected);
}

#[track_caller]
fn is_loaded(world: &World) {
    is_loaded_as(world, &world.tenants[0].rows(&of_day("event")));
    world.nobody_is_left();
    world.is_clean();
    assert_eq!(world.left_behind(), []);
}

const LEDGER: &str =
    "SELECT day, rows, digest, bytes, state, version, relation FROM _wh.unit ORDER BY day";

const INDEXES: &str = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'acme' ORDER BY 1";

#[test]
fn a_day_in_ranges_is_the_same_as_a_day_at_once() {
    let borders = "INSERT INTO event SELECT -row_number() OVER (), timestamptz '2024-03-19 00:00+00' + at, 'border', 1 \
         FROM unnest(ARRAY['0', '5:59:59.999999', '6:00', '12:00', '17:59:59.999999', '18:00', '23:59:59.999999']::interval[]) AS at";
    let mut seen = Vec::new();
    for range_bytes in ["64kB", "1GB"] {
        let mut world = world("in_ranges", TEMPLATE);
        world.tenants[0].run(borders);
        cut_from(&mut world, range_bytes);
        let out = load(&world);
        assert_eq!(in_ranges(&out), range_bytes == "64kB", "{}", out.stderr);
        is_loaded(&world);
        let mut unit = out.json()["units"].clone();
        unit[0]["digest"].as_str().expect("a digest");
        assert_eq!(unit[0]["rows"], 6007, "{unit}");
        unit[0]["run"].take();
        assert_eq!(out.json()["totals"]["loaded"], 1);
        seen.push((
            unit,
            world.warehouse.rows(LEDGER),
            world.warehouse.rows(INDEXES),
            world
                .warehouse
                .one("SELECT pg_get_viewdef('acme.event'::regclass)"),
        ));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn days_of_closed_years_are_read_in_ranges_too() {
    let mut world = World::new("closed_in_ranges", &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-01-10", 8, 6000);
    world.tenants[0].run("ANALYZE event");
    world.set_up_events(&["acme"], TEMPLATE);
    cut_from(&mut world, "64kB");
    // Into a year that is not there yet, then into its table.
    for days in [["2024-01-10", "2024-01-14"], ["2024-01-15", "2024-01-17"]] {
        let out = world.backfill(&["--from", days[0], "--to", days[1]]).ok();
        assert!(in_ranges(&out), "{}", out.stderr);
    }
    assert_eq!(world.totals().0, "48000");
    world.dayhaul(&["verify"]).ok();
    world.is_clean();
}

#[test]
fn all_ranges_are_of_one_moment() {
    let world = world_of("one_moment", &["acme", "beta"], &gated());
    world.configure("[load]\nrange_bytes = \"64kB\"\njobs = 2\n");
    let [source, other] = &world.tenants[..] else {
        panic!("two tenants");
    };
    let before = source.rows(&of_day("event"));
    let closed = events::close(source);
    // Who is to help has something else to do until the rows have changed.
    let busy = events::lock(other);
    let run = world.start_backfill(&[&ARGS[..], &["--json"]].concat());
    wait_until("one session is at the day", || at_gate(source) == "1");
    // From one range into another, out of one, and into each.
    source.run(
        "UPDATE event SET at = at + interval '13 hours' WHERE at < '2024-03-19 04:00+00' AND at >= '2024-03-19 00:00+00';
         DELETE FROM event WHERE id % 5 = 0;
         INSERT INTO event SELECT -n, timestamptz '2024-03-19 00:30+00' + n * interval '1 hour', 'new', 1
         FROM generate_series(0, 23) AS n",
    );
    busy.let_go();
    wait_until("another session is at the day, too", || {
        at_gate(source) == "2"
    });
    closed.let_go();
    let out = run.output().ok();
    assert!(in_ranges(&out), "{}", out.stderr);
    is_loaded_as(&world, &before);
    // And the next comparison finds all of it.
    world
        .dayhaul(&[
            "refresh",
            "--today",
            events::TODAY,
            "--from",
            LARGE,
            "--to",
            LARGE,
        ])
        .ok();
    is_loaded(&world);
}

#[test]
fn readers_see_nothing_of_the_day_or_all_of_it() {
    let world = world("ranges_readers", &gated());
    let totals = || {
        let (rows, sum) = world.totals();
        format!("{rows} {sum}")
    };
    let before = totals();
    let closed = events::close(&world.tenants[0]);
    let run = load_at_gate(&world);
    let readers = Readers::quick(&world, "event", "amount");
    closed.let_go();
    run.output().ok();
    let seen = readers.stop();
    seen.nobody_waited();
    let after = totals();
    assert_ne!(before, after);
    let strange: Vec<_> = seen
        .totals
        .iter()
        .filter(|t| **t != before && **t != after)
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    is_loaded(&world);
}

#[test]
fn a_source_that_exports_no_snapshot_is_read_at_once() {
    let world = world("no_export", TEMPLATE);
    let source = &world.tenants[0];
    let login = login::reader(source, &["public"]);
    source.run("REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC");
    world
        .dayhaul(&["tenant", "set", "acme", "--url", &source.url_as(&login)])
        .ok();
    let out = load(&world);
    assert!(out.stderr.contains("exports no snapshot"), "{}", out.stderr);
    assert!(!in_ranges(&out));
    assert_eq!(out.json()["units"][0]["tries"], 1);
    is_loaded(&world);
}

#[test]
fn a_source_behind_a_pooler_is_read_in_ranges() {
    let Some(pooler) = Pooler::before(server::port(), "transaction", "default_pool_size = 3\n")
    else {
        return;
    };
    let world = world("ranges_pooler", TEMPLATE);
    world
        .dayhaul(&[
            "tenant",
            "set",
            "acme",
            "--url",
            &pooler.url(&world.tenants[0]),
        ])
        .ok();
    let out = load(&world);
    assert!(in_ranges(&out), "{}", out.stderr);
    is_loaded_as(&world, &world.tenants[0].rows(&of_day("event")));
}

#[test]
fn a_single_worker_reads_a_day_at_once() {
    let world = world("ranges_alone", TEMPLATE);
    world.configure("[load]\nrange_bytes = \"64kB\"\njobs = 1\n");
    assert!(!in_ranges(&load(&world)));
    is_loaded(&world);
}

#[test]
fn a_day_whose_ranges_would_each_read_the_whole_table_is_read_at_once() {
    let world = world("ranges_scans", TEMPLATE);
    world.tenants[0].run("DROP INDEX event_at_idx");
    assert!(!in_ranges(&load(&world)));
    is_loaded(&world);
}

#[test]
fn a_query_for_whole_days_is_not_cut() {
    let by_day = TEMPLATE.replace(
        "at >= {from} AND at < {to}",
        "at >= ({day}::timestamp AT TIME ZONE 'UTC') AND at < (({day} + 1)::timestamp AT TIME ZONE 'UTC')",
    );
    // Twice in a day, each note would be twice in the warehouse.
    let grouped = TEMPLATE
        .replace(
            "SELECT id, at, note, amount FROM event",
            "SELECT min(id) AS id, min(at) AS at, note, sum(amount) AS amount FROM event",
        )
        .replace(
            "{to}\n",
            "{to} GROUP BY note, (at AT TIME ZONE 'UTC')::date\n",
        );
    for template in [by_day, grouped, events::one_day_windows(TEMPLATE)] {
        let world = world("not_cut", &template);
        // As many rows as a day has that counts as large.
        world.tenants[0]
            .run("UPDATE event SET note = 'n' || id % 3000 WHERE at >= '2024-03-19 00:00+00'");
        let out = load(&world);
        assert!(!in_ranges(&out), "{}", out.stderr);
        world.dayhaul(&["verify"]).ok();
    }
}

#[test]
fn a_connection_lost_in_one_range_loads_the_day_again() {
    for (name, range) in [("own", "00:00:00"), ("helper", "06:00:00")] {
        let world = world(&format!("lost_{name}"), &gated());
        let source = &world.tenants[0];
        let closed = events::close(source);
        let run = load_at_gate(&world);
        let reads = format!(
            "query LIKE 'COPY %>= ''{LARGE} {range}+00''%' AND datname = current_database()"
        );
        let ended = source.one(&format!(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {reads}) AS ended"
        ));
        assert_eq!(ended, "1", "{name}");
        closed.let_go();
        let out = run.output().ok();
        let unit = &out.json()["units"][0];
        assert_eq!(
            (&unit["outcome"], &unit["tries"]),
            (&"loaded".into(), &2.into()),
            "{unit}"
        );
        is_loaded(&world);
    }
}

#[test]
fn an_interrupt_while_ranges_are_read_leaves_nothing() {
    let world = world("ranges_interrupt", &gated());
    let closed = events::close(&world.tenants[0]);
    let run = load_at_gate(&world);
    run.signal(Signal::INT);
    let out = run.output().exits(130).json();
    assert_eq!(out["totals"]["not_tried"], 1, "{out}");
    closed.let_go();
    world.nobody_is_left();
    is_not_loaded(&world);
    load(&world);
    is_loaded(&world);
}

#[test]
fn a_process_killed_while_ranges_are_read_leaves_nothing() {
    let world = world("ranges_killed", &gated());
    let closed = events::close(&world.tenants[0]);
    let run = load_at_gate(&world);
    run.signal(Signal::KILL);
    drop(run);
    closed.let_go();
    world.nobody_is_left();
    is_not_loaded(&world);
    assert!(in_ranges(&load(&world)));
    is_loaded(&world);
}

#[test]
fn a_process_killed_before_the_day_is_in_the_ledger_leaves_nothing() {
    let world = world("ranges_ledger", TEMPLATE);
    let ledger = Holder::new(&world.warehouse, "LOCK TABLE _wh.attempt IN EXCLUSIVE MODE");
    let run = world.start_backfill(&ARGS);
    world.wait_for(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO%attempt%')",
    );
    run.signal(Signal::KILL);
    drop(run);
    ledger.let_go();
    world.nobody_is_left();
    is_not_loaded(&world);
    assert!(in_ranges(&load(&world)));
    is_loaded(&world);
}

#[track_caller]
fn is_not_loaded(world: &World) {
    let day = format!("SELECT count(*) FROM _wh.unit WHERE day = '{LARGE}'");
    assert_eq!(world.warehouse.one(&day), "0");
    let rows = "SELECT count(*) FROM acme.event_2024_03_19";
    assert_eq!(world.warehouse.one(rows), "0");
}
