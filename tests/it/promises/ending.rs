//! The end of a run: whatever happens to its record, what it did is shown.

use crate::support::events;
use crate::support::world::World;

const PERIOD: [&str; 4] = ["--from", "2024-03-10", "--to", "2024-03-14"];

/// The warehouse refuses to record how a run ended.
pub fn refuse_endings(world: &World) {
    world.warehouse.run(
        "CREATE FUNCTION no_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'no end today'; END $$;
         CREATE TRIGGER no_end BEFORE UPDATE ON _wh.run FOR EACH ROW WHEN (NEW.totals IS NOT NULL) EXECUTE FUNCTION no_end()",
    );
}

#[test]
fn a_run_whose_end_is_not_recorded_shows_its_report() {
    let world = World::with_events("no_end", &["acme"], "2024-03-10", 5, 3);
    refuse_endings(&world);
    // One of the days fails.
    world.tenants[0].run("UPDATE event SET note = repeat('x', 30) WHERE id = 4");
    let run = world.backfill(&PERIOD).exits(1);
    for words in [
        "acme/event 2024-03-11",
        "failed to record how the run ended",
        "no end today",
        "dayhaul status",
    ] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    assert!(run.stdout.contains("loaded"), "{}", run.stdout);
    let json = [&PERIOD[..], &["--json"]].concat();
    let report = world.backfill(&json).exits(1).json();
    assert_eq!(report["totals"]["unchanged"], 4, "{report}");
    let why = report["not_recorded"].as_str().unwrap();
    assert!(why.contains("no end today"), "{why}");
    assert_eq!(world.totals().0, "12");
}

#[test]
fn a_fold_whose_end_is_not_recorded_shows_its_report() {
    let world = World::with_events("no_fold_end", &["acme"], "2024-01-01", 5, 3);
    let january = [
        "--from",
        "2024-01-01",
        "--to",
        "2024-01-05",
        "--today",
        "2024-01-06",
    ];
    world.dayhaul(&[&["backfill"], &january[..]].concat()).ok();
    refuse_endings(&world);
    let fold = ["fold", "--today", events::TODAY];
    let run = world.dayhaul(&[&fold[..], &["--json"]].concat()).exits(1);
    let report = run.json();
    assert_eq!(report["totals"]["moved"], 1, "{report}");
    assert!(
        report["not_recorded"]
            .as_str()
            .unwrap()
            .contains("no end today")
    );
    world.warehouse.run("DROP TRIGGER no_end ON _wh.run");
    world.dayhaul(&fold).ok();
    assert_eq!(world.totals().0, "15");
    world.is_clean();
}
