//! Verify notices whatever is not as it was loaded, names the side that differs, and writes nothing.

use crate::support::events;
use crate::support::server::{self, Database};
use crate::support::world::{Output, World, send, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A tenant with ten days of ten events, some of them folded into their year.
fn world(name: &str) -> World {
    let world = World::with_events(name, &["acme"], "2024-03-01", 10, 10);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-10"])
        .ok();
    world
}

fn verify(world: &World, args: &[&str]) -> Output {
    world.dayhaul(&[&["verify", "--today", events::TODAY], args].concat())
}

/// The units that are not well, as `day outcome differs`.
fn not_well(json: &Value) -> Vec<String> {
    let units = json["units"].as_array().unwrap().iter();
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    units
        .filter(|u| u["outcome"] != "ok")
        .map(|u| {
            [&u["day"], &u["outcome"], &u["differs"]]
                .map(text)
                .join(" ")
        })
        .collect()
}

/// Does something to the warehouse, and asserts what verify then says of it, against the source and without one.
#[track_caller]
fn notices(world: &World, sql: &str, expected: &[&str]) {
    world.warehouse.run(sql);
    let ledger = "SELECT string_agg(u::text, ',' ORDER BY day) FROM _wh.unit u";
    let before = world.warehouse.one(ledger);
    let both = verify(world, &["--json"]).exits(1).json();
    assert_eq!(not_well(&both), expected, "{sql}");
    let ledger_only = verify(world, &["--against", "ledger", "--json"]).exits(1);
    let ledger_only = not_well(&ledger_only.json());
    assert_eq!(ledger_only.len(), expected.len(), "{ledger_only:?}");
    assert_eq!(world.warehouse.one(ledger), before, "verify wrote");
}

#[test]
fn what_was_loaded_is_well_on_every_side() {
    let world = world("verify_ok");
    for against in ["both", "source", "ledger"] {
        let json = verify(&world, &["--against", against, "--json"])
            .ok()
            .json();
        assert_eq!(json["schema"], "dayhaul.verify/1");
        assert_eq!(json["outcome"], "ok");
        assert_eq!(json["against"], against);
        assert_eq!(json["totals"]["ok"], 10);
        assert_eq!(json["totals"]["rows"], 100);
        let unit = &json["units"][0];
        assert_eq!(unit["day"], "2024-03-01");
        assert_eq!(unit["relation"], "acme.event_2024");
        assert_eq!(unit["source"].is_null(), against == "ledger", "{unit}");
        assert_eq!(unit["warehouse"]["digest"], unit["ledger"]["digest"]);
        assert_eq!(json["repair"], Value::Null);
    }
    let text = verify(&world, &[]).ok();
    let acme = text.stdout.lines().find(|l| l.starts_with("acme")).unwrap();
    let cells: Vec<_> = acme.split_whitespace().collect();
    assert_eq!(
        cells[..10],
        ["acme", "event", "10", "0", "0", "0", "0", "0", "0", "100"]
    );
    assert!(
        text.stderr.contains("10 units to verify"),
        "{}",
        text.stderr
    );
}

#[test]
fn one_changed_byte_in_one_row_is_noticed() {
    notices(
        &world("verify_byte"),
        "UPDATE acme.event_2024 SET note = 'nota 7' WHERE id = 7",
        &["2024-03-01 differs warehouse"],
    );
}

#[test]
fn a_missing_row_is_noticed_in_a_day_table() {
    notices(
        &world("verify_missing"),
        "DELETE FROM acme.event_2024_03_09 WHERE note = 'note 3'",
        &["2024-03-09 differs warehouse"],
    );
}

#[test]
fn a_duplicate_row_is_noticed() {
    notices(
        &world("verify_twice"),
        "DROP INDEX acme.event_2024_i1; INSERT INTO acme.event_2024 SELECT * FROM acme.event_2024 WHERE id = 15",
        &["2024-03-02 differs warehouse"],
    );
}

#[test]
fn two_rows_whose_fields_were_exchanged_are_noticed() {
    notices(
        &world("verify_swap"),
        "UPDATE acme.event_2024 e SET note = o.note FROM acme.event_2024 o WHERE (e.id, o.id) IN ((21, 22), (22, 21))",
        &["2024-03-03 differs warehouse"],
    );
}

#[test]
fn a_whole_day_that_was_deleted_is_noticed() {
    let world = world("verify_day");
    notices(
        &world,
        "DELETE FROM acme.event_2024 WHERE at >= '2024-03-02 00:00+00' AND at < '2024-03-03 00:00+00'",
        &["2024-03-02 differs warehouse"],
    );
    let json = verify(&world, &["--json"]).exits(1).json();
    assert_eq!(json["units"][1]["warehouse"]["rows"], 0);
    assert_eq!(json["units"][1]["ledger"]["rows"], 10);
}

#[test]
fn a_table_that_is_gone_is_missing_and_the_others_are_verified() {
    let world = world("verify_gone");
    world
        .warehouse
        .run("DROP TABLE acme.event_2024_03_08 CASCADE");
    let out = verify(&world, &["--json"]).exits(1).json();
    assert_eq!(not_well(&out), ["2024-03-08 missing -"]);
    assert_eq!(out["totals"]["ok"], 9);
    let text = verify(&world, &[]).exits(1).stdout;
    assert!(
        text.contains("acme/event 2024-03-08: missing: the ledger names `acme.event_2024_03_08`"),
        "{text}"
    );
}

#[test]
fn rows_that_the_ledger_does_not_know_are_extra() {
    let world = world("verify_extra");
    // Days that nobody loaded: in the year, and in the day table of a coming day. And rows behind the fold line, as a fold
    // under way has them: no reader sees them.
    world.warehouse.run("UPDATE _wh.pair SET hides = true");
    world.warehouse.run(
        "INSERT INTO acme.event_2024 VALUES (900, '2024-02-10 12:00+00', 'x', 1), (901, '2024-03-10 12:00+00', 'x', 1);
         INSERT INTO acme.event_2024_03_21 VALUES (902, '2024-03-21 12:00+00', 'x', 1)",
    );
    let json = verify(&world, &["--json"]).exits(1).json();
    assert_eq!(
        not_well(&json),
        ["2024-02-10 extra -", "2024-03-21 extra -"]
    );
    let extra = json["units"].as_array().unwrap().last().unwrap()["extra"][0].clone();
    assert_eq!(extra["relation"], "acme.event_2024_03_21");
    assert_eq!(extra["rows"], 1);
    let until = ["--from", "2024-03-01", "--to", "2024-03-10"];
    // The view does not hide what the catalog says it hides, which is another finding.
    let json = verify(&world, &[&until[..], &["--json"]].concat()).json();
    assert_eq!(not_well(&json), [""; 0]);
    // With no fold under way readers would see them.
    world.warehouse.run("UPDATE _wh.pair SET hides = false");
    let found = verify(&world, &until).exits(1);
    assert!(
        found.stdout.contains("2024-03-10: extra"),
        "{}",
        found.stdout
    );
}

#[test]
fn a_late_row_at_the_source_is_the_sources_difference() {
    let world = world("verify_late");
    world.tenants[0].run("INSERT INTO event VALUES (500, '2024-03-04 23:00+00', 'late', 1)");
    let json = verify(&world, &["--json"]).exits(1).json();
    assert_eq!(not_well(&json), ["2024-03-04 differs source"]);
    verify(&world, &["--against", "ledger"]).ok();
    let text = verify(&world, &[]).exits(1).stdout;
    assert!(
        text.contains("acme/event 2024-03-04: source differs (warehouse and ledger agree); rows: source 11, warehouse 10, ledger 10"),
        "{text}"
    );
}

#[test]
fn against_the_ledger_no_source_is_touched() {
    let world = world("verify_ledger");
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgres://u@127.0.0.1:1/x'");
    verify(&world, &["--against", "ledger"]).ok();
    verify(&world, &[]).exits(3);
    verify(&world, &["--against", "ledger", "--diff"]).exits(2);
}

#[test]
fn days_that_were_asked_for_and_never_loaded_are_said() {
    let world = world("verify_unloaded");
    let days = ["--from", "2024-03-08", "--to", "2024-03-12", "--json"];
    let json = verify(&world, &days).exits(1).json();
    assert_eq!(
        not_well(&json),
        ["2024-03-11 not_loaded -", "2024-03-12 not_loaded -"]
    );
    assert_eq!(json["totals"]["ok"], 3);
    let text = verify(&world, &days[..4]).exits(1).stdout;
    assert!(
        text.contains("acme/event 2024-03-11 … 2024-03-12 (2 days): not loaded"),
        "{text}"
    );
}

#[test]
fn a_day_is_verified_with_the_version_it_was_loaded_with() {
    let world = world("verify_version");
    let shouting = events::TEMPLATE.replace(
        "id, at, note, amount FROM",
        "id, at, upper(note) AS note, amount FROM",
    );
    world.write("templates/event.sql", &shouting);
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    verify(&world, &[]).ok();
    world
        .backfill(&["--from", "2024-03-02", "--to", "2024-03-02", "--reload"])
        .ok();
    let json = verify(&world, &["--json"]).ok().json();
    let versions: Vec<_> = (0..3).map(|i| &json["units"][i]["version"]).collect();
    assert!(
        versions[0] != versions[1] && versions[0] == versions[2],
        "{versions:?}"
    );
}

#[test]
fn diff_says_which_rows_and_columns_and_shows_values_only_when_asked() {
    let world = world("verify_diff");
    world.tenants[0].run("INSERT INTO event VALUES (777, '2024-03-01 23:00+00', 'hunter2', 1)");
    world.warehouse.run(
        "UPDATE acme.event_2024 SET amount = amount + 1, note = 'secret' WHERE id = 3;
         UPDATE acme.event_2024 SET note = NULL WHERE id = 4;
         INSERT INTO acme.event_2024 VALUES (888, '2024-03-01 22:00+00', 'swordfish', 1)",
    );
    let out = verify(&world, &["--diff"]).exits(1);
    assert!(
        out.stdout
            .contains("2024-03-01: 1 row added, 1 row removed, 2 rows changed (amount 1, note 2)"),
        "{}",
        out.stdout
    );
    for value in ["hunter2", "secret", "swordfish", "777", "888"] {
        assert!(!format!("{out:?}").contains(value), "{out:?}");
    }
    let quiet = verify(&world, &["--diff", "--json"]).exits(1).json();
    let diff = &quiet["units"][0]["diff"];
    assert_eq!(
        (
            &diff["added"],
            &diff["removed"],
            &diff["changed"],
            &diff["by_key"]
        ),
        (&1.into(), &1.into(), &2.into(), &true.into())
    );
    assert!(diff.get("rows").is_none());

    let out = verify(&world, &["--diff", "--show-values"]).exits(1).stdout;
    for line in [
        "added id '777'",
        "removed id '888'",
        "changed id '3': note 'secret' in the warehouse, 'note 3' at the source; amount '1.03' in the warehouse, '0.03' at the source",
        "changed id '4': note null in the warehouse, 'note 4' at the source",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    let json = verify(&world, &["--diff", "--show-values", "--json"])
        .exits(1)
        .json();
    assert_eq!(json["units"][0]["diff"]["rows"][0]["key"]["id"], "777");
}

#[test]
fn diff_counts_rows_that_no_key_names_and_days_that_do_not_fit() {
    let world = World::new("verify_nokey", &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-01", 2, 2000);
    let template = events::TEMPLATE.replace("unique = [\"id\"]\n", "");
    world.set_up_events(&["acme"], &template);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-02"])
        .ok();
    world.warehouse.run(
        "UPDATE acme.event_2024 SET note = 'x' WHERE id = 3; INSERT INTO acme.event_2024 SELECT * FROM acme.event_2024 WHERE id = 5",
    );
    let json = verify(&world, &["--diff", "--json"]).exits(1).json();
    let diff = &json["units"][0]["diff"];
    assert_eq!(
        (
            &diff["added"],
            &diff["removed"],
            &diff["changed"],
            &diff["by_key"]
        ),
        (&1.into(), &2.into(), &0.into(), &false.into())
    );
    world.configure("[load]\njobs = 1\nwindow_bytes = \"64kB\"\n");
    let out = verify(&world, &["--diff"]).exits(1).stdout;
    assert!(
        out.contains("2024-03-01: too many rows to match in 64.0 KiB: only counted"),
        "{out}"
    );
}

#[test]
fn coverage_finds_the_days_that_are_not_there() {
    let world = world("verify_coverage");
    let cover = ["--coverage", "--year", "2024"];
    let out = world
        .dayhaul(&[&["verify", "--today", "2024-03-11"], &cover[..]].concat())
        .ok();
    assert!(out.stdout.contains("2024-03-01"), "{}", out.stdout);
    world
        .warehouse
        .run("DELETE FROM _wh.unit WHERE day IN ('2024-03-04', '2024-03-05')");
    world
        .warehouse
        .run("UPDATE _wh.unit SET state = 'failed' WHERE day = '2024-03-07'");
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgres://u@127.0.0.1:1/x'");
    let out = world
        .dayhaul(&[&["verify", "--today", "2024-03-11"], &cover[..]].concat())
        .exits(1);
    assert!(
        out.stdout
            .contains("acme/event: not loaded: 2024-03-04 … 2024-03-05, 2024-03-07 (3 days)"),
        "{}",
        out.stdout
    );
    let json = world
        .dayhaul(&[&["verify", "--today", "2024-03-12", "--json"], &cover[..]].concat())
        .exits(1)
        .json();
    assert_eq!(json["schema"], "dayhaul.verify.coverage/1");
    assert_eq!(json["pairs"][0]["missing"], 4);
    assert_eq!(
        json["pairs"][0]["gaps"][2],
        serde_json::json!(["2024-03-11", "2024-03-11"])
    );
    world.dayhaul(&["verify", "--coverage"]).exits(2);
    world
        .dayhaul(&["verify", "--coverage", "--year", "2024", "--diff"])
        .exits(2);
}

#[test]
fn a_tenant_that_cannot_be_reached_does_not_keep_the_others_from_being_verified() {
    let tenants = ["a", "b", "c", "d", "e"];
    let world = World::with_events("verify_five", &tenants, "2024-03-01", 3, 5);
    world
        .backfill(&["--from", "2024-03-01", "--to", "2024-03-03"])
        .ok();
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgres://u@127.0.0.1:1/x' WHERE name = 'c'");
    let out = verify(&world, &["--json"]).exits(1);
    let json = out.json();
    assert_eq!(
        (&json["totals"]["ok"], &json["totals"]["not_tried"]),
        (&12.into(), &3.into())
    );
    assert_eq!(json["failures"][0]["tenant"], "c");
    assert!(
        out.stderr
            .contains("not tried: c/event 2024-03-01 … 2024-03-03"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_source_that_cannot_be_read_fails_its_days_and_names_the_cause() {
    let world = world("verify_drift");
    world.tenants[0].run("ALTER TABLE event DROP COLUMN amount CASCADE");
    let out = verify(&world, &["--json"]).exits(1);
    let json = out.json();
    assert_eq!(json["totals"]["ok"], 0);
    let failed = &json["totals"]["failed"];
    assert!(failed.as_u64().unwrap() > 0, "{json}");
    assert!(out.stderr.contains("amount"), "{}", out.stderr);
}

#[test]
fn an_interrupted_verification_ends_cleanly() {
    let world = world("verify_interrupt");
    let source: &Database = &world.tenants[0];
    // A lock that the source's query waits for.
    let (url, table) = (source.url(), "event");
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let (locked, is_locked) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let client = server::connect(&url).await.unwrap();
            client
                .batch_execute(&format!(
                    "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
                ))
                .await
                .unwrap();
            locked.send(()).unwrap();
            let _ = receiver.recv();
        });
    });
    is_locked.recv().unwrap();
    let mut command = world.command(&["verify", "--json"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while source.one(waiting) == "0" {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    send(&child, Signal::INT);
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["outcome"], "interrupted");
    assert_eq!(json["totals"]["not_tried"], 10);
    wait_until("the query is cancelled", || source.one(waiting) == "0");
    drop(sender);
    holder.join().unwrap();
    world.is_clean();
}
