//! The one command for cron: what is missing comes, what changed lately is brought up.

use crate::events;
use crate::world::{Output, World};

impl World {
    fn sync(&self, today: &str, args: &[&str]) -> Output {
        self.dayhaul(&[&["sync", "--json", "--today", today], args].concat())
    }
}

#[test]
fn a_pair_without_a_first_day_is_told_what_to_do() {
    let world = World::with_events("no_first_day", &["acme"], "2024-03-01", 2, 2);
    let out = world.sync("2024-03-20", &[]).exits(1);
    assert!(
        out.stderr
            .contains("backfill --tenant acme --template event --from"),
        "{}",
        out.stderr
    );
}

#[test]
fn failed_days_and_a_month_of_absence_mend_themselves() {
    let world = World::with_events("absence", &["acme"], "2024-02-01", 60, 4);
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-02-01",
            "--to",
            "2024-02-10",
            "--today",
            "2024-02-11",
        ])
        .ok();
    // One day failed then, and nobody came for a month.
    world.warehouse.run("UPDATE _wh.unit SET state = 'failed' WHERE day = '2024-02-05'; DELETE FROM acme.event_2024_02_05");
    let report = world.sync("2024-03-20", &[]).ok().json();
    assert_eq!(report["totals"]["failed"], 0);
    assert_eq!(world.totals().0, "196", "49 days of 4 rows");
    let again = world.sync("2024-03-20", &[]).ok().json();
    assert_eq!(
        (&again["totals"]["loaded"], &again["totals"]["unchanged"]),
        (&0.into(), &15.into())
    );
    assert_eq!(world.totals().0, "196");
}

#[test]
fn late_deleted_and_updated_rows_and_a_renamed_dimension_arrive() {
    let world = World::new("dimension", &["acme"]);
    let source = &world.tenants[0];
    events::create(source);
    events::fill(source, "2024-03-01", 20, 6);
    source.run("CREATE TABLE kind (id bigint PRIMARY KEY, name text); INSERT INTO kind VALUES (0, 'even'), (1, 'odd')");
    let template = events::TEMPLATE.replace("SELECT id, at, note, amount FROM event WHERE",
        "SELECT event.id, at, kind.name AS note, amount FROM event JOIN kind ON kind.id = event.id % 2 WHERE");
    world.set_up_events(&["acme"], &template);
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-03-01",
            "--to",
            "2024-03-19",
            "--today",
            "2024-03-20",
        ])
        .ok();
    source.run(
        "UPDATE kind SET name = 'strange' WHERE id = 1;
         INSERT INTO event VALUES (100000, '2024-03-12 10:00+00', 'late', 1);
         DELETE FROM event WHERE id = 70; UPDATE event SET amount = 1000 WHERE id = 80",
    );
    world.sync("2024-03-20", &["--lookback", "14"]).ok();
    let lookback = world.read(
        "SELECT count(*) FILTER (WHERE note = 'odd'), count(*) FILTER (WHERE note = 'strange'), count(*), \
         count(*) FILTER (WHERE amount = 1000) FROM acme.event WHERE at >= '2024-03-06'",
    );
    let text: Vec<_> = lookback[0].iter().flatten().cloned().collect();
    assert_eq!(text, ["0", "45", "90", "1"]);
}

#[test]
fn two_processes_that_sync_the_same_pairs_at_once_load_no_unit_twice() {
    let world = World::with_events(
        "two_syncs",
        &["acme", "beta", "gamma"],
        "2024-02-20",
        30,
        20,
    );
    world
        .warehouse
        .run("UPDATE _wh.pair SET first_day = '2024-02-20'");
    let spawn = || {
        world
            .command(&["sync", "--today", "2024-03-20", "--if-locked", "ok"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut runs = [spawn(), spawn()];
    for run in &mut runs {
        run.wait().unwrap();
    }
    world.sync("2024-03-20", &[]).ok();
    assert_eq!(world.totals().0, "1800");
    assert_eq!(
        world.warehouse.one("SELECT sum(rows) FROM _wh.unit"),
        "1800"
    );
}

#[test]
fn a_row_that_moved_into_today_leaves_the_day_it_came_from() {
    let world = World::with_events("moved_today", &["acme"], "2024-01-01", 80, 3);
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-01-01",
            "--to",
            "2024-03-19",
            "--today",
            "2024-03-19",
        ])
        .ok();
    world.tenants[0].run("UPDATE event SET at = '2024-03-20 01:00+00' WHERE id = 5");
    world.sync("2024-03-20", &[]).ok();
    assert_eq!(world.totals().0, "240");
    assert_eq!(
        world.read("SELECT count(*) FROM acme.event WHERE id = 5")[0][0].as_deref(),
        Some("1")
    );
    world.is_clean();
}
