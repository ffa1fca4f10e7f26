//! What follows an error: real servers report it, and the run ends as the table says.

use super::pgbouncer::Pooler;
use crate::support::events;
use crate::support::locale;
use crate::support::server::{self, Database};
use crate::support::world::{World, wait_until};
use dayhaul::cluster::Stop;
use std::time::Duration;

/// A year of the past, whose windows are long.
const PAST: [&str; 5] = ["--from", "2023-11-01", "--to", "2023-12-30", "--json"];
const DAYS: u32 = 60;

/// A world of sixty days in a past year, with a query that is `condition`, too.
fn past(name: &str, rows: u32, condition: &str) -> World {
    let template = events::TEMPLATE.replace("WHERE", &format!("WHERE ({condition}) AND"));
    World::new(name, &["acme"]).filled(&["acme"], &template, "2023-11-01", (DAYS, rows))
}

#[test]
fn a_row_that_the_source_cannot_give_fails_its_day_alone_whatever_the_code() {
    let world = World::new("one_row", &["acme"]);
    let source = &world.tenants[0];
    events::create(source);
    events::fill(source, "2023-11-01", DAYS, 5);
    source.run(
        "CREATE TABLE bad (id bigint, code text);
         CREATE FUNCTION strict(event bigint) RETURNS boolean STABLE LANGUAGE plpgsql AS $$
         DECLARE broken text := (SELECT code FROM bad WHERE id = event);
         BEGIN
           IF broken IS NOT NULL THEN RAISE EXCEPTION 'no' USING ERRCODE = broken; END IF;
           RETURN true;
         END $$",
    );
    let template = events::TEMPLATE.replace("WHERE", "WHERE strict(id) AND");
    world.set_up_events(&["acme"], &template);
    let bad = |code: &str| {
        source.run(&format!(
            "TRUNCATE bad; INSERT INTO bad VALUES (102, '{code}')"
        ))
    };
    for code in ["P0001", "XX001", "55000"] {
        bad(code);
        let reload = [&PAST[..], &["--reload"]].concat();
        let report = world.backfill(&reload).exits(1).json();
        assert_eq!(report["totals"]["failed"], 1, "{code}: {report}");
        assert_eq!(report["totals"]["loaded"], DAYS - 1, "{code}: {report}");
        let failure = &report["failures"][0];
        assert_eq!(failure["days"][0][0], "2023-11-21", "{code}: {report}");
        assert_eq!(failure["sqlstate"], code);
        let refresh = [&["refresh", "--today", events::TODAY], &PAST[..]].concat();
        let report = world.dayhaul(&refresh).exits(1).json();
        assert_eq!(report["totals"]["failed"], 1, "{code}: {report}");
    }
    source.run("TRUNCATE bad");
    world.backfill(&PAST).ok();
    assert_eq!(world.totals().0, (DAYS * 5).to_string());
    world.is_clean();
}

#[test]
fn an_error_about_rights_is_the_same_for_every_day_and_met_once() {
    let world = World::new("no_rights", &["acme"]);
    let source = &world.tenants[0];
    events::create(source);
    events::fill(source, "2023-11-01", DAYS, 5);
    // Only with rows: the look at the columns before the load is let through.
    source.run(
        "CREATE FUNCTION pass(bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'not for you' USING ERRCODE = '42501'; END $$",
    );
    let template = events::TEMPLATE.replace("WHERE", "WHERE pass(id) AND");
    world.set_up_events(&["acme"], &template);
    let jobs = [&PAST[..], &["--jobs", "1"]].concat();
    let report = world.backfill(&jobs).exits(1).json();
    assert_eq!(report["totals"]["loaded"], 0, "{report}");
    let tries = world
        .warehouse
        .one("SELECT count(*) FROM _wh.attempt WHERE tries > 1");
    assert_eq!(tries, "0");
    let windows = report["failures"].as_array().unwrap();
    let longest = windows.iter().any(|w| w["days"][0][0] != w["days"][0][1]);
    assert!(longest, "a window is not halved: {report}");
}

