//! The one command for cron: what is missing comes, what changed lately is brought up.

use crate::support::events;
use crate::support::server::Holder;
use crate::support::world::{Output, Running, World};
use std::process::{Command, Stdio};

impl World {
    fn sync(&self, today: &str, args: &[&str]) -> Output {
        self.dayhaul(&[&["sync", "--json", "--today", today], args].concat())
    }
}

#[test]
fn a_pair_without_a_first_day_is_told_what_to_do() {
    let world = World::with_events("no_first_day", &["acme"], "2024-03-01", 2, 2);
    let out = world.sync("2024-03-20", &[]).exits(1);
    assert!(
        out.stderr
            .contains("backfill --tenant acme --template event --from"),
        "{}",
        out.stderr
    );
}

#[test]
fn failed_days_and_a_month_of_absence_mend_themselves() {
    let world = World::with_events("absence", &["acme"], "2024-02-01", 60, 4);
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-02-01",
            "--to",
            "2024-02-10",
            "--today",
            "2024-02-11",
        ])
        .ok();
    // One day failed then, and nobody came for a month.
    world.warehouse.run("UPDATE _wh.unit SET state = 'failed' WHERE day = '2024-02-05'; DELETE FROM acme.event_2024_02_05");
    let report = world.sync("2024-03-20", &[]).ok().json();
    assert_eq!(report["totals"]["failed"], 0);
    assert_eq!(world.totals().0, "196", "49 days of 4 rows");
    let again = world.sync("2024-03-20", &[]).ok().json();
    assert_eq!(
        (&again["totals"]["loaded"], &again["totals"]["unchanged"]),
        (&0.into(), &15.into())
    );
    assert_eq!(world.totals().0, "196");
}

#[test]
fn late_deleted_and_updated_rows_and_a_renamed_dimension_arrive() {
    let template = events::TEMPLATE.replace("SELECT id, at, note, amount FROM event WHERE",
        "SELECT event.id, at, kind.name AS note, amount FROM event JOIN kind ON kind.id = event.id % 2 WHERE");
    let acme = ["acme"];
    let world = World::new("dimension", &acme).filled(&acme, &template, "2024-03-01", (20, 6));
    let source = &world.tenants[0];
    source.run("CREATE TABLE kind (id bigint PRIMARY KEY, name text); INSERT INTO kind VALUES (0, 'even'), (1, 'odd')");
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-03-01",
            "--to",
            "2024-03-19",
            "--today",
            "2024-03-20",
        ])
        .ok();
    source.run(
        "UPDATE kind SET name = 'strange' WHERE id = 1;
         INSERT INTO event VALUES (100000, '2024-03-12 10:00+00', 'late', 1);
         DELETE FROM event WHERE id = 70; UPDATE event SET amount = 1000 WHERE id = 80",
    );
    world.sync("2024-03-20", &["--lookback", "14"]).ok();
    let lookback = world.read(
        "SELECT count(*) FILTER (WHERE note = 'odd'), count(*) FILTER (WHERE note = 'strange'), count(*), \
         count(*) FILTER (WHERE amount = 1000) FROM acme.event WHERE at >= '2024-03-06'",
    );
    let text: Vec<_> = lookback[0].iter().flatten().cloned().collect();
    assert_eq!(text, ["0", "45", "90", "1"]);
}

/// Starts the binary on a host of that name, where the kernel lets a test make one: its name is all that a run takes from
/// its host.
fn start_on(host: &str, world: &World, args: &[&str]) -> Running {
    let program = world.command(args);
    let tried = Command::new("unshare").args(["--uts", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        println!("no host `{host}`: a UTS namespace is not allowed here");
        return world.start(args);
    }
    let script = "printf %s \"$0\" > /proc/sys/kernel/hostname && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--uts", "sh", "-c", script, host])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(world.folder())
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    Running::of(&mut command).unwrap()
}

