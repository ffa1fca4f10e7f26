//! What stands where a relation of Dayhaul's belongs and is somebody else's: it is left alone, and the hint helps.

use crate::support::world::World;

#[test]
fn a_name_that_is_taken_is_free_after_what_the_hint_says() {
    let world = World::with_events("foreign_names", &["acme"], "2024-03-08", 4, 3);
    let day = |day: &str| world.backfill(&["--from", day, "--to", day]);
    day("2024-03-08").ok();
    let days = ["2024-03-09", "2024-03-10", "2024-03-11"];
    for (day_of, taken) in days.iter().zip([
        "CREATE TABLE acme.event_2024_03_09 (x int)",
        "CREATE VIEW acme.event_2024_03_10 AS SELECT 1 AS x",
        "CREATE TYPE acme.event_2024_03_11 AS (x int)",
    ]) {
        world.warehouse.run(taken);
        let refused = day(day_of).exits(1);
        let said = refused.stderr.split_once("hint: ").unwrap().1;
        assert!(!said.contains("another schema"), "{said}");
        // The tenant's schema stays what it is: the command is about the relation.
        let sql = said.split('`').nth(1).unwrap();
        assert!(sql.starts_with("ALTER T"), "{said}");
        world.warehouse.run(sql);
        day(day_of).ok();
    }
    assert_eq!(world.totals().0, "12");
}
