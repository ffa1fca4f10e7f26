//! What the server sums up of the ledger is what one finds who goes through it unit by unit; and the answer does not grow with
//! the units.

use crate::support::events::TEMPLATE;
use crate::support::random::Random;
use crate::support::random_ledger::{self, DAYS, ModelPair, ModelUnit, Names, day, ranges};
use crate::support::row_counter::RowCounter;
use crate::support::server;
use crate::support::world::World;
use dayhaul::unit::{Day, Window};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The days of a pair that should be there by `today`.
fn expected(pair: &ModelPair, days: Option<Window>, today: Day) -> Vec<Day> {
    let Some(first) = pair.first_day else {
        return Vec::new();
    };
    let all = (0..DAYS + 100).map(day);
    let within = all.filter(|day| days.is_none_or(|days| days.contains(*day)));
    within.filter(|day| *day >= first && *day < today).collect()
}

/// A pair as `status --json` shows it.
fn status_of(pair: &ModelPair, days: Option<Window>, today: Day) -> Value {
    let units: BTreeMap<Day, &ModelUnit> = pair
        .units
        .iter()
        .filter(|(day, _)| days.is_none_or(|days| days.contains(**day)))
        .map(|(day, unit)| (*day, unit))
        .collect();
    let of = |state: &'static str| units.iter().filter(move |(_, unit)| unit.state == state);
    let has_rows = units.iter().filter(|(_, unit)| unit.state != "failed");
    let missing: Vec<Day> = expected(pair, days, today)
        .into_iter()
        .filter(|day| {
            pair.enabled
                && units
                    .get(day)
                    .is_none_or(|unit| unit.state == "landed" && !unit.landed)
        })
        .collect();
    let overdue = has_rows
        .clone()
        .filter(|(day, unit)| pair.enabled && unit.is_overdue(**day, pair.lookback, today));
    json!({
        "enabled": pair.enabled,
        "loaded": of("loaded").count(),
        "landed": units.values().filter(|unit| unit.landed).count(),
        "failed": of("failed").count(),
        "missing": missing.len(),
        "unsettled": has_rows.clone().filter(|(day, unit)| !unit.is_settled(**day, pair.lookback)).count(),
        "rows": of("loaded").map(|(_, unit)| unit.rows).sum::<u64>(),
        "first_day": pair.first_day.map(|day| day.to_string()),
        "last_day": of("loaded").next_back().map(|(day, _)| day.to_string()),
        "failed_days": ranges(of("failed").map(|(day, _)| *day)),
        "missing_days": ranges(missing),
        "overdue_days": ranges(overdue.map(|(day, _)| *day)),
    })
}

/// A pair as `verify --coverage --json` shows it.
fn coverage_of(pair: &ModelPair, days: Window, today: Day) -> Value {
    let expected = expected(pair, Some(days), today);
    let is_loaded = |day: &Day| {
        let unit = pair.units.get(day);
        unit.is_some_and(|unit| unit.state == "loaded")
    };
    let (loaded, missing): (Vec<Day>, Vec<Day>) = expected.into_iter().partition(is_loaded);
    let unsettled = loaded.iter().copied();
    let unsettled = unsettled.filter(|day| !pair.units[day].is_settled(*day, pair.lookback));
    let overdue = loaded.iter().copied();
    let overdue = overdue.filter(|day| pair.units[day].is_overdue(*day, pair.lookback, today));
    json!({
        "first_day": pair.first_day.map(|day| day.to_string()),
        "loaded": loaded.len(),
        "missing": missing.len(),
        "gaps": ranges(missing),
        "unsettled": unsettled.count(),
        "overdue": ranges(overdue),
    })
}

