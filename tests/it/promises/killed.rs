//! `kill -9` of a refresh, a sync and a rebuild, at random moments: each day is as it was or as it becomes, and running the
//! command again makes it what the source has.

use crate::support::events;
use crate::support::killer::{Killer, LEFT_BEHIND};
use crate::support::world::World;
use std::collections::BTreeMap;

const KILLS: usize = 10;

/// Rows and sum per day; both sides round alike.
const DAYS: &str = "SELECT (at AT TIME ZONE 'UTC')::date::text, \
     concat_ws(' ', count(*), sum(amount::numeric(12,2)), sum(hashtext(note)), sum(id)) FROM";

type Days = BTreeMap<String, String>;

fn days(rows: Vec<Vec<Option<String>>>) -> Days {
    rows.into_iter()
        .map(|mut row| (row[0].take().unwrap(), row[1].take().unwrap()))
        .collect()
}

fn in_source(world: &World) -> Days {
    days(world.tenants[0].rows(&format!("{DAYS} event GROUP BY 1")))
}

fn for_readers(world: &World) -> Days {
    days(world.read(&format!("{DAYS} public.event GROUP BY 1")))
}

/// Late, corrected and deleted rows all over.
fn change(world: &World, round: usize) {
    world.tenants[0].run(&format!(
        "INSERT INTO event SELECT 1000000 + {round} * 1000 + n, d + interval '5 hours', 'late', n FROM
           (SELECT row_number() OVER (ORDER BY d) AS n, d FROM
             (SELECT DISTINCT date_trunc('day', at, 'UTC') AS d FROM event) AS q) AS q WHERE n % 2 = {round} % 2;
         UPDATE event SET amount = amount + 1 WHERE id % 20 = {round};
         DELETE FROM event WHERE id % 40 = {round} + 20"
    ));
}

#[track_caller]
fn old_or_new(before: &Days, after: &Days, seen: &Days) {
    for day in before.keys().chain(after.keys()) {
        let (state, old, new) = (seen.get(day), before.get(day), after.get(day));
        assert!(
            state == old || state == new,
            "{day}: {state:?}, neither {old:?} nor {new:?}"
        );
    }
}

#[test]
fn a_killed_refresh_leaves_whole_days_and_the_next_one_ends_it() {
    let mut killer = Killer::new();
    let world = World::with_events("killed_refresh", &["acme"], "2024-02-25", 25, 20);
    let range = ["--from", "2024-02-25", "--to", events::TODAY];
    world.backfill(&range).ok();
    let refresh = [&["refresh", "--today", events::TODAY], &range[..]].concat();
    change(&world, 0);
    killer.time(&world, &refresh);
    for round in 1..=KILLS {
        let before = for_readers(&world);
        change(&world, round);
        killer.kill(&world, &refresh);
        world.nobody_is_left();
        old_or_new(&before, &in_source(&world), &for_readers(&world));
        world.is_swept();
        world.dayhaul(&refresh).ok();
        assert_eq!(for_readers(&world), in_source(&world));
        world.all_is_well(events::TEMPLATE, &range);
    }
    killer.was_in_time();
}

#[test]
fn a_killed_sync_leaves_whole_days_and_the_next_one_ends_it() {
    let mut killer = Killer::new();
    let world = World::with_events("killed_sync", &["acme"], "2024-02-25", 60, 20);
    world
        .backfill(&["--from", "2024-02-25", "--to", events::TODAY])
        .ok();
    let first: chrono::NaiveDate = "2024-03-22".parse().unwrap();
    let sync = ["sync", "--lookback", "60", "--today"];
    change(&world, 0);
    killer.time(&world, &[&sync[..], &["2024-03-22"]].concat());
    for round in 1..=KILLS {
        // Two days a round are new, and two are folded.
        let today = (first + chrono::Days::new(2 * round as u64)).to_string();
        let sync = [&sync[..], &[&today]].concat();
        let before = for_readers(&world);
        change(&world, round);
        killer.kill(&world, &sync);
        world.nobody_is_left();
        let mut source = in_source(&world);
        source.retain(|day, _| *day <= today);
        old_or_new(&before, &source, &for_readers(&world));
        world.dayhaul(&sync).ok();
        assert_eq!(for_readers(&world), source, "{today}");
        let days = ["--from", "2024-02-25", "--to", &today];
        world.all_is_well(events::TEMPLATE, &days);
    }
    killer.was_in_time();
    // Up to the last day that there is.
    world
        .dayhaul(&["sync", "--lookback", "60", "--today", "2024-04-25"])
        .ok();
    assert_eq!(for_readers(&world), in_source(&world));
    world.all_is_well(events::TEMPLATE, &[]);
}

