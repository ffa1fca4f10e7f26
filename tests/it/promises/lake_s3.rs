//! The engine and a bucket of a real S3 API: days land there, are replaced there, and come back from there.

use crate::support::events;
use crate::support::lake::{forge, object, read};
use crate::support::landed_files::Lake;
use crate::support::proxy::{Break, Proxy};
use crate::support::random::Random;
use crate::support::s3_server::{
    ask, ask_with, keys, server, texts, unfinished_uploads, variables,
};
use crate::support::world::{World, wait_until};
use dayhaul::landing::{Landing, WriterOptions};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const DAYS: [&str; 4] = ["--from", "2024-02-25", "--to", "2024-03-19"];

/// A bucket that keeps every version of its objects, so that each write of one is seen.
struct Bucket {
    server: SocketAddr,
    name: String,
}

impl Bucket {
    fn new(name: &str) -> Option<Bucket> {
        let server = server()?;
        let name = name.replace('_', "-");
        ask(server, &format!("PUT /{name}"));
        let keep = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        ask_with(server, &format!("PUT /{name}?versioning"), "", keep);
        Some(Bucket { server, name })
    }

    fn url(&self) -> String {
        format!("s3://{}/lake", self.name)
    }

    fn landing(&self) -> Landing {
        let options = WriterOptions::default();
        Landing::open_with(&self.url(), options, variables(self.server)).unwrap()
    }

    /// The objects of days, by their paths below the root.
    fn objects(&self) -> Vec<String> {
        let keys = keys(self.server, &self.name).into_iter();
        keys.filter(|key| !key.contains("/_dayhaul/"))
            .map(|key| key.strip_prefix("lake/").unwrap().to_owned())
            .collect()
    }

    /// How often each object of a day was written.
    fn writes(&self) -> BTreeMap<String, usize> {
        let versions = ask(self.server, &format!("GET /{}?versions", self.name));
        let mut writes = BTreeMap::new();
        for version in texts(&versions, "Version") {
            let key = texts(&version, "Key").next().unwrap();
            if !key.contains("/_dayhaul/") {
                *writes.entry(key).or_default() += 1;
            }
        }
        writes
    }

    fn key(day: &str) -> String {
        format!("lake/event/tenant=acme/date={day}/data.parquet")
    }

    /// Writes the bytes of one of acme's days as another's.
    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (Bucket::key(from), Bucket::key(to));
        let source = format!("x-amz-copy-source: /{}/{from}\r\n", self.name);
        let copied = ask_with(
            self.server,
            &format!("PUT /{}/{to}", self.name),
            &source,
            "",
        );
        assert!(copied.contains("CopyObjectResult"), "{copied}");
    }

    /// Refuses an action with one of acme's days from now on.
    fn refuse(&self, action: &str, day: &str) {
        let policy = format!(
            "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Deny\", \"Principal\": \"*\", \
             \"Action\": \"s3:{action}\", \"Resource\": \"arn:aws:s3:::{}/{}\"}}]}}",
            self.name,
            Bucket::key(day)
        );
        ask_with(
            self.server,
            &format!("PUT /{}?policy", self.name),
            "",
            &policy,
        );
    }

    fn refuse_nothing(&self) {
        ask(self.server, &format!("DELETE /{}?policy", self.name));
    }
}

/// Tenants whose days land in a bucket.
fn world(name: &str, tenants: &[&str], template: &str) -> Option<(World, Bucket)> {
    let bucket = Bucket::new(name)?;
    let mut world = World::new(name, tenants);
    world.variables = variables(bucket.server);
    for source in &world.tenants {
        events::create(source);
        events::fill(source, "2024-02-25", 24, 10);
    }
    world.set_up_events(tenants, template);
    world.configure(&format!("[landing]\nurl = \"{}\"\n", bucket.url()));
    Some((world, bucket))
}

fn args<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &DAYS[..], more].concat()
}

#[track_caller]
fn totals(report: &serde_json::Value, expected: &[(&str, u64)]) {
    for (key, value) in expected {
        assert_eq!(report["totals"][key], *value, "{key}: {}", report["totals"]);
    }
}