#[test]
fn a_query_that_needs_too_much_for_many_days_is_asked_for_fewer() {
    let world = World::new("too_much", &["acme"]);
    let source = &world.tenants[0];
    events::create(source);
    events::fill(source, "2023-11-01", DAYS, 800);
    source.run(&format!(
        "ALTER DATABASE \"{0}\" SET temp_file_limit = '1MB'; ALTER DATABASE \"{0}\" SET work_mem = '64kB'",
        source.name
    ));
    let template = events::TEMPLATE
        .replace("SELECT id", "SELECT DISTINCT ON (note, id) id")
        .replace("< {to}", "< {to} ORDER BY note, id");
    world.set_up_events(&["acme"], &template);
    let run = world.backfill(&PAST).ok();
    assert_eq!(run.json()["totals"]["loaded"], DAYS);
    // A day of 25 hours in the time zone of the server spills some of them.
    let there = source.one("SELECT count(*) FROM event WHERE at < '2023-12-31Z'");
    assert_eq!(world.totals().0, there);
    world.is_clean();
    // By itself the limit is too small for all of them.
    let all = source.rows("SHOW temp_file_limit");
    assert_eq!(all[0][0].as_deref(), Some("1MB"));
    let sorted = template.split("*/").nth(1).unwrap();
    let sorted = sorted
        .replace("{from}", "'2023-11-01'")
        .replace("{to}", "'2024-01-01'");
    let refused = server::rows(&source.url(), &sorted).unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "53400");
}

#[test]
fn a_session_that_is_lost_again_and_again_reads_fewer_days() {
    let world = past(
        "lost_twice",
        5,
        "{to} - {from} <= interval '5 days' OR pg_terminate_backend(pg_backend_pid())",
    );
    let report = world.backfill(&PAST).ok().json();
    assert_eq!(report["totals"]["loaded"], DAYS, "{report}");
    assert_eq!(world.totals().0, (DAYS * 5).to_string());
    world.is_clean();
}

#[test]
fn a_lock_at_a_german_source_is_waited_for_as_at_an_english_one() {
    if !locale::german() {
        return;
    }
    let (_folder, cluster) = server::own(("lc_messages", locale::GERMAN));
    let mut world = World::new("german", &[]);
    world.configure("[load]\nstatement_timeout = \"400ms\"\n");
    world.tenants = vec![Database::of(&cluster)];
    let world = world.filled(&["acme"], events::TEMPLATE, "2024-03-18", (2, 5));
    let holder = events::lock(&world.tenants[0]);
    let failed = world.backfill(&["--last", "2"]).exits(1);
    for words in ["Zeitüberschreitung", "statement_timeout", "lock"] {
        assert!(failed.stderr.contains(words), "{words}: {}", failed.stderr);
    }
    let run = world.start_backfill(&["--last", "2"]);
    std::thread::sleep(Duration::from_millis(600));
    holder.let_go();
    run.output().ok();
    assert_eq!(world.totals().0, "10");
    world.is_clean();
}

const TWELVE: [&str; 5] = ["--from", "2024-03-05", "--to", "2024-03-16", "--json"];

/// `init`, templates of slow events, and a tenant at `url` that has them all.
fn add(world: &World, url: &str, templates: &[&str]) {
    world.dayhaul(&["init"]).ok();
    let mut add = vec!["tenant", "add", "acme", "--url", url, "--no-test"];
    for name in templates {
        let file = format!("templates/{name}.sql");
        world.write(&file, &events::slow(0.2));
        world.dayhaul(&["template", "load", &file]).ok();
        add.extend(["--template", name]);
    }
    world.dayhaul(&add).ok();
}

/// A world whose tenant is behind a pooler with one connection to a server of the test's own.
fn pooled(
    name: &str,
    more: &str,
) -> Option<(World, Pooler, tempfile::TempDir, dayhaul::cluster::Cluster)> {
    let (folder, cluster) = server::own(("max_connections", "30"));
    let more = format!("default_pool_size = 1\nserver_login_retry = 1\n{more}");
    let pooler = Pooler::before(cluster.port(), "transaction", &more)?;
    let mut world = World::new(name, &[]);
    let source = Database::of(&cluster);
    events::create(&source);
    events::fill(&source, "2024-03-05", 12, 3);
    world.tenants = vec![source];
    add(&world, &pooler.url(&world.tenants[0]), &["event", "other"]);
    Some((world, pooler, folder, cluster))
}

