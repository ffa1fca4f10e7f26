//! Days whose rows exchanged their keys are restored over what was there before.

use crate::support::events;
use crate::support::landed_files::Lake;
use crate::support::server::Holder;
use crate::support::world::World;

const PERIOD: [&str; 4] = ["--from", "2023-11-01", "--to", "2023-11-30"];

/// A year table with thirty days of four rows, and its files.
fn landed(name: &str) -> (World, Lake) {
    let world = World::with_events(name, &["acme"], "2023-11-01", 30, 4);
    world.backfill(&PERIOD).ok();
    let lake = land(&world);
    (world, lake)
}

fn land(world: &World) -> Lake {
    let lake = Lake::new();
    world.land(&lake, "event", events::TEMPLATE);
    lake
}

fn restore(world: &World, lake: &Lake, days: &[&str]) -> crate::support::world::Output {
    let url = lake.url();
    let args = [
        "restore",
        "--json",
        "--today",
        events::TODAY,
        "--reload",
        "--from",
        &url,
    ];
    world.dayhaul(&[&args[..], days].concat())
}

#[test]
fn days_that_exchanged_keys_are_restored_together() {
    let (world, old) = landed("exchanged");
    // Three days in a circle, far apart, and two that swap.
    world.tenants[0].run(
        "CREATE TABLE place AS SELECT id, at FROM event;
         UPDATE event SET at = place.at
         FROM place, (VALUES (1, 41), (41, 81), (81, 1), (14, 99), (99, 14)) AS move (id, place)
         WHERE event.id = move.id AND place.id = move.place",
    );
    world.backfill(&[&PERIOD[..], &["--reload"]].concat()).ok();
    let new = land(&world);
    for lake in [&old, &new] {
        let report = restore(&world, lake, &PERIOD).ok().json();
        assert_eq!(report["totals"]["loaded"], 30, "{report}");
        assert_eq!(world.totals().0, "120");
        let keys = world.read("SELECT count(DISTINCT id) FROM public.event");
        assert_eq!(keys[0][0].as_deref(), Some("120"));
        world.is_clean();
    }
    world.digests_hold("event", events::TEMPLATE);
}

#[test]
fn a_key_that_another_session_gave_up_in_the_meantime_is_no_reason_to_fail() {
    let (world, old) = landed("given_up");
    world.tenants[0].run("DELETE FROM event WHERE id = 41");
    world.backfill(&[&PERIOD[..], &["--reload"]].concat()).ok();
    assert_eq!(world.totals().0, "119");
    let warehouse = &world.warehouse;
    // Another day gets the key, and gives it up between the refusal and the search for who holds it.
    let stray = "INSERT INTO acme.event_2023 VALUES (41, '2023-11-20 12:00+00', 'stray', 1)";
    let holder = Holder::new(warehouse, stray);
    let day = ["--from", "2023-11-11", "--to", "2023-11-11"];
    std::thread::scope(|scope| {
        let restored = scope.spawn(|| restore(&world, &old, &day));
        world.wait_for(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'dayhaul' AND wait_event_type = 'Lock' AND query LIKE 'COPY%')",
        );
        scope.spawn(|| {
            warehouse.run(
                "BEGIN; LOCK TABLE acme.event_2023 IN ACCESS EXCLUSIVE MODE; \
                 DELETE FROM acme.event_2023 WHERE note = 'stray'; COMMIT",
            );
        });
        world.wait_for(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' \
             AND relation = 'acme.event_2023'::regclass)",
        );
        holder.commit();
        let report = restored.join().unwrap().ok().json();
        assert_eq!(report["units"][0]["tries"], 2, "refused once: {report}");
    });
    assert_eq!(world.totals().0, "120");
    world.is_clean();
}

#[test]
fn a_key_of_a_day_that_is_not_to_be_restored_fails_the_day_that_has_it() {
    let (world, old) = landed("not_exchanged");
    world.tenants[0].run("UPDATE event SET at = at + interval '20 days' WHERE id = 1");
    world.backfill(&[&PERIOD[..], &["--reload"]].concat()).ok();
    let before = world.totals();
    let day = ["--from", "2023-11-01", "--to", "2023-11-02"];
    let report = restore(&world, &old, &day).exits(1).json();
    assert_eq!(report["totals"]["failed"], 1, "{report}");
    assert_eq!(report["totals"]["loaded"], 1, "{report}");
    assert_eq!(world.totals(), before);
    world.is_clean();
}
