//! The fold: closed days move into their years and back, and no reader notices; whatever happens on the way.

use crate::support::events::{self, TODAY};
use crate::support::killer::Killer;
use crate::support::readers::{self, Readers};
use crate::support::server;
use crate::support::world::{Output, World, wait_until};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// From this day on, all sixteen day tables that a backfill of [`TODAY`] made are closed.
const LATER: &str = "2024-04-05";

const DAYS: [&str; 4] = ["--from", "2024-02-20", "--to", TODAY];

/// Thirty days up to [`TODAY`]: fourteen in their year, sixteen in day tables.
fn thirty_days(name: &str, tenants: &[&str], rows: u32) -> World {
    let world = World::with_events(name, tenants, "2024-02-20", 30, rows);
    world.backfill(&DAYS).ok();
    world
}

impl World {
    fn fold(&self, args: &[&str]) -> Output {
        self.dayhaul(&[&["fold", "--today", LATER], args].concat())
    }

    fn unfold(&self, from: &str) -> Output {
        self.dayhaul(&["unfold", "--from", from])
    }

    fn fold_line(&self) -> String {
        self.warehouse
            .one("SELECT DISTINCT fold_line FROM _wh.pair")
    }

    fn day_tables_before_the_line(&self) -> String {
        self.warehouse.one(
            "SELECT count(*) FROM _wh.relation r JOIN _wh.pair p USING (tenant, template) \
             WHERE kind = 'day' AND from_day < fold_line",
        )
    }

    /// Every table of every tenant, row by row: an order-independent fingerprint per tenant and day.
    fn fingerprint(&self) -> Vec<Vec<Option<String>>> {
        self.read(
            "SELECT schema_name, (at AT TIME ZONE 'UTC')::date, count(*), \
                    sum(hashtextextended(concat_ws('|', id, at, note, amount), 0)::numeric) \
             FROM public.event GROUP BY 1, 2 ORDER BY 1, 2",
        )
    }
}

#[test]
fn folded_days_are_in_their_year_with_every_row_and_the_ledger_says_so() {
    let world = thirty_days("fold_plain", &["acme", "beta"], 10);
    let before = world.fingerprint();
    let dry = world.fold(&["--dry-run", "--json"]).ok().json();
    assert_eq!(dry["pairs"][0]["years"][0]["days"], 16, "{dry}");
    assert_eq!(world.fold_line(), "2024-03-05", "a dry run touches nothing");

    let report = world.fold(&["--json"]).ok().json();
    assert_eq!(report["schema"], "dayhaul.fold/1");
    assert_eq!(report["totals"]["moved"], 2, "{report}");
    assert_eq!(report["totals"]["days"], 32);
    assert_eq!(report["totals"]["rows"], 320);
    let year = &report["pairs"][0]["years"][0];
    assert_eq!((&year["year"], &year["rows"]), (&2024.into(), &160.into()));
    assert!(year["bytes_before"].as_u64().unwrap() > year["bytes_after"].as_u64().unwrap());

    assert_eq!(world.fingerprint(), before);
    assert_eq!(world.fold_line(), "2024-03-21");
    assert_eq!(
        world
            .warehouse
            .one("SELECT string_agg(DISTINCT relation, ' ' ORDER BY relation) FROM _wh.unit"),
        "acme.event_2024 beta.event_2024"
    );
    assert_eq!(world.day_tables_before_the_line(), "0");
    world.is_clean();
    let again = world.fold(&[]).ok();
    assert!(again.stdout.contains("nothing to move"), "{}", again.stdout);
}

#[test]
fn an_unfolded_day_is_what_it_was_and_folds_again() {
    let world = thirty_days("unfold", &["acme"], 10);
    let before = world.fingerprint();
    world.fold(&[]).ok();
    let refused = world
        .dayhaul(&["unfold", "--from", "2024-03-01", "--to", "2024-03-10"])
        .exits(2);
    assert!(refused.stderr.contains("2024-03-20"), "{}", refused.stderr);

    let report = world
        .dayhaul(&[
            "unfold",
            "--from",
            "2024-03-01",
            "--to",
            "2024-03-20",
            "--json",
        ])
        .ok()
        .json();
    assert_eq!(report["totals"]["days"], 20, "{report}");
    assert_eq!(world.fingerprint(), before);
    assert_eq!(world.fold_line(), "2024-03-01");
    assert_eq!(
        world.warehouse.one("SELECT count(*) FROM acme.event_2024"),
        "100"
    );
    world.is_clean();

    // A year that is wholly open again has no table.
    world.unfold("2024-01-01").ok();
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.relation WHERE kind = 'year'"),
        "0"
    );
    assert_eq!(world.fingerprint(), before);
    world.is_clean();

    world.fold(&[]).ok();
    assert_eq!(world.fingerprint(), before);
    assert_eq!(world.fold_line(), "2024-03-21");
    world.is_clean();
}