#[test]
fn a_killed_rebuild_leaves_the_old_year_or_the_new_and_the_next_one_ends_it() {
    let mut killer = Killer::new();
    // Two closed years, of which one goes on in day tables.
    let world = World::with_events("killed_rebuild", &["acme"], "2023-12-15", 97, 20);
    let range = ["--from", "2023-12-15", "--to", events::TODAY];
    world.backfill(&range).ok();
    let today = ["--today", events::TODAY];
    let rebuild = [&["rebuild"], &range[..], &today[..]].concat();
    killer.time(&world, &rebuild);
    for round in 1..=KILLS {
        let before = for_readers(&world);
        change(&world, round);
        killer.kill(&world, &rebuild);
        world.nobody_is_left();
        old_or_new(&before, &in_source(&world), &for_readers(&world));
        if round % 2 == 0 {
            // Other commands come first. What they brought must not be lost to what is staged, nor wait for it.
            change(&world, round + KILLS);
            world
                .dayhaul(&[&["refresh"], &range[..], &today[..]].concat())
                .ok();
            assert_eq!(for_readers(&world), in_source(&world));
            world
                .dayhaul(&[
                    "unfold",
                    "--from",
                    ["2024-02-10", "2024-01-01"][round / 2 % 2],
                ])
                .ok();
            world.dayhaul(&[&["fold"], &today[..]].concat()).ok();
            assert_eq!(for_readers(&world), in_source(&world));
        }
        world.dayhaul(&rebuild).ok();
        assert_eq!(for_readers(&world), in_source(&world));
        world.all_is_well(events::TEMPLATE, &range);
    }
    killer.was_in_time();
}

#[test]
fn whatever_a_kill_could_leave_would_be_found() {
    let world = World::with_events("left_behind", &["acme"], "2024-03-10", 10, 2);
    let days = ["--from", "2024-03-10", "--to", "2024-03-19"];
    world.backfill(&days).ok();
    world.all_is_well(events::TEMPLATE, &days);
    let harm = [
        "UPDATE _wh.relation SET kind = 'retired' WHERE name = 'event_2024_03_10'",
        "INSERT INTO _wh.relation (schema_name, name, kind, template) VALUES ('acme', 'gone', 'day', 'event')",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'acme.event_2024_03_11_i1'::regclass",
        "CREATE TABLE _wh.barrier (nothing integer); CREATE INDEX barrier_1 ON _wh.barrier (nothing)",
        "ALTER INDEX acme.event_2024_03_12_i1 RENAME TO event_2024_03_12_staging_i1",
        "DROP INDEX acme.event_2024_03_13_i1",
        "GRANT SELECT ON acme.event_2024_03_14 TO PUBLIC",
        "GRANT SELECT (id) ON acme.event_2024_03_15 TO PUBLIC",
        "GRANT USAGE ON SCHEMA acme TO PUBLIC",
        "GRANT SELECT ON _wh.unit TO PUBLIC",
    ];
    for ((what, _), harm) in LEFT_BEHIND.iter().zip(harm) {
        world.warehouse.run(harm);
        let found = world.left_behind();
        assert!(
            found.iter().any(|(found, _)| found == what),
            "{what}: {found:?}"
        );
    }
}
