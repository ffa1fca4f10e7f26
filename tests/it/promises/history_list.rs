//! People see what a run was for: in the list, on the page of one run, and in the JSON.

use crate::support::events;
use crate::support::server::run as sql;
use crate::support::world::World;
use serde_json::{Value, json};

/// What `dayhaul history` prints; about 120 columns wide.
fn list(world: &World) -> Vec<String> {
    let out = world.dayhaul(&["history"]).ok().stdout;
    let lines: Vec<String> = out.lines().map(str::to_owned).collect();
    for line in &lines {
        assert!(line.chars().count() < 130, "{out}");
    }
    lines
}

fn runs(world: &World, args: &[&str]) -> Vec<Value> {
    let args = [&["history", "--json"], args].concat();
    let json = world.dayhaul(&args).ok().json();
    json["runs"].as_array().unwrap().clone()
}

/// The line of a run, which starts with its number.
#[track_caller]
fn line(lines: &[String], run: u32) -> String {
    let number = format!("{run} ");
    let found = lines.iter().find(|l| l.trim_start().starts_with(&number));
    found.unwrap_or_else(|| panic!("{lines:?}")).clone()
}

#[track_caller]
fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
}

#[test]
fn the_list_shows_what_each_run_was_for() {
    let world = World::with_events("hist_list", &["acme", "zenith"], "2024-03-10", 5, 4);
    let other = events::TEMPLATE.replace("FROM event", "FROM public.event");
    world.write("templates/other.sql", &other);
    world
        .dayhaul(&["template", "load", "templates/other.sql"])
        .ok();
    for tenant in ["acme", "zenith"] {
        let enable = ["tenant", "enable", tenant, "--template", "other"];
        world.dayhaul(&enable).ok();
    }
    // One day of one pair fails.
    world.tenants[0]
        .run("INSERT INTO event VALUES (999, '2024-03-12 12:00+00', repeat('x', 21), 1)");
    let days = ["--from", "2024-03-10", "--to", "2024-03-14"];
    world
        .backfill(&[&days[..], &["--template", "event", "--tenant", "acme"]].concat())
        .exits(1);
    world
        .backfill(&[&days[..], &["--template", "event"]].concat())
        .exits(1);
    world.backfill(&days).exits(1);
    let fold = ["fold", "--tenant", "zenith", "--today", events::TODAY];
    world
        .dayhaul(&[&fold[..], &["--year", "2024"]].concat())
        .ok();

    let lines = list(&world);
    assert_eq!(lines.len(), 5, "{lines:?}");
    contains_all(&lines[0], &["command", "for", "outcome", "rows", "units"]);
    contains_all(
        &line(&lines, 1),
        &["backfill --today 20", "acme/event  ", "4 loaded, 1 failed"],
    );
    contains_all(&line(&lines, 2), &["acme/event, zenith/event"]);
    contains_all(&line(&lines, 3), &["2 tenants × 2 templates", "failed"]);
    contains_all(
        &line(&lines, 4),
        &["fold ", "zenith/event, zenith/other", "moved"],
    );

    // What a run did not record is not made up.
    world
        .warehouse
        .run("UPDATE _wh.run SET selection = NULL WHERE id = 1");
    assert!(!line(&list(&world), 1).contains("acme/event"));
    let all = runs(&world, &[]);
    assert_eq!(all[3]["selection"], Value::Null);
    let pair =
        json!({"tenant": "acme", "template": "event", "days": [["2024-03-10", "2024-03-14"]]});
    assert_eq!(all[2]["selection"][0], pair);
    assert_eq!(all[1]["selection"].as_array().unwrap().len(), 4);
    assert_eq!(all[0]["selection"][0]["days"], json!([]));
    assert_eq!(all[1]["moved"], Value::Null);
    assert!(all[0]["moved"].as_u64().unwrap() > 0, "{}", all[0]);
}

#[test]
fn the_page_of_a_run_shows_the_days_of_each_pair() {
    let world = World::with_events("hist_page", &["acme", "zenith"], "2024-03-10", 5, 4);
    let days = ["--from", "2024-03-10", "--to", "2024-03-14"];
    world.backfill(&days).ok();
    world
        .backfill(&[
            "--tenant",
            "acme",
            "--from",
            "2024-03-01",
            "--to",
            "2024-03-01",
        ])
        .ok();
    // Each pair has its own days.
    world.dayhaul(&["sync", "--today", events::TODAY]).ok();
    let page = |run: &str| world.dayhaul(&["history", run]).ok().stdout;
    contains_all(
        &page("1"),
        &["acme/event, zenith/event 2024-03-10 … 2024-03-14 (5 days)"],
    );
    contains_all(&page("2"), &["acme/event 2024-03-01\n"]);
    let sync = page("3");
    contains_all(
        &sync,
        &[
            "acme/event 2024-03-",
            "\n         zenith/event 2024-03-10 … ",
        ],
    );
    let one = &runs(&world, &["2"])[0];
    assert_eq!(
        one["selection"][0]["days"],
        json!([["2024-03-01", "2024-03-01"]])
    );
}

/// A run is for something before it has found out about all of its days: also one that never comes to it.
#[test]
fn a_run_that_was_killed_while_it_waited_says_what_it_was_for() {
    let world = World::new("hist_waits", &["acme"]);
    let world = world.filled(&["acme"], &events::gated(), "2024-03-10", (2, 4));
    let closed = events::close(&world.tenants[0]);
    let days = ["--from", "2024-03-10", "--to", "2024-03-11"];
    let holder = world.start_backfill(&days);
    world.wait_for("SELECT EXISTS (SELECT FROM _wh.lease)");
    let waiting = world.start(&["refresh", "--today", events::TODAY, "--last", "5", "--wait"]);
    world.a_run_waits();
    drop(waiting);
    let killed = &runs(&world, &["--tenant", "acme"])[0];
    assert_eq!(killed["command"], "refresh");
    let days = json!([["2024-03-15", "2024-03-19"]]);
    assert_eq!(killed["selection"][0]["days"], days);
    closed.let_go();
    holder.output().ok();
}

/// A command line of hundreds of characters does not push the rest out of sight.
#[test]
fn a_long_command_is_cut_in_the_list_and_whole_on_the_page() {
    let world = World::with_events("hist_long", &["acme"], "2024-03-10", 1, 4);
    world.backfill(&["--last", "1"]).ok();
    let words: String = (0..60).map(|n| format!(",word{n}")).collect();
    sql(
        &world.warehouse.url(),
        &format!(
            "UPDATE _wh.run SET arguments = string_to_array('--config,far/dayhaul.toml,backfill{words}', ',')"
        ),
    );
    let lines = list(&world);
    contains_all(&line(&lines, 1), &["backfill word0 word1", "…"]);
    assert!(!lines[1].contains("far"), "{lines:?}");
    let page = world.dayhaul(&["history", "1"]).ok().stdout;
    contains_all(&page, &["--config far/dayhaul.toml backfill", "word59"]);
}
