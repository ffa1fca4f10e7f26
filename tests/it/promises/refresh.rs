//! A refresh writes what differs, and nothing else; a row that moved ends up once.

use crate::support::events;
use crate::support::world::World;

/// Tuples inserted, updated and deleted so far in the tables of the tenants: `3/0/1`.
fn writes(world: &World) -> String {
    // Statistics are sent when a session ends; ours have.
    world.warehouse.one(
        "SELECT format('%s/%s/%s', sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del)) FROM pg_stat_user_tables \
         WHERE schemaname NOT IN ('_wh', 'public')",
    )
}

/// The same once it stands still.
pub fn settled(world: &World) -> String {
    let mut last = writes(world);
    for _ in 0..50 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = writes(world);
        if now == last {
            return now;
        }
        last = now;
    }
    last
}

const ALL: [&str; 4] = ["--from", "2024-02-20", "--to", "2024-03-20"];

/// Thirty days of ten rows: fifteen before the fold line, in the year table, and sixteen in day tables.
fn loaded(name: &str) -> World {
    let world = World::with_events(name, &["acme"], "2024-02-20", 30, 10);
    world.backfill(&ALL).ok();
    world
}

impl World {
    fn refresh(&self, args: &[&str]) -> serde_json::Value {
        let args = [&["refresh", "--json", "--today", events::TODAY], args].concat();
        self.dayhaul(&args).ok().json()
    }

    /// The warehouse's rows are the source's.
    #[track_caller]
    fn equals_source(&self) {
        let sql = "SELECT id, at, note, amount FROM";
        let source = self.tenants[0].rows(&format!("{sql} event ORDER BY id"));
        let warehouse = self
            .warehouse
            .rows(&format!("{sql} acme.event ORDER BY id"));
        let source: Vec<String> = source.iter().map(|row| format!("{row:?}")).collect();
        assert_eq!(source.len(), warehouse.len(), "rows");
        for (row, there) in source.iter().zip(&warehouse) {
            // The source's amounts have any scale, the warehouse's two decimals.
            assert_eq!(
                row.split(',').next(),
                format!("{there:?}").split(',').next()
            );
        }
    }
}

#[test]
fn an_unchanged_refresh_writes_not_one_row() {
    let world = loaded("unchanged");
    let before = settled(&world);
    let report = world.refresh(&ALL);
    assert_eq!(report["totals"]["unchanged"], 30);
    assert_eq!(report["totals"]["changed"], 0);
    assert_eq!(settled(&world), before);
}

#[test]
fn late_corrected_and_deleted_rows_are_one_insert_one_pair_and_one_delete() {
    for (name, day) in [("diff_day", "2024-03-18"), ("diff_year", "2024-02-25")] {
        let world = loaded(name);
        let source = &world.tenants[0];
        source.run(&format!(
            "INSERT INTO event VALUES (100000, '{day} 13:00+00', 'late', 1);
             UPDATE event SET note = 'corrected' WHERE id = (SELECT min(id) FROM event WHERE at::date = '{day}');
             DELETE FROM event WHERE id = (SELECT min(id) + 4 FROM event WHERE at::date = '{day}')"
        ));
        let before = settled(&world);
        let report = world.refresh(&ALL);
        assert_eq!(
            (&report["totals"]["changed"], &report["totals"]["unchanged"]),
            (&1.into(), &29.into())
        );
        assert_eq!(
            (&report["totals"]["deleted"], &report["totals"]["inserted"]),
            (&2.into(), &2.into())
        );
        let numbers =
            |text: &str| -> Vec<i64> { text.split('/').map(|n| n.parse().unwrap()).collect() };
        let (before, after) = (numbers(&before), numbers(&settled(&world)));
        assert_eq!(
            [
                after[0] - before[0],
                after[1] - before[1],
                after[2] - before[2]
            ],
            [2, 0, 2],
            "{name}"
        );
        world.equals_source();
        world.is_clean();
        assert_eq!(world.refresh(&ALL)["totals"]["unchanged"], 30);
    }
}

#[test]
fn emptied_and_new_days_are_told_apart() {
    let world = loaded("emptied");
    world.tenants[0]
        .run("DELETE FROM event WHERE at >= '2024-03-10 00:00+00' AND at < '2024-03-11 00:00+00'");
    events::fill(&world.tenants[0], "2024-02-18", 1, 7);
    let report = world.refresh(&["--from", "2024-02-18", "--to", "2024-03-20"]);
    let totals = &report["totals"];
    assert_eq!(
        (&totals["emptied"], &totals["changed"], &totals["loaded"]),
        (&1.into(), &1.into(), &2.into())
    );
    world.equals_source();
    world.is_clean();
}