#[test]
fn a_year_that_is_over_is_closed_wholly() {
    let world = World::with_events("close_year", &["acme"], "2023-12-20", 20, 5);
    let today = ["--today", "2024-01-08"];
    world
        .dayhaul(
            &[
                &["backfill", "--from", "2023-12-20", "--to", "2024-01-08"],
                &today[..],
            ]
            .concat(),
        )
        .ok();
    let before = world.fingerprint();
    world
        .dayhaul(&[&["fold", "--year", "2023"], &today[..]].concat())
        .ok();
    assert_eq!(world.fold_line(), "2024-01-01");
    assert_eq!(world.fingerprint(), before);
    let view = world
        .warehouse
        .one("SELECT pg_get_viewdef('acme.event'::regclass)");
    assert!(!view.contains("WHERE"), "{view}");
    // Of the year that runs, the days that are over.
    world
        .dayhaul(&[&["fold", "--year", "2024"], &today[..]].concat())
        .ok();
    assert_eq!(world.fold_line(), "2024-01-08");
    assert_eq!(world.fingerprint(), before);
    world.is_clean();
}

#[test]
fn at_new_year_the_view_is_right_every_day() {
    let world = World::with_events("new_year", &["acme"], "2023-12-20", 32, 4);
    let first: chrono::NaiveDate = "2023-12-20".parse().unwrap();
    for n in 0..32 {
        let today = (first + chrono::Days::new(n)).to_string();
        world
            .dayhaul(&[
                "backfill", "--from", &today, "--to", &today, "--today", &today,
            ])
            .ok();
        world.dayhaul(&["fold", "--today", &today]).ok();
        assert_eq!(world.totals().0, ((n + 1) * 4).to_string(), "{today}");
        let line: chrono::NaiveDate = world.fold_line().parse().unwrap();
        let open = (first + chrono::Days::new(n)) - line;
        // Until the first day is old enough, nothing has to move.
        assert!(n < 16 || open.num_days() == 15, "{today}: {line}");
    }
    assert_eq!(
        world.warehouse.one(
            "SELECT string_agg(name, ' ' ORDER BY name) FROM _wh.relation WHERE kind = 'year'"
        ),
        "event_2023 event_2024"
    );
    world.is_clean();
}

#[test]
fn readers_see_the_same_totals_all_the_time() {
    let world = thirty_days("fold_readers", &["acme", "beta"], 200);
    let readers = Readers::start(&world, "event", "amount");
    for _ in 0..2 {
        world.fold(&[]).ok();
        world.unfold("2024-02-25").ok();
    }
    let seen = readers.stop();
    assert!(seen.polls > 50, "{seen:?}");
    assert_eq!(seen.totals.len(), 1, "{seen:?}");
    seen.nobody_waited();
    world.is_clean();
}

#[test]
fn an_older_snapshot_is_waited_for_and_the_next_fold_does_it() {
    let world = thirty_days("fold_barrier", &["acme"], 50);
    world.configure("[load]\nbarrier_timeout = \"500ms\"\n");
    let before = world.fingerprint();
    let mut old = readers::Snapshot::open(&world, "event", "amount");
    for command in ["fold", "unfold"] {
        let out = match command {
            "fold" => world.fold(&["--json"]),
            _ => world.dayhaul(&["unfold", "--from", "2024-03-01", "--json"]),
        };
        let report = out.exits(1).json();
        assert_eq!(report["pairs"][0]["outcome"], "not_yet", "{report}");
        assert_eq!(world.fold_line(), "2024-03-05");
        assert_eq!(world.fingerprint(), before);
        old.still_sees_the_same();
    }
    drop(old);
    world.fold(&[]).ok();
    assert_eq!(world.fold_line(), "2024-03-21");
    assert_eq!(world.fingerprint(), before);
    world.is_clean();
}

