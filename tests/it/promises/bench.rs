//! `dayhaul bench`: every figure is of checked rows, whoever fails or lies gets none, and nothing stays behind.

use crate::support::events;
use crate::support::server::{Database, block_on};
use crate::support::world::{self, Output, World, send, wait_until};
use dayhaul::bench::contestant::Contestant;
use dayhaul::bench::contestant::dblink::Best;
use dayhaul::bench::environment::{PrivateServers, PrivateServersSpec, TenantData, Work, Workload};
use dayhaul::bench::fingerprint::Fingerprint;
use dayhaul::bench::meter::ContestantUsage;
use dayhaul::bench::result::{EntrantState, ScenarioResult};
use dayhaul::bench::sandbox::Sandbox;
use dayhaul::bench::scenario::choices::SCENARIOS;
use dayhaul::bench::scenario::{Entrant, EntrantRole, ExpectedRows, SandboxChoice};
use dayhaul::bench::{BenchObserver, Environment, run_scenario};
use dayhaul::error::{Error, Kind, Result};
use dayhaul::unit::{Day, Window};
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The bench, tiny, below a folder of the test's own.
fn bench(dir: &tempfile::TempDir, more: &[&str]) -> Command {
    let below = dir.path().to_str().unwrap();
    let mut args = vec!["bench", "--dir", below, "--setting", "fsync=off"];
    for (name, value) in [
        ("--rows-per-day", "20"),
        ("--days", "4"),
        ("--tenants", "2"),
        ("--repeat", "1"),
    ] {
        if !more.contains(&name) {
            args.extend([name, value]);
        }
    }
    args.extend(more);
    world::command(dir.path(), &args)
}

