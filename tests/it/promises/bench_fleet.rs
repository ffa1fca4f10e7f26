//! `dayhaul bench --scenario fleet`: what it counts is exact, and a reader without room is counted and never hidden.

use crate::support::server::block_on;
use crate::support::world::{self, Output};
use dayhaul::bench::Environment;
use dayhaul::bench::contestant::Contestant;
use dayhaul::bench::contestant::readers_at_once::ReadersAtOnce;
use dayhaul::bench::environment::{PrivateServers, PrivateServersSpec, TenantData, Workload};
use dayhaul::bench::meter::{Measurement, ServerMeter};
use dayhaul::bench::sandbox::Sandbox;
use dayhaul::error::Result;
use dayhaul::unit::Day;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

const TENANTS: u16 = 3;

fn group<'a>(scenario: &'a Value, start: &str) -> Vec<&'a Value> {
    let entrants = scenario["entrants"].as_array().unwrap().iter();
    let found: Vec<&Value> = entrants
        .filter(|e| e["group"].as_str().unwrap().starts_with(start))
        .collect();
    assert!(!found.is_empty(), "{start}: {scenario}");
    found
}

#[test]
fn every_phase_is_measured_at_both_ends() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let below = dir.path().to_str().unwrap();
    let tenants = TENANTS.to_string();
    let mut command = world::command(
        dir.path(),
        &[
            "bench",
            "--scenario",
            "fleet",
            "--tenants",
            &tenants,
            "--days",
            "20",
            "--rows-per-day",
            "10",
            "--repeat",
            "2",
            "--setting",
            "fsync=off",
            "--json",
            "--dir",
            below,
            "--out",
            out.path().to_str().unwrap(),
        ],
    );
    let json = Output::of(&mut command).ok().json();
    let scenario = &json["scenarios"][0];
    for entrant in scenario["entrants"].as_array().unwrap() {
        assert_eq!(entrant["state"], "measured", "{entrant}");
        assert_eq!(entrant["tries"].as_array().unwrap().len(), 2, "{entrant}");
    }
    assert_eq!(json["data"]["template"], "event");
    assert_eq!(json["data"]["indexes"], 3);
    let rows = |entrant: &Value| entrant["rows"].as_u64().unwrap();
    let of = |entrant: &Value, metric: &str| entrant["also"][metric]["median"].as_f64().unwrap();

    let first = group(scenario, "the first backfill");
    assert!(
        first
            .iter()
            .all(|e| rows(e) == u64::from(TENANTS) * 20 * 10)
    );
    // psql opens two sessions a tenant, and the indexes are created in a third.
    assert!((of(first[1], "source_connections") - f64::from(TENANTS)).abs() < 0.1);
    assert!((of(first[1], "warehouse_connections") - 2.0 * f64::from(TENANTS)).abs() < 0.1);

    // dblink: two days of each tenant; each REFRESH opens a session at the source and sends one query.
    let [dblink, dayhaul] = group(scenario, "an hourly sync, nothing")[..] else {
        panic!("{scenario}")
    };
    assert!((of(dblink, "source_connections") - 2.0 * f64::from(TENANTS)).abs() < 0.1);
    assert!((of(dblink, "warehouse_connections") - f64::from(TENANTS)).abs() < 0.1);
    assert!(of(dayhaul, "source_connections") >= f64::from(TENANTS));
    assert_eq!(rows(dblink), u64::from(TENANTS) * 2 * 10);
    assert_eq!(rows(dayhaul), u64::from(TENANTS) * 15 * 10);

    let [dblink, dayhaul] = group(scenario, "an hourly sync, today has grown")[..] else {
        panic!("{scenario}")
    };
    assert_eq!(rows(dblink), u64::from(TENANTS) * (2 * 10 + 1));
    assert_eq!(rows(dayhaul), u64::from(TENANTS) * (15 * 10 + 1));

    let readers = group(scenario, "readers");
    let more = |entrant: &Value, name: &str| entrant["tries"][0]["more"][name].as_f64().unwrap();
    let at_once: Vec<f64> = readers.iter().map(|e| more(e, "readers")).collect();
    assert_eq!(at_once, [1.0, 4.0, 8.0]);
    for entrant in readers {
        assert!(
            more(entrant, "locks") > 2.0 * f64::from(TENANTS),
            "{entrant}"
        );
        assert!(more(entrant, "planning_seconds") > 0.0, "{entrant}");
        assert!(more(entrant, "failed_readers").abs() < 0.1, "{entrant}");
    }
    let markdown = std::fs::read_to_string(out.path().join("bench.md")).unwrap();
    assert!(markdown.contains("connections to the source"), "{markdown}");
    assert!(
        dir.path().read_dir().unwrap().next().is_none(),
        "something stayed"
    );
}

