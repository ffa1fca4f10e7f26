//! The build of a year behind the readers' backs.

use crate::support::events;
use crate::support::server;
use crate::support::world::{World, wait_until};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_year_that_was_interrupted_goes_on_where_it_was() {
    let world = World::with_slow_events("goes_on", &["acme"], "2023-05-01", (14, 5), 0.03);
    let selection = ["--from", "2023-05-01", "--to", "2023-05-14", "--json"];
    let run = world.start_backfill(&selection);
    let staged = "SELECT count(*) FROM _wh.staged";
    wait_until("some days are staged", || {
        world.warehouse.one("SELECT count(*) > 3 FROM _wh.staged") == "t"
    });
    run.signal(Signal::INT);
    run.output().exits(130);
    let done: u32 = world.warehouse.one(staged).parse().unwrap();
    assert!((4..14).contains(&done), "{done}");
    assert_eq!(
        world.totals().0,
        "0",
        "a reader sees a year that is not whole"
    );
    // What is staged is not fetched again: it keeps what the source had then.
    world.tenants[0].run("UPDATE event SET note = 'later'");
    let run = world.backfill(&selection).ok().json();
    assert_eq!(run["totals"]["loaded"], 14);
    let old = world.read("SELECT count(*) FROM public.event WHERE note <> 'later'");
    assert_eq!(old[0][0], Some((done * 5).to_string()));
    assert_eq!(world.totals().0, "70");
    world.is_clean();
    world.digests_hold("event", &events::slow(0.03));
}

/// Polls a view until told to stop; the longest time an answer took. Rows of a day are all there or not at all, and
/// what was there stays.
fn poll(url: &str, role: &str, view: &str, stop: &AtomicBool) -> Duration {
    let sql = format!(
        "SELECT coalesce(sum(n), 0)::bigint, count(*) FILTER (WHERE n <> 10) FROM \
         (SELECT count(*) AS n FROM {view} GROUP BY (at AT TIME ZONE 'UTC')::date) AS d"
    );
    server::block_on(async {
        let client = server::connect(url).await.unwrap();
        client
            .batch_execute(&format!("SET ROLE \"{role}\""))
            .await
            .unwrap();
        let (mut slowest, mut last) = (Duration::ZERO, 0);
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let row = client.query_one(&sql, &[]).await.unwrap();
            slowest = slowest.max(begun.elapsed());
            let (rows, half): (i64, i64) = (row.get(0), row.get(1));
            assert_eq!(half, 0, "half a day");
            assert!(rows >= last, "{rows} rows after {last}");
            last = rows;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest
    })
}

#[test]
fn readers_see_whole_days_and_never_wait_while_years_are_revealed() {
    let world = World::with_events("readers", &["acme"], "2024-03-10", 10, 10);
    world
        .backfill(&["--from", "2024-03-10", "--to", "2024-03-19"])
        .ok();
    for from in ["2021-05-01", "2022-05-01", "2023-05-01", "2024-01-01"] {
        events::fill(&world.tenants[0], from, 20, 10);
    }
    let stop = AtomicBool::new(false);
    let (url, reader) = (world.warehouse.url(), world.reader.as_str());
    let slowest = std::thread::scope(|scope| {
        let (url, stop) = (url.as_str(), &stop);
        let pollers: Vec<_> = ["public.event", "acme.event"]
            .map(|view| scope.spawn(move || poll(url, reader, view, stop)))
            .into();
        for (from, to) in [
            ("2021-05-01", "2021-05-20"),
            ("2022-05-01", "2022-05-20"),
            ("2023-05-01", "2024-01-20"),
        ] {
            world.backfill(&["--from", from, "--to", to]).ok();
        }
        stop.store(true, Ordering::Relaxed);
        pollers
            .into_iter()
            .map(|p| p.join().unwrap())
            .max()
            .unwrap()
    });
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    assert_eq!(world.totals().0, "900");
    world.is_clean();
}

#[test]
fn a_reader_that_holds_the_view_is_waited_for_and_other_readers_go_on() {
    let world = World::with_events("held_view", &["acme"], "2024-03-19", 1, 10);
    world.backfill(&["--last", "1"]).ok();
    events::fill(&world.tenants[0], "2023-05-01", 3, 10);
    let reader = server::block_on(async {
        let client = server::connect(&world.warehouse.url()).await.unwrap();
        client
            .batch_execute("BEGIN; SELECT count(*) FROM acme.event")
            .await
            .unwrap();
        client
    });
    let begun = Instant::now();
    let mut run = world.start_backfill(&["--from", "2023-05-01", "--to", "2023-05-03"]);
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        assert_eq!(world.totals().0, "10");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!run.is_over());
    server::block_on(reader.batch_execute("COMMIT")).unwrap();
    run.output().ok();
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    assert_eq!(world.totals().0, "40");
    world.is_clean();
}

#[test]
fn an_interrupt_while_indexes_are_built_leaves_nobody_at_work_in_the_warehouse() {
    let world = World::with_slow_events("index_interrupt", &["acme"], "2023-05-01", (6, 5), 0.03);
    let selection = ["--from", "2023-05-01", "--to", "2023-05-06"];
    let run = world.start_backfill(&selection);
    wait_until("a day is staged", || {
        world
            .warehouse
            .one("SELECT to_regclass('_wh.staged') IS NOT NULL AND EXISTS (SELECT FROM _wh.staged)")
            == "t"
    });
    // Rows still come in; indexes have to wait.
    let holder = server::block_on(async {
        let client = server::connect(&world.warehouse.url()).await.unwrap();
        client
            .batch_execute("BEGIN; LOCK acme.event_2023_staging IN ROW EXCLUSIVE MODE")
            .await
            .unwrap();
        client
    });
    wait_until("indexes are being built", || {
        world.warehouse.one(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE%INDEX%' AND wait_event_type = 'Lock' \
             AND datname = current_database()",
        ) != "0"
    });
    let asked = Instant::now();
    run.signal(Signal::INT);
    run.output().exits(130);
    world.nobody_is_left();
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    server::block_on(holder.batch_execute("COMMIT")).unwrap();
    world.backfill(&selection).ok();
    assert_eq!(world.totals().0, "30");
    world.is_clean();
}
