//! Indexes are no part of a template's version: tables keep theirs until they are made anew, and that is said.

use crate::support::events;
use crate::support::world::World;

#[test]
fn a_load_that_changes_indexes_says_which_tables_keep_the_old_ones_and_what_to_run() {
    let world = World::with_events("new_indexes", &["acme"], "2023-12-28", 8, 2);
    let range = ["--from", "2023-12-28", "--to", "2024-01-04"];
    let today = ["--today", "2024-01-08"];
    world
        .dayhaul(&[&["backfill"], &range[..], &today[..]].concat())
        .ok();
    world
        .dayhaul(&["fold", "--year", "2023", "--today", "2024-01-08"])
        .ok();
    let load = |text: &str, args: &[&str]| {
        world.write("templates/event.sql", text);
        let load = ["template", "load", "templates/event.sql"];
        world.dayhaul(&[&load, args].concat()).ok()
    };
    let text = events::TEMPLATE.replace("indexes = [\"note\"]", "indexes = [\"amount\"]");
    let out = load(&text, &[]);
    assert!(out.stdout.contains("same version"), "{}", out.stdout);
    for words in [
        "the indexes changed",
        "`acme.event_2023`",
        "`dayhaul rebuild --template event --year 2023`",
        "when their days are folded",
    ] {
        assert!(out.stderr.contains(words), "{words}: {}", out.stderr);
    }
    // What it says to run does it.
    world
        .dayhaul(
            &[
                &["rebuild", "--template", "event", "--year", "2023"],
                &today[..],
            ]
            .concat(),
        )
        .ok();
    assert_eq!(
        world.warehouse.one(
            "SELECT string_agg(pg_get_indexdef(indexrelid, 1, true), ' ' ORDER BY indexrelid::regclass::text) \
             FROM pg_index WHERE indrelid = 'acme.event_2023'::regclass"
        ),
        "id at amount"
    );
    // Nothing to say where nothing changed.
    let out = load(&text.replace("Events", "All events"), &["--json"]);
    let kept = &out.json()["templates"][0]["tables_with_former_indexes"];
    assert_eq!(kept, &serde_json::json!([]), "{}", out.stdout);
    assert!(!out.stderr.contains("indexes"), "{}", out.stderr);
    let out = load(events::TEMPLATE, &["--json"]).json();
    assert_eq!(
        out["templates"][0]["tables_with_former_indexes"][0],
        "acme.event_2023"
    );
}