#[test]
fn windows_that_wait_too_long_for_a_poolers_connection_come_after_the_others() {
    let Some((world, _pooler, _folder, _cluster)) = pooled("pool_full", "query_wait_timeout = 1\n")
    else {
        return;
    };
    // Each day takes 0.6 s, so that of four windows at once two wait for more than a second.
    world.configure("[load]\njobs = 6\nper_server = 6\n");
    let run = world.backfill(&TWELVE);
    let report = run.ok().json();
    assert_eq!(report["totals"]["loaded"], 24, "{report}");
    assert_eq!(world.totals().0, "36");
    world.is_clean();
}

#[test]
fn a_server_that_restarts_behind_a_pooler_is_waited_for() {
    let Some((world, _pooler, _folder, mut cluster)) = pooled("pool_down", "") else {
        return;
    };
    let run = world.start_backfill(&TWELVE);
    wait_until("some days are loaded", || {
        world.warehouse.one("SELECT count(*) > 2 FROM _wh.unit") == "t"
    });
    cluster.stop(Stop::Immediate).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    cluster.restart().unwrap();
    let report = run.output().ok().json();
    assert_eq!(report["totals"]["loaded"], 24, "{report}");
    world.is_clean();
}

#[test]
fn a_role_with_one_connection_less_than_workers_loads_everything() {
    let world = World::new("places", &["acme"]);
    let source = &world.tenants[0];
    events::create(source);
    events::fill(source, "2024-03-05", 12, 3);
    world.configure("[load]\njobs = 4\nper_server = 4\n");
    let role = format!("places_{}", server::unique());
    source.run(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 1; GRANT SELECT ON event TO {role}"
    ));
    add(&world, &source.url_as(&role), &["event"]);
    let report = world.backfill(&TWELVE).ok().json();
    assert_eq!(report["totals"]["loaded"], 12, "{report}");
    assert_eq!(world.totals().0, "36");
    world.is_clean();
}

#[test]
fn a_warehouse_that_takes_no_writes_for_a_while_is_waited_for() {
    let (_folder, cluster) = server::own(("max_connections", "40"));
    let world = World::new("read_only", &["acme"])
        .with_warehouse(&cluster)
        .filled(&["acme"], &events::slow(0.02), "2023-12-20", (24, 5));
    let set = |value: &str| {
        world.warehouse.run(&format!(
            "ALTER SYSTEM SET default_transaction_read_only = {value}"
        ));
        world.warehouse.run("SELECT pg_reload_conf()");
    };
    let run = world.start_backfill(&["--from", "2023-12-20", "--to", "2024-01-12", "--json"]);
    wait_until("some days are there", || {
        world.warehouse.one("SELECT count(*) > 3 FROM _wh.staged") == "t"
    });
    set("on");
    std::thread::sleep(Duration::from_secs(3));
    set("off");
    let report = run.output().ok().json();
    assert_eq!(report["totals"]["loaded"], 24, "{report}");
    assert_eq!(report["outcome"], "done");
    assert_eq!(world.totals().0, "120");
    let ended = world
        .warehouse
        .one("SELECT outcome FROM _wh.run ORDER BY id DESC LIMIT 1");
    assert_eq!(ended, "done");
    world.is_clean();
}

#[test]
fn a_full_disk_of_the_warehouse_ends_the_run_with_one_cause() {
    let world = World::new("full", &["acme", "beta"]).filled(
        &["acme", "beta"],
        &events::slow(0.02),
        "2024-02-20",
        (24, 3),
    );
    // The server's own code for it, from a moment on.
    world.warehouse.run(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF (SELECT count(*) FROM _wh.unit) > 5 THEN
             RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
           END IF;
           RETURN NULL;
         END $$;
         CREATE TRIGGER full_disk AFTER INSERT ON _wh.unit FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
    );
    let period = ["--from", "2024-02-20", "--to", "2024-03-14"];
    let failed = world.backfill(&period).exits(1);
    let causes = failed.stderr.matches("  error: ").count();
    assert!(failed.stderr.contains("No space left"), "{}", failed.stderr);
    assert!(
        causes <= 2,
        "the cause, and what was not tried: {}",
        failed.stderr
    );
    assert!(!failed.stderr.contains("trying again"), "{}", failed.stderr);
    assert!(failed.stdout.contains("not tried"), "{}", failed.stdout);
    world.warehouse.run("DROP TRIGGER full_disk ON _wh.unit");
    world.backfill(&period).ok();
    assert_eq!(world.totals().0, "144");
    world.is_clean();
}