/// Asserts that every unit is landed, that its object holds just what the ledger says, and that there are no others.
#[track_caller]
fn is_whole(world: &World, bucket: &Bucket) -> usize {
    let units = world.warehouse.rows(
        "SELECT p.schema_name, u.day, u.rows, u.digest, u.object, u.object_digest, u.object_bytes \
         FROM _wh.unit u JOIN _wh.tenant p ON p.name = u.tenant WHERE u.state IN ('loaded', 'landed')",
    );
    let landing = bucket.landing();
    for unit in &units {
        let [schema, day, rows, digest, url, object_digest, bytes] =
            <[_; 7]>::try_from(unit.clone())
                .unwrap()
                .map(Option::unwrap_or_default);
        assert_eq!(digest, object_digest, "{schema} {day} is not landed");
        let object = object("event", &schema, &day);
        assert_eq!(url, landing.url_of(&object));
        let file = crate::support::server::block_on(landing.open_file(&object)).unwrap();
        assert_eq!(bytes, file.expect(&url).bytes().to_string());
        let read = read(&landing, &object).unwrap();
        assert_eq!(
            (read.rows.to_string(), read.digest),
            (rows, digest),
            "{url}"
        );
    }
    assert_eq!(bucket.objects().len(), units.len());
    assert_eq!(unfinished_uploads(bucket.server, &bucket.name), 0);
    units.len()
}

#[test]
fn each_day_is_one_object_that_is_written_again_only_when_it_changed() {
    let Some((world, bucket)) = world("s3_refresh", &["acme", "beta"], events::TEMPLATE) else {
        return;
    };
    let report = world.hauls(&args("backfill", &["--land"]), 0);
    totals(&report, &[("loaded", 48), ("files", 48), ("rows", 480)]);
    let url = report["units"][0]["object"]["url"].as_str().unwrap();
    assert_eq!(
        url,
        format!("s3://s3-refresh/{}", Bucket::key("2024-02-25"))
    );
    assert_eq!(is_whole(&world, &bucket), 48);
    let report = world.hauls(&args("backfill", &["--land"]), 0);
    totals(&report, &[("skipped", 20), ("unchanged", 28), ("files", 0)]);
    let report = world.hauls(&args("refresh", &["--land"]), 0);
    totals(&report, &[("unchanged", 48), ("files", 0)]);
    let writes = bucket.writes();
    assert_eq!(writes.len(), 48);
    assert!(writes.values().all(|n| *n == 1), "{writes:?}");

    // One change in the year's table, one in a day table.
    world.tenants[0].run(
        "UPDATE event SET amount = amount + 1 WHERE id = 1;
         INSERT INTO event VALUES (900001, '2024-03-18 23:00+00', 'late', 1)",
    );
    let report = world.hauls(&args("refresh", &["--land"]), 0);
    totals(&report, &[("changed", 2), ("files", 2), ("unchanged", 46)]);
    let again: Vec<String> = bucket
        .writes()
        .into_iter()
        .filter(|(_, n)| *n > 1)
        .map(|(key, _)| key)
        .collect();
    assert_eq!(again, ["2024-02-25", "2024-03-18"].map(Bucket::key));
    assert_eq!(is_whole(&world, &bucket), 48);
    world.digests_hold("event", events::TEMPLATE);
    world.is_clean();
}

#[test]
fn what_the_warehouse_has_lands_in_the_bucket_later() {
    let Some((world, bucket)) = world("s3_land", &["acme"], events::TEMPLATE) else {
        return;
    };
    world.hauls(&args("backfill", &[]), 0);
    assert!(bucket.objects().is_empty());
    let few = ["land", "--from", "2024-03-01", "--to", "2024-03-10"];
    totals(&world.hauls(&few, 0), &[("landed", 10), ("files", 10)]);
    totals(
        &world.hauls(&["land"], 0),
        &[("landed", 14), ("skipped", 10)],
    );
    assert!(bucket.writes().values().all(|n| *n == 1));
    assert_eq!(is_whole(&world, &bucket), 24);
    totals(&world.hauls(&["land", "--rewrite"], 0), &[("landed", 24)]);
    assert!(bucket.writes().values().all(|n| *n == 2));
    assert_eq!(is_whole(&world, &bucket), 24);
}

