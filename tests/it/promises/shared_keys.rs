//! A row whose time moves into a day that is loaded later leaves its old day, whatever its key is: and keys that are looked
//! up cost as much as the new rows, not as much as the history.

use crate::support::world::World;

const TODAY: &str = "2024-03-20";

/// A tenant with `rows` a day from 2024-02-01 to 2024-03-18, loaded: most of the days are in the year table.
fn world(name: &str, key: &str, unique: &str, rows: u32) -> World {
    let world = World::new(name, &["acme"]);
    let source = &world.tenants[0];
    source.run(&format!(
        "CREATE TABLE event (n bigint, part int, id text, at timestamptz); CREATE INDEX ON event (at); \
         INSERT INTO event SELECT i, nullif(i % 5, 4), md5(i::text), \
           timestamptz '2024-02-01 00:30+00' + (i / {rows}) * interval '1 day' + (i % {rows}) * interval '1 second' \
         FROM generate_series(0, 47 * {rows} - 1) AS i"
    ));
    world.write(
        "templates/event.sql",
        &format!(
            "/*\ntime_column = \"at\"\nopen_days = 3\nunique = [{unique}]\n\n[columns]\nn = \"bigint\"\npart = \"integer\"\n\
             id = \"{key}\"\nat = \"timestamptz\"\n*/\n\
             SELECT n, part, id::{key} AS id, at FROM event WHERE at >= {{from}} AND at < {{to}}\n"
        ),
    );
    world.dayhaul(&["init"]).ok();
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    let add = ["tenant", "add", "acme", "--url", &source.url()];
    let add = [&add[..], &["--template", "event", "--from", "2024-02-01"]].concat();
    world.dayhaul(&add).ok();
    load(&world, "2024-02-01", "2024-03-18");
    world
}

fn load(world: &World, from: &str, to: &str) {
    world
        .dayhaul(&["backfill", "--from", from, "--to", to, "--today", TODAY])
        .ok();
}

/// A new day, of `rows` new rows and of one row each from the year table and from a day table.
fn new_day(world: &World, rows: u32) {
    world.tenants[0].run(&format!(
        "INSERT INTO event SELECT 1000000 + i, i % 3, md5((1000000 + i)::text), timestamptz '2024-03-19 01:00+00' \
         FROM generate_series(1, {rows}) AS i; \
         UPDATE event SET at = '2024-03-19 12:00+00' WHERE n IN \
           (SELECT max(n) FROM event WHERE part = 1 AND at::date IN ('2024-02-20', '2024-03-18') GROUP BY at::date)"
    ));
}

#[track_caller]
fn is_right(world: &World) {
    let rows = "SELECT n, part, id::text, at AT TIME ZONE 'UTC' FROM";
    let there = world.tenants[0].rows(
        "SELECT n, part, translate(id, '-', ''), at AT TIME ZONE 'UTC' FROM event ORDER BY n",
    );
    let here = world.read(&format!(
        "SELECT n, part, translate(id, '-', ''), at FROM ({rows} public.event) AS q (n, part, id, at) ORDER BY n"
    ));
    assert!(there == here, "{} and {} rows", there.len(), here.len());
    world.is_clean();
}

#[test]
fn a_row_that_moved_into_a_new_day_leaves_the_old_one_whatever_its_key_is() {
    // Few rows are compared by a join, many by look-ups.
    for (name, key, unique, rows) in [
        ("keys_growing", "text", "\"n\"", 60),
        ("keys_uuid", "uuid", "\"id\"", 60),
        ("keys_uuid_few", "uuid", "\"id\"", 6),
        ("keys_text", "text", "\"id\"", 6),
        ("keys_two", "uuid", "\"part\", \"id\"", 60),
        ("keys_three", "text", "\"id\", \"n\", \"part\"", 6),
    ] {
        println!("{name}");
        let world = world(name, key, unique, rows);
        new_day(&world, 6);
        load(&world, "2024-03-19", "2024-03-19");
        is_right(&world);
    }
}

/// Rows that the warehouse reads while a day of 100 new rows and two moved ones is loaded after 47 days of 400 rows.
fn rows_read(name: &str, unique: &str) -> u64 {
    let world = world(name, "uuid", unique, 400);
    new_day(&world, 100);
    let read = || {
        let read = world.warehouse.one(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables WHERE schemaname = 'acme'",
        );
        read.parse::<u64>().unwrap()
    };
    let before = read();
    load(&world, "2024-03-19", "2024-03-19");
    let read = read() - before;
    is_right(&world);
    read
}

#[test]
fn random_keys_of_a_new_day_are_looked_up_and_not_compared_with_all_of_the_history() {
    let (growing, random) = (
        rows_read("cost_growing", "\"n\""),
        rows_read("cost_random", "\"id\""),
    );
    println!("{growing} rows were read with growing keys, {random} with random ones");
    // Comparing all of them would read 18,800 more.
    assert!(
        random < growing + 2000,
        "{random} rows, {growing} with growing keys"
    );
}
