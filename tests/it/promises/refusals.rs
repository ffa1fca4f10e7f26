//! Bad input ends in a clear error about the tenant, template and day it concerns; everything else is loaded.

use crate::support::events::{self, TEMPLATE};
use crate::support::server::{self, Database};
use crate::support::world::{Output, World};
use serde_json::Value;

const DAY: &str = "2024-03-15";
const SELECTION: [&str; 5] = ["--from", "2024-03-12", "--to", "2024-03-18", "--json"];
const SECRET: &str = "hunter2";

/// The failures that a run reports for a tenant: (first day, last day, not tried, message with its hint).
fn failures(run: &Value, tenant: &str) -> Vec<(String, String, bool, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    run["failures"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["tenant"] == tenant)
        .map(|f| {
            let days = f["days"].as_array().unwrap();
            (
                text(&days[0][0]),
                text(&days[days.len() - 1][1]),
                f["not_tried"].as_bool().unwrap(),
                format!("{} | {}", text(&f["error"]), text(&f["hint"])),
            )
        })
        .collect()
}

/// Asserts that a tenant failed once, for these days, with a message that holds all of `words`.
#[track_caller]
fn failed(run: &Value, tenant: &str, days: (&str, &str), words: &[&str]) {
    let found = failures(run, tenant);
    assert_eq!(found.len(), 1, "{tenant}: {found:#?}");
    let (from, to, _, message) = &found[0];
    assert_eq!((from.as_str(), to.as_str()), days, "{tenant}: {message}");
    for word in words {
        assert!(
            message.contains(word),
            "{tenant}: no `{word}` in: {message}"
        );
    }
    let hint = message.split_once(" | ").unwrap().1;
    assert!(
        !hint.is_empty(),
        "{tenant}: nothing says what to do: {message}"
    );
}

#[track_caller]
fn tells_no_value(out: &Output) {
    for text in [&out.stdout, &out.stderr] {
        assert!(!text.contains(SECRET), "a row's value was told: {text}");
    }
}

fn count(world: &World, tenant: &str) -> String {
    world.read(&format!("SELECT count(*) FROM {tenant}.event"))[0][0]
        .clone()
        .unwrap()
}

/// Events whose query can be made to fail by a row: a division, a shift of the time, a null or infinite time.
fn touchy() -> String {
    TEMPLATE
        .replace("[columns]", "[columns]\nratio = \"integer\"")
        .replace(
            "SELECT id, at, note, amount FROM event",
            "SELECT id, CASE note WHEN 'no time' THEN NULL WHEN 'infinite' THEN 'infinity' ELSE at + shift END AS at, \
             note, amount, 100 / divisor AS ratio FROM event",
        )
}

fn touchy_world(name: &str, tenants: &[&str], from: &str) -> World {
    let world = World::new(name, tenants);
    for source in &world.tenants {
        source.run(
            "CREATE TABLE event (id bigint, at timestamptz, note text, amount numeric, divisor int DEFAULT 1, \
             shift interval DEFAULT '0')",
        );
        events::fill(source, from, 7, 10);
    }
    world.set_up_template("event", &touchy(), tenants);
    world
}

/// What is done to one day's rows, the day that the fault is reported for, and what the message must hold.
const FAULTS: [(&str, &str, &[&str]); 9] = [
    (
        "long",
        "UPDATE event SET note = 'hunter2 is much too long' WHERE {one}",
        &["column `note`", "longer", "`text`"],
    ),
    (
        "decimals",
        "UPDATE event SET amount = 1.2345 WHERE {one}",
        &["column `amount`", "decimal places", "round"],
    ),
    (
        "precision",
        "UPDATE event SET amount = 1e11 WHERE {one}",
        &["numeric field overflow", "`amount`"],
    ),
    (
        "infinite_amount",
        "UPDATE event SET amount = 'infinity' WHERE {one}",
        &["numeric field overflow", "`amount`"],
    ),
    (
        "division",
        "UPDATE event SET divisor = 0 WHERE {one}",
        &["source", "division by zero"],
    ),
    (
        "twice",
        "INSERT INTO event SELECT * FROM event WHERE {one}",
        &["unique", "_i1"],
    ),
    (
        "null_time",
        "UPDATE event SET note = 'no time' WHERE {one}",
        &["1 row", "null", "`at`"],
    ),
    (
        "infinite_time",
        "UPDATE event SET note = 'infinite' WHERE {one}",
        &["1 row", "infinite", "`at`"],
    ),
    (
        "stray",
        "UPDATE event SET shift = '30 days' WHERE {day}",
        &["10 rows", "first on 2024-04-14", "{from}"],
    ),
];