#[test]
fn an_object_that_somebody_replaced_is_noticed() {
    let Some((world, bucket)) = world("s3_verify", &["acme"], events::TEMPLATE) else {
        return;
    };
    world.hauls(&args("backfill", &["--land"]), 0);
    let verify = |code| {
        let args = ["verify", "--json", "--against", "parquet"];
        world.dayhaul(&args).exits(code).json()
    };
    totals(&verify(0), &[("units", 24), ("ok", 24)]);
    bucket.copy("2024-03-02", "2024-03-01");
    forge(&bucket.landing(), "2024-03-07", "2024-03-08", true);
    ask(
        bucket.server,
        &format!("DELETE /{}/{}", bucket.name, Bucket::key("2024-03-09")),
    );
    let found = verify(1);
    totals(
        &found,
        &[
            ("ok", 21),
            ("failed", 1),
            ("differs", 1),
            ("missing_file", 1),
        ],
    );
    let units = found["units"].as_array().unwrap();
    let of = |day: &str| {
        let unit = units.iter().find(|unit| unit["day"] == day).unwrap();
        unit["outcome"].as_str().unwrap()
    };
    assert_eq!(of("2024-03-01"), "failed");
    assert_eq!(of("2024-03-07"), "differs");
    assert_eq!(of("2024-03-09"), "missing_file");
    let failures = found["failures"].to_string();
    let replaced = format!("s3://{}/{}", bucket.name, Bucket::key("2024-03-01"));
    assert!(failures.contains(&replaced), "{failures}");
    assert!(failures.contains("2024-03-02"), "{failures}");
    // All of it is mended from the warehouse.
    world.hauls(&["land", "--rewrite"], 0);
    verify(0);
    assert_eq!(is_whole(&world, &bucket), 24);
}

#[test]
fn a_dropped_warehouse_comes_back_from_the_bucket() {
    const UNITS: &str = "SELECT tenant, template, day, state, rows, digest, version, relation, object, object_digest \
         FROM _wh.unit ORDER BY 1, 2, 3";
    const VIEW: &str = "SELECT schema_name, (at AT TIME ZONE 'UTC')::date, count(*), sum(amount), sum(hashtext(note)), sum(id) \
         FROM public.event GROUP BY 1, 2 ORDER BY 1, 2";
    let Some((world, bucket)) = world("s3_restore", &["acme", "beta"], events::TEMPLATE) else {
        return;
    };
    world.hauls(&args("backfill", &["--land"]), 0);
    let seen = || {
        (
            world.warehouse.rows(UNITS),
            world.read(VIEW),
            world.totals(),
        )
    };
    let before = seen();
    assert_eq!(before.2.0, "480");
    let kept = format!("s3://{}/kept", bucket.name);
    let taken = world.dayhaul(&["snapshot", "--out", &kept, "--json"]);
    let taken = taken.ok().json();
    let url = taken["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{kept}/_dayhaul/")), "{url}");

    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    let report = world.hauls(&["restore", "--snapshot", &kept], 0);
    totals(&report, &[("loaded", 48), ("rows", 480)]);
    assert_eq!(seen(), before);
    let status = world.dayhaul(&["status", "--data", "--json"]).ok().json();
    assert_eq!(status["data"], taken["id"]);
    assert_eq!(status["restored"]["snapshot"], taken["id"]);
    assert_eq!(status["restored"]["sources"][0], bucket.url());
    world.is_clean();
    world.digests_hold("event", events::TEMPLATE);
    let verify = ["verify", "--json", "--against", "all"];
    totals(&world.dayhaul(&verify).ok().json(), &[("ok", 48)]);
    // It knows its tenants again, and which of their days are landed.
    let report = world.hauls(&args("backfill", &["--land"]), 0);
    totals(&report, &[("skipped", 20), ("unchanged", 28), ("files", 0)]);
    assert!(bucket.writes().values().all(|n| *n == 1));
}

#[test]
fn a_place_that_falls_silent_is_passed_over() {
    let Some((mut world, bucket)) = world("s3_silent", &["acme"], events::TEMPLATE) else {
        return;
    };
    world.hauls(&args("backfill", &["--land"]), 0);
    let before = world.totals();
    let copy = Lake::new();
    world.configure(&format!("[landing]\nurl = \"{}\"\n", copy.url()));
    world.hauls(&["land", "--rewrite"], 0);
    world.lose_warehouse();
    world.dayhaul(&["init"]).ok();
    let silent = Proxy::before(
        bucket.server,
        Break::EveryAnswerTo("2024-03-03/data.parquet"),
    );
    world.variables = variables(silent.address);
    let places = ["restore", "--from", &bucket.url(), "--from", &copy.url()];
    let report = world.hauls(&places, 0);
    totals(&report, &[("loaded", 24), ("failed", 0)]);
    assert!(silent.has_broken());
    assert_eq!(world.totals(), before);
    world.is_clean();
    world.digests_hold("event", events::TEMPLATE);
}

