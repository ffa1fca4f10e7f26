//! Private PostgreSQL clusters: for the demo, laptops, the tests and the benchmarks.
//!
//! A [`Cluster`] is a private server in its own folder, on a free port of 127.0.0.1. Every user of this machine can
//! connect (`trust`), so it is only for throw-away data. It ends with this process: [`Drop`] stops it and removes its
//! folder. If the process is killed before that, Linux sends the server SIGQUIT (`PR_SET_PDEATHSIG`), an immediate
//! shutdown. On other systems a killed process leaves the server running.
//!
//! A [`PersistentCluster`] outlives the process and requires a password.
//!
//! Everything here blocks. In async code, call it in `spawn_blocking`.

mod os_account;
mod persistent;
mod postmaster;
mod programs;
mod scratch_folder;

use crate::error::{Error, Kind, Result};
use os_account::OsAccount;
pub use persistent::PersistentCluster;
use postmaster::{Postmaster, StartFailure};
pub use programs::{OLDEST, OVERRIDE, Programs};
use rustix::process::Signal;
pub use scratch_folder::ScratchFolder;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Settings for data that may be lost; several times faster on slow disks.
pub const THROW_AWAY: [(&str, &str); 3] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
];

/// How many ports are tried: another process may take a free port before the server binds it.
const PORTS_TRIED: u32 = 5;

/// The longest path of a Unix socket that every system allows (macOS: 103 bytes, Linux: 107).
const SOCKET_PATH_BYTES: usize = 103;

/// How long a fast shutdown may take before an immediate shutdown follows.
const FAST: Duration = Duration::from_secs(30);
const IMMEDIATE: Duration = Duration::from_secs(10);

/// How a server is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ends sessions, writes a checkpoint.
    Fast,
    /// Like a crash: nothing is written, and the next start recovers.
    Immediate,
}

/// A private PostgreSQL server; see the [module](self).
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    account: OsAccount,
    folder: PathBuf,
    data: PathBuf,
    port: u16,
    server: Option<Postmaster>,
    keep: bool,
}

impl Cluster {
    /// Creates a cluster in a new folder below `dir` and starts it. The superuser is `postgres`. If this process runs as root,
    /// the server runs as `postgres` or `nobody`, and other users get permission to pass through `dir`. `settings` are
    /// written to `postgresql.conf`.
    ///
    /// # Errors
    /// The folder cannot be created, or `initdb` or the server fails; the message ends with their last output.
    pub fn start(programs: &Programs, dir: &Path, settings: &[(&str, &str)]) -> Result<Cluster> {
        let account = OsAccount::choose()?;
        let dir = fs::canonicalize(dir).map_err(|e| {
            Error::new(
                Kind::Io,
                format!("failed to use folder `{}`", dir.display()),
            )
            .with_source(e)
        })?;
        account.open_the_way(&dir)?;
        let folder = new_folder(&dir)?;
        let mut cluster = Cluster {
            programs: programs.clone(),
            account,
            data: folder.join("data"),
            folder,
            port: 0,
            server: None,
            keep: false,
        };
        cluster.account.own(&cluster.folder)?;
        cluster.initdb(&["-A", "trust"])?;
        cluster.configure(settings)?;
        cluster.start_on_a_free_port(true)?;
        Ok(cluster)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection URL of a database, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// PostgreSQL's data directory, with `pg_hba.conf` and `postgresql.conf`.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The folder that holds the data directory, the log and the socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's whole log.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The process id of the running server.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Postmaster::pid)
    }