#[test]
fn a_long_query_is_waited_for_and_ends_right() {
    let world = thirty_days("fold_long_query", &["acme"], 20);
    let url = world.warehouse.url();
    let query = std::thread::spawn(move || {
        server::rows(
            &url,
            "SELECT count(*), sum(amount), (SELECT 1 FROM pg_sleep(3)) FROM public.event",
        )
    });
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
        AND datname = current_database()";
    wait_until("the query runs", || world.warehouse.one(asleep) != "0");
    let begun = Instant::now();
    world.fold(&[]).ok();
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "the barrier waited"
    );
    let rows = query.join().unwrap().unwrap();
    assert_eq!(rows[0][0].as_deref(), Some("600"));
    world.is_clean();
}

#[test]
fn a_table_that_a_reader_holds_is_dropped_by_the_next_fold() {
    let world = thirty_days("fold_held", &["acme"], 5);
    // Holds the table, but no snapshot: the barrier does not wait for it.
    let holder = readers::hold(&world, "acme.event_2024_03_07");
    let report = world.fold(&["--json"]).ok().json();
    assert_eq!(
        report["pairs"][0]["left"],
        serde_json::json!(["acme.event_2024_03_07"]),
        "{report}"
    );
    assert_eq!(world.totals().0, "150");
    // A load in between sees no harm in it.
    world
        .dayhaul(&[
            "backfill", "--from", TODAY, "--to", TODAY, "--reload", "--today", LATER,
        ])
        .ok();
    assert_eq!(world.totals().0, "150");
    drop(holder);
    world.fold(&[]).ok();
    assert_eq!(world.day_tables_before_the_line(), "0");
    world.is_clean();
}

#[test]
fn a_day_table_that_lost_a_row_is_not_folded() {
    let world = thirty_days("fold_lost_row", &["acme"], 5);
    world.warehouse.run(
        "DELETE FROM acme.event_2024_03_07 WHERE id = (SELECT min(id) FROM acme.event_2024_03_07)",
    );
    let out = world.fold(&[]).exits(1);
    assert!(out.stderr.contains("event_2024_03_07"), "{}", out.stderr);
    assert_eq!(world.fold_line(), "2024-03-05");
    assert_eq!(world.totals().0, "149");
}

#[test]
fn what_a_failed_fold_left_of_a_new_year_stands_in_nobodys_way() {
    let world = thirty_days("fold_new_year_fails", &["acme"], 5);
    world.unfold("2024-01-01").ok();
    world.warehouse.run(
        "DELETE FROM acme.event_2024_03_20 WHERE id = (SELECT min(id) FROM acme.event_2024_03_20)",
    );
    world.fold(&[]).exits(1);
    let tables = |kind| {
        world.warehouse.one(&format!(
            "SELECT coalesce(string_agg(name, ' '), '') FROM _wh.relation WHERE kind = '{kind}'"
        ))
    };
    assert_eq!(tables("staging"), "event_2024_staging");
    let reload = ["--from", TODAY, "--to", TODAY, "--reload"];
    world.backfill(&reload).ok();
    assert_eq!(tables("staging"), "");
    assert_eq!(tables("year"), "");
    assert_eq!(world.totals().0, "150");
    world.fold(&[]).ok();
    assert_eq!(tables("year"), "event_2024");
    assert_eq!(world.totals().0, "150");
    world.is_clean();
}

#[test]
fn a_foreign_table_in_the_way_of_a_year_is_refused_by_name() {
    let world = World::with_events("fold_foreign", &["acme", "beta"], "2024-03-10", 11, 5);
    world
        .backfill(&["--from", "2024-03-10", "--to", TODAY])
        .ok();
    world.warehouse.run("CREATE TABLE acme.event_2024 (x int)");
    let out = world.fold(&[]).exits(1);
    assert!(out.stderr.contains("acme.event_2024"), "{}", out.stderr);
    // The other tenant's is folded.
    assert_eq!(
        world
            .warehouse
            .one("SELECT fold_line FROM _wh.pair WHERE tenant = 'beta'"),
        "2024-03-21"
    );
    assert_eq!(world.totals().0, "110");
    world.warehouse.run("DROP TABLE acme.event_2024");
    world.fold(&[]).ok();
    world.is_clean();
}

