//! `--today`: whatever depends on the date can be done as of another day.

use super::help;
use super::named_commands::{code, sources};
use crate::support::events;
use crate::support::world::World;
use std::path::Path;

/// The commands whose work depends on the date.
const DATED: [&str; 18] = [
    "backfill",
    "fold",
    "land",
    "laptop",
    "rebuild",
    "refresh",
    "restore",
    "status",
    "sync",
    "template_lint",
    "template_load",
    "template_new",
    "tenant_add",
    "tenant_enable",
    "tenant_set",
    "tenant_test",
    "verify",
    "why",
];

#[test]
fn commands_that_depend_on_the_date_and_no_others_take_it() {
    let mut found = Vec::new();
    help::all(&[], &mut found);
    let takes = |help: &str| help.contains("--today <D>");
    let mut dated: Vec<&str> = found
        .iter()
        .filter(|(_, help)| takes(help))
        .map(|(name, _)| name.as_str())
        .collect();
    dated.sort_unstable();
    assert_eq!(dated, DATED);
    for (name, help) in &found {
        let alone = help.contains("Treat this UTC day as today, YYYY-MM-DD");
        assert_eq!(alone, takes(help), "{name}: {help}");
    }
}

/// Who asks. `demo` and `bench` fill private servers with rows of the latest days.
const ASK_FOR_THE_DATE: [(&str, &str); 4] = [
    ("rows/src/day.rs", "now().date_naive()"),
    ("src/cli/today.rs", "Day::today"),
    ("src/cli/demo.rs", "Day::today"),
    ("src/cli/bench.rs", "Day::today"),
];

#[test]
fn the_date_is_asked_for_where_today_can_be_given() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "rows/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut asking = Vec::new();
    for (file, text) in &files {
        let file = Path::new(file).strip_prefix(root).unwrap();
        let file = file.display().to_string();
        for question in ["Day::today", "now().date_naive()"] {
            if code(text).contains(question) {
                asking.push((file.clone(), question));
            }
        }
    }
    let is_known =
        |(file, question): &&(String, &str)| ASK_FOR_THE_DATE.contains(&(file.as_str(), *question));
    let others: Vec<_> = asking.iter().filter(|asked| !is_known(asked)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(asking.len(), ASK_FOR_THE_DATE.len(), "{asking:?}");
}

/// A world with the events of 10 … 14 March 2024, and its only tenant.
fn world(name: &str) -> World {
    World::with_events(name, &["acme"], "2024-03-10", 5, 3)
}

#[test]
fn a_tenant_is_tested_as_of_another_day() {
    let world = world("today_test");
    let range = |more: &[&str]| {
        let test = [&["tenant", "test", "acme", "--json"], more].concat();
        let out = world.dayhaul(&test).ok().json();
        let found = &out["tenants"][0]["templates"][0];
        ["first_day", "last_day"].map(|key| found[key].as_str().unwrap_or("none").to_owned())
    };
    assert_eq!(range(&[]), ["2024-03-10", "2024-03-14"]);
    let then = ["--today", "2024-03-12"];
    assert_eq!(range(&then), ["2024-03-10", "2024-03-12"]);
    assert_eq!(range(&["--today", "2024-03-09"]), ["none", "none"]);
    // Whoever changes or adds a tenant sees the same test.
    let url = world.tenants[0].url();
    let set = ["tenant", "set", "acme", "--url", &url];
    let add = [
        "tenant",
        "add",
        "beta",
        "--url",
        &url,
        "--template",
        "event",
    ];
    for line in [&set[..], &add[..]] {
        let out = world.dayhaul(&[line, &then[..]].concat()).ok();
        assert!(
            out.stderr.contains("2024-03-10 … 2024-03-12"),
            "{}",
            out.stderr
        );
    }
}

/// A query that its source answers only for days up to a year's end.
const ENDED: &str = "SELECT id, at, note, amount FROM event \
     WHERE at >= {from} AND at < {to} AND has_day({from}) IS NOT NULL\n";

#[test]
fn a_query_is_described_as_of_a_day_that_its_source_has() {
    let world = world("today_lint");
    world.tenants[0].run(
        "CREATE FUNCTION has_day(day timestamptz) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
           IF day >= '2025-01-01 00:00+00' THEN RAISE EXCEPTION 'the archive ends in 2024'; END IF;
           RETURN true; END $$",
    );
    let comment = events::TEMPLATE.split_once("*/\n").unwrap().0;
    world.write("archive.sql", &format!("{comment}*/\n{ENDED}"));
    world.write("query.sql", ENDED);
    let then = ["--today", "2024-06-01"];
    let lint = ["template", "lint", "archive.sql", "--tenant", "acme"];
    let new = [
        "template",
        "new",
        "old",
        "--query",
        "query.sql",
        "--tenant",
        "acme",
    ];
    let said = world.dayhaul(&lint).exits(1).stdout;
    assert!(said.contains("the archive ends in 2024"), "{said}");
    let said = world.dayhaul(&[&lint[..], &then[..]].concat()).ok().stdout;
    assert!(said.contains("nothing found"), "{said}");
    let said = world.dayhaul(&new).exits(1).stderr;
    assert!(said.contains("the archive ends in 2024"), "{said}");
    world.dayhaul(&[&new[..], &then[..]].concat()).ok();
    assert!(world.folder().join("templates/old.sql").exists());
}

#[test]
fn windows_are_compared_as_of_a_day_when_there_were_rows() {
    let world = world("today_windows");
    let compared = || {
        world
            .warehouse
            .one("SELECT coalesce(windows, 'not yet') FROM _wh.pair")
    };
    // Which search path the login has is known once the tenant was tested.
    let url = world.tenants[0].url();
    world
        .dayhaul(&["tenant", "set", "acme", "--url", &url])
        .ok();
    let enable = ["tenant", "enable", "acme", "--template", "event"];
    world.dayhaul(&enable).ok();
    assert_eq!(compared(), "not yet");
    let then = ["--today", events::TODAY];
    world.dayhaul(&[&enable[..], &then[..]].concat()).ok();
    assert_ne!(compared(), "not yet");
}
