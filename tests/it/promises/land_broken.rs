//! What breaks while days are landed: the day that it concerns fails, and what comes next puts it right.

use crate::support::events;
use crate::support::server;
use crate::support::world::{Output, World};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const DAYS: [&str; 4] = ["--from", "2024-02-25", "--to", "2024-03-19"];

fn world(name: &str) -> World {
    World::with_events(name, &["acme"], "2024-02-25", 24, 10).with_lake()
}

fn land<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &DAYS[..], more].concat()
}

#[track_caller]
fn total(report: &serde_json::Value, key: &str) -> u64 {
    report["totals"][key].as_u64().unwrap()
}

#[track_caller]
fn failed_days(report: &serde_json::Value) -> Vec<String> {
    let units = report["units"].as_array().unwrap().iter();
    units
        .filter(|u| u["outcome"] == "failed")
        .map(|u| u["day"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_file_that_cannot_be_published_leaves_its_rows_and_the_next_run_lands_it() {
    let world = world("publish_fails");
    // A folder where the file should be: only the rename finds it.
    for day in ["2024-02-27", "2024-03-12"] {
        let place = world.file("event", "acme", day);
        fs::create_dir_all(place.join("x")).unwrap();
    }
    let report = world.hauls(&land("backfill", &["--land"]), 1);
    assert_eq!(failed_days(&report), ["2024-02-27", "2024-03-12"]);
    assert_eq!(total(&report, "loaded"), 22, "{}", report["totals"]);
    let error = report["failures"][0]["error"].as_str().unwrap();
    assert!(error.contains("in the warehouse"), "{error}");
    assert!(error.contains("data.parquet"), "{error}");
    // Readers have them, and the ledger says that they are not landed.
    assert_eq!(world.totals().0, "240");
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded' AND object_digest IS NULL"),
        "2"
    );
    for day in ["2024-02-27", "2024-03-12"] {
        fs::remove_dir_all(world.file("event", "acme", day)).unwrap();
    }
    let report = world.hauls(&land("backfill", &["--land"]), 0);
    assert_eq!((total(&report, "landed"), total(&report, "files")), (2, 2));
    assert_eq!(world.lake_is_whole("event"), 24);
    world.is_clean();
}

#[test]
fn a_day_whose_file_cannot_be_made_fails_and_is_not_in_the_warehouse() {
    let world = world("create_fails");
    let folder = world.file("event", "acme", "2024-02-27");
    let folder = folder.parent().unwrap();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(folder, "a file where a folder should be").unwrap();
    let report = world.hauls(&land("backfill", &["--land"]), 1);
    assert_eq!(failed_days(&report), ["2024-02-27"]);
    assert_eq!(world.totals().0, "230");
    fs::remove_file(folder).unwrap();
    world.hauls(&land("backfill", &["--land"]), 0);
    assert_eq!(world.lake_is_whole("event"), 24);
    world.is_clean();
}

impl World {
    /// The binary as somebody who owns nothing here, if we are root: root may write anywhere.
    fn command_of_nobody(&self, args: &[&str]) -> Command {
        let command = self.command(args);
        if !is_root() {
            return command;
        }
        // Wherever it was built, others may not be let in.
        let binary = self.folder().join("dayhaul");
        if !binary.exists() {
            fs::hard_link(command.get_program(), &binary)
                .or_else(|_| fs::copy(command.get_program(), &binary).map(drop))
                .unwrap();
            fs::set_permissions(self.folder(), Permissions::from_mode(0o755)).unwrap();
        }
        let mut theirs = Command::new(binary);
        theirs
            .args(command.get_args())
            .current_dir(self.folder())
            .env_clear()
            .envs(command.get_envs().filter_map(|(n, v)| Some((n, v?))))
            .stdin(Stdio::null())
            .uid(NOBODY)
            .gid(NOBODY);
        theirs
    }
}

const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_lake_that_may_not_be_written_is_said_before_anything_moves() {
    let world = world("read_only");
    let all = [
        &land("backfill", &["--land"])[..],
        &["--today", events::TODAY],
    ]
    .concat();
    // Of another's folder, what counts is what others may.
    let (closed, open) = if is_root() {
        (0o755, 0o777)
    } else {
        (0o555, 0o755)
    };
    let may = |mode| fs::set_permissions(world.lake(), Permissions::from_mode(mode)).unwrap();
    let lake = world.lake().display().to_string();
    for mode in [closed, 0o000] {
        may(mode);
        let out = Output::of(&mut world.command_of_nobody(&all)).exits(2);
        let said = format!("failed to write to `{lake}`: permission denied");
        assert!(out.stderr.contains(&said), "{}", out.stderr);
        assert!(out.stderr.contains("`landing.url`"), "{}", out.stderr);
        assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.run"), "0");
        assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.unit"), "0");
    }
    // Nor may it be reached.
    let above = world.folder().join("above");
    fs::create_dir_all(above.join("lake")).unwrap();
    fs::set_permissions(&above, Permissions::from_mode(0o000)).unwrap();
    let below = format!("file://{}", above.join("lake").display());
    world.configure(&format!("[landing]\nurl = \"{below}\"\n"));
    let out = Output::of(&mut world.command_of_nobody(&all)).exits(2);
    let said = format!(
        "failed to read `{}/lake`: permission denied",
        above.display()
    );
    assert!(out.stderr.contains(&said), "{}", out.stderr);
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.run"), "0");
    fs::set_permissions(&above, Permissions::from_mode(0o755)).unwrap();

    // Who may, does.
    world.configure(&format!("[landing]\nurl = \"{}\"\n", world.lake_url()));
    may(open);
    Output::of(&mut world.command_of_nobody(&all)).ok();
    assert_eq!(world.lake_is_whole("event"), 24);
    world.is_clean();
}

#[test]
fn a_tenant_whose_folder_may_not_be_written_fails_and_the_others_land() {
    let world = World::with_events("folder_of_another", &["acme", "beta"], "2024-02-25", 24, 10);
    let world = world.with_lake();
    fs::set_permissions(world.lake(), Permissions::from_mode(0o777)).unwrap();
    let theirs = world.lake().join("event/tenant=acme");
    fs::create_dir_all(&theirs).unwrap();
    let above = theirs.parent().unwrap();
    fs::set_permissions(above, Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&theirs, Permissions::from_mode(0o555)).unwrap();
    let args = [
        &land("backfill", &["--land"])[..],
        &["--json", "--today", events::TODAY],
    ]
    .concat();
    let report = Output::of(&mut world.command_of_nobody(&args))
        .exits(1)
        .json();
    assert_eq!(total(&report, "loaded"), 24, "{}", report["totals"]);
    let days = total(&report, "failed") + total(&report, "not_tried");
    assert_eq!(days, 24, "{}", report["totals"]);
    let failures = report["failures"].as_array().unwrap();
    assert!(
        failures.iter().all(|f| f["tenant"] == "acme"),
        "{failures:#?}"
    );
    let error = failures[0]["error"].as_str().unwrap();
    assert!(error.contains(&theirs.display().to_string()), "{error}");
    // What has no file is not in the warehouse.
    let acme = "SELECT count(*) FROM public.event WHERE schema_name = 'acme'";
    assert_eq!(world.read(acme)[0][0].as_deref(), Some("0"));
    fs::set_permissions(&theirs, Permissions::from_mode(0o777)).unwrap();
    Output::of(&mut world.command_of_nobody(&args)).ok();
    assert_eq!(world.lake_is_whole("event"), 48);
    world.is_clean();
}

#[test]
fn rows_that_somebody_changed_in_the_warehouse_are_not_landed() {
    let world = world("land_changed");
    world.hauls(&land("backfill", &[]), 0);
    world.warehouse.run(
        "UPDATE acme.event_2024 SET amount = 0 WHERE id = (SELECT min(id) FROM acme.event_2024)",
    );
    let report = world.hauls(&["land"], 1);
    assert_eq!(failed_days(&report), ["2024-02-25"]);
    assert_eq!(total(&report, "landed"), 23);
    let error = report["failures"][0].to_string();
    assert!(
        error.contains("acme.event_2024") && error.contains("verify"),
        "{error}"
    );
}

#[test]
fn a_dead_source_keeps_nothing_from_landing_that_is_in_the_warehouse() {
    let world = world("land_dead");
    let early = ["backfill", "--from", "2024-02-25", "--to", "2024-03-10"];
    world.hauls(&early, 0);
    let drop = format!("DROP DATABASE {} WITH (FORCE)", world.tenants[0].name);
    server::run(&server::url("postgres"), &drop);
    let report = world.hauls(&land("backfill", &["--land"]), 3);
    assert_eq!(
        (total(&report, "landed"), total(&report, "not_tried")),
        (15, 9),
        "{}",
        report["totals"]
    );
    assert_eq!(world.lake_is_whole("event"), 15);
}

#[test]
fn an_abandoned_rebuild_leaves_no_file_that_the_ledger_takes_for_another() {
    let world = world("land_abandoned");
    world.hauls(&land("backfill", &["--land"]), 0);
    world.tenants[0].run("UPDATE event SET amount = amount + 1 WHERE at < '2024-03-01 00:00+00'");
    // One day cannot be loaded: the year stays as it was, and the others wait in the staging table, landed already.
    world.tenants[0].run(
        "UPDATE event SET note = 'a note that is far too long for its column' WHERE at >= '2024-02-28 00:00+00' AND at < '2024-02-28 03:00+00'",
    );
    let rebuild = ["rebuild", "--from", "2024-02-25", "--to", "2024-02-29"];
    world.hauls(&[&rebuild[..], &["--land"]].concat(), 1);
    assert_ne!(world.warehouse.one("SELECT count(*) FROM _wh.staged"), "0");
    let verify = ["verify", "--json", "--against", "parquet"];
    let found = world.dayhaul(&verify).exits(1).json();
    assert_eq!(found["totals"]["differs"], 0, "{}", found["totals"]);
    assert_ne!(found["totals"]["not_landed"], 0);
    // What readers see is landed again,
    world.hauls(&["land"], 0);
    world.dayhaul(&verify).ok();
    // and then what was staged.
    world.tenants[0].run("UPDATE event SET note = 'short' WHERE length(note) > 20");
    world.hauls(&[&rebuild[..], &["--land"]].concat(), 0);
    world.dayhaul(&verify).ok();
    assert_eq!(world.lake_is_whole("event"), 24);
    world.digests_hold("event", events::TEMPLATE);
    world.is_clean();
}

#[test]
fn files_under_another_root_are_mentioned_and_left() {
    let world = world("land_moved_root");
    world.hauls(&land("backfill", &["--land"]), 0);
    let other = world.folder().join("other");
    fs::create_dir(&other).unwrap();
    world.configure(&format!(
        "[landing]\nurl = \"file://{}\"\n",
        other.display()
    ));
    let out = world
        .dayhaul(&land("backfill", &["--land", "--today", events::TODAY]))
        .ok();
    assert!(out.stderr.contains("another root"), "{}", out.stderr);
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    let found = world
        .dayhaul(&["verify", "--json", "--against", "parquet"])
        .exits(1)
        .json();
    assert_eq!(total(&found, "missing_file"), 24);
    world.dayhaul(&["land", "--rewrite"]).ok();
    world.dayhaul(&["verify", "--against", "parquet"]).ok();
}

#[test]
fn a_day_larger_than_the_window_budget_streams_into_its_file() {
    let world = World::with_events("land_large", &["acme"], "2024-03-10", 2, 40_000).with_lake();
    world.configure(&format!(
        "[landing]\nurl = \"{}\"\n[load]\nwindow_bytes = \"1MB\"\n",
        world.lake_url()
    ));
    let days = ["--from", "2024-03-10", "--to", "2024-03-11"];
    let run =
        |command, more: &[&str]| world.hauls(&[&[command, "--land"], &days[..], more].concat(), 0);
    assert_eq!(total(&run("backfill", &[]), "files"), 2);
    world.lake_is_whole("event");
    world.tenants[0].run("UPDATE event SET amount = amount + 1 WHERE id % 20000 = 7");
    assert_eq!(total(&run("refresh", &[]), "files"), 2);
    world.tenants[0].run("UPDATE event SET amount = amount + 1");
    assert_eq!(total(&run("refresh", &[]), "files"), 2);
    world.lake_is_whole("event");
    world.digests_hold("event", events::TEMPLATE);
    world.tenants[0].run("UPDATE event SET amount = amount + 1 WHERE id % 20000 = 7");
    let alone = [&["refresh", "--to", "parquet"], &days[..]].concat();
    assert_eq!(total(&world.hauls(&alone, 0), "files"), 2);
    // Ahead of the warehouse now: the next run with both brings that up, too.
    assert_eq!(total(&run("refresh", &[]), "changed"), 2);
    world.lake_is_whole("event");
}

/// Peak memory with four days in flight, each larger than all buffers.
#[cfg(target_os = "linux")]
#[test]
fn large_days_land_within_the_memory_that_is_promised() {
    const TEMPLATE: &str = "/*\ndescription = \"Wide\"\ntime_column = \"at\"\n[columns]\nid = \"bigint\"\n\
        at = \"timestamptz\"\na = \"text\"\nb = \"text\"\nn = \"numeric(20,4)\"\n*/\n\
        SELECT id, at, a, b, n FROM v WHERE at >= {from} AND at < {to}\n";
    const MIB: u64 = 1 << 20;
    let world = World::new("land_memory", &["acme"]).with_lake();
    world.tenants[0].run(
        "CREATE TABLE v AS SELECT d * 200000 + n AS id, timestamptz '2024-03-10 00:00+00' + d * interval '1 day' \
             + n * interval '0.4 s' AS at, md5(n::text) || md5(d::text || n) AS a, repeat(md5('b' || n), 4) AS b, \
             n::numeric / 7 * 1.0000 AS n \
         FROM generate_series(0, 3) AS d, generate_series(1, 200000) AS n;
         UPDATE v SET n = round(n, 4); CREATE INDEX ON v (at)",
    );
    world.set_up_template("v", TEMPLATE, &["acme"]);
    world.configure(&format!(
        "[landing]\nurl = \"{}\"\n[load]\nper_server = 4\n",
        world.lake_url()
    ));
    let days = ["--from", "2024-03-10", "--to", "2024-03-13"];
    let args = [&["backfill", "--land", "--today", events::TODAY], &days[..]].concat();
    let (ended, peak) = world.peak_memory(&args);
    assert!(ended.success());
    println!("peak: {} MiB", peak / MIB);
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
    assert_eq!(world.lake_is_whole("v"), 4);
}