#[test]
fn a_backfill_that_is_killed_leaves_no_wrong_object_and_the_next_one_ends_it() {
    let template = events::slow(0.02);
    let Some((world, bucket)) = world("s3_killed", &["acme"], &template) else {
        return;
    };
    let mut random = Random::new();
    let source = |day: &str| {
        let template = events::TEMPLATE
            .split("*/")
            .nth(1)
            .unwrap()
            .replace("note, amount", "note::varchar(20), amount::numeric(12,2)")
            .replace("{from}", &format!("'{day} 00:00+00'"))
            .replace(
                "{to}",
                &format!("'{day} 00:00+00'::timestamptz + interval '1 day'"),
            );
        crate::support::digests::of(&world.tenants[0].url_utc(), &template)
    };
    for round in 1..=4 {
        let run = world.start_backfill(&[&DAYS[..], &["--land"]].concat());
        wait_until("more days are in the bucket", || {
            bucket.objects().len() >= 3 * round
        });
        std::thread::sleep(random.part_of(Duration::from_millis(120)));
        run.signal(Signal::KILL);
        drop(run);
        world.nobody_is_left();
        let landing = bucket.landing();
        // Whether or not the ledger knows of it, an object holds its day.
        for path in bucket.objects() {
            let (_, day) = path.split_once("date=").unwrap();
            let day = day.split('/').next().unwrap();
            let read = read(&landing, &object("event", "acme", day)).unwrap();
            let (rows, digest) = source(day);
            assert_eq!(
                (read.rows, read.digest),
                (rows, digest.to_string()),
                "{day}"
            );
        }
        // What the ledger calls landed is there.
        for table in ["unit", "staged"] {
            let landed = format!("SELECT object FROM _wh.{table} WHERE object_digest = digest");
            for row in world.warehouse.rows(&landed) {
                let url = row[0].clone().unwrap();
                let path = url.strip_prefix(&format!("{}/", bucket.url())).unwrap();
                assert!(bucket.objects().iter().any(|o| o == path), "{url}");
            }
        }
    }
    assert!(bucket.objects().len() < 24, "nothing was left to do");
    world.hauls(&args("backfill", &["--land"]), 0);
    assert_eq!(is_whole(&world, &bucket), 24);
    assert_eq!(world.totals().0, "240");
    world.all_is_well(&template, &[&DAYS[..], &["--against", "all"]].concat());
}

#[test]
fn a_day_that_the_bucket_refuses_fails_alone() {
    let Some((world, bucket)) = world("s3_refused", &["acme", "beta"], events::TEMPLATE) else {
        return;
    };
    bucket.refuse("PutObject", "2024-03-01");
    let report = world.hauls(&args("backfill", &["--land"]), 1);
    totals(
        &report,
        &[
            ("loaded", 47),
            ("failed", 1),
            ("not_tried", 0),
            ("files", 47),
        ],
    );
    let failures = report["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0]["tenant"], "acme");
    assert_eq!(
        failures[0]["days"],
        serde_json::json!([["2024-03-01", "2024-03-01"]])
    );
    let error = failures[0]["error"].as_str().unwrap();
    assert!(error.contains(&Bucket::key("2024-03-01")), "{error}");
    assert_eq!(bucket.objects().len(), 47);
    bucket.refuse_nothing();
    world.hauls(&args("backfill", &["--land"]), 0);
    assert_eq!(is_whole(&world, &bucket), 48);
    world.is_clean();

    // Nor do the others wait for one that may not be read.
    bucket.refuse("GetObject", "2024-03-02");
    let verify = ["verify", "--json", "--against", "parquet"];
    let found = world.dayhaul(&verify).exits(1).json();
    totals(&found, &[("ok", 47), ("failed", 1), ("not_tried", 0)]);
    let failures = found["failures"].to_string();
    assert!(failures.contains(&Bucket::key("2024-03-02")), "{failures}");
    bucket.refuse_nothing();
    world.dayhaul(&verify).ok();
}
