//! Readers that look on while days are refreshed and synced: each day is as it was or as it becomes, for everybody.

use crate::events;
use crate::readers::{Readers, Seen, Watch, Way};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};

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
fn change(world: &World, round: u32) {
    world.tenants[0].run(&format!(
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
        change(&world, round);
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
    change(&world, 0);
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
        change(&world, round);
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
