//! A ledger of random units, and the same units in memory, one by one.

use crate::support::events;
use crate::support::random::Random;
use crate::support::world::World;
use dayhaul::unit::{Day, Window};
use std::collections::BTreeMap;

/// Tenant and template.
pub type Names = (String, String);

/// A unit as the ledger has it.
#[derive(Debug, Clone)]
pub struct ModelUnit {
    pub state: String,
    pub rows: u64,
    pub bytes: u64,
    /// Its object has its rows.
    pub landed: bool,
    pub checked_on: Option<Day>,
}

impl ModelUnit {
    pub fn is_settled(&self, day: Day, lookback: i32) -> bool {
        self.checked_on
            .is_some_and(|on| on >= day.plus(1 + lookback))
    }

    pub fn is_overdue(&self, day: Day, lookback: i32, today: Day) -> bool {
        let by_now = match self.checked_on {
            Some(on) if on > day => day.plus(1 + lookback),
            _ => day.next(),
        };
        !self.is_settled(day, lookback) && today > by_now
    }
}

/// A pair with its units.
#[derive(Debug, Clone, Default)]
pub struct ModelPair {
    pub enabled: bool,
    pub first_day: Option<Day>,
    pub lookback: i32,
    pub units: BTreeMap<Day, ModelUnit>,
}

pub const FIRST: &str = "2024-01-01";
/// Days that may have a unit.
pub const DAYS: u64 = 150;
pub const TENANTS: [&str; 4] = ["acme", "hooli", "initech", "zenith"];
pub const TEMPLATES: [(&str, i32); 2] = [("event", 14), ("short", 2)];

/// A world with four tenants and two templates: one pair is disabled, so is one tenant, and one pair has no first day.
pub fn world(name: &str) -> World {
    let world = World::new(name, &TENANTS);
    world.set_up_events(&TENANTS, events::TEMPLATE);
    let short = events::TEMPLATE.replace("open_days = 16", "lookback_days = 2\nopen_days = 3");
    world.write("templates/short.sql", &short);
    let load = ["template", "load", "templates/short.sql", "--all-tenants"];
    world.dayhaul(&load).ok();
    world
}

/// The day `n` days after the first.
pub fn day(n: u64) -> Day {
    let first: Day = FIRST.parse().unwrap();
    first.plus(i32::try_from(n).unwrap())
}

fn date(day: Option<Day>) -> String {
    day.map_or_else(|| "NULL".to_owned(), |day| format!("'{day}'"))
}

/// Writes random units into the ledger of every pair, in place of those that are there.
pub fn fill(world: &World, random: &mut Random) -> BTreeMap<Names, ModelPair> {
    world
        .warehouse
        .run("DELETE FROM _wh.unit; DELETE FROM _wh.staged");
    let mut model = BTreeMap::new();
    for tenant in TENANTS {
        for (template, lookback) in TEMPLATES {
            let first_day = (!random.next().is_multiple_of(8)).then(|| day(random.next() % 40));
            let mut pair = ModelPair {
                enabled: !random.next().is_multiple_of(8),
                first_day,
                lookback,
                units: BTreeMap::new(),
            };
            world.warehouse.run(&format!(
                "UPDATE _wh.pair SET first_day = {}, enabled = {} WHERE tenant = '{tenant}' AND template = '{template}'",
                date(first_day),
                pair.enabled
            ));
            let values = units(random, &mut pair);
            if !values.is_empty() {
                insert(world, (tenant, template), &values);
            }
            model.insert((tenant.to_owned(), template.to_owned()), pair);
        }
    }
    model
}

fn insert(world: &World, (tenant, template): (&str, &str), values: &[String]) {
    world.warehouse.run(&format!(
        "INSERT INTO _wh.unit (tenant, template, day, state, rows, bytes, digest, object, object_digest, object_bytes, \
                               checked_on, version, run) \
         SELECT '{tenant}', '{template}', v.*, 'v', 1 FROM (VALUES {}) AS v; \
         INSERT INTO _wh.staged (tenant, template, day, relation, version, run) \
         SELECT '{tenant}', '{template}', day, 'none', 'v', 1 \
         FROM generate_series('{FIRST}'::date, '{FIRST}'::date + 200, '9 days') AS day",
        values.join(", ")
    ));
}

/// Random units, as VALUES; states come in runs, as in life.
fn units(random: &mut Random, pair: &mut ModelPair) -> Vec<String> {
    let mut values = Vec::new();
    let mut state = None;
    // Days that were compared on the same date are many, as after a backfill.
    let mut on = None;
    for n in 0..DAYS {
        if n == 0 || random.next().is_multiple_of(4) {
            state = [
                "loaded", "loaded", "loaded", "loaded", "landed", "failed", "",
            ]
            .get((random.next() % 7) as usize)
            .filter(|state| !state.is_empty());
        }
        if n == 0 || random.next().is_multiple_of(6) {
            on = (!random.next().is_multiple_of(6)).then(|| day(n + random.next() % 40));
        }
        let Some(state) = state else { continue };
        let digest = format!("{:032x}", random.next());
        // None, one whose rows are not known, one with other rows, and the right one.
        let object = random.next() % 6;
        let landed = *state != "failed" && object >= 3;
        let unit = ModelUnit {
            state: (*state).to_owned(),
            rows: random.next() % 100,
            bytes: random.next() % 10_000,
            landed,
            checked_on: on.filter(|_| *state != "failed"),
        };
        let digests = match (*state, object) {
            ("failed", _) => "NULL::text, NULL::text, NULL::text, NULL::bigint".to_owned(),
            (_, 0) => format!("'{digest}', NULL, NULL, NULL"),
            (_, 1) => format!("'{digest}', 'file:///lake/x', NULL, 1"),
            (_, 2) => format!("'{digest}', 'file:///lake/x', '{:032x}', 1", 7),
            _ => format!("'{digest}', 'file:///lake/x', '{digest}', 1"),
        };
        values.push(format!(
            "('{}'::date, '{state}', {}::bigint, {}::bigint, {digests}, {}::date)",
            day(n),
            unit.rows,
            unit.bytes,
            date(unit.checked_on)
        ));
        pair.units.insert(day(n), unit);
    }
    values
}

/// Days as the JSON has them.
pub fn ranges(days: impl IntoIterator<Item = Day>) -> serde_json::Value {
    let runs = Window::runs(days);
    let inclusive = runs
        .iter()
        .map(|run| [run.from.to_string(), run.to.plus(-1).to_string()]);
    serde_json::json!(inclusive.collect::<Vec<_>>())
}