/// Two hosts' syncs of the same pairs at the same moment, several times over, the day going on. What one of them loaded
/// the other must not load; together they load all. `check` sees how both ended.
fn two_syncs_at_once(name: &str, tenants: &[&str], locked: &[&str], check: impl Fn([Output; 2])) {
    let world = World::new(name, tenants);
    let world = world.filled(tenants, &events::gated(), "2024-02-20", (40, 20));
    world
        .warehouse
        .run("UPDATE _wh.pair SET first_day = '2024-02-20'");
    let first: chrono::NaiveDate = "2024-03-10".parse().unwrap();
    let mut today = String::new();
    for round in 0..6 {
        today = (first + chrono::Days::new(3 * round)).to_string();
        let args = [&["sync", "--json", "--today", &today], locked].concat();
        let start = || ["one", "two"].map(|host| start_on(host, &world, &args));
        let runs = if round % 2 == 0 {
            // Nobody gets a row until both have begun, or one waits for the other.
            let closed: Vec<_> = world.tenants.iter().map(events::close).collect();
            let runs = start();
            if locked == ["--wait"] {
                world.a_run_waits();
            } else {
                let begun = 2 * round + 2;
                world.wait_for(&format!(
                    "SELECT count(*) = {begun} FROM _wh.run WHERE selection IS NOT NULL"
                ));
            }
            closed.into_iter().for_each(Holder::let_go);
            runs
        } else {
            start()
        };
        check(runs.map(Running::output));
        assert_eq!(
            world.warehouse.rows(
                "SELECT tenant, day, array_agg(run) FROM _wh.attempt GROUP BY 1, 2 HAVING count(*) > 1"
            ),
            Vec::<Vec<_>>::new(),
            "{today}: loaded by both"
        );
        let days = 20 + 3 * round;
        let all = days * tenants.len() as u64;
        assert_eq!(
            world.warehouse.rows(
                "SELECT (SELECT count(*) FROM _wh.attempt WHERE outcome = 'loaded' AND tries = 1), count(*), \
                        count(*) FILTER (WHERE state = 'loaded' AND rows = 20), min(day), max(day) FROM _wh.unit"
            ),
            [[&all.to_string(), &all.to_string(), &all.to_string(), "2024-02-20", &today]
                .map(|text| Some(text.to_owned()))],
            "{today}: attempts, units, those that are loaded, their days"
        );
        assert_eq!(world.totals().0, (all * 20).to_string(), "{today}");
    }
    println!(
        "hosts: {}",
        world
            .warehouse
            .one("SELECT string_agg(DISTINCT host, ', ') FROM _wh.run")
    );
    world.all_is_well(&events::gated(), &["--from", "2024-02-20", "--to", &today]);
}

/// How many pairs a sync left to the other; it failed in nothing else.
fn left_to_the_other(out: &Output) -> usize {
    let report = out.json();
    let failures = report["failures"].as_array().unwrap();
    for failure in failures {
        let error = failure["error"].to_string();
        assert!(error.contains("held by "), "{error}");
    }
    failures.len()
}

#[test]
fn of_two_syncs_at_once_one_does_all_and_the_other_is_fine_with_it() {
    two_syncs_at_once("two_syncs_ok", &["acme"], &["--if-locked", "ok"], |outs| {
        for out in outs {
            out.ok();
        }
    });
}

#[test]
fn two_processes_that_sync_the_same_pairs_at_once_load_no_unit_twice() {
    let tenants = ["acme", "beta", "gamma"];
    two_syncs_at_once("two_syncs", &tenants, &["--if-locked", "ok"], |outs| {
        let left: usize = outs.iter().map(left_to_the_other).sum();
        assert!(left <= tenants.len(), "{left}");
        for out in outs {
            out.ok();
        }
    });
}

#[test]
fn of_two_syncs_at_once_one_waits_and_finds_nothing_left_to_load() {
    let tenants = ["acme", "beta", "gamma"];
    two_syncs_at_once("two_syncs_wait", &tenants, &["--wait"], |outs| {
        for out in outs {
            assert_eq!(left_to_the_other(&out), 0);
            out.ok();
        }
    });
}

#[test]
fn a_row_that_moved_into_today_leaves_the_day_it_came_from() {
    let world = World::with_events("moved_today", &["acme"], "2024-01-01", 80, 3);
    world
        .dayhaul(&[
            "backfill",
            "--from",
            "2024-01-01",
            "--to",
            "2024-03-19",
            "--today",
            "2024-03-19",
        ])
        .ok();
    world.tenants[0].run("UPDATE event SET at = '2024-03-20 01:00+00' WHERE id = 5");
    world.sync("2024-03-20", &[]).ok();
    assert_eq!(world.totals().0, "240");
    assert_eq!(
        world.read("SELECT count(*) FROM acme.event WHERE id = 5")[0][0].as_deref(),
        Some("1")
    );
    world.is_clean();
}
