//! The main job on real input: all flights of 2013 from New York's three airports, a tenant each.

use crate::support::server::Database;
use crate::support::world::World;
use flate2::read::GzDecoder;
use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

const ORIGINS: [&str; 3] = ["ewr", "jfk", "lga"];

/// The application's tables.
const TABLES: &str = "
    CREATE TABLE airlines (carrier text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE airports (faa text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE planes (tailnum text PRIMARY KEY, year int, manufacturer text, model text, seats int);
    CREATE TABLE fixture (carrier text, dest text, distance int, flight int, sched_dep_time int, sched_arr_time int,
        time_hour timestamptz, tailnum text, dep_delay int, arr_delay int, arr_time int, air_time int)";

/// Gives the flights all columns of the original: what the fixture leaves out follows from the rest.
const FLIGHTS: &str = "
    CREATE FUNCTION later(clock int, minutes int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT m / 60 * 100 + m % 60
        FROM (SELECT (clock / 100 * 60 + clock % 100 + minutes + 1440 - 1) % 1440 + 1) AS t (m)
    $$;
    CREATE TABLE flights AS
    SELECT extract(year FROM local)::int AS year, extract(month FROM local)::int AS month,
           extract(day FROM local)::int AS day, later(sched_dep_time, dep_delay) AS dep_time, sched_dep_time, dep_delay,
           coalesce(arr_time, later(sched_arr_time, arr_delay)) AS arr_time, sched_arr_time, arr_delay, carrier, flight,
           tailnum, upper(:origin) AS origin, dest, air_time, distance, sched_dep_time / 100 AS hour,
           sched_dep_time % 100 AS minute, time_hour
    FROM fixture, LATERAL (SELECT time_hour AT TIME ZONE 'America/New_York') AS l (local);
    CREATE INDEX ON flights (time_hour);
    ANALYZE";

/// (tenant, UTC day) → (rows, sum of distance).
type PerDay = BTreeMap<(String, String), (u64, u64)>;

#[test]
fn the_flights_of_2013_stand_in_the_warehouse_as_they_stand_in_the_csv() {
    let world = World::new("flights", &ORIGINS);
    for (origin, tenant) in ORIGINS.iter().zip(&world.tenants) {
        fill(tenant, origin);
    }
    let expected = per_day_from_csv();
    assert_eq!(
        expected.values().map(|(rows, _)| rows).sum::<u64>(),
        336_776
    );

    world.dayhaul(&["init"]).ok();
    let template = root().join("templates/flights.sql");
    world
        .dayhaul(&["template", "load", template.to_str().unwrap()])
        .ok();
    for (origin, tenant) in ORIGINS.iter().zip(&world.tenants) {
        world
            .dayhaul(&[
                "tenant",
                "add",
                origin,
                "--url",
                &tenant.url(),
                "--template",
                "flights",
            ])
            .ok();
    }
    let backfill = [
        "backfill",
        "--from",
        "2013-01-01",
        "--to",
        "2014-01-01",
        "--json",
    ];
    let first = world.dayhaul(&backfill).ok().json();
    assert_eq!(first["schema"], "dayhaul.backfill/1");
    assert_eq!(first["totals"]["rows"], 336_776, "{}", first["totals"]);

    for origin in ORIGINS {
        let of_tenant = per_day(
            &world,
            &format!("SELECT '{origin}' AS tenant, * FROM {origin}.flights"),
        );
        let mut wanted = expected.clone();
        wanted.retain(|(tenant, _), _| tenant == origin);
        assert_eq!(of_tenant, wanted, "the view of tenant `{origin}`");
    }
    let of_all = per_day(
        &world,
        "SELECT schema_name AS tenant, * FROM public.flights",
    );
    assert_eq!(of_all, expected, "the public view");

    let new_year = of_all.iter().filter(|((_, day), _)| day == "2014-01-01");
    assert_eq!(
        new_year.count(),
        3,
        "31 December's evenings are 1 January's in UTC"
    );
    assert_eq!(planes_missing_in_warehouse(&world), planes_missing_in_csv());
    the_ledger_agrees(&world, &expected);

    let second = world.dayhaul(&backfill).ok().json();
    assert_eq!(
        second["totals"]["rows"], 0,
        "nothing is loaded twice: {}",
        second["totals"]
    );
    assert_eq!(
        per_day(
            &world,
            "SELECT schema_name AS tenant, * FROM public.flights"
        ),
        expected
    );
}

/// Every day of the selection is a unit, those without flights too.
fn the_ledger_agrees(world: &World, expected: &PerDay) {
    let units = world.warehouse.rows(
        "SELECT tenant, day::text, rows::text, state FROM _wh.unit WHERE template = 'flights'",
    );
    assert_eq!(units.len(), 3 * 366);
    for unit in units {
        let [tenant, day, rows, state] = unit.try_into().unwrap();
        let key = (tenant.unwrap(), day.unwrap());
        let wanted = expected.get(&key).map_or(0, |(rows, _)| *rows);
        assert_eq!(
            (rows, state),
            (Some(wanted.to_string()), Some("loaded".into())),
            "{key:?}"
        );
    }
}

fn per_day(world: &World, relation: &str) -> PerDay {
    let rows = world.read(&format!(
        "SELECT tenant, (time_hour AT TIME ZONE 'UTC')::date, count(*), sum(distance) FROM ({relation}) AS q GROUP BY 1, 2"
    ));
    rows.into_iter()
        .map(|row| {
            let [tenant, day, rows, distance] = row.try_into().unwrap();
            let number = |v: Option<String>| v.unwrap().parse().unwrap();
            (
                (tenant.unwrap(), day.unwrap()),
                (number(rows), number(distance)),
            )
        })
        .collect()
}

/// The same straight from the CSV, without a database.
fn per_day_from_csv() -> PerDay {
    let mut found = PerDay::new();
    for origin in ORIGINS {
        let text = fixture(&format!("flights_{origin}"));
        let (distance, time_hour) = (column(&text, "distance"), column(&text, "time_hour"));
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let day = fields[time_hour][..10].to_owned();
            let entry = found.entry((origin.to_owned(), day)).or_default();
            entry.0 += 1;
            entry.1 += fields[distance].parse::<u64>().unwrap();
        }
    }
    found
}

/// Flights whose plane the manufacturers' list does not have: what the left join must leave empty.
fn planes_missing_in_csv() -> u64 {
    let planes = fixture("planes");
    let known: HashSet<&str> = planes
        .lines()
        .skip(1)
        .map(|l| l.split(',').next().unwrap())
        .collect();
    let missing = ORIGINS.map(|origin| {
        let text = fixture(&format!("flights_{origin}"));
        let tailnum = column(&text, "tailnum");
        let unknown = |line: &&str| !known.contains(line.split(',').nth(tailnum).unwrap());
        text.lines().skip(1).filter(unknown).count() as u64
    });
    missing.iter().sum()
}

fn planes_missing_in_warehouse(world: &World) -> u64 {
    let rows = world.read("SELECT count(*) FROM public.flights WHERE manufacturer IS NULL");
    rows[0][0].as_ref().unwrap().parse().unwrap()
}

/// A tenant's database: dimensions, and the flights of one origin.
fn fill(tenant: &Database, origin: &str) {
    tenant.run(TABLES);
    for name in ["airlines", "airports", "planes"] {
        copy(tenant, name, name);
    }
    copy(tenant, "fixture", &format!("flights_{origin}"));
    tenant.run(&FLIGHTS.replace(":origin", &format!("'{origin}'")));
}

fn copy(tenant: &Database, table: &str, file: &str) {
    tenant.copy_in(
        &format!("COPY {table} FROM STDIN (FORMAT csv, HEADER)"),
        fixture(file),
    );
}

fn column(csv: &str, name: &str) -> usize {
    let header = csv.lines().next().unwrap();
    header.split(',').position(|c| c == name).unwrap()
}

fn fixture(name: &str) -> String {
    let path = root().join(format!("tests/fixtures/nycflights13/{name}.csv.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