fn spoil(world: &World, tenants: &[&str], day: &str) {
    for (source, (_, sql, _)) in world.tenants.iter().zip(FAULTS).take(tenants.len()) {
        let on_day = format!("at >= '{day} 00:00+00' AND at < '{day} 24:00+00'");
        let one = format!("id = (SELECT min(id) FROM event WHERE {on_day})");
        source.run(&sql.replace("{one}", &one).replace("{day}", &on_day));
    }
}

#[test]
fn a_bad_row_fails_its_day_and_the_other_days_of_its_window_load() {
    let tenants = FAULTS.map(|(name, _, _)| name);
    let world = touchy_world("bad_rows", &tenants, "2024-03-12");
    spoil(&world, &tenants, DAY);
    let out = world.backfill(&SELECTION).exits(1);
    tells_no_value(&out);
    let run = out.json();
    for (tenant, _, words) in FAULTS {
        failed(&run, tenant, (DAY, DAY), words);
        assert_eq!(count(&world, tenant), "60", "{tenant}");
    }
    assert_eq!(run["totals"]["loaded"], 6 * tenants.len());
    assert_eq!(run["totals"]["failed"], tenants.len());
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'failed' AND day = '2024-03-15'"),
        tenants.len().to_string()
    );
    world.is_clean();
    // Mended at the source, it loads, and only it.
    for source in &world.tenants {
        source.run("TRUNCATE event");
        events::fill(source, "2024-03-12", 7, 10);
    }
    let run = world.backfill(&SELECTION).ok().json();
    assert_eq!(run["totals"]["loaded"], tenants.len());
    for tenant in tenants {
        assert_eq!(count(&world, tenant), "70", "{tenant}");
    }
    world.is_clean();
    world.digests_hold("event", &touchy());
}

#[test]
fn a_bad_row_in_a_year_that_is_being_built_fails_its_day_and_the_year_is_revealed() {
    let tenants = FAULTS.map(|(name, _, _)| name);
    let world = touchy_world("bad_year", &tenants, "2023-03-12");
    spoil(&world, &tenants, "2023-03-15");
    let selection = ["--from", "2023-03-12", "--to", "2023-03-18", "--json"];
    let run = world.backfill(&selection).exits(1).json();
    for (tenant, _, words) in FAULTS {
        let words: Vec<&str> = words
            .iter()
            .copied()
            .filter(|w| !w.starts_with("first on"))
            .collect();
        failed(&run, tenant, ("2023-03-15", "2023-03-15"), &words);
        assert_eq!(count(&world, tenant), "60", "{tenant}");
    }
    world.is_clean();
    for source in &world.tenants {
        source.run("TRUNCATE event");
        events::fill(source, "2023-03-12", 7, 10);
    }
    let run = world.backfill(&selection).ok().json();
    assert_eq!(run["totals"]["loaded"], tenants.len());
    world.is_clean();
    world.digests_hold("event", &touchy());
}

