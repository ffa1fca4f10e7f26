//! Private clusters: they start, come back, and leave nothing behind.

use crate::support::server::{self, Database};
use dayhaul::cluster::{Cluster, Programs, Stop, THROW_AWAY};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};
use std::path::Path;

fn start(dir: &Path) -> Cluster {
    let programs = Programs::find().unwrap();
    Cluster::start(&programs, dir, &THROW_AWAY).unwrap()
}

#[test]
fn a_fresh_database_is_utf8_and_its_own() {
    let (a, b) = (Database::create("fresh"), Database::create("fresh"));
    a.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)");
    assert_eq!(a.one("SELECT count(*) FROM t"), "2");
    assert_eq!(b.one("SELECT to_regclass('t') IS NULL"), "t");
    assert_eq!(a.one("SHOW server_encoding"), "UTF8");
    assert_eq!(a.copy_in("COPY t FROM STDIN", "3\n4\n"), 2);
}

#[test]
fn a_server_comes_back_on_its_port_after_a_crash_with_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let mut cluster = Cluster::start(&programs, dir.path(), &[]).unwrap();
    let url = cluster.url("postgres");
    server::run(&url, "CREATE TABLE t AS SELECT 7 AS x");

    cluster.stop(Stop::Immediate).unwrap();
    assert!(server::rows(&url, "SELECT 1").is_err(), "still there");
    cluster.restart().unwrap();

    assert_eq!(cluster.url("postgres"), url);
    assert_eq!(
        server::rows(&url, "SELECT x FROM t").unwrap(),
        [[Some("7".to_owned())]]
    );
}

#[test]
fn a_dropped_cluster_leaves_no_process_and_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    let (pid, folder) = (cluster.pid().unwrap(), cluster.folder().to_owned());
    assert!(is_alive(pid) && folder.exists());
    drop(cluster);
    assert!(!is_alive(pid) && !folder.exists());
}

#[test]
fn a_kept_cluster_leaves_its_folder_and_a_detached_one_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = start(dir.path());
    cluster.keep();
    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(folder.join("data/PG_VERSION").exists());

    let cluster = start(dir.path());
    let (url, data) = (cluster.url("postgres"), cluster.data_dir().to_owned());
    cluster.detach().unwrap();
    assert!(server::rows(&url, "SELECT 1").is_ok());
    let pid = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    let pid: i32 = pid.lines().next().unwrap().parse().unwrap();
    // A child of ours that nobody has reaped, so the id is still its own.
    let pid = Pid::from_raw(pid).unwrap();
    kill_process(pid, Signal::QUIT).unwrap();
    waitpid(Some(pid), WaitOptions::empty()).unwrap();
}

#[test]
fn settings_count_from_the_start_and_new_ones_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let mut cluster = Cluster::start(&programs, dir.path(), &[("work_mem", "5MB")]).unwrap();
    let url = cluster.url("postgres");
    let show = |what: &str| {
        server::rows(&url, &format!("SHOW {what}")).unwrap()[0][0]
            .clone()
            .unwrap()
    };
    assert_eq!(show("work_mem"), "5MB");
    cluster
        .configure(&[("max_connections", "7"), ("application_name", "it's")])
        .unwrap();
    cluster.restart().unwrap();
    assert_eq!(show("max_connections"), "7");
    assert_eq!(show("application_name"), "it's");
}

#[test]
fn a_server_that_cannot_start_says_what_its_log_says() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let error = Cluster::start(&programs, dir.path(), &[("shared_buffers", "lots")]).unwrap_err();
    assert!(error.to_string().contains("shared_buffers"), "{error}");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "a folder stayed"
    );
}

/// Whether a process exists (a zombie counts as one).
fn is_alive(pid: u32) -> bool {
    Pid::from_raw(pid.cast_signed()).is_some_and(|pid| test_kill_process(pid).is_ok())
}