/// Compares each pair of a result with the model's, key by key.
#[track_caller]
fn same_pairs(found: &Value, model: &BTreeMap<Names, ModelPair>, of: impl Fn(&ModelPair) -> Value) {
    let pairs = found["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), model.len(), "{found}");
    for pair in pairs {
        let name = |key: &str| pair[key].as_str().unwrap().to_owned();
        let names = (name("tenant"), name("template"));
        for (key, value) in of(&model[&names]).as_object().unwrap() {
            assert_eq!(pair[key], *value, "{key} of {names:?}");
        }
    }
}

#[test]
fn status_and_coverage_are_those_of_a_ledger_that_is_read_unit_by_unit() {
    let world = random_ledger::world("sums_model");
    let mut random = Random::new();
    for _ in 0..4 {
        let model = random_ledger::fill(&world, &mut random);
        let today = day(random.next() % (DAYS + 40));
        let from = random.next() % DAYS;
        let days = Window::new(day(from), day(from + 1 + random.next() % DAYS));
        let (today_text, from, to) = (
            today.to_string(),
            days.from.to_string(),
            days.to.plus(-1).to_string(),
        );
        let run = |args: &[&str]| {
            let out = world.dayhaul(&[args, &["--json", "--today", &today_text]].concat());
            assert!(out.code <= 1, "{out:?}");
            out.json()
        };
        let within = ["--from", &from, "--to", &to];
        for (found, days) in [
            (run(&["status"]), None),
            (run(&[&["status"][..], &within].concat()), Some(days)),
        ] {
            same_pairs(&found, &model, |pair| status_of(pair, days, today));
        }
        let enabled: BTreeMap<_, _> = model.into_iter().filter(|(_, pair)| pair.enabled).collect();
        let covered = run(&[&["verify", "--coverage"][..], &within].concat());
        same_pairs(&covered, &enabled, |pair| coverage_of(pair, days, today));
    }
}

#[test]
fn the_fingerprint_is_that_of_a_snapshot_and_only_shown_when_asked_for() {
    let world = random_ledger::world("sums_data").with_lake();
    let model = random_ledger::fill(&world, &mut Random::new());
    assert!(model.values().any(|pair| !pair.units.is_empty()));
    let taken = world.dayhaul(&["snapshot", "--json"]).ok().json();
    let asked = world.dayhaul(&["status", "--data", "--json"]).ok().json();
    assert_eq!(asked["data"], taken["id"]);
    let page = world.dayhaul(&["status", "--data"]).ok().stdout;
    let line = format!("data {}\n\n", taken["id"].as_str().unwrap());
    assert!(page.starts_with(&line), "{page}");
    assert_eq!(
        world.dayhaul(&["status", "--json"]).ok().json()["data"],
        Value::Null
    );
    let page = world.dayhaul(&["status"]).ok().stdout;
    assert!(page.starts_with("tenant "), "{page}");
}

/// A ledger whose pairs have so many days, all settled, with a gap of three; and a run that died after it failed on all of
/// them.
fn many_days(world: &World, days: u32) {
    world.warehouse.run(&format!(
        "DELETE FROM _wh.unit; DELETE FROM _wh.attempt; \
         UPDATE _wh.pair SET first_day = '2024-03-01'::date - {days}; \
         INSERT INTO _wh.unit (tenant, template, day, state, rows, digest, version, run, checked_on) \
         SELECT p.tenant, p.template, '2024-03-01'::date - n, 'loaded', 1, md5(n::text), 'v', 1, '2024-03-20' \
         FROM _wh.pair p, generate_series(1, {days}) AS n WHERE n NOT BETWEEN 5 AND 7; \
         INSERT INTO _wh.attempt (tenant, template, day, run, outcome, version, tries, error) \
         SELECT tenant, template, day, 1, 'failed', 'v', 1, 'no' FROM _wh.unit"
    ));
}

#[test]
fn an_answer_about_more_days_has_no_more_rows() {
    let mut world = World::new("sums_rows", &["acme", "zenith"]);
    world.set_up_events(&["acme", "zenith"], TEMPLATE);
    world.warehouse.run(
        "INSERT INTO _wh.run (command, arguments, host, pid, version, heartbeat_at) \
         VALUES ('backfill', '{backfill}', 'host', 1, '0', '2024-03-01')",
    );
    let counter = RowCounter::before(server::port());
    let (port, name) = (counter.port(), &world.warehouse.name);
    let url = format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
    world
        .variables
        .push(("DAYHAUL_WAREHOUSE_URL".to_owned(), url));
    for command in [
        "status --today 2024-03-20",
        "status --check --json --today 2024-03-20",
        "verify --coverage --from 2020-01-01 --to 2024-02-29 --today 2024-03-20",
        "history",
        "history 1 --json",
    ] {
        let args: Vec<&str> = command.split(' ').collect();
        let rows = |days| {
            many_days(&world, days);
            let before = counter.rows();
            let out = world.dayhaul(&args);
            assert!(out.code <= 1, "{out:?}");
            counter.rows() - before
        };
        let (few, many) = (rows(20), rows(1500));
        assert!(few > 0, "{command}: its rows did not pass the counter");
        assert_eq!(few, many, "{command}");
    }
}
