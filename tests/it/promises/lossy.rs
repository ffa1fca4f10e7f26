//! A file that holds rounded values is not taken for the day, and a file that is newer is not taken for the snapshot's.

use crate::support::events::{self, TODAY};
use crate::support::world::{Output, World};

/// `wide` lands as double: a value with many digits is rounded. `exact` lands as decimal: only zeros at its end are added.
const TEMPLATE: &str = r#"/*
time_column = "at"
unique = ["id"]

[columns]
id = "bigint"
at = "timestamptz"
wide = { type = "numeric", land = "double" }
exact = { type = "numeric", land = "decimal(20,6)" }
*/
SELECT id, at, wide, exact FROM reading WHERE at >= {from} AND at < {to}
"#;

const DAYS: [&str; 4] = ["--from", "2024-03-01", "--to", "2024-03-03"];
const ROWS: &str = "SELECT id, wide, exact FROM public.reading ORDER BY id";

/// Three days, of which the second has a value that a double cannot hold.
fn world(name: &str) -> World {
    let world = World::new(name, &["acme"]).with_lake();
    world.tenants[0].run(
        "CREATE TABLE reading (id bigint PRIMARY KEY, at timestamptz, wide numeric, exact numeric);
         INSERT INTO reading VALUES
             (1, '2024-03-01 12:00+00', 0.1, 12346.60), (2, '2024-03-01 13:00+00', 123456789012345, 1),
             (3, '2024-03-02 12:00+00', 1.1234567890123456789, 2.50), (4, '2024-03-02 13:00+00', 'NaN', 3),
             (5, '2024-03-03 12:00+00', 1e-5, 4), (6, '2024-03-03 13:00+00', 9007199254740992, 0)",
    );
    world.set_up_template("reading", TEMPLATE, &["acme"]);
    let days = [&["--land", "--today", "2024-05-01"], &DAYS[..]].concat();
    world.dayhaul(&[&["backfill"], &days[..]].concat()).ok();
    world.dayhaul(&["snapshot"]).ok();
    world
}

fn restore(world: &World, args: &[&str]) -> Output {
    world.dayhaul(&[&["restore", "--json", "--today", TODAY], args].concat())
}

fn lose(world: &World) {
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
}

#[test]
fn rounded_values_are_marked_in_footer_and_ledger_and_restored_only_on_demand() {
    let world = world("lossy");
    let marked = |world: &World| {
        world
            .warehouse
            .one("SELECT string_agg(day || ' ' || object_rounded, ', ' ORDER BY day) FROM _wh.unit")
    };
    assert_eq!(marked(&world), "2024-03-01 0, 2024-03-02 1, 2024-03-03 0");
    let footer = |day: &str| {
        world
            .read_file("reading", "acme", day)
            .unwrap()
            .footer
            .rounded
    };
    assert_eq!(
        (footer("2024-03-01"), footer("2024-03-02")),
        (Some(0), Some(1))
    );
    let page = world
        .dayhaul(&["why", "acme", "reading", "2024-03-02"])
        .ok()
        .stdout;
    assert!(page.contains("1 value rounded"), "{page}");
    let before = world.read(ROWS);

    lose(&world);
    let report = restore(&world, &[]).exits(1).json();
    assert_eq!(
        (&report["totals"]["loaded"], &report["totals"]["failed"]),
        (&2.into(), &1.into()),
        "{report}"
    );
    let failure = report["failures"][0].to_string();
    for words in ["2024-03-02", "1 rounded value", "--allow-lossy"] {
        assert!(failure.contains(words), "{words}: {failure}");
    }
    assert_eq!(
        world.read("SELECT count(*) FROM public.reading"),
        [[Some("4".into())]]
    );

    let report = restore(&world, &["--allow-lossy"]).ok().json();
    assert_eq!(report["totals"]["loaded"], 1);
    let note = report["notes"][0].as_str().unwrap();
    assert!(
        note.contains("1 day is restored with rounded values") && note.contains("2024-03-02"),
        "{note}"
    );
    let status = world.dayhaul(&["status", "--today", TODAY]).ok().stdout;
    assert!(status.contains("1 day with rounded values"), "{status}");
    // Numerically all but the one value are as they were.
    let differ = |now: &[Vec<Option<String>>]| {
        let number = |cell: &Option<String>| cell.as_ref().unwrap().parse::<f64>().unwrap();
        let same = |(a, b): (&Option<String>, &Option<String>)| {
            number(a) == number(b) || number(a).is_nan()
        };
        now.iter()
            .zip(&before)
            .filter(|(a, b)| !a.iter().zip(b.iter()).all(same))
            .count()
    };
    assert_eq!(differ(&world.read(ROWS)), 0, "as doubles they are the same");
    let wide = |day: u32| {
        world.read(&format!("SELECT wide FROM public.reading WHERE id = {day}"))[0][0]
            .clone()
            .unwrap()
    };
    assert_eq!(
        (wide(1), wide(3)),
        ("0.1".into(), "1.1234567890123457".into())
    );

    // The file holds what it can hold, and the warehouse what came of it: nothing differs.
    let verify = ["verify", "--against", "parquet", "--today", TODAY];
    world.dayhaul(&verify).ok();
    // The source has the true value. A restored day with other digits than the snapshot's is not settled.
    world
        .dayhaul(&["sync", "--today", "2024-05-01", "--no-sweep"])
        .ok();
    assert_eq!(world.read(ROWS), before);
    world.dayhaul(&[&["verify"], &DAYS[..]].concat()).ok();
}