    /// Adds settings to `postgresql.conf`. They take effect with the next [`reload`](Cluster::reload) or
    /// [`restart`](Cluster::restart). The last value of a setting wins.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, settings: &[(&str, &str)]) -> Result<()> {
        let path = self.data.join("postgresql.conf");
        let mut text = fs::read_to_string(&path).map_err(|e| io_error("read", &path, e))?;
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        fs::write(&path, text).map_err(|e| io_error("write", &path, e))
    }

    /// Gives a file (a TLS key, say) to the account that runs the server.
    ///
    /// # Errors
    /// The owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<()> {
        self.account.own(path)
    }

    /// Makes the server read `pg_hba.conf` and `postgresql.conf` again.
    pub fn reload(&self) {
        if let Some(server) = &self.server {
            server.signal(Signal::HUP);
        }
    }

    /// Stops the server, if it is running.
    ///
    /// # Errors
    /// It does not stop in time.
    pub fn stop(&mut self, mode: Stop) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let ended = match mode {
            Stop::Fast => server.end(Signal::INT, FAST),
            Stop::Immediate => server.end(Signal::QUIT, IMMEDIATE),
        };
        if !ended {
            self.server = Some(server);
            return Err(
                Error::new(Kind::Stalled, "failed to stop PostgreSQL").with_detail(self.log_tail())
            );
        }
        Ok(())
    }

    /// Starts the server again on the same port; stops it first if it is running.
    ///
    /// # Errors
    /// It does not stop or start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop(Stop::Fast)?;
        self.launch(true)
    }

    /// Keeps the folder when this is dropped. The server still ends with this process.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Lets the server outlive this process, and keeps its folder. It is restarted without the leash.
    ///
    /// # Errors
    /// It does not stop or start.
    pub fn detach(mut self) -> Result<()> {
        self.keep();
        self.stop(Stop::Fast)?;
        self.launch(false)?;
        if let Some(server) = self.server.take() {
            server.release();
        }
        Ok(())
    }

    /// `auth`: `initdb`'s options for client authentication.
    fn initdb(&self, auth: &[&str]) -> Result<()> {
        let mut command = self.command("initdb");
        command
            .args(auth)
            .args([
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&self.data);
        let out = command
            .output()
            .map_err(|e| Error::new(Kind::Io, "failed to run `initdb`").with_source(e))?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            return Err(Error::new(
                Kind::Io,
                format!("`initdb` failed: {}", tail(&said)),
            ));
        }
        Ok(())
    }

    fn start_on_a_free_port(&mut self, leashed: bool) -> Result<()> {
        let mut tried = 0;
        loop {
            self.port = free_port()?;
            tried += 1;
            match self.launch(leashed) {
                Err(_) if tried < PORTS_TRIED && self.log().contains("Address already in use") => {
                    let _ = fs::remove_file(self.log_file());
                }
                other => return other,
            }
        }
    }

    /// Starts the postmaster and waits until it accepts connections. `leashed`: it ends when this process ends.
    fn launch(&mut self, leashed: bool) -> Result<()> {
        let log_path = self.log_file();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(|e| io_error("write", &log_path, e))?;
        let errors = log
            .try_clone()
            .map_err(|e| io_error("write", &log_path, e))?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(&self.data)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-k"])
            .arg(self.socket_folder())
            .stdout(log)
            .stderr(errors);
        let mut server = Postmaster::spawn(command, leashed)?;
        match server.wait_until_ready(&self.data) {
            Ok(()) => {
                self.server = Some(server);
                Ok(())
            }
            Err(StartFailure(why)) => Err(Error::new(
                Kind::Connect,
                format!("failed to start PostgreSQL ({why}): {}", self.log_tail()),
            )),
        }
    }

    /// A server program, run as the right account in our folder, without the caller's `PG*` variables. It gets its own process
    /// group, so that Ctrl-C reaches only this process, which then shuts the server down properly.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.program(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(std::process::Stdio::null());
        self.account.lend(&mut command);
        command
    }

    /// Our folder, or an empty path (no socket) if the folder's path is too long for a socket.
    fn socket_folder(&self) -> PathBuf {
        let longest = self.folder.join(".s.PGSQL.65535.lock");
        if longest.as_os_str().len() <= SOCKET_PATH_BYTES {
            self.folder.clone()
        } else {
            PathBuf::new()
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn log_tail(&self) -> String {
        tail(&self.log())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Data that is removed needs no last checkpoint, which may take half a minute.
        if !self.keep || self.stop(Stop::Fast).is_err() {
            let _ = self.stop(Stop::Immediate);
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Creates a folder below `dir` that other users cannot enter.
fn new_folder(dir: &Path) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = dir.join(format!("postgres-{}-{n}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io_error("create", &folder, e)),
        }
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::new(Kind::Io, "failed to find a free port on 127.0.0.1").with_source(e))
}

fn io_error(verb: &str, path: &Path, e: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("failed to {verb} `{}`", path.display())).with_source(e)
}

/// The last lines of a program's output, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" / ")
}
