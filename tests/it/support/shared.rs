//! Servers that all tests of a run share, whichever process a test runs in.
//!
//! `cargo test` runs all tests in one process, `cargo nextest` each in its own. A server must outlive the test that
//! starts it and end with the run. So a keeper holds it: this same test binary, started once per server, which runs one
//! ignored test and ends the server when the run is over, however it ends.

use rustix::process::{Pid, test_kill_process};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);
/// A slow machine makes a cluster and starts it.
const START: Duration = Duration::from_secs(180);
const FOLDER: &str = "DAYHAUL_TEST_KEEPS_IN";
const RUN: &str = "DAYHAUL_TEST_KEEPS_FOR";

/// What the keeper wrote of its server. `name` is the server's, `test` the full name of the ignored test that keeps it.
pub fn shared(name: &str, test: &str) -> String {
    let (run, process) = run();
    let folder = std::env::temp_dir().join(format!("dayhaul-tests-{run}-{name}"));
    match std::fs::create_dir(&folder) {
        Ok(()) => spawn(&folder, process, test),
        // Another test of this run was first.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => panic!("{}: {e}", folder.display()),
    }
    let begun = Instant::now();
    loop {
        if let Ok(text) = std::fs::read_to_string(folder.join("ready")) {
            return text;
        }
        assert!(
            begun.elapsed() < START && folder.exists(),
            "the server `{name}` did not start; see {}/log",
            folder.display()
        );
        std::thread::sleep(POLL);
    }
}

/// This run's name, and the process that lives as long as the run: nextest, or this one.
fn run() -> (String, u32) {
    match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, std::os::unix::process::parent_id()),
        Err(_) => {
            let begun = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
            let own = std::process::id();
            (format!("{own}-{begun}"), own)
        }
    }
}

#[allow(clippy::zombie_processes)] // it outlives this process on purpose
fn spawn(folder: &Path, process: u32, test: &str) {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(FOLDER, folder)
        .env(RUN, process.to_string())
        // Ctrl-C at the terminal is for the tests; the keeper ends after them.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
}

/// The keeper's side, called by the ignored test: starts the server in a folder, says what `shared` is to return, and
/// holds the server until the run is over. Does nothing when the test was not started as a keeper.
pub fn keep<T>(start: impl FnOnce(&Path) -> (T, String)) {
    let (Some(folder), Ok(run)) = (std::env::var_os(FOLDER), std::env::var(RUN)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let run = Pid::from_raw(run.parse().unwrap()).unwrap();
    let (server, text) = start(&folder);
    // Renamed into place: whoever finds it finds all of it.
    std::fs::write(folder.join("ready.new"), text).unwrap();
    std::fs::rename(folder.join("ready.new"), folder.join("ready")).unwrap();
    while test_kill_process(run).is_ok() {
        std::thread::sleep(POLL * 10);
    }
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}
