//! Readers that look on while days are refreshed and synced: each day is as it was or as it becomes, for everybody.

use crate::support::events;
use crate::support::readers::{Readers, Seen, Watch, Way};
use crate::support::server::{self, Database};
use crate::support::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Each day's rows and sum in a view, as one text: `2024-03-01 10 5.5,2024-03-02 …`.
fn days_of(view: &str) -> String {
    format!(
        "SELECT coalesce(string_agg(concat_ws(' ', d, n, s), ',' ORDER BY d), '') FROM \
         (SELECT (at AT TIME ZONE 'UTC')::date AS d, count(*) AS n, sum(amount) AS s FROM {view} GROUP BY 1) AS q"
    )
}

const EVERY_WAY: [Way; 3] = [Way::Committed, Way::Repeatable, Way::Slow];

/// Old and new states of each day, from before and after every operation.
#[derive(Default)]
struct States(BTreeMap<String, BTreeSet<String>>);

impl States {
    fn add(&mut self, world: &World) {
        let days = world.read(&days_of("public.event"))[0][0].clone().unwrap();
        for (day, state) in split(&days) {
            self.0.entry(day).or_default().insert(state);
        }
    }

    /// Fails when somebody saw what never was; `whole` are days that were there from the start.
    #[track_caller]
    fn are_all_that_was_seen(&self, seen: &Seen, whole: &BTreeSet<String>) {
        assert!(seen.polls > 50, "{seen:?}");
        for totals in &seen.totals {
            let days: BTreeMap<String, String> = split(totals).collect();
            for (day, state) in &days {
                assert!(
                    self.0.get(day).is_some_and(|known| known.contains(state)),
                    "{day} was {state}, never: {:?}",
                    self.0.get(day)
                );
            }
            for day in whole {
                assert!(days.contains_key(day), "{day} was gone: {totals}");
            }
        }
    }
}

fn split(days: &str) -> impl Iterator<Item = (String, String)> {
    days.split(',')
        .filter_map(|day| day.split_once(' '))
        .map(|(day, state)| (day.to_owned(), state.to_owned()))
}

fn days_now(world: &World) -> BTreeSet<String> {
    let days = world.read(&days_of("public.event"))[0][0].clone().unwrap();
    split(&days).map(|(day, _)| day).collect()
}

/// One late row, one corrected and one deleted, in a third of the days.
fn change(source: &Database, round: u32) {
    source.run(&format!(
        "INSERT INTO event SELECT 1000000 + {round} * 1000 + n, d + interval '5 hours', 'late', n FROM
           (SELECT row_number() OVER () AS n, d FROM
             (SELECT DISTINCT date_trunc('day', at, 'UTC') AS d FROM event) AS q) AS q WHERE n % 3 = {round} % 3;
         UPDATE event SET amount = amount + 1 WHERE id % 30 = {round};
         DELETE FROM event WHERE id % 30 = {round} + 10"
    ));
}

#[test]
fn readers_see_old_or_new_days_while_they_are_refreshed() {
    let world = World::with_events("watch_refresh", &["acme"], "2024-02-20", 30, 30);
    let all = ["--from", "2024-02-20", "--to", events::TODAY];
    world.backfill(&all).ok();
    let whole = days_now(&world);
    let mut states = States::default();
    states.add(&world);
    let views = [days_of("public.event"), days_of("acme.event")];
    // The public view's rows are the tenant view's.
    let readers = Readers::of(&world, &[&views[0], &views[1]], &EVERY_WAY);
    for round in 0..4 {
        change(&world.tenants[0], round);
        let watch = Watch::start(&world, &views[0]);
        let report = world
            .dayhaul(&[&["refresh", "--json", "--today", events::TODAY], &all[..]].concat())
            .ok()
            .json();
        assert!(report["totals"]["changed"].as_u64() > Some(5), "{report}");
        assert!(watch.stop() > 1);
        states.add(&world);
    }
    let seen = readers.stop();
    states.are_all_that_was_seen(&seen, &whole);
    seen.nobody_waited();
    assert!(seen.totals.len() > 4, "nothing new was seen: {seen:?}");
    world.is_clean();
    world.digests_hold("event", events::TEMPLATE);
}

