//! A whole small world: a warehouse, tenants, a folder with `dayhaul.toml`, and the built binary run in it.

use crate::support::server::{self, Database};
use dayhaul::cluster::Cluster;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A warehouse database, tenant databases and a folder. Roles are shared by the whole server, so each world has its
/// own owner and reader.
pub struct World {
    pub warehouse: Database,
    /// One database per name given to [`World::new`], in that order.
    pub tenants: Vec<Database>,
    pub owner: String,
    pub reader: String,
    folder: tempfile::TempDir,
    /// What the binary finds in its environment besides.
    pub variables: Vec<(String, String)>,
}

impl World {
    /// `name` is the test's, short; `tenants` are the tenants' names. Nothing is run yet, not even `init`.
    pub fn new(name: &str, tenants: &[&str]) -> World {
        let n = server::unique();
        let world = World {
            warehouse: Database::create(&format!("{name}_warehouse")),
            tenants: tenants
                .iter()
                .map(|tenant| Database::create(&format!("{name}_{}", tenant.replace('-', "_"))))
                .collect(),
            owner: format!("{name}_owner_{n}"),
            reader: format!("{name}_reader_{n}"),
            folder: tempfile::tempdir().expect("a temporary folder"),
            variables: Vec::new(),
        };
        world.configure("");
        world
    }

    /// The same with the warehouse on a cluster of the test's own, to be stopped and restarted.
    pub fn with_warehouse(mut self, cluster: &Cluster) -> World {
        self.warehouse = Database::of(cluster);
        self.configure("");
        self
    }

    /// Writes `dayhaul.toml`: the warehouse, then `more` (other sections).
    pub fn configure(&self, more: &str) {
        let text = format!(
            "[warehouse]\nurl = \"{}\"\nowner_role = \"{}\"\nreader_role = \"{}\"\n{more}",
            self.warehouse.url(),
            self.owner,
            self.reader
        );
        self.write("dayhaul.toml", &text);
    }

    /// The folder that holds `dayhaul.toml`, in which the binary runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Runs the binary in the world's folder.
    pub fn dayhaul(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args))
    }

    /// Starts the binary and lets it run beside the test.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::of(&mut self.command(args)).expect("the binary runs")
    }

    /// The binary, not run yet: to add to its environment, or to spawn and kill it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.folder(), args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Rows of the warehouse as the reader sees them.
    pub fn read(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        // The reader cannot log in; any superuser may become it.
        let messages = server::rows(
            &self.warehouse.url(),
            &format!("SET ROLE \"{}\"; SET timezone = 'UTC'; {sql}", self.reader),
        );
        messages.unwrap_or_else(|e| panic!("{sql}: {e:?}"))
    }
}

/// The built binary with an environment in which nothing of the caller's counts but `PATH`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dayhaul"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .stdin(Stdio::null());
    for name in ["TMPDIR", "DAYHAUL_PG_BIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The binary at work; killed when it is dropped.
pub struct Running(Option<Child>);

impl Running {
    pub fn of(command: &mut Command) -> std::io::Result<Running> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map(|child| Running(Some(child)))
    }

    pub fn signal(&self, signal: Signal) {
        send(self.0.as_ref().expect("a child"), signal);
    }

    /// Waits until it catches SIGTERM, or has ended: a signal to a process that has not come to its first line kills it.
    pub fn listens(&self) {
        let pid = self.0.as_ref().expect("a child").id();
        wait_until("the binary listens to signals", || {
            let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
                return true;
            };
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            let term = 1 << (Signal::TERM.as_raw() - 1);
            status.contains("\nState:\tZ") || caught.is_none_or(|mask| mask & term != 0)
        });
    }

    /// Waits for its end.
    pub fn output(mut self) -> Output {
        let child = self.0.take().expect("a child");
        Output::from(child.wait_with_output().expect("the binary ends"))
    }

    pub fn is_over(&mut self) -> bool {
        let child = self.0.as_mut().expect("a child");
        child.try_wait().expect("a child").is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal to a child that nobody has waited for.
pub fn send(child: &Child, signal: Signal) {
    let _ = kill_process(Pid::from_child(child), signal);
}

/// Asks again and again until the answer is yes.
#[track_caller]
pub fn wait_until(what: &str, mut yes: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !yes() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl From<std::process::Output> for Output {
    fn from(out: std::process::Output) -> Output {
        Output {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
}

/// What a run of the binary left.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub fn of(command: &mut Command) -> Output {
        Output::from(command.output().expect("the binary runs"))
    }

    /// Asserts the exit code, showing all that was said otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.exits(0)
    }

    /// Standard output as one JSON object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}