fn is_empty(dir: &tempfile::TempDir) -> bool {
    std::fs::read_dir(dir.path()).unwrap().next().is_none()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn every_contestant_of_every_scenario_earns_a_figure_by_its_rows() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let into = out.path().join("new/folder");
    let done = Output::of(&mut bench(
        &dir,
        &["--json", "--out", into.to_str().unwrap()],
    ))
    .ok();
    let json = done.json();
    assert_eq!(json["schema"], "dayhaul.bench/1");
    assert_eq!(json["outcome"], "done");
    let scenarios = json["scenarios"].as_array().unwrap();
    let names: Vec<&str> = scenarios
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    // `fleet` has tenants of its own, and is only run if it is asked for.
    let usual = SCENARIOS.iter().filter(|s| s.name != "fleet");
    assert_eq!(names, usual.map(|s| s.name).collect::<Vec<_>>());
    for scenario in scenarios {
        for entrant in scenario["entrants"].as_array().unwrap() {
            let what = format!("{}: {entrant}", scenario["name"]);
            assert_eq!(entrant["state"], "measured", "{what}");
            assert!(entrant["median"].as_f64().unwrap() > 0.0, "{what}");
            assert_eq!(entrant["digest"].as_str().unwrap().len(), 32, "{what}");
            assert!(!entrant["script"].as_str().unwrap().is_empty(), "{what}");
        }
    }
    // 20 rows a day, two days in thirteen a third more or less, and one late row more.
    let rows = |name: &str| {
        let scenario = scenarios.iter().find(|s| s["name"] == name).unwrap();
        scenario["entrants"][0]["rows"].as_u64().unwrap()
    };
    assert!(
        (54..=92).contains(&rows("backfill")),
        "{}",
        rows("backfill")
    );
    assert_eq!(rows("refresh-late"), rows("refresh") + 1);
    let hourly = scenarios.iter().find(|s| s["name"] == "hourly").unwrap();
    let compared = &hourly["entrants"][2]["also"]["wal_bytes"];
    assert!(compared["ratio"].as_f64().unwrap() > 0.0, "{hourly}");

    let written: serde_json::Value = serde_json::from_str(&read(&into, "bench.json")).unwrap();
    assert_eq!(written, json);
    let markdown = read(&into, "bench.md");
    assert!(markdown.contains("CREATE MATERIALIZED VIEW"), "{markdown}");
    let html = read(&into, "bench.html");
    assert!(
        html.contains("<svg") && html.contains("linear scale"),
        "{html}"
    );
    for outside in [
        "http:", "https:", "<script", "<link", "<img", "url(", "@import",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(is_empty(&dir), "something stayed");
}

#[test]
fn contestants_are_chosen_and_a_longer_way_is_the_same_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let choice = [
        "--scenario",
        "backfill",
        "--contestant",
        "psql",
        "--contestant",
        "psql-bulk",
        "--contestant",
        "dayhaul",
    ];
    let mut args = vec!["--json", "--latency", "25", "--repeat", "2"];
    args.extend(choice);
    let json = Output::of(&mut bench(&dir, &args)).ok().json();
    assert_eq!(json["latency_ms"], 25);
    assert_eq!(json["scenarios"].as_array().unwrap().len(), 1);
    let entrants = json["scenarios"][0]["entrants"].as_array().unwrap();
    let names: Vec<&str> = entrants
        .iter()
        .map(|e| e["contestant"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["psql", "psql-bulk", "dayhaul"]);
    for entrant in entrants {
        assert_eq!(entrant["tries"].as_array().unwrap().len(), 2, "{entrant}");
        assert!(entrant["tries"][0]["own_peak"].as_u64().unwrap() > 1 << 20);
    }
    // psql greets the server and asks a query, day after day: three round trips at the least.
    let psql = entrants[0]["min"].as_f64().unwrap();
    assert!(psql > 4.0 * 3.0 * 0.025, "{psql}");
    // The same rows, and the statistics that a reader needs.
    assert_eq!(entrants[0]["digest"], entrants[1]["digest"]);
    let bulk = entrants[1]["script"].as_str().unwrap();
    assert!(bulk.contains("ANALYZE"), "{bulk}");
    assert_eq!(bulk.matches("| psql").count(), 1, "{bulk}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_started() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [
        vec!["--scenario", "marathon"],
        vec!["--contestant", "oracle"],
        vec!["--days", "0"],
        vec!["--setting", "fsync"],
        vec!["--latency", "0"],
        vec!["--scenario", "fold", "--contestant", "psql"],
        vec!["--scenario", "fold", "--scenario", "fleet"],
    ] {
        Output::of(&mut bench(&dir, &wrong)).exits(2);
    }
    std::fs::write(dir.path().join("file"), "").unwrap();
    let below_a_file = dir.path().join("file/report");
    Output::of(&mut bench(&dir, &["--out", below_a_file.to_str().unwrap()])).exits(1);
    let listed = Output::of(&mut bench(&dir, &["--list"])).ok().stdout;
    for name in SCENARIOS.map(|s| s.name) {
        assert!(listed.contains(name), "{listed}");
    }
}

#[test]
fn an_interrupted_bench_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = bench(&dir, &["--days", "300", "--rows-per-day", "500"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The first try has begun when its sandbox has a folder.
    wait_until("a sandbox", || {
        let benches = std::fs::read_dir(dir.path()).unwrap().flatten();
        benches
            .into_iter()
            .any(|b| b.path().join("sandbox-1").exists())
    });
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(is_empty(&dir), "something stayed");
}

/// Does what dblink at its best does, and then something of its own.
struct Trickster {
    name: &'static str,
    then: &'static str,
}

impl Contestant for Trickster {
    fn name(&self) -> &str {
        self.name
    }

    fn title(&self) -> String {
        self.name.to_owned()
    }

    fn script(&self, _: &Sandbox) -> Result<String> {
        Ok(self.then.to_owned())
    }

    fn extension(&self) -> Option<&'static str> {
        Best.extension()
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Best.prepare(sandbox)
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            if self.then.is_empty() {
                return Err(Error::new(Kind::Refused, "it does not feel like it"));
            }
            let used = Best.run(sandbox).await?;
            let sql = self.then.replace("@", &sandbox.relation(""));
            sandbox.warehouse.connect().await?.batch(&sql).await?;
            Ok(used)
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Best.output(sandbox)
    }
}

struct Deaf;

impl BenchObserver for Deaf {
    fn message(&self, _: &str) {}
}

fn entrant(contestant: impl Contestant + 'static, window: Window, role: EntrantRole) -> Entrant {
    Entrant {
        contestant: Box::new(contestant),
        group: String::new(),
        label: None,
        tenants: 1,
        window,
        role,
        expected: ExpectedRows::Sources,
        place: SandboxChoice::Own,
        late_rows: None,
    }
}

/// A backfill between dblink and tricksters.
fn held(tricksters: Vec<Trickster>) -> ScenarioResult {
    let dir = tempfile::tempdir().unwrap();
    let today = Day::today();
    let window = Window::new(today.plus(-3), today);
    block_on(async {
        let servers = PrivateServers::start(PrivateServersSpec {
            data: TenantData::FoodLog,
            window,
            rows_per_day: 20,
            round_trip: None,
            settings: vec![("fsync".into(), "off".into())],
            count_statements: false,
            dir: dir.path().to_owned(),
        })
        .await
        .unwrap();
        let workload = Workload {
            template: Arc::new(TenantData::FoodLog.template().unwrap()),
            window,
            rows_per_day: Some(20),
            tenants: 1,
            jobs: 2,
            folder: servers.folder().to_owned(),
            psql: servers.psql(),
            program: env!("CARGO_BIN_EXE_dayhaul").into(),
        };
        let environment = Environment::new(Box::new(servers), workload);
        let mut scenario = (SCENARIOS[0].build)(&environment);
        let others = tricksters
            .into_iter()
            .map(|t| entrant(t, window, EntrantRole::Contestant));
        scenario.entrants = std::iter::once(entrant(Best, window, EntrantRole::Baseline))
            .chain(others)
            .collect();
        let scored = run_scenario(&scenario, &environment, 2, &Deaf)
            .await
            .unwrap();
        tokio::task::spawn_blocking(move || drop(environment))
            .await
            .unwrap();
        scored
    })
}

#[test]
fn who_lies_or_fails_gets_no_figure_and_the_others_go_on() {
    let trickster = |name, then| Trickster { name, then };
    let scored = held(vec![
        trickster("honest", "SELECT 1"),
        trickster(
            "forgetful",
            "DELETE FROM @ WHERE id = (SELECT min(id) FROM @)",
        ),
        trickster(
            "forger",
            "UPDATE @ SET quantity = quantity + 1 WHERE id = (SELECT min(id) FROM @)",
        ),
        trickster(
            "twofaced",
            "CREATE TEMP TABLE t AS SELECT * FROM @; DELETE FROM @; INSERT INTO @ SELECT * FROM t",
        ),
        trickster("unwilling", ""),
    ]);
    let states: Vec<EntrantState> = scored.entrants.iter().map(|e| e.state).collect();
    let (ok, differs, failed) = (
        EntrantState::Measured,
        EntrantState::Differs,
        EntrantState::Failed,
    );
    assert_eq!(states, [ok, ok, differs, differs, ok, failed]);
    for entrant in &scored.entrants {
        let measured = entrant.state == ok;
        assert_eq!(entrant.median.is_some(), measured, "{}", entrant.title);
        assert_eq!(entrant.ratio.is_some(), measured, "{}", entrant.title);
        assert_eq!(entrant.error.is_some(), !measured, "{}", entrant.title);
        assert_eq!(entrant.tries.len(), if measured { 2 } else { 0 });
    }
    let why = |i: usize| scored.entrants[i].error.as_deref().unwrap();
    assert!(why(2).contains("rows instead of"), "{}", why(2));
    assert!(why(3).contains("another digest"), "{}", why(3));
    assert_eq!(why(5), "it does not feel like it");
    assert!(!scored.is_complete());
}

/// A warehouse in use: one tenant whose days are loaded, and dblink.
fn in_use(name: &str) -> World {
    let world = World::with_events(name, &["acme"], "2024-01-01", 40, 15);
    world
        .dayhaul(&["backfill", "--from", "2024-01-01", "--to", "2024-01-20"])
        .ok();
    world.warehouse.run("CREATE EXTENSION dblink");
    world
}

const IN_USE: [&str; 11] = [
    "bench",
    "--tenant",
    "acme",
    "--template",
    "event",
    "--from",
    "2024-01-25",
    "--to",
    "2024-02-05",
    "--scratch-schema",
    "scratch",
];

/// Every relation of a database but the system's, its rows and when it was last made anew; and all schemas.
fn everything(database: &Database) -> Vec<Vec<Option<String>>> {
    let mut all = database.rows(
        "SELECT n.nspname, c.relname, c.relkind::text, c.oid::text, c.relfilenode::text, c.relacl::text \
         FROM pg_class c RIGHT JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname !~ '^pg_|information_schema' ORDER BY 1, 2",
    );
    let tables: Vec<String> = all
        .iter()
        .filter(|r| r[2].as_deref() == Some("r"))
        .filter_map(|r| Some(format!("\"{}\".\"{}\"", r[0].as_ref()?, r[1].as_ref()?)))
        .collect();
    for table in tables {
        all.extend(database.rows(&format!(
            "SELECT '{table}', count(*)::text, md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} AS t"
        )));
    }
    all
}

#[test]
fn a_bench_in_a_warehouse_in_use_leaves_it_as_it_was() {
    let world = in_use("bench");
    let before = (everything(&world.warehouse), everything(&world.tenants[0]));
    let out = world
        .dayhaul(&[&IN_USE[..], &["--repeat", "1", "--json"]].concat())
        .ok();
    assert_eq!(everything(&world.warehouse), before.0);
    assert_eq!(everything(&world.tenants[0]), before.1);
    let json = out.json();
    let scenarios = json["scenarios"].as_array().unwrap();
    let names: Vec<&str> = scenarios
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "backfill",
            "backfill-years",
            "refresh",
            "fold",
            "growth-days"
        ]
    );
    for scenario in scenarios {
        for entrant in scenario["entrants"].as_array().unwrap() {
            // A foreign table needs a view at the source.
            let state = match entrant["contestant"].as_str() {
                Some("postgres_fdw") => "left_out",
                _ => "measured",
            };
            assert_eq!(entrant["state"], state, "{entrant}");
        }
    }
    assert_eq!(scenarios[0]["entrants"][0]["rows"], 12 * 15);
}

