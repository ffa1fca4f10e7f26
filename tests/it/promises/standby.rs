//! A hot standby as a tenant: what recovery cancels comes in smaller pieces, and ends right.

use crate::support::events;
use crate::support::locale;
use crate::support::server::{self, Database, block_on};
use crate::support::world::World;
use dayhaul::cluster::{Cluster, Programs, Stop, THROW_AWAY};
use dayhaul::pg::{self, Access, Password, Purpose, Url};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A primary and its standby, which cancels whatever is in the way of recovery for longer than 400 ms.
struct Pair {
    primary: Cluster,
    standby: Cluster,
    _dir: tempfile::TempDir,
}

impl Pair {
    fn start() -> Pair {
        Pair::speaking("C")
    }

    /// With messages in a language (`lc_messages`).
    fn speaking(language: &'static str) -> Pair {
        let dir = tempfile::tempdir().unwrap();
        let programs = Programs::find().unwrap();
        let mut settings = THROW_AWAY.to_vec();
        settings.extend([
            ("wal_level", "replica"),
            ("max_wal_senders", "4"),
            ("autovacuum", "off"),
            ("wal_writer_delay", "10ms"),
            ("hot_standby_feedback", "off"),
            ("max_standby_streaming_delay", "400ms"),
            ("max_standby_archive_delay", "400ms"),
            ("lc_messages", language),
        ]);
        let primary = Cluster::start(&programs, dir.path(), &settings).unwrap();
        let mut standby = Cluster::start(&programs, dir.path(), &settings).unwrap();
        standby.stop(Stop::Fast).unwrap();
        std::fs::remove_dir_all(standby.data_dir()).unwrap();
        let out = Command::new(programs.program("pg_basebackup"))
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"])
            .arg(standby.data_dir())
            .args(["-d", &primary.url("postgres")])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        own(&standby, standby.data_dir());
        standby.restart().unwrap();
        Pair {
            primary,
            standby,
            _dir: dir,
        }
    }

    /// Runs statements on the primary, again and again until the answer is dropped.
    fn disturb(&self, statements: &'static [&'static str]) -> Disturbance {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, stopped) = (self.primary.url("postgres"), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // One by one: VACUUM cannot run inside a transaction.
                for statement in statements {
                    server::run(&url, statement);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Disturbance {
            stop,
            thread: Some(thread),
        }
    }

    /// Queries that recovery cancelled for the sake of rows or of locks.
    fn conflicts(&self) -> u64 {
        let sql = "SELECT confl_snapshot + confl_bufferpin + confl_lock \
                   FROM pg_stat_database_conflicts WHERE datname = 'postgres'";
        // Recovery may cancel this query, too.
        for _ in 0..50 {
            if let Ok(rows) = server::rows(&Database::of(&self.standby).url(), sql) {
                return rows[0][0].as_deref().unwrap().parse().unwrap();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("recovery cancelled every look at its conflicts");
    }

    /// Until the standby has all that the primary has.
    fn catch_up(&self) {
        let primary = Database::of(&self.primary).one("SELECT pg_current_wal_insert_lsn()");
        let there = format!("SELECT pg_last_wal_replay_lsn() >= '{primary}'");
        crate::support::world::wait_until("the standby has caught up", || {
            Database::of(&self.standby).one(&there) == "t"
        });
    }

    /// A world whose one tenant is the standby: sixteen days of ten events.
    fn world(&self, name: &str, template: &str) -> World {
        let mut world = World::new(name, &[]);
        // Few workers, long windows.
        world.configure("[load]\njobs = 1\n");
        let source = Database::of(&self.primary);
        events::create(&source);
        source.run("CREATE TABLE kind (id bigint PRIMARY KEY); INSERT INTO kind VALUES (0), (1)");
        events::fill(&source, "2024-03-05", 16, 10);
        self.catch_up();
        world.tenants = vec![Database::of(&self.standby)];
        world.set_up_events(&["acme"], template);
        world
    }
}

/// The server's account must own its files.
fn own(cluster: &Cluster, path: &Path) {
    cluster.own(path).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).unwrap() {
            own(cluster, &entry.unwrap().path());
        }
    }
}