#[test]
fn a_tenant_that_cannot_be_read_is_named_and_the_others_load() {
    let tenants = [
        "good",
        "missing",
        "extra",
        "lossy",
        "mood",
        "denied",
        "stranger",
        "nobody_there",
        "no_database",
        "ascii",
        "no_table",
        "no_variable",
    ];
    let world = World::new("cannot_read", &tenants[..7]);
    for source in &world.tenants {
        events::create(source);
        events::fill(source, "2024-03-12", 7, 10);
    }
    let source = |name: &str| &world.tenants[tenants.iter().position(|t| *t == name).unwrap()];
    source("missing").run("ALTER TABLE event DROP note");
    source("extra").run("ALTER TABLE event ADD colour text");
    source("lossy").run("ALTER TABLE event ALTER amount TYPE float8");
    source("mood").run(
        "CREATE TYPE mood AS ENUM ('fine'); ALTER TABLE event ALTER note TYPE mood USING 'fine'",
    );
    let role = format!("denied_{}", server::unique());
    source("denied").run(&format!("CREATE ROLE {role} LOGIN"));
    let ascii = Database::create_ascii("ascii");
    events::create(&ascii);
    events::fill(&ascii, "2024-03-12", 7, 10);
    ascii.run("UPDATE event SET note = E'caf\\xe9' WHERE at >= '2024-03-15 00:00+00' AND at < '2024-03-16 00:00+00'");
    let empty = Database::create("no_table");

    let template = TEMPLATE.replace(
        "SELECT id, at, note, amount FROM event WHERE",
        "SELECT * FROM event WHERE {var:client} <> '' AND",
    );
    world.set_up_template("event", &template, &[]);
    for tenant in tenants {
        let url = match tenant {
            "denied" => source(tenant).url_as(&role),
            "stranger" => source(tenant).url_as("no_such_role"),
            "nobody_there" => "postgres://postgres@127.0.0.1:1/x".to_owned(),
            "no_database" => server::url("no_such_database"),
            "ascii" => ascii.url(),
            "no_table" => empty.url(),
            "no_variable" => source("good").url(),
            _ => source(tenant).url(),
        };
        let mut args = vec![
            "tenant",
            "add",
            tenant,
            "--url",
            &url,
            "--no-test",
            "--template",
            "event",
        ];
        args.extend(["--var", "client=7"]);
        world.dayhaul(&args).ok();
    }
    world
        .warehouse
        .run("UPDATE _wh.tenant SET vars = '{}' WHERE name = 'no_variable'");

    let out = world.backfill(&SELECTION).exits(1);
    tells_no_value(&out);
    let run = out.json();
    let all = ("2024-03-12", "2024-03-18");
    failed(&run, "missing", all, &["`note`"]);
    failed(&run, "extra", all, &["`colour`"]);
    failed(
        &run,
        "lossy",
        all,
        &["`amount`", "double precision", "::numeric"],
    );
    failed(&run, "mood", all, &["`note`", "mood"]);
    failed(&run, "denied", all, &["permission denied", "event"]);
    failed(&run, "stranger", all, &["no_such_role"]);
    failed(&run, "nobody_there", all, &["127.0.0.1:1"]);
    failed(&run, "no_database", all, &["no_such_database"]);
    failed(&run, "ascii", (DAY, DAY), &["`note`", "UTF8"]);
    failed(&run, "no_table", all, &["event", "line 1 of the query"]);
    failed(&run, "no_variable", all, &["client", "--var"]);
    assert_eq!(
        (count(&world, "good"), count(&world, "ascii")),
        ("70".into(), "60".into())
    );
    assert_eq!(run["totals"]["loaded"], 7 + 6);
    world.is_clean();
    // When nobody can be reached at all, the exit code says that.
    world
        .backfill(&["--last", "1", "--tenant", "nobody_there"])
        .exits(3);
}

