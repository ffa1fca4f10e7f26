//! Pairs that another run holds: every command says so, and none calls it an error.

use crate::promises::ending::refuse_endings;
use crate::promises::laptop::{Desk, shop};
use crate::support::events;
use crate::support::server::Holder;
use crate::support::world::{Output, World};

const DAYS: [&str; 4] = ["--from", "2024-03-08", "--to", "2024-03-10"];

/// SQL that takes the lock of acme's pair with a template.
fn lock(template: &str) -> String {
    let pair = format!("dayhaul pair acme {template}");
    let key = xxhash_rust::xxh3::xxh3_64(pair.as_bytes()).cast_signed();
    format!("SELECT pg_advisory_xact_lock({key})")
}

fn last_run(world: &World) -> String {
    world
        .warehouse
        .one("SELECT outcome FROM _wh.run ORDER BY id DESC LIMIT 1")
}

/// Asserts that a command says which pair is held, and nothing of failures.
#[track_caller]
fn says(out: &Output, line: &str) {
    assert!(out.stderr.contains(line), "{line}: {}", out.stderr);
    for word in ["error:", "failed:", "not tried:"] {
        assert!(!out.stderr.contains(word), "{word} {}", out.stderr);
    }
}

#[test]
fn what_another_run_holds_is_said_by_every_command_that_takes_locks() {
    let world = World::with_events("held_said", &["acme", "beta"], "2024-03-08", 3, 5);
    world.configure(&format!(
        "[landing]\nurl = \"file://{}/lake\"\n",
        world.folder().display()
    ));
    std::fs::create_dir(world.folder().join("lake")).unwrap();
    world.backfill(&[&DAYS[..], &["--land"]].concat()).ok();
    let holder = Holder::new(&world.warehouse, &lock("event"));
    let today = ["--today", events::TODAY];
    let dated = |command: &str| [&[command], &today[..], &DAYS[..]].concat().join(" ");
    for line in [
        dated("backfill"),
        dated("refresh"),
        dated("rebuild"),
        dated("land"),
        dated("restore"),
        format!("sync {}", today.join(" ")),
        format!("fold --year 2024 {}", today.join(" ")),
        "unfold --from 2024-03-08".to_owned(),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let run = |more: &[&str]| world.dayhaul(&[&words[..], more].concat());
        let out = run(&["--json"]).exits(1);
        says(&out, "locked: acme/event");
        says(&out, "held by another session");
        says(&out, "hint: wait for it with `--wait`");
        assert_eq!(out.json()["outcome"], "failed", "{line}");
        assert_eq!(last_run(&world), "failed", "{line}");

        let out = run(&["--json", "--if-locked", "ok"]).ok();
        says(&out, "left to another run: acme/event");
        assert!(!out.stderr.contains("hint:"), "{}", out.stderr);
        assert_eq!(out.json()["outcome"], "done", "{line}");
        assert_eq!(last_run(&world), "done", "{line}");
        let out = run(&["--quiet", "--if-locked", "ok"]).ok();
        assert_eq!(out.stderr, "", "{line}");
    }
    holder.let_go();
}

#[test]
fn a_run_that_leaves_all_it_has_to_another_is_done() {
    let world = World::new("held_all", &["acme", "beta"]);
    let world = world.filled(&["acme", "beta"], &events::gated(), "2024-03-08", (3, 5));
    let closed = events::close(&world.tenants[0]);
    let first = world.start_backfill(&[&DAYS[..], &["--tenant", "acme"]].concat());
    world.wait_for("SELECT EXISTS (SELECT FROM _wh.lease)");
    let leave = [&DAYS[..], &["--json", "--if-locked", "ok"]].concat();
    let out = world.backfill(&[&leave[..], &["--tenant", "acme"]].concat());
    assert_eq!(out.ok().json()["outcome"], "done");
    assert_eq!(last_run(&world), "done");

    // Another failure is one, whatever is left to others.
    world.tenants[1].run("ALTER TABLE event RENAME TO elsewhere");
    let out = world.backfill(&leave).exits(1);
    for line in ["left to another run: acme/event", "not tried: beta/event"] {
        assert!(out.stderr.contains(line), "{line}: {}", out.stderr);
    }
    assert_eq!(out.json()["outcome"], "failed");
    assert_eq!(last_run(&world), "failed");
    world.tenants[1].run("ALTER TABLE elsewhere RENAME TO event");

    // So is an end that is not in the catalog.
    refuse_endings(&world);
    let out = world.backfill(&leave).exits(1);
    assert!(out.stderr.contains("no end today"), "{}", out.stderr);
    assert_eq!(out.json()["outcome"], "failed");
    world.warehouse.run("DROP TRIGGER no_end ON _wh.run");
    drop(closed);
    first.output().ok();
    world.backfill(&DAYS).ok();
    assert_eq!(world.totals().0, "30");
}

#[test]
fn a_repair_says_which_pairs_another_run_holds() {
    let world = World::with_events("held_repair", &["acme"], "2024-03-08", 3, 5);
    world.backfill(&DAYS).ok();
    world
        .warehouse
        .run("UPDATE acme.event_2024_03_09 SET note = 'other'");
    let holder = Holder::new(&world.warehouse, &lock("event"));
    let repair = ["verify", "--repair", "--today", events::TODAY];
    let out = world.dayhaul(&repair).exits(1);
    says(&out, "locked: acme/event 2024-03-09");
    says(&out, "hint: run the same command again");
    assert!(!out.stderr.contains("--wait"), "{}", out.stderr);
    holder.let_go();
    world.dayhaul(&repair).ok();
}

#[test]
fn a_laptop_says_which_pairs_another_run_holds() {
    let world = shop("held_laptop", &["acme"]);
    let desk = Desk::new();
    let today = ["--keep", "--json", "--today", events::TODAY];
    desk.laptop(&world, &today).ok();
    let holder = Holder::at(&desk.plain_url(), &lock("sale"));
    let out = desk.laptop(&world, &today).exits(4);
    says(&out, "locked: acme/sale");
    says(&out, "hint: run the same command again");
    assert!(!out.stderr.contains("--wait"), "{}", out.stderr);
    // Once: nothing is folded beside another run.
    assert_eq!(out.stderr.matches("locked: ").count(), 1, "{}", out.stderr);
    assert_eq!(out.json()["run"]["outcome"], "locked");
    holder.let_go();
    desk.laptop(&world, &today).ok();
}