#[test]
fn a_row_that_moved_ends_up_once() {
    // Within the day tables, from the year table into a day table and back, and across a year.
    for (name, from, to) in [
        ("moved_1", "2024-03-15", "2024-03-16"),
        ("moved_40", "2024-02-05", "2024-03-16"),
        ("moved_back", "2024-03-16", "2024-02-05"),
        ("moved_in_year", "2024-02-05", "2024-02-06"),
        ("moved_year", "2023-12-20", "2024-03-16"),
    ] {
        let world = World::with_events(name, &["acme"], "2023-12-15", 97, 5);
        world
            .backfill(&["--from", "2023-12-15", "--to", "2024-03-20"])
            .ok();
        world.tenants[0].run(&format!(
            "UPDATE event SET at = '{to} 12:00+00' WHERE id = (SELECT min(id) FROM event WHERE (at AT TIME ZONE 'UTC')::date = '{from}')"
        ));
        // Only the day that it moved to is asked for.
        let report = world.refresh(&["--from", to, "--to", to]);
        assert_eq!(report["outcome"], "done", "{name}: {report}");
        assert_eq!(world.totals().0, "485", "{name}");
        world.equals_source();
        world.is_clean();
    }
}

#[test]
fn a_day_beyond_the_budget_is_brought_up_by_its_difference_too() {
    let world = World::with_events("large_day", &["acme"], "2024-03-16", 2, 3000);
    world.configure("[load]\nwindow_bytes = \"128kB\"\n");
    world
        .backfill(&["--from", "2024-03-16", "--to", "2024-03-17"])
        .ok();
    world.tenants[0].run("INSERT INTO event VALUES (900001, '2024-03-17 12:00+00', 'late', 1)");
    let args = ["--from", "2024-03-16", "--to", "2024-03-17"];
    let report = world.refresh(&args);
    assert_eq!(report["totals"]["inserted"], 1, "{report}");
    assert_eq!(report["totals"]["unchanged"], 1);
    world.equals_source();
    // And where most of it is new, it is replaced; of rows that moved into it none stands twice.
    let source = &world.tenants[0];
    events::fill(source, "2024-03-15", 1, 5);
    world
        .backfill(&["--from", "2024-03-15", "--to", "2024-03-15"])
        .ok();
    source.run(
        "UPDATE event SET note = 'all new' WHERE at >= '2024-03-17 00:00+00';
         UPDATE event SET at = '2024-03-17 13:00+00' WHERE at < '2024-03-15 12:00+00'",
    );
    let report = world.refresh(&args);
    assert_eq!(report["totals"]["changed"], 2, "{report}");
    assert_eq!(report["totals"]["inserted"], 3003);
    world.equals_source();
    world.is_clean();
}

#[test]
fn tables_that_changed_are_analyzed_and_no_others() {
    let world = loaded("analyzed");
    // The year's table, and a day table of two that are compared.
    world.tenants[0].run(
        "INSERT INTO event VALUES (900001, '2024-02-21 12:00+00', 'late', 1), (900002, '2024-03-17 12:00+00', 'late', 1)",
    );
    let times = "SELECT relname, last_analyze FROM pg_stat_user_tables WHERE schemaname = 'acme' ORDER BY 1";
    settled(&world);
    let before = world.warehouse.rows(times);
    world.refresh(&["--from", "2024-02-20", "--to", "2024-03-18"]);
    settled(&world);
    let after = world.warehouse.rows(times);
    let analyzed: Vec<_> = after
        .iter()
        .filter(|row| !before.contains(row))
        .map(|row| row[0].as_deref().unwrap())
        .collect();
    assert_eq!(analyzed, ["event_2024", "event_2024_03_17"]);
}

#[test]
fn outdated_days_are_those_of_an_older_template_version() {
    let world = loaded("outdated");
    let newer = events::TEMPLATE.replace(
        "SELECT id, at, note, amount",
        "SELECT id, at, upper(note) AS note, amount",
    );
    world.write("templates/event.sql", &newer);
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    let report = world
        .dayhaul(&["refresh", "--outdated", "--json", "--today", events::TODAY])
        .ok()
        .json();
    assert_eq!(report["totals"]["changed"], 30, "{}", report["totals"]);
    assert_eq!(
        world.read("SELECT count(*) FROM acme.event WHERE note LIKE 'NOTE%'")[0][0].as_deref(),
        Some("300")
    );
    let again = world
        .dayhaul(&["refresh", "--outdated", "--json", "--today", events::TODAY])
        .ok()
        .json();
    assert_eq!(again["totals"]["units"], 0);
}