#[test]
fn a_query_that_makes_no_sense_is_pointed_at_before_anything_is_made() {
    let world = World::new("bad_query", &["acme"]);
    events::create(&world.tenants[0]);
    let query = "SELECT id, at, note, amount FROM event";
    for (name, new, words) in [
        (
            "twice",
            "SELECT id, at, note, amount, id FROM event",
            &["`id`", "more than one"][..],
        ),
        ("none", "SELECT FROM event", &["no columns"]),
        (
            "syntax",
            "SELECT id, at, note,\n  amount FRM event",
            &["line 2 of the query", "syntax error"],
        ),
        (
            "unknown",
            "SELECT id, at, note,\n  amounts AS amount\nFROM event",
            &["line 2 of the query", "amounts"],
        ),
    ] {
        world.set_up_template(name, &TEMPLATE.replace(query, new), &[]);
        if name == "twice" {
            let url = world.tenants[0].url();
            world
                .dayhaul(&[
                    "tenant",
                    "add",
                    "acme",
                    "--url",
                    &url,
                    "--no-test",
                    "--template",
                    name,
                ])
                .ok();
        } else {
            world
                .dayhaul(&["tenant", "enable", "acme", "--template", name])
                .ok();
        }
        let run = world
            .backfill(&[&SELECTION[..], &["--template", name]].concat())
            .exits(1)
            .json();
        failed(&run, "acme", ("2024-03-12", "2024-03-18"), words);
    }
    assert_eq!(
        world.warehouse.one("SELECT count(*) FROM _wh.relation"),
        "0"
    );
    let out = world
        .backfill(&["--from", "2024-03-12", "--to", "2024-03-11"])
        .exits(2);
    assert!(out.stderr.contains("2024-03-11"), "{}", out.stderr);
    world.configure("[load]\njob = 3\n");
    let out = world.backfill(&["--last", "1"]).exits(2);
    assert!(
        out.stderr.contains("`job`") || out.stderr.contains("job"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_relation_that_is_not_ours_is_named_and_left_as_it_is() {
    let cases = [
        (
            "day",
            "event_2024_03_15",
            "CREATE TABLE {it} AS SELECT 'theirs' AS t",
        ),
        (
            "ahead",
            "event_2024_03_22",
            "CREATE TABLE {it} AS SELECT 'theirs' AS t",
        ),
        (
            "year",
            "event_2023",
            "CREATE MATERIALIZED VIEW {it} AS SELECT 'theirs' AS t",
        ),
        (
            "staging",
            "event_2023_staging",
            "CREATE VIEW {it} AS SELECT 'theirs' AS t",
        ),
        ("view", "event", "CREATE TABLE {it} AS SELECT 'theirs' AS t"),
        (
            "view_view",
            "event",
            "CREATE VIEW {it} AS SELECT 'theirs' AS t",
        ),
        (
            "index",
            "event_2024_03_15_i1",
            "CREATE TABLE {it} AS SELECT 'theirs' AS t",
        ),
        (
            "year_index",
            "event_2023_i2",
            "CREATE TABLE {it} AS SELECT 'theirs' AS t",
        ),
    ];
    let mut tenants = cases.map(|(name, _, _)| name).to_vec();
    tenants.push("good");
    let world = World::new("not_ours", &tenants);
    for source in &world.tenants {
        events::create(source);
        events::fill(source, "2023-05-01", 2, 10);
        events::fill(source, "2024-03-15", 1, 10);
    }
    world.set_up_template("event", TEMPLATE, &tenants);
    for (schema, name, make) in cases {
        let relation = format!("{schema}.{name}");
        world.warehouse.run(&format!(
            "CREATE SCHEMA {schema}; GRANT ALL ON SCHEMA {schema} TO \"{}\"; {}; ALTER TABLE {relation} OWNER TO \"{}\"",
            world.owner,
            make.replace("{it}", &relation),
            world.owner,
        ));
    }
    let selection = ["--from", "2023-05-01", "--to", "2024-03-15", "--json"];
    let run = world.backfill(&selection).exits(1).json();
    for (schema, name, _) in cases {
        failed(
            &run,
            schema,
            ("2023-05-01", DAY),
            &[&format!("`{schema}.{name}`"), "not Dayhaul's"],
        );
        let theirs = format!("SELECT t FROM {schema}.{name}");
        assert_eq!(world.warehouse.one(&theirs), "theirs");
        assert_eq!(
            world.warehouse.one(&format!(
                "SELECT count(*) FROM _wh.unit WHERE tenant = '{schema}' AND state = 'loaded'"
            )),
            "0"
        );
    }
    assert_eq!(count(&world, "good"), "30");
}

#[test]
fn a_public_view_that_is_not_ours_stops_its_template_and_stays() {
    let world = World::with_events("public_taken", &["acme"], "2024-03-12", 7, 10);
    world
        .warehouse
        .run("CREATE VIEW public.event AS SELECT 'theirs' AS t");
    let run = world.backfill(&SELECTION).exits(1).json();
    failed(
        &run,
        "acme",
        ("2024-03-12", "2024-03-18"),
        &["`public.event`", "not Dayhaul's"],
    );
    assert_eq!(world.warehouse.one("SELECT t FROM public.event"), "theirs");
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.unit"), "0");
}

#[test]
fn rows_that_a_trigger_or_a_check_of_the_warehouse_swallows_fail_their_day() {
    let world = World::with_events("swallowed", &["acme"], "2024-03-20", 5, 10);
    // Tables of the coming days are there before their rows are.
    world
        .backfill(&["--from", "2024-03-19", "--to", "2024-03-19"])
        .ok();
    world.warehouse.run(
        "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS \
           'BEGIN IF new.id % 10 = 3 THEN RETURN NULL; END IF; RETURN new; END';
         CREATE TRIGGER swallow BEFORE INSERT ON acme.event_2024_03_21 FOR EACH ROW EXECUTE FUNCTION public.swallow();
         ALTER TABLE acme.event_2024_03_22 ADD CONSTRAINT short CHECK (note <> 'note 3');
         UPDATE _wh.unit SET bytes = 1, rows = 1",
    );
    let run = world
        .backfill(&["--from", "2024-03-20", "--to", "2024-03-24", "--json"])
        .exits(1)
        .json();
    let found = failures(&run, "acme");
    assert_eq!(found.len(), 2, "{found:#?}");
    let of = |day: &str| {
        found
            .iter()
            .find(|f| f.0 == day && f.1 == day)
            .unwrap_or_else(|| panic!("{found:#?}"))
    };
    assert!(
        of("2024-03-21")
            .3
            .contains("10 rows were sent, but the warehouse stored 9")
    );
    assert!(of("2024-03-22").3.contains("short"));
    assert_eq!(world.totals().0, "30");
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM acme.event_2024_03_21"),
        "0"
    );
}

#[test]
fn a_row_that_stands_on_two_days_of_a_new_year_fails_both_and_they_come_when_it_is_mended() {
    let world = World::new("two_days", &["acme"]);
    let source = &world.tenants[0];
    source.run("CREATE TABLE event (id bigint, at timestamptz, note text, amount numeric)");
    events::fill(source, "2023-03-12", 7, 10);
    let of = |day: &str| {
        format!("SELECT min(id) FROM event WHERE at >= '{day} 00:00+00' AND at < '{day} 24:00+00'")
    };
    let moved = of("2023-03-17");
    source.run(&format!(
        "UPDATE event SET id = ({}) WHERE id = ({moved})",
        of("2023-03-13")
    ));
    world.set_up_events(&["acme"], TEMPLATE);
    let selection = ["--from", "2023-03-12", "--to", "2023-03-18", "--json"];
    let run = world.backfill(&selection).exits(1).json();
    failed(
        &run,
        "acme",
        ("2023-03-13", "2023-03-17"),
        &["unique", "fix the source"],
    );
    assert_eq!(
        (&run["totals"]["loaded"], &run["totals"]["failed"]),
        (&5.into(), &2.into())
    );
    assert_eq!(count(&world, "acme"), "50");
    world.is_clean();
    source.run(&format!(
        "UPDATE event SET id = 1000 WHERE id = ({moved}) AND at >= '2023-03-17 00:00+00'"
    ));
    world.backfill(&selection).ok();
    assert_eq!(count(&world, "acme"), "70");
    world.is_clean();
}
