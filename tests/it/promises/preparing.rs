//! A database is prepared whole or not at all, and what an earlier version left half prepared is finished.

use crate::support::earlier_catalog;
use crate::support::events::TODAY;
use crate::support::server::Database;
use crate::support::world::World;
use rustix::process::Signal;
use std::time::Duration;

const DAYS: [&str; 6] = [
    "--from",
    "2024-03-01",
    "--to",
    "2024-03-03",
    "--today",
    TODAY,
];

/// A world whose three days are landed, with a snapshot.
fn landed(name: &str) -> World {
    let world = World::with_events(name, &["acme"], "2024-03-01", 3, 5).with_lake();
    world
        .dayhaul(&[&["backfill", "--land"], &DAYS[..]].concat())
        .ok();
    world.dayhaul(&["snapshot"]).ok();
    world
}

#[test]
fn a_restore_that_was_ended_while_it_prepared_the_database_can_be_repeated() {
    let world = landed("prepare_ended");
    let restore = |into: &str| {
        let from = world.lake_url();
        ["restore", "--from", &from, "--into", into, "--today", TODAY].map(str::to_owned)
    };
    for (round, signal) in [Signal::KILL, Signal::TERM]
        .into_iter()
        .cycle()
        .take(12)
        .enumerate()
    {
        let into = Database::create(&format!("half_{round}"));
        let args = restore(&into.url());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = world.start(&args);
        if signal == Signal::TERM {
            run.listens();
        }
        std::thread::sleep(Duration::from_millis(20 * round as u64));
        run.signal(signal);
        let ended = run.output();
        let expected: &[i32] = if signal == Signal::KILL {
            &[-1, 0]
        } else {
            &[130, 0]
        };
        assert!(expected.contains(&ended.code), "{ended:?}");
        // All of the catalog is there, or nothing.
        let versions = "SELECT count(*) FROM pg_class WHERE relname = 'migration' AND relnamespace = to_regnamespace('_wh')";
        if into.one(versions) == "1" {
            let newest = world
                .warehouse
                .one("SELECT max(version) FROM _wh.migration");
            assert_eq!(into.one("SELECT max(version) FROM _wh.migration"), newest);
        }
        world.dayhaul(&args).ok();
        assert_eq!(into.one("SELECT count(*) FROM public.event"), "15");
    }
}

#[test]
fn what_an_earlier_version_left_half_prepared_is_finished_and_a_catalog_in_use_is_left_to_init() {
    let world = landed("prepare_half");
    let into = Database::create("half_prepared");
    let (from, url) = (world.lake_url(), into.url());
    world.write(
        "into.toml",
        &format!(
            "[warehouse]\nurl = \"{url}\"\nowner_role = \"{}\"\nreader_role = \"{}\"\n",
            world.owner, world.reader
        ),
    );
    world.dayhaul(&["init", "--config", "into.toml"]).ok();
    // As after a kill between two of the migrations, which had transactions of their own.
    earlier_catalog::bring_back(&into, 5);
    let restore = ["restore", "--from", &from, "--into", &url, "--today", TODAY];
    world.dayhaul(&restore).ok();
    assert_eq!(into.one("SELECT count(*) FROM public.event"), "15");

    earlier_catalog::bring_back(&into, 9);
    let out = world.dayhaul(&restore).exits(2);
    assert!(
        out.stderr.contains("catalog has version 9"),
        "{}",
        out.stderr
    );
}

#[test]
fn days_of_long_ago_are_asked_about_before_they_become_tables() {
    let world = World::with_events("distant", &["acme"], "2024-03-01", 3, 5);
    let long_ago = [
        "backfill",
        "--from",
        "1970-01-01",
        "--to",
        "1970-01-02",
        "--today",
        TODAY,
    ];
    let out = world.dayhaul(&long_ago).exits(2);
    for words in ["54 years ago", "--yes"] {
        assert!(out.stderr.contains(words), "{words}: {}", out.stderr);
    }
    assert_eq!(
        world.warehouse.one("SELECT count(*) FROM _wh.relation"),
        "0"
    );
    world.dayhaul(&[&long_ago[..], &["--yes"]].concat()).ok();
    // Its first day is known now.
    world.dayhaul(&long_ago).ok();
}