#[test]
fn a_query_for_one_day_is_never_asked_for_more() {
    let world = in_use("bench_one_day");
    world.write(
        "templates/event.sql",
        &events::one_day_windows(events::TEMPLATE),
    );
    world
        .dayhaul(&["template", "load", "templates/event.sql"])
        .ok();
    let few = ["--repeat", "1", "--scenario", "backfill", "--json"];
    let json = world.dayhaul(&[&IN_USE[..], &few].concat()).ok().json();
    for entrant in json["scenarios"][0]["entrants"].as_array().unwrap() {
        let state = match entrant["contestant"].as_str() {
            Some("postgres_fdw" | "psql-bulk" | "dblink-best") => "left_out",
            _ => "measured",
        };
        assert_eq!(entrant["state"], state, "{entrant}");
    }
}

#[test]
fn without_the_baseline_nothing_is_shown() {
    let world = in_use("bench_no_dblink");
    world.warehouse.run("DROP EXTENSION dblink");
    let few = ["--repeat", "1", "--scenario", "backfill"];
    let only = ["--contestant", "dblink", "--contestant", "dayhaul"];
    let out = world.dayhaul(&[&IN_USE[..], &few, &only].concat()).exits(1);
    let why = "left out: the warehouse has no extension `dblink`";
    assert!(out.stdout.contains(why), "{}", out.stdout);
}