#[test]
fn readers_see_old_or_new_days_while_a_sync_refreshes_and_folds() {
    let world = World::with_events("watch_sync", &["acme"], "2024-02-20", 45, 30);
    world
        .backfill(&["--from", "2024-02-20", "--to", events::TODAY])
        .ok();
    let whole = days_now(&world);
    let mut states = States::default();
    states.add(&world);
    let views = [days_of("public.event"), days_of("acme.event")];
    let readers = Readers::of(&world, &[&views[0], &views[1]], &EVERY_WAY);
    // A transaction that is open all the time keeps the fold waiting: days come back for it, and no view has to change
    // before it.
    world.dayhaul(&["unfold", "--from", "2024-03-01"]).ok();
    change(&world.tenants[0], 0);
    world.configure("[load]\nbarrier_timeout = \"500ms\"\n");
    let watch = Watch::start(&world, &views[0]);
    let sync = ["sync", "--json", "--today", events::TODAY];
    let report = world.dayhaul(&sync).ok().json();
    assert_eq!(report["folds"][0]["outcome"], "not_yet", "{report}");
    assert!(watch.stop() > 1);
    states.add(&world);
    world.configure("");
    for (round, today) in [
        (1, "2024-03-22"),
        (2, "2024-03-23"),
        (3, "2024-03-27"),
        (4, "2024-04-02"),
    ] {
        change(&world.tenants[0], round);
        world.dayhaul(&["sync", "--json", "--today", today]).ok();
        states.add(&world);
    }
    let seen = readers.stop();
    states.are_all_that_was_seen(&seen, &whole);
    seen.nobody_waited();
    assert_eq!(
        world.warehouse.one("SELECT fold_line FROM _wh.pair"),
        "2024-03-18"
    );
    world.is_clean();
    world.digests_hold("event", events::TEMPLATE);
}

#[test]
fn a_reader_that_stays_does_not_keep_a_sync_from_its_days() {
    let world = World::with_events("watch_ahead", &["acme"], "2024-03-10", 20, 5);
    world
        .backfill(&["--from", "2024-03-10", "--to", events::TODAY])
        .ok();
    world.configure("[load]\nbarrier_timeout = \"500ms\"\n");
    // Tables are made for days that lie ahead; the view cannot list them while it is held.
    let watch = Watch::start(&world, &days_of("public.event"));
    let begun = Instant::now();
    world.dayhaul(&["sync", "--today", "2024-03-22"]).ok();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(world.totals().0, "65", "up to 2024-03-22");
    assert!(watch.stop() > 1);
    world.dayhaul(&["sync", "--today", "2024-03-24"]).ok();
    assert_eq!(
        world
            .warehouse
            .one("SELECT pg_get_viewdef('acme.event'::regclass) LIKE '%event_2024_03_26%'"),
        "t"
    );
    world.is_clean();
}

/// The four operations one after another, each in its own direction; `between` is called after each.
fn whole_life(world: &World, mut between: impl FnMut(&str)) {
    let today = ["--today", events::TODAY];
    let all = ["--from", "2024-02-20", "--to", events::TODAY];
    for command in [
        [&["refresh"], &all[..], &today[..]].concat(),
        vec!["unfold", "--from", "2024-03-01"],
        [&["rebuild"], &all[..], &today[..]].concat(),
        [&["fold"], &today[..]].concat(),
        [&["rebuild"], &all[..], &today[..]].concat(),
    ] {
        world.dayhaul(&command).ok();
        between(command[0]);
    }
}

#[test]
fn readers_see_old_or_new_days_while_they_are_refreshed_unfolded_rebuilt_and_folded() {
    let world = World::with_events("watch_rebuild", &["acme"], "2024-02-20", 30, 30);
    world
        .backfill(&["--from", "2024-02-20", "--to", events::TODAY])
        .ok();
    let whole = days_now(&world);
    let mut states = States::default();
    states.add(&world);
    let views = [days_of("public.event"), days_of("acme.event")];
    let readers = Readers::of(
        &world,
        &[&views[0], &views[1]],
        &[Way::Committed, Way::Repeatable, Way::Late, Way::Slow],
    );
    let mut round = 0;
    change(&world.tenants[0], round);
    whole_life(&world, |_| {
        states.add(&world);
        round += 1;
        change(&world.tenants[0], round);
    });
    let seen = readers.stop();
    states.are_all_that_was_seen(&seen, &whole);
    seen.nobody_waited();
    assert!(seen.totals.len() > 3, "nothing new was seen: {seen:?}");
    world.is_clean();
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.relation WHERE kind = 'retired'"),
        "0"
    );
}

