//! Private PostgreSQL clusters: for the demo, laptops, the tests and the benchmarks.
//!
//! A [`Cluster`] is a server of our own in a folder of its own, on a free port of 127.0.0.1, with `trust` for everybody
//! on this machine: a throw-away, never a place for data that matters. It ends with us. [`Drop`] stops it and removes
//! its folder; should the process be killed before that, Linux sends the server SIGQUIT (`PR_SET_PDEATHSIG`), which is
//! an immediate shutdown. On other systems a killed process leaves the server running.
//!
//! A [`Kept`] cluster is one that stays, behind a password.
//!
//! Everything here blocks; from async code call it in `spawn_blocking`.

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
pub use scratch_folder::ScratchFolder;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Settings for data that may be lost: several times faster on slow disks.
pub const THROW_AWAY: [(&str, &str); 3] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
];

/// How many ports are tried: another process may take one between our finding it free and the server's binding it.
const PORTS_TRIED: u32 = 5;

/// Longest path of a Unix socket that every system takes (macOS: 103 bytes, Linux: 107).
const SOCKET_PATH_BYTES: usize = 103;

/// How long a fast shutdown may take before an immediate one follows.
const FAST: Duration = Duration::from_secs(30);
const IMMEDIATE: Duration = Duration::from_secs(10);

/// How a server is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ends sessions, writes a checkpoint.
    Fast,
    /// As in a crash: nothing is written, the next start recovers.
    Immediate,
}

/// A PostgreSQL server of our own; see the [module](self).
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
    /// Makes a cluster in a new folder below `dir` and starts it; the superuser is `postgres`. As root the server
    /// runs as `postgres` or `nobody`, and `dir` becomes passable for others. `settings` go to `postgresql.conf`.
    ///
    /// # Errors
    /// When the folder cannot be made, or `initdb` or the server fails; the message ends with what they said last.
    pub fn start(programs: &Programs, dir: &Path, settings: &[(&str, &str)]) -> Result<Cluster> {
        let account = OsAccount::choose()?;
        let dir = fs::canonicalize(dir).map_err(|e| {
            Error::new(Kind::Io, format!("cannot use folder `{}`", dir.display())).with_source(e)
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

    /// All that the server wrote to its log.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The process id of the running server.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Postmaster::pid)
    }

    /// Adds settings to `postgresql.conf`; they count from the next [`reload`](Cluster::reload) or
    /// [`restart`](Cluster::restart). The last of a name wins.
    ///
    /// # Errors
    /// When the file cannot be written.
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
    /// When it cannot be given.
    pub fn own(&self, path: &Path) -> Result<()> {
        self.account.own(path)
    }

    /// Makes the server read `pg_hba.conf` and `postgresql.conf` again.
    pub fn reload(&self) {
        if let Some(server) = &self.server {
            server.signal(libc::SIGHUP);
        }
    }

    /// Stops the server; nothing happens when it is not running.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self, mode: Stop) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let ended = match mode {
            Stop::Fast => server.end(libc::SIGINT, FAST),
            Stop::Immediate => server.end(libc::SIGQUIT, IMMEDIATE),
        };
        if !ended {
            self.server = Some(server);
            return Err(
                Error::new(Kind::Stalled, "PostgreSQL does not stop").with_detail(self.log_tail())
            );
        }
        Ok(())
    }

    /// Starts the server again on the same port; stops it first when it runs.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop(Stop::Fast)?;
        self.launch(true)
    }

    /// From now on dropping leaves the folder; the server still ends with us.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Leaves the server running after us, and its folder: it is restarted without the leash.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub fn detach(mut self) -> Result<()> {
        self.keep();
        self.stop(Stop::Fast)?;
        self.launch(false)?;
        if let Some(server) = self.server.take() {
            server.release();
        }
        Ok(())
    }

    /// `auth`: how clients prove who they are.
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
            .map_err(|e| Error::new(Kind::Io, "cannot run `initdb`").with_source(e))?;
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

    /// Starts the postmaster and waits until it accepts connections. `leashed`: it dies when we die.
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
                format!("PostgreSQL did not start ({why}): {}", self.log_tail()),
            )),
        }
    }

    /// A server program as the right account, in our folder, with nothing of the caller's `PG*` variables, and in a
    /// process group of its own: a Ctrl-C is meant for us, who then end the server in good order.
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

    /// Our folder, or nothing (no socket at all) where its path is too long for one.
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
        if self.stop(Stop::Fast).is_err() {
            let _ = self.stop(Stop::Immediate);
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A folder of our own below `dir`, closed to all others.
fn new_folder(dir: &Path) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = dir.join(format!("postgres-{}-{n}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io_error("make", &folder, e)),
        }
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::new(Kind::Io, "no free port on 127.0.0.1").with_source(e))
}

fn io_error(verb: &str, path: &Path, e: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot {verb} `{}`", path.display())).with_source(e)
}

/// The last lines of a program's output, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" / ")
}