#[test]
fn a_bench_in_a_warehouse_in_use_cleans_up_when_it_is_interrupted() {
    let world = in_use("bench_int");
    let before = everything(&world.warehouse);
    let running =
        world.start(&[&IN_USE[..], &["--repeat", "100", "--scenario", "backfill"]].concat());
    let schemas = || {
        world
            .warehouse
            .one("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'scratch%'")
    };
    // With Dayhaul's own catalog there, its processes are at work.
    wait_until("a try of Dayhaul's", || schemas() == "3");
    running.signal(Signal::INT);
    running.output().exits(130);
    assert_eq!(everything(&world.warehouse), before);
}

#[test]
fn a_scratch_schema_that_is_there_is_not_touched() {
    let world = in_use("bench_there");
    world
        .warehouse
        .run("CREATE SCHEMA scratch_wh; CREATE TABLE scratch_wh.dear AS SELECT 1 AS me");
    let refused = world.dayhaul(&IN_USE).exits(2);
    assert!(
        refused.stderr.contains("`scratch_wh` already exists"),
        "{}",
        refused.stderr
    );
    assert_eq!(world.warehouse.one("SELECT me FROM scratch_wh.dear"), "1");
    for wrong in [
        vec!["bench", "--tenant", "acme"],
        [&IN_USE[..], &["--days", "3"]].concat(),
        [&IN_USE[..], &["--latency", "3"]].concat(),
        [&IN_USE[..], &["--scenario", "hourly"]].concat(),
    ] {
        world.dayhaul(&wrong).exits(2);
    }
}
