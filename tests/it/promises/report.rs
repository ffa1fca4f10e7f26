//! How a run is shown: table, JSON, failures once, exit code.

use crate::support::world::{Output, World};

const TEMPLATE: &str = "/*
description = \"orders\"
time_column = \"at\"

[columns]
id = \"bigint\"
at = \"timestamptz\"
note = \"varchar(5)\"
*/
SELECT id, at, note FROM orders WHERE at >= {from} AND at < {to}
";

/// Two tenants with an order a day in January 2024; `zenith` has a note that is too long on the 3rd.
fn world(name: &str) -> World {
    let world = World::new(name, &["acme", "zenith"]);
    world.dayhaul(&["init"]).ok();
    world.write("orders.sql", TEMPLATE);
    world.dayhaul(&["template", "load", "orders.sql"]).ok();
    for (tenant, database) in ["acme", "zenith"].iter().zip(&world.tenants) {
        database.run(
            "CREATE TABLE orders AS SELECT n AS id, '2024-01-01 12:00+00'::timestamptz + n * interval '1 day' AS at, \
             'short'::text AS note FROM generate_series(0::bigint, 30) AS n",
        );
        let url = database.url();
        world
            .dayhaul(&[
                "tenant",
                "add",
                tenant,
                "--url",
                &url,
                "--template",
                "orders",
            ])
            .ok();
    }
    world.tenants[1].run("UPDATE orders SET note = 'hunter2 is long' WHERE id = 2");
    world
}

const DAYS: [&str; 5] = ["backfill", "--from", "2024-01-01", "--to", "2024-01-05"];

fn backfill(world: &World, more: &[&str]) -> Output {
    world.dayhaul(&[&DAYS[..], more].concat())
}

#[test]
fn a_failure_is_told_once_with_place_cause_and_no_value() {
    let world = world("rep_fail");
    let out = backfill(&world, &["--verbose"]).exits(1);
    assert_eq!(
        out.stderr.matches("failed: zenith/orders").count(),
        1,
        "{}",
        out.stderr
    );
    assert!(
        out.stderr.contains("2024-01-03") && out.stderr.contains("note"),
        "{}",
        out.stderr
    );
    assert!(!format!("{out:?}").contains("hunter2"), "{out:?}");
    let acme = out.stdout.lines().find(|l| l.starts_with("acme")).unwrap();
    let cells: Vec<_> = acme.split_whitespace().collect();
    assert_eq!(cells[..7], ["acme", "orders", "5", "0", "0", "0", "5"]);
}

#[test]
fn json_is_one_object_and_quiet_says_nothing_more() {
    let world = world("rep_json");
    let out = backfill(&world, &["--json", "--quiet", "--tenant", "acme"]).ok();
    assert_eq!(out.stderr, "");
    let json = out.json();
    assert_eq!(json["schema"], "dayhaul.backfill/1");
    assert_eq!(json["outcome"], "done");
    assert_eq!(json["totals"]["rows"], 5);
    assert_eq!(json["units"].as_array().unwrap().len(), 5);
    let again = backfill(&world, &["--json", "--quiet", "--tenant", "acme"])
        .ok()
        .json();
    assert_eq!(again["totals"]["skipped"], 5);
    let failed = backfill(&world, &["--json", "--tenant", "zenith"])
        .exits(1)
        .json();
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["failures"][0]["tenant"], "zenith");
    assert_eq!(failed["failures"][0]["days"][0][0], "2024-01-03");
}

#[test]
fn a_reader_that_went_away_does_not_change_the_outcome() {
    let world = world("rep_pipe");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = world.command(&[&DAYS[..], &["--tenant", "acme"]].concat());
    let stderr = writer.try_clone().unwrap();
    let status = command.stdout(writer).stderr(stderr).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded'"),
        "5"
    );
}

#[test]
fn when_every_tenant_is_gone_the_code_says_so() {
    let world = world("rep_gone");
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgres://u@127.0.0.1:1/x' WHERE name = 'acme'");
    backfill(&world, &["--tenant", "acme"]).exits(3);
    backfill(&world, &[]).exits(1);
}

#[test]
fn a_quiet_sync_prints_nothing_when_all_is_well_and_its_hint_can_be_followed() {
    let world = world("quiet_sync");
    let sync =
        |tenant: &str| world.dayhaul(&["sync", "-q", "--tenant", tenant, "--today", "2024-01-10"]);
    let out = sync("acme").exits(1);
    let enable = "dayhaul tenant enable acme --template orders --from D";
    assert!(out.stderr.contains(enable), "{}", out.stderr);
    for tenant in ["acme", "zenith"] {
        let words = enable.replace("acme", tenant).replace(" D", " 2024-01-01");
        let words: Vec<&str> = words.split(' ').skip(1).collect();
        world.dayhaul(&words).ok();
    }
    let out = sync("acme").ok();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
    world.tenants[1].run("UPDATE orders SET note = 'too long' WHERE id = 2");
    let out = sync("zenith").exits(1);
    assert!(
        out.stdout.is_empty() && out.stderr.contains("failed: zenith/orders 2024-01-03"),
        "{out:?}"
    );
}