struct Disturbance {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Disturbance {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ten rows a day, each taking its time: a day passes, sixteen days are cancelled.
const SLOW: &str = "at < {to} AND pg_sleep(0.02) IS NOT NULL";

const DEAD_ROWS: &[&str] = &["UPDATE event SET note = note", "VACUUM event"];

const LOCKS: &[&str] = &["BEGIN; LOCK TABLE kind IN ACCESS EXCLUSIVE MODE; COMMIT"];

const ALL: [&str; 4] = ["--from", "2024-03-05", "--to", "2024-03-20"];

#[track_caller]
fn ends_right(world: &World, template: &str) {
    let source = world.tenants[0].one("SELECT count(*) || ' ' || sum(amount) FROM event");
    let (rows, amount) = world.totals();
    let parse = |text: &str| text.parse::<f64>().unwrap();
    let (there, total) = source.split_once(' ').unwrap();
    assert_eq!(rows, there);
    assert!((parse(&amount) - parse(total)).abs() < 0.001);
    world.is_clean();
    world.digests_hold("event", template);
}

#[test]
fn a_query_that_recovery_cancels_comes_in_smaller_windows() {
    comes_in_smaller_windows(&Pair::start());
}

#[test]
fn a_query_that_recovery_cancels_in_german_does_so_too() {
    if !locale::german() {
        return;
    }
    let pair = Pair::speaking(locale::GERMAN);
    let spoken = Database::of(&pair.primary).one("SHOW lc_messages");
    assert_eq!(spoken, locale::GERMAN);
    comes_in_smaller_windows(&pair);
}

fn comes_in_smaller_windows(pair: &Pair) {
    let slow = events::TEMPLATE.replace("at < {to}", SLOW);
    let world = pair.world("standby_rows", &slow);
    let disturbance = pair.disturb(DEAD_ROWS);
    let report = world
        .backfill(&[&ALL[..], &["--json"]].concat())
        .ok()
        .json();
    assert_eq!(report["totals"]["loaded"], 16, "{report}");
    let loads = pair.conflicts();
    assert!(loads > 0, "nothing was cancelled");
    let refresh = [&["refresh", "--json", "--today", events::TODAY], &ALL[..]].concat();
    let report = world.dayhaul(&refresh).ok().json();
    assert_eq!(report["totals"]["unchanged"], 16, "{report}");
    assert!(pair.conflicts() > loads, "nothing more was cancelled");
    drop(disturbance);
    pair.catch_up();
    ends_right(&world, &slow);
}

#[test]
fn a_query_in_the_way_of_a_lock_comes_again() {
    let pair = Pair::start();
    let slow = events::TEMPLATE
        .replace("at < {to}", SLOW)
        .replace(
            "FROM event",
            "FROM event JOIN kind ON kind.id = event.id % 2",
        )
        .replace("SELECT id, at", "SELECT event.id, at");
    let world = pair.world("standby_locks", &slow);
    let disturbance = pair.disturb(LOCKS);
    let report = world
        .backfill(&[&ALL[..], &["--json"]].concat())
        .ok()
        .json();
    assert_eq!(report["totals"]["loaded"], 16, "{report}");
    assert!(pair.conflicts() > 0, "nothing was cancelled");
    drop(disturbance);
    pair.catch_up();
    ends_right(&world, &slow);
}

#[test]
fn a_day_that_recovery_cancels_is_tried_again() {
    let pair = Pair::start();
    // One day of ten rows takes longer than recovery waits.
    let slow = events::slow(0.08);
    let world = pair.world("standby_day", &slow);
    let disturbance = pair.disturb(DEAD_ROWS);
    let run = world.start_backfill(&["--from", "2024-03-10", "--to", "2024-03-10", "--json"]);
    crate::support::world::wait_until("a query was cancelled", || pair.conflicts() > 0);
    drop(disturbance);
    let out = run.output().ok();
    assert!(
        out.stderr.contains("conflict with recovery"),
        "{}",
        out.stderr
    );
    assert!(out.json()["units"][0]["tries"].as_u64() > Some(1));
    assert_eq!(world.totals().0, "10");
    world.is_clean();
    world.digests_hold("event", &slow);
}

#[test]
fn a_standby_whose_default_is_serializable_is_read_all_the_same() {
    let pair = Pair::start();
    let world = pair.world("standby_serializable", events::TEMPLATE);
    let url = world.tenants[0].url();
    let primary = Database::of(&pair.primary);
    primary.run("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
    crate::support::world::wait_until("a plain query fails", || {
        server::rows(&url, "SELECT count(*) FROM event").is_err()
    });
    let more = "target_session_attrs=standby";
    let set = ["tenant", "set", "acme", "--url", &format!("{url}?{more}")];
    world.dayhaul(&set).ok();
    world.dayhaul(&["tenant", "test", "acme"]).ok();
    let file = "templates/event.sql";
    let lint = ["template", "lint", file, "--tenant", "acme"];
    world.dayhaul(&lint).ok();
    let preview = [
        "template",
        "preview",
        file,
        "--tenant",
        "acme",
        "--day",
        "2024-03-05",
    ];
    world.dayhaul(&preview).ok();
    world.backfill(&ALL).ok();
    world.dayhaul(&["verify"]).ok();
    assert_eq!(world.totals().0, "160");
}

#[test]
fn a_session_that_recovery_ends_may_be_opened_again() {
    let pair = Pair::start();
    let world = pair.world("standby_session", events::TEMPLATE);
    let access = Access::new(
        Url::parse(&world.tenants[0].url()).unwrap(),
        Password::default(),
    );
    let error = block_on(async {
        let session = pg::connect(&access, Purpose::Source).await.unwrap();
        session
            .batch("BEGIN READ ONLY; SELECT count(*) FROM kind")
            .await
            .unwrap();
        // The lock that this session holds is in the way; between two statements the server can only end it.
        let (client, url) = (session, pair.primary.url("postgres"));
        let primary = server::connect(&url).await.unwrap();
        for statement in LOCKS {
            primary.batch_execute(statement).await.unwrap();
        }
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if client.is_closed() {
                break;
            }
        }
        client.batch("SELECT 1").await.unwrap_err()
    });
    assert!(error.is_transient(), "{error}");
}