#[test]
fn days_that_are_newer_than_the_snapshot_are_listed_and_refused_when_only_its_rows_are_wanted() {
    let world = World::with_events("newer_files", &["acme"], "2024-03-01", 5, 4).with_lake();
    let days = [
        "--from",
        "2024-03-01",
        "--to",
        "2024-03-05",
        "--land",
        "--today",
        TODAY,
    ];
    world.dayhaul(&[&["backfill"], &days[..]].concat()).ok();
    world.dayhaul(&["snapshot"]).ok();
    let id = world.dayhaul(&["status", "--data", "--json"]).ok().json()["data"].clone();
    // Two days change, one is new, and their files with them.
    events::fill(&world.tenants[0], "2024-03-02", 2, 1);
    events::fill(&world.tenants[0], "2024-03-06", 1, 4);
    world.dayhaul(&[&["refresh"], &days[..]].concat()).ok();
    let more = [
        "--from",
        "2024-03-06",
        "--to",
        "2024-03-06",
        "--land",
        "--today",
        TODAY,
    ];
    world.dayhaul(&[&["backfill"], &more[..]].concat()).ok();

    lose(&world);
    let report = restore(&world, &["--exact"]).exits(1).json();
    assert_eq!(
        (&report["totals"]["loaded"], &report["totals"]["failed"]),
        (&3.into(), &2.into()),
        "{report}"
    );
    let failure = report["failures"].to_string();
    assert!(
        failure.contains("after snapshot") && failure.contains("--exact"),
        "{failure}"
    );
    assert_eq!(world.totals().0, "12");

    lose(&world);
    let report = restore(&world, &[]).ok().json();
    assert_eq!(report["totals"]["loaded"], 6);
    let note = report["notes"][0].as_str().unwrap();
    assert!(
        note.contains("3 days are newer than snapshot") && note.contains("2024-03-02"),
        "{note}"
    );
    let status = world
        .dayhaul(&["status", "--json", "--today", TODAY])
        .ok()
        .json();
    assert_eq!(status["restored"]["snapshot"], id);
    assert_eq!(status["restored"]["newer_days"], 3);
    let page = world.dayhaul(&["status", "--today", TODAY]).ok().stdout;
    assert!(page.contains("3 days newer than it"), "{page}");
}

#[test]
fn the_catalog_comes_back_without_files_and_a_part_keeps_the_original_first_day() {
    let world =
        World::with_events("catalog_only", &["acme", "beta"], "2024-03-01", 10, 3).with_lake();
    let days = [
        "--from",
        "2024-03-01",
        "--to",
        "2024-03-10",
        "--land",
        "--today",
        TODAY,
    ];
    world.dayhaul(&[&["backfill"], &days[..]].concat()).ok();
    world.dayhaul(&["snapshot"]).ok();
    let catalog = |world: &World| {
        [
            "SELECT name, url FROM _wh.tenant ORDER BY 1",
            "SELECT tenant, template, first_day, windows FROM _wh.pair ORDER BY 1",
        ]
        .map(|sql| world.warehouse.rows(sql))
    };
    let before = (catalog(&world), world.totals());
    lose(&world);
    let part = ["--from", "2024-03-09", "--to", "2024-03-10"];
    restore(&world, &part).ok();
    assert_eq!(catalog(&world), before.0);
    assert_eq!(world.totals().0, "12");
    world.dayhaul(&["sync", "--today", TODAY]).ok();
    assert_eq!(world.totals(), before.1);

    lose(&world);
    std::fs::remove_dir_all(world.lake().join("event")).unwrap();
    restore(&world, &[]).exits(2);
    let report = restore(&world, &["--catalog-only"]).ok().json();
    assert_eq!(
        (&report["tenants"], &report["pairs"]),
        (&2.into(), &2.into())
    );
    assert_eq!(catalog(&world), before.0);
    world.dayhaul(&["sync", "--today", TODAY]).ok();
    assert_eq!(world.totals(), before.1);
    world.is_clean();
    std::fs::remove_dir_all(world.lake().join("_dayhaul")).unwrap();
    let out = restore(&world, &["--catalog-only"]).exits(2);
    assert!(
        out.stderr.contains("there is no snapshot"),
        "{}",
        out.stderr
    );
}
