//! Several loader hosts: each takes its share of the tenants.

use crate::support::events;
use crate::support::world::{Output, World};
use std::collections::BTreeSet;

const TENANTS: [&str; 7] = ["acme", "bolt", "crane", "dune", "elm", "fir", "gull"];

fn loaded(output: &Output) -> BTreeSet<String> {
    let json = output.json();
    let units = json["units"].as_array().unwrap();
    let tenant = |unit: &serde_json::Value| unit["tenant"].as_str().unwrap().to_owned();
    units.iter().map(tenant).collect()
}

/// A world whose pairs have their first day.
fn world(name: &str, tenants: &[&str]) -> World {
    let world = World::with_events(name, tenants, "2024-03-10", 3, 4);
    let first = [
        "backfill",
        "--today",
        events::TODAY,
        "--from",
        "2024-03-10",
        "--to",
        "2024-03-10",
    ];
    world.dayhaul(&first).ok();
    world
}

fn sync(world: &World, shard: &str) -> Output {
    world.dayhaul(&["sync", "--today", events::TODAY, "--shard", shard, "--json"])
}

#[test]
fn shares_cover_every_tenant_once() {
    let world = world("shard_cover", &TENANTS);
    world
        .dayhaul(&[
            "backfill",
            "--today",
            events::TODAY,
            "--last",
            "3",
            "--shard",
            "1/3",
        ])
        .ok();
    let mut seen = BTreeSet::new();
    let mut shares = Vec::new();
    for number in 1..=3 {
        let tenants = loaded(&sync(&world, &format!("{number}/3")).ok());
        assert!(tenants.is_disjoint(&seen), "{tenants:?} {seen:?}");
        seen.extend(tenants.iter().cloned());
        shares.push(tenants);
    }
    assert_eq!(seen, TENANTS.map(str::to_owned).into());
    // The same share is the same tenants, whatever was loaded before.
    assert_eq!(loaded(&sync(&world, "2/3").ok()), shares[1]);
    world.is_clean();
}

#[test]
fn a_share_without_tenants_is_no_failure() {
    let world = world("shard_empty", &["acme"]);
    let outputs = ["1/2", "2/2"].map(|shard| sync(&world, shard).ok());
    let (empty, full): (Vec<_>, Vec<_>) = outputs.iter().partition(|o| loaded(o).is_empty());
    assert_eq!((empty.len(), full.len()), (1, 1));
    assert!(
        empty[0]
            .stderr
            .contains("no tenant of the selection is in share"),
        "{}",
        empty[0].stderr
    );
    assert_eq!(empty[0].json()["outcome"], "done");
}

#[test]
fn a_share_that_does_not_exist_is_refused() {
    let world = World::new("shard_wrong", &[]);
    for wrong in ["0/2", "3/2", "2", "x/y"] {
        let out = sync(&world, wrong).exits(2);
        assert!(out.stderr.contains("as in `2/5`"), "{}", out.stderr);
    }
}

#[test]
fn hosts_that_divide_the_tenants_differently_are_told() {
    let world = world("shard_counts", &["acme", "bolt"]);
    let warned = |out: &Output| {
        out.stderr
            .contains("unless all hosts use the same number of shares")
    };
    assert!(!warned(&sync(&world, "1/2").ok()));
    assert!(!warned(&sync(&world, "2/2").ok()));
    // Another host, as the catalog sees it.
    world.warehouse.run("UPDATE _wh.run SET host = 'loader-2'");
    let other = sync(&world, "1/3").ok();
    assert!(warned(&other), "{}", other.stderr);
    assert!(
        other.stderr.contains("on loader-2 took share"),
        "{}",
        other.stderr
    );
    // When that host has changed, too, nobody is warned.
    world
        .warehouse
        .run("UPDATE _wh.run SET arguments = array_replace(arguments, '2/2', '2/3')");
    assert!(!warned(&sync(&world, "1/3").ok()));
}

#[test]
fn a_sync_begins_with_the_pair_that_was_compared_longest_ago() {
    let world = world("sync_order", &["acme", "bolt", "crane"]);
    let one = |tenant: &str| {
        let sync = ["sync", "--today", events::TODAY, "--tenant", tenant];
        world.dayhaul(&sync).ok();
    };
    ["crane", "acme", "bolt"].into_iter().for_each(one);
    for tenant in &world.tenants {
        tenant.run("UPDATE event SET note = 'changed'");
    }
    world
        .dayhaul(&["sync", "--today", events::TODAY, "--jobs", "1"])
        .ok();
    let rows = world
        .warehouse
        .rows("SELECT tenant FROM _wh.unit GROUP BY tenant ORDER BY max(loaded_at)");
    let order: Vec<_> = rows.iter().map(|row| row[0].as_deref().unwrap()).collect();
    assert_eq!(order, ["crane", "acme", "bolt"]);
}
