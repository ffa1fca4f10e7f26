//! A bucket whose server looks at every signature: who may not is told so before anything moves, and what to set.

use crate::support::events;
use crate::support::s3_server::{Strict, strict, variables_of};
use crate::support::server::block_on;
use crate::support::world::{Output, World};
use dayhaul::landing::{Landing, ListingFilter, WriterOptions};

const DAYS: [&str; 4] = ["--from", "2024-03-01", "--to", "2024-03-19"];
const WRONG: &str = "wrongsecretwrongsecretwrongsecret1234567";

fn url(server: &Strict, prefix: &str) -> String {
    format!("s3://{}/{prefix}", server.bucket)
}

/// A tenant whose days are to land in the bucket.
fn world(name: &str, server: &Strict) -> World {
    let world = World::with_events(name, &["acme"], "2024-03-01", 19, 5);
    let landing = format!("[landing]\nurl = \"{}\"\n", url(server, name));
    world.configure(&landing);
    world
}

fn dayhaul(
    world: &mut World,
    server: &Strict,
    (key, secret): (&str, &str),
    args: &[&str],
) -> Output {
    world.variables = variables_of(server.address, key, secret);
    world.dayhaul(args)
}

/// What lies under the root, as who may sees it.
fn objects(server: &Strict, prefix: &str) -> (usize, usize) {
    let variables = variables_of(server.address, &server.key, &server.secret);
    let url = url(server, prefix);
    let landing = Landing::open_with(&url, WriterOptions::default(), variables).unwrap();
    let days = block_on(landing.list(&ListingFilter::default()))
        .unwrap()
        .units;
    let blobs = block_on(landing.list_blobs("")).unwrap();
    (days.len(), blobs.len())
}

/// Asserts that an error says what is wrong and what to set, and shows nothing that is secret.
#[track_caller]
fn is_said(out: &Output, server: &Strict, prefix: &str, code: &str) {
    for said in [&url(server, prefix), code, "AWS_SECRET_ACCESS_KEY"] {
        assert!(out.stderr.contains(said), "{said}: {}", out.stderr);
    }
    for hidden in [WRONG, &server.secret, &server.key, "Signature="] {
        for text in [&out.stdout, &out.stderr] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
}

#[test]
fn a_wrong_secret_is_said_before_anything_moves() {
    let Some(server) = strict() else { return };
    let mut world = world("signed_wrong", &server);
    let backfill = [&["backfill", "--land", "--today", events::TODAY], &DAYS[..]].concat();
    for (who, code) in [
        ((&*server.key, WRONG), "SignatureDoesNotMatch"),
        (("AKIANOBODY", WRONG), "InvalidAccessKeyId"),
    ] {
        for verbosity in [&[][..], &["--verbose"]] {
            let args = [&backfill[..], verbosity].concat();
            let out = dayhaul(&mut world, &server, who, &args).exits(3);
            is_said(&out, &server, "signed_wrong", code);
        }
        assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.run"), "0");
        assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.unit"), "0");
        assert_eq!(objects(&server, "signed_wrong"), (0, 0));
    }
    let right = (&*server.key.clone(), &*server.secret.clone());
    dayhaul(&mut world, &server, right, &backfill).ok();
    assert_eq!(objects(&server, "signed_wrong"), (19, 0));
    world.is_clean();
}

#[test]
fn files_behind_a_wrong_secret_are_not_taken_for_missing() {
    let Some(server) = strict() else { return };
    let mut world = world("signed_read", &server);
    let right = (&*server.key.clone(), &*server.secret.clone());
    let wrong = (&*server.key.clone(), WRONG);
    let backfill = [&["backfill", "--land", "--today", events::TODAY], &DAYS[..]].concat();
    dayhaul(&mut world, &server, right, &backfill).ok();
    for args in [
        &["verify", "--against", "parquet"][..],
        &["restore", "--reload", "--today", events::TODAY],
        &["snapshot"],
        &["land", "--rewrite"],
    ] {
        let out = dayhaul(&mut world, &server, wrong, args).exits(3);
        is_said(&out, &server, "signed_read", "SignatureDoesNotMatch");
    }
    // Nothing was lost by it.
    dayhaul(&mut world, &server, right, &["verify", "--against", "all"]).ok();
    dayhaul(&mut world, &server, right, &["snapshot"]).ok();
    assert_eq!(objects(&server, "signed_read"), (19, 1));
    world.is_clean();
}
