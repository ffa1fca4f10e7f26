//! `dayhaul demo`: it works on a bare machine, and leaves nothing behind.

use crate::support::world::{self, Output, send};
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The demo, small, below a folder of the test's own.
fn demo(dir: &tempfile::TempDir, more: &[&str]) -> Command {
    let mut args = vec![
        "demo",
        "--rows",
        "300",
        "--dir",
        dir.path().to_str().unwrap(),
    ];
    args.extend(more);
    world::command(dir.path(), &args)
}

fn is_empty(dir: &tempfile::TempDir) -> bool {
    std::fs::read_dir(dir.path()).unwrap().next().is_none()
}

#[test]
fn the_demo_shows_totals_that_equal_the_sources_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let out = Output::of(&mut demo(&dir, &["--days", "40"])).ok();
    assert!(
        out.stdout.contains("$ dayhaul backfill --from"),
        "{}",
        out.stdout
    );
    assert!(
        out.stdout.contains("FROM public.foodlogstats"),
        "{}",
        out.stdout
    );
    assert!(
        out.stdout.contains("equal, to the last digit"),
        "{}",
        out.stdout
    );
    assert!(is_empty(&dir), "something stayed");
}

#[test]
fn the_demo_cleans_up_when_it_is_interrupted() {
    for signal in [Signal::INT, Signal::TERM] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = demo(&dir, &["--days", "3000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_servers(&dir);
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(is_empty(&dir), "something stayed after signal {signal:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_demo_leaves_no_server_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = demo(&dir, &["--days", "3000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_servers(&dir);
    let servers = server_pids(&dir);
    child.kill().unwrap();
    child.wait().unwrap();
    let started = Instant::now();
    while servers
        .iter()
        .any(|pid| Path::new("/proc").join(pid).exists())
    {
        assert!(started.elapsed() < Duration::from_secs(20), "still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn server_pids(dir: &tempfile::TempDir) -> Vec<String> {
    let demo = std::fs::read_dir(dir.path()).unwrap().next().unwrap();
    let folders = std::fs::read_dir(demo.unwrap().path()).unwrap().flatten();
    let files =
        folders.filter_map(|f| std::fs::read_to_string(f.path().join("data/postmaster.pid")).ok());
    let pids: Vec<String> = files
        .filter_map(|text| text.lines().next().map(str::to_owned))
        .collect();
    assert_eq!(pids.len(), 2);
    pids
}

/// Until both servers of the demo have written their `postmaster.pid`.
fn wait_for_servers(dir: &tempfile::TempDir) {
    let started = Instant::now();
    let up = || {
        let demo = std::fs::read_dir(dir.path()).ok()?.next()?.ok()?.path();
        let servers = std::fs::read_dir(demo).ok()?.flatten();
        let up = servers.filter(|s| s.path().join("data/postmaster.pid").exists());
        (up.count() == 2).then_some(())
    };
    while up().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "no servers");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_demo_heeds_no_variable_that_points_at_a_real_warehouse() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = "postgres://nobody@192.0.2.1/precious?connect_timeout=1";
    let mut command = demo(&dir, &["--days", "2", "--tenants", "1"]);
    command
        .env("DAYHAUL_WAREHOUSE_URL", nowhere)
        .env("PGHOSTADDR", "192.0.2.1")
        .env("PGSSLMODE", "verify-full");
    Output::of(&mut command).ok();
}

#[test]
fn a_kept_demo_goes_on_until_it_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let out = Output::of(&mut demo(
        &dir,
        &["--days", "2", "--tenants", "1", "--keep"],
    ))
    .ok();
    let reader = out
        .stdout
        .split('\'')
        .find(|part| part.starts_with("postgres://"))
        .unwrap();
    let rows = crate::support::server::rows(
        reader,
        "SELECT count(*) > 100, current_user FROM foodlogstats",
    )
    .unwrap();
    assert_eq!(rows, [[Some("t".to_owned()), Some("wh_reader".to_owned())]]);
    // The lines it says end it, really do.
    let lines = out.stdout.lines().map(str::trim);
    let ends = lines.filter(|line| line.starts_with("kill ") || line.starts_with("rm "));
    let ends: Vec<&str> = ends.collect();
    assert_eq!(ends.len(), 3);
    let script = format!("{}; sleep 2; {}", ends[..2].join("; "), ends[2]);
    assert!(
        Command::new("sh")
            .args(["-c", &script])
            .status()
            .unwrap()
            .success()
    );
    assert!(is_empty(&dir));
    assert!(crate::support::server::rows(reader, "SELECT 1").is_err());
}
