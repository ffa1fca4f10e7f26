//! The days of a sync, which the server finds in the ledger, are those that one finds who goes through it unit by unit.

use crate::support::random::Random;
use crate::support::random_ledger::{self, DAYS, ModelPair, ModelUnit, day};
use crate::support::server::block_on;
use dayhaul::catalog::Selection;
use dayhaul::catalog::registry::pairs;
use dayhaul::engine::run::sync_days::{Sync, due_days, sync_days};
use dayhaul::engine::window::landing::To;
use dayhaul::pg::conninfo::password::Password;
use dayhaul::pg::{self, Access, Purpose, Url};
use dayhaul::unit::{Day, Window};
use std::collections::BTreeSet;

/// What is to be done with the days of a pair.
#[derive(Debug, Default, PartialEq, Eq)]
struct Model {
    load: BTreeSet<Day>,
    refresh: BTreeSet<Day>,
    land: BTreeSet<Day>,
}

/// Goes through the days one by one; `None` when the pair has no first day.
fn model(pair: &ModelPair, to: To, today: Day, sync: Sync) -> Option<Model> {
    let first = pair.first_day.filter(|first| *first <= today)?;
    let lookback = sync
        .lookback
        .map_or(pair.lookback, |days| i32::try_from(days).unwrap());
    let again = today.plus(-lookback.max(1)).max(first);
    let mut days = Model::default();
    let mut turns: Vec<(Day, &ModelUnit)> = Vec::new();
    for day in Window::new(first, today.next()).days() {
        let there = pair.units.get(&day).filter(|unit| {
            unit.state == "loaded" || (unit.state == "landed" && to == To::Parquet && unit.landed)
        });
        let Some(unit) = there.filter(|_| day < again) else {
            let days = if day < again {
                &mut days.load
            } else {
                &mut days.refresh
            };
            days.insert(day);
            continue;
        };
        if !unit.is_settled(day, pair.lookback) {
            days.refresh.insert(day);
        } else if unit.state == "loaded" && to.lands() && !unit.landed {
            days.land.insert(day);
        } else if day.plus(1 + pair.lookback) < today {
            turns.push((day, unit));
        }
    }
    let since = today.plus(-i32::try_from(sync.sweep_days).unwrap());
    turns.retain(|(day, _)| *day >= since);
    days.refresh.extend(tonight(&turns, today));
    Some(days)
}

/// The share of one night: of the days that were compared the longest ago the run with the fewest bytes.
fn tonight(turns: &[(Day, &ModelUnit)], today: Day) -> Vec<Day> {
    let on = |unit: &ModelUnit| unit.checked_on.unwrap();
    let done = turns.iter().filter(|(_, unit)| on(unit) >= today).count();
    let share = turns.len().div_ceil(30).saturating_sub(done);
    let due: Vec<_> = turns.iter().filter(|(_, unit)| on(unit) < today).collect();
    let mut runs: Vec<Vec<(Day, &ModelUnit)>> = Vec::new();
    for (day, unit) in due {
        match runs.last_mut() {
            Some(run)
                if run.len() < share.max(1)
                    && run[run.len() - 1].0.next() == *day
                    && on(run[0].1) == on(unit) =>
            {
                run.push((*day, unit));
            }
            _ => runs.push(vec![(*day, unit)]),
        }
    }
    let bytes = |run: &[(Day, &ModelUnit)]| run.iter().map(|(_, unit)| unit.bytes).sum::<u64>();
    runs.sort_by_key(|run| (on(run[0].1), bytes(run), run[0].0));
    let days = runs.into_iter().flatten().map(|(day, _)| day);
    days.take(share).collect()
}

#[test]
fn a_sync_does_what_a_ledger_that_is_read_unit_by_unit_asks_for() {
    let world = random_ledger::world("sync_model");
    let access = Access::new(
        Url::parse(&world.warehouse.url()).unwrap(),
        Password::default(),
    );
    let session = block_on(pg::connect(&access, Purpose::Warehouse)).unwrap();
    let mut random = Random::new();
    let (mut worked, mut swept) = (0, 0);
    for _ in 0..6 {
        let units = random_ledger::fill(&world, &mut random);
        let pairs = block_on(pairs::all(&session, &Selection::default())).unwrap();
        let today = day(60 + random.next() % (DAYS - 20));
        for to in [To::Warehouse, To::Both, To::Parquet] {
            let lookbacks = [None, Some(0), Some(40)];
            let sync = Sync {
                lookback: lookbacks[(random.next() % 3) as usize],
                sweep_days: [0, 30, 400, u32::try_from(i32::MAX).unwrap()]
                    [(random.next() % 4) as usize],
            };
            let due = block_on(due_days(&session, &pairs, sync, to, today)).unwrap();
            for (pair, due) in pairs.iter().zip(&due) {
                let names = (pair.tenant.name.to_string(), pair.template.name.to_string());
                let expected = model(&units[&names], to, today, sync);
                let found = sync_days(pair, Some(due), today, sync)
                    .ok()
                    .map(|days| Model {
                        load: days.load,
                        refresh: days.refresh,
                        land: days.land,
                    });
                assert_eq!(
                    found, expected,
                    "{names:?} on {today}: {to:?} {sync:?} {due:?}"
                );
                worked += usize::from(found.is_some());
                swept += due.share;
            }
        }
    }
    assert!(
        worked > 0 && swept > 0,
        "{worked} pairs, {swept} days in turn"
    );
}
