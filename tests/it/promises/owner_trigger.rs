//! An event trigger that gives every new table to somebody else is named at the first table.

use crate::support::events;
use crate::support::server;
use crate::support::world::World;

const DAYS: [&str; 6] = [
    "--from",
    "2024-03-10",
    "--to",
    "2024-03-19",
    "--today",
    events::TODAY,
];

/// Gives each new table of the warehouse to a new role, whose name comes back.
fn take_tables(world: &World) -> String {
    let taker = format!("taker_{}", server::unique());
    world.warehouse.run(&format!(
        "CREATE ROLE {taker}; \
         CREATE FUNCTION public.take() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ \
         DECLARE made record; BEGIN \
           FOR made IN SELECT object_identity AS name FROM pg_event_trigger_ddl_commands() \
                       WHERE command_tag = 'CREATE TABLE' LOOP \
             EXECUTE format('ALTER TABLE %s OWNER TO {taker}', made.name); \
           END LOOP; END $$; \
         CREATE EVENT TRIGGER take_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.take()"
    ));
    taker
}

const NO_TRIGGER: &str = "DROP EVENT TRIGGER take_tables";

#[test]
fn a_catalog_whose_tables_are_given_away_is_not_made() {
    let world = World::new("taken_catalog", &[]);
    let taker = take_tables(&world);
    let out = world.dayhaul(&["init"]).exits(2);
    for said in ["_wh.migration", &taker, "`take_tables`"] {
        assert!(out.stderr.contains(said), "{said}: {}", out.stderr);
    }
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM pg_namespace WHERE nspname = '_wh'"),
        "0"
    );
    world.warehouse.run(NO_TRIGGER);
    world.dayhaul(&["init"]).ok();
}

#[test]
fn days_whose_tables_are_given_away_are_not_tried_and_nothing_is_left() {
    let world = World::new("taken_days", &["acme"]);
    let template = events::TEMPLATE.replace("open_days = 16", "open_days = 3");
    let world = world.filled(&["acme"], &template, "2024-03-10", (10, 4));
    let taker = take_tables(&world);
    let backfill = [&["backfill"], &DAYS[..]].concat();
    let out = world.dayhaul(&backfill).exits(1);
    for said in [
        "acme.event_2024",
        &taker,
        "an event trigger of this database (`take_tables`)",
        &format!("GRANT \"{taker}\" TO \"{}\"", world.owner),
    ] {
        assert!(out.stderr.contains(said), "{said}: {}", out.stderr);
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'acme'";
    assert_eq!(world.warehouse.one(tables), "0");
    // The first of the two ways out: Dayhaul may use what the trigger takes.
    world
        .warehouse
        .run(&format!("GRANT {taker} TO {}", world.owner));
    world.dayhaul(&backfill).ok();
    assert_eq!(world.totals().0, "40");
    // The other: the trigger is gone. What it took can still be rebuilt.
    world.warehouse.run(NO_TRIGGER);
    world.dayhaul(&[&["rebuild"], &DAYS[..]].concat()).ok();
    world.dayhaul(&["verify"]).ok();
    assert_eq!(world.totals().0, "40");
}