/// Servers of one tenant, with settings.
async fn environment(dir: &Path, settings: &[(&str, &str)]) -> Environment {
    let data = TenantData::Events;
    let window = data.window(2, Day::today());
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let servers = PrivateServers::start(PrivateServersSpec {
        data,
        window,
        rows_per_day: 10,
        round_trip: None,
        settings: settings.iter().map(own).collect(),
        count_statements: true,
        dir: dir.to_owned(),
    })
    .await
    .unwrap();
    let workload = Workload {
        template: Arc::new(data.template().unwrap()),
        window,
        rows_per_day: Some(10),
        tenants: 1,
        jobs: 1,
        folder: servers.folder().to_owned(),
        psql: servers.psql(),
        program: env!("CARGO_BIN_EXE_dayhaul").into(),
    };
    Environment::new(Box::new(servers), workload)
}

/// A public view over so many tables, as a large fleet has it.
async fn public_view(sandbox: &Sandbox, tables: usize) {
    let session = sandbox.warehouse.connect().await.unwrap();
    let names: Vec<String> = (0..tables).map(|n| format!("part_{n}")).collect();
    for names in names.chunks(50) {
        let create = names
            .iter()
            .map(|name| format!("CREATE TABLE {name} ({});", sandbox.column_list()));
        session.batch(&create.collect::<String>()).await.unwrap();
    }
    let parts: Vec<String> = names
        .iter()
        .map(|name| format!("SELECT text 't' AS schema_name, * FROM {name}"))
        .collect();
    // The view's own dependencies are locked with it, so it grows in steps.
    let steps: Vec<String> = parts
        .chunks(50)
        .map(|part| part.join(" UNION ALL "))
        .collect();
    for (n, step) in steps.iter().enumerate() {
        session
            .batch(&format!("CREATE VIEW step_{n} AS {step}"))
            .await
            .unwrap();
    }
    let all: Vec<String> = (0..steps.len())
        .map(|n| format!("SELECT * FROM step_{n}"))
        .collect();
    session
        .batch(&format!("CREATE VIEW event AS {}", all.join(" UNION ALL ")))
        .await
        .unwrap();
}

async fn ask(sandbox: &Sandbox, readers: u32) -> Result<Measurement> {
    let used = ReadersAtOnce { readers }.run(sandbox).await?;
    Ok(Measurement {
        more: used.more,
        ..Measurement::default()
    })
}

#[test]
fn readers_that_find_the_lock_table_full_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    // Few locks, though enough for one reader.
    let settings = [
        ("fsync", "off"),
        ("max_locks_per_transaction", "10"),
        ("max_connections", "30"),
        // A worker takes locks like a reader.
        ("max_parallel_workers_per_gather", "0"),
    ];
    block_on(async {
        let environment = environment(dir.path(), &settings).await;
        let sandbox = environment.sandbox(1, environment.window()).await.unwrap();
        public_view(&sandbox, 400).await;
        let one = ask(&sandbox, 1).await.unwrap().more;
        assert!(one["failed_readers"].abs() < 0.1, "{one:?}");
        assert!(one["locks"] > 400.0, "{one:?}");
        let many = ask(&sandbox, 20).await.unwrap().more;
        assert!(many["failed_readers"] >= 1.0, "{many:?}");
        // How many is up to who comes first: all may be in each other's way.
        let some = many["failed_readers"] < 20.0;
        assert_eq!(some, many.contains_key("locks"), "{many:?}");
        // Anything else than a full lock table is an error.
        let session = sandbox.warehouse.connect().await.unwrap();
        session.batch("DROP VIEW event").await.unwrap();
        let gone = ask(&sandbox, 2).await.unwrap_err();
        assert_eq!(gone.sqlstate(), Some("42P01"), "{gone}");
        tokio::task::spawn_blocking(move || drop(environment))
            .await
            .unwrap();
    });
}

#[test]
fn connections_and_statements_are_counted_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let environment = environment(dir.path(), &[("fsync", "off")]).await;
        let sandbox = environment.sandbox(1, environment.window()).await.unwrap();
        let monitors = environment.servers.monitor().await.unwrap();
        let meter = ServerMeter {
            monitors: &monitors,
            postmasters: environment.servers.postmasters(),
            is_private: true,
        };
        let work = async {
            for n in 0..7 {
                let session = sandbox.warehouse.connect().await?;
                session.batch("BEGIN").await?;
                session.batch(&format!("CREATE TABLE t{n} ()")).await?;
                session.batch("COMMIT").await?;
                // What fails is no statement that ended well.
                session.batch("SELECT 1 / 0").await.unwrap_err();
            }
            let source = sandbox.source().endpoint.connect().await?;
            source.simple("SELECT count(*) FROM event").await?;
            Ok(Default::default())
        };
        let plain = |n: u32| f64::from(n);
        let more = meter.measure(work).await.unwrap().more;
        assert!(
            (more["warehouse_connections"] - plain(7)).abs() < 0.1,
            "{more:?}"
        );
        assert!(
            (more["source_connections"] - plain(1)).abs() < 0.1,
            "{more:?}"
        );
        // BEGIN, CREATE and COMMIT. Each session also sets its name, which does not count.
        assert!(
            (more["warehouse_statements"] - plain(7 * 3)).abs() < 0.1,
            "{more:?}"
        );
        assert!(
            (more["source_statements"] - plain(1)).abs() < 0.1,
            "{more:?}"
        );
        drop(monitors);
        tokio::task::spawn_blocking(move || drop(environment))
            .await
            .unwrap();
    });
}