/// Operations that take a snapshot barrier must wait for a transaction that was open before they began: they give up,
/// leave all as it is, and the transaction sees the same all the time.
#[test]
fn a_transaction_from_before_a_rebuild_sees_the_same_until_its_end() {
    let world = World::with_events("watch_before", &["acme"], "2024-02-20", 30, 30);
    let all = ["--from", "2024-02-20", "--to", events::TODAY];
    world.backfill(&all).ok();
    world.configure("[load]\nbarrier_timeout = \"500ms\"\n");
    for round in 0..2 {
        change(&world.tenants[0], round);
        for view in ["public.event", "acme.event"] {
            let watch = Watch::start(&world, &days_of(view));
            let rebuild = [&["rebuild", "--today", events::TODAY], &all[..]].concat();
            let out = world.dayhaul(&rebuild).exits(1);
            assert!(out.stderr.contains("older snapshots"), "{}", out.stderr);
            assert!(watch.stop() > 10);
        }
        world
            .dayhaul(&[&["rebuild", "--today", events::TODAY], &all[..]].concat())
            .ok();
    }
    world.is_clean();
    world.digests_hold("event", events::TEMPLATE);
}

#[test]
fn a_query_of_twenty_seconds_sees_one_state_across_refresh_fold_and_rebuild() {
    let tenants = ["acme", "beta", "gamma"];
    let world = World::with_events("watch_20s", &tenants, "2024-02-20", 30, 30);
    let all = ["--from", "2024-02-20", "--to", events::TODAY];
    world.backfill(&all).ok();
    let views = ["public.event", "beta.event", "gamma.event"].map(days_of);
    let before: Vec<_> = views.iter().map(|sql| world.read(sql)).collect();
    let queries: Vec<_> = views
        .iter()
        .map(|sql| {
            // It takes its snapshot and its locks at once, and reads the rows at its end.
            let sql = format!(
                "SET ROLE \"{}\"; SET timezone = 'UTC'; WITH wait AS MATERIALIZED (SELECT pg_sleep(20)) \
                 SELECT ({sql}) FROM wait",
                world.reader,
            );
            let url = world.warehouse.url();
            std::thread::spawn(move || (server::rows(&url, &sql), Instant::now()))
        })
        .collect();
    world.wait_for(
        "SELECT count(*) = 3 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
    );
    let others = Readers::of(&world, &[&views[0]], &[Way::Committed, Way::Late]);
    change(&world.tenants[0], 0);
    change(&world.tenants[2], 0);
    // All at once, and each for one tenant: they would wait for each other as they wait for the query.
    let run = |command: &[&str]| {
        let out = world.dayhaul(command).ok();
        (out, Instant::now())
    };
    let (refreshed, folded, rebuilt) = std::thread::scope(|scope| {
        let today = ["--today", events::TODAY];
        let refresh = [&["refresh", "--tenant", "acme"], &all[..], &today[..]].concat();
        let fold = ["fold", "--tenant", "beta", "--today", "2024-04-05"];
        let rebuild = [&["rebuild", "--tenant", "gamma"], &all[..], &today[..]].concat();
        let runs = [
            scope.spawn(move || run(&refresh)),
            scope.spawn(move || run(&fold)),
            scope.spawn(move || run(&rebuild)),
        ];
        let [refresh, fold, rebuild] = runs.map(|run| run.join().unwrap().1);
        (refresh, fold, rebuild)
    });
    for (query, before) in queries.into_iter().zip(before) {
        let (rows, ended) = query.join().unwrap();
        assert_eq!(rows.unwrap(), before, "rows that came or went meanwhile");
        assert!(refreshed < ended, "what takes nothing away went on");
        assert!(folded > ended && rebuilt > ended, "what does waited for it");
    }
    others.stop().nobody_waited();
    let rows = |source: &Database| {
        source
            .one("SELECT count(*) FROM event")
            .parse::<u32>()
            .unwrap()
    };
    let all_rows: u32 = world.tenants.iter().map(rows).sum();
    assert_eq!(world.totals().0, all_rows.to_string());
    world.is_clean();
}