#[test]
fn a_view_has_a_condition_only_while_it_has_something_to_hide() {
    let world = thirty_days("fold_condition", &["acme"], 20);
    let condition = || {
        let sql = "SELECT pg_get_viewdef('acme.event'::regclass) LIKE '%WHERE%'";
        world.warehouse.one(sql) == "t"
    };
    // The latest rows are at an index's end, in the year's table, too.
    let seeks = || {
        let explain = "EXPLAIN SELECT at FROM public.event ORDER BY at DESC LIMIT 10";
        let settings = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
            SET LOCAL enable_sort = off";
        let plan = server::rows(
            &world.warehouse.url(),
            &format!("BEGIN; {settings}; {explain}"),
        );
        format!("{:?}", plan.unwrap()).contains("Scan Backward using event_2024_i2")
    };
    assert!(!condition() && seeks());
    // A fold that is held up at its barrier has copied already.
    let old = readers::Snapshot::of_nothing(&world);
    world.configure("[load]\nbarrier_timeout = \"500ms\"\n");
    let before = world.fingerprint();
    world.fold(&[]).exits(1);
    assert!(condition() && !seeks());
    assert_eq!(world.fingerprint(), before);
    drop(old);
    world.fold(&[]).ok();
    assert!(!condition() && seeks());
    world.unfold("2024-03-01").ok();
    assert!(condition());
    assert_eq!(world.fingerprint(), before);
    world.fold(&[]).ok();
    assert!(!condition() && seeks());
    assert_eq!(world.fingerprint(), before);
    world.is_clean();
}

#[test]
fn of_two_folds_at_once_one_gives_way_or_waits() {
    let world = thirty_days("two_folds", &["acme"], 5);
    // The first is held up at the barrier.
    let old = readers::Snapshot::of_nothing(&world);
    let first = world.start(&["fold", "--today", LATER]);
    world.wait_for(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                    AND query LIKE 'CREATE INDEX CONCURRENTLY%')",
    );
    let second = world.fold(&[]).exits(4);
    assert!(second.stderr.contains("`fold`"), "{}", second.stderr);
    world.fold(&["--if-locked", "ok"]).ok();
    // Who waits for the pair must not hold the snapshot that the first is waiting for.
    let third = world.start(&["fold", "--today", LATER, "--wait"]);
    world.a_run_waits();
    drop(old);
    for run in [first, third] {
        run.output().ok();
    }
    assert_eq!(world.fold_line(), "2024-03-21");
    world.is_clean();
}

#[test]
fn an_interrupted_fold_ends_cleanly_and_goes_on_later() {
    let world = thirty_days("fold_interrupt", &["acme"], 5);
    let old = readers::Snapshot::of_nothing(&world);
    let run = world.start(&["fold", "--today", LATER]);
    world.wait_for(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                    AND query LIKE 'CREATE INDEX CONCURRENTLY%')",
    );
    run.signal(Signal::INT);
    run.output().exits(130);
    assert_eq!(world.fold_line(), "2024-03-05");
    drop(old);
    world.fold(&[]).ok();
    world.is_clean();
}

#[test]
fn killed_at_any_moment_readers_stay_right_and_the_next_run_goes_on() {
    let mut killer = Killer::new();
    let world = thirty_days("fold_kill", &["acme"], 100);
    let before = world.fingerprint();
    let readers = Readers::quick(&world, "event", "amount");
    let fold: &[&str] = &["fold", "--today", LATER];
    let unfold: &[&str] = &["unfold", "--from", "2024-01-01"];
    for args in [fold, unfold] {
        let back = if args == fold { unfold } else { fold };
        world.dayhaul(back).ok();
        killer.time(&world, args);
        world.dayhaul(back).ok();
        for _ in 0..7 {
            killer.kill(&world, args);
            assert_eq!(world.fingerprint(), before, "after the kill");
            world.nobody_is_left();
            // Whatever it was doing, both ways go on from there.
            for args in [args, back] {
                world.dayhaul(args).ok();
                assert_eq!(world.fingerprint(), before);
                world.all_is_well(events::TEMPLATE, &DAYS);
            }
        }
    }
    killer.was_in_time();
    let seen = readers.stop();
    assert_eq!(seen.totals.len(), 1, "{seen:?}");
}

#[test]
fn a_day_that_was_never_loaded_folds_as_nothing_and_can_be_loaded_later() {
    let world = World::with_events("fold_gap", &["acme"], "2024-03-10", 11, 5);
    world
        .backfill(&["--from", "2024-03-10", "--to", "2024-03-14"])
        .ok();
    world
        .backfill(&["--from", "2024-03-17", "--to", TODAY])
        .ok();
    world.fold(&[]).ok();
    assert_eq!(world.totals().0, "45");
    world.is_clean();
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-03-15",
            "--to",
            "2024-03-16",
            "--today",
            LATER,
        ])
        .ok();
    assert_eq!(world.totals().0, "55");
    events::fill(&world.tenants[0], "2024-03-15", 1, 1);
    world.is_clean();
}
