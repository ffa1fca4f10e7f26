//! A cluster that outlives the process: it is in a known folder, where any later process can find, start and stop it.
//!
//! It needs more protection than `trust`: clients need the password of `postgres` (scram-sha-256), on TCP and on the
//! socket. It listens on 127.0.0.1 only.

use super::{Cluster, FAST, IMMEDIATE, OsAccount, Programs, Stop, io_error};
use crate::error::{Error, Kind, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// How long a server on this machine may take to accept a connection.
const ACCEPTS: Duration = Duration::from_secs(5);

/// A cluster that outlives the process; see the module.
#[derive(Debug)]
pub struct PersistentCluster(Cluster);

/// A server that is running, whoever started it.
struct RunningServer {
    pid: Pid,
    port: u16,
}

impl PersistentCluster {
    /// Creates a cluster in `folder`, which must not exist, without starting it. Its superuser `postgres` has this password.
    /// Under root the server runs as `postgres` or `nobody`, and other users get permission to pass through the parent
    /// folder.
    ///
    /// # Errors
    /// The folder cannot be created, or `initdb` fails.
    pub fn make(
        programs: &Programs,
        folder: &Path,
        password: &str,
        settings: &[(&str, &str)],
    ) -> Result<PersistentCluster> {
        let account = OsAccount::choose()?;
        if let Some(above) = folder.parent() {
            account.open_the_way(above)?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(|e| io_error("create", folder, e))?;
        account.own(folder)?;
        let kept = PersistentCluster::of(programs.clone(), account, folder.to_owned());
        let secret = folder.join("password");
        fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&secret)
            .and_then(|mut file| std::io::Write::write_all(&mut file, password.as_bytes()))
            .map_err(|e| io_error("write", &secret, e))?;
        kept.0.own(&secret)?;
        let made = kept.0.initdb(&[
            "-A",
            "scram-sha-256",
            &format!("--pwfile={}", secret.display()),
        ]);
        fs::remove_file(&secret).map_err(|e| io_error("remove", &secret, e))?;
        made?;
        kept.0.configure(settings)?;
        Ok(kept)
    }

    /// The cluster in `folder`; `None` when there is none.
    ///
    /// # Errors
    /// This machine has no server programs of its version.
    pub fn open(folder: &Path) -> Result<Option<PersistentCluster>> {
        let Ok(version) = fs::read_to_string(folder.join("data/PG_VERSION")) else {
            return Ok(None);
        };
        let version = version.trim().parse().unwrap_or(0);
        let programs = Programs::find_version(version)?;
        Ok(Some(PersistentCluster::of(
            programs,
            OsAccount::choose()?,
            folder.to_owned(),
        )))
    }

    fn of(programs: Programs, account: OsAccount, folder: PathBuf) -> PersistentCluster {
        PersistentCluster(Cluster {
            programs,
            account,
            data: folder.join("data"),
            folder,
            port: 0,
            server: None,
            keep: true,
        })
    }

    /// PostgreSQL's major version.
    pub fn version(&self) -> u32 {
        self.0.programs.version()
    }

    /// The folder that holds the data directory, the log and the socket.
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }

    /// The port on 127.0.0.1 of the running server.
    pub fn port(&self) -> Option<u16> {
        match &self.0.server {
            Some(_) => Some(self.0.port),
            None => self.found().map(|found| found.port),
        }
    }

    /// Starts the server, unless it is already running, on its last port if that is free. `leashed`: it ends with this
    /// process. Returns the port.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self, leashed: bool) -> Result<u16> {
        if let Some(port) = self.port() {
            return Ok(port);
        }
        let remembered = self.0.folder.join("port");
        let last = fs::read_to_string(&remembered)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        match last {
            Some(port) => {
                self.0.port = port;
                self.0.launch(leashed)?;
            }
            None => self.0.start_on_a_free_port(leashed)?,
        }
        let port = self.0.port;
        fs::write(&remembered, format!("{port}\n"))
            .map_err(|e| io_error("write", &remembered, e))?;
        if !leashed && let Some(server) = self.0.server.take() {
            server.release();
        }
        Ok(port)
    }

    /// Stops the server. Returns whether it was running.
    ///
    /// # Errors
    /// It does not stop in time.
    pub fn stop(&mut self) -> Result<bool> {
        if self.0.server.is_some() {
            self.0.stop(Stop::Fast)?;
            return Ok(true);
        }
        let Some(found) = self.found() else {
            return Ok(false);
        };
        let ended =
            self.end(&found, Signal::INT, FAST) || self.end(&found, Signal::QUIT, IMMEDIATE);
        if ended {
            Ok(true)
        } else {
            Err(Error::new(Kind::Stalled, "failed to stop PostgreSQL"))
        }
    }

    /// Sends the signal and waits until the server has removed its `postmaster.pid`.
    fn end(&self, found: &RunningServer, signal: Signal, patience: Duration) -> bool {
        // `found` checked that this is our server.
        let _ = kill_process(found.pid, signal);
        let began = Instant::now();
        while self.noted().is_some_and(|noted| noted.pid == found.pid) {
            if began.elapsed() > patience {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// The server that is running on this data. `postmaster.pid` alone is no proof: it remains after a power failure, and its
    /// process id may belong to another process by now.
    fn found(&self) -> Option<RunningServer> {
        let noted = self.noted()?;
        let exists = test_kill_process(noted.pid).is_ok();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, noted.port));
        (exists
            && works_in(noted.pid, &self.0.data)
            && TcpStream::connect_timeout(&address, ACCEPTS).is_ok())
        .then_some(noted)
    }

    /// The contents of `postmaster.pid`: the process id on its first line, the port on its fourth.
    fn noted(&self) -> Option<RunningServer> {
        let text = fs::read_to_string(self.0.data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines().map(str::trim);
        Some(RunningServer {
            pid: Pid::from_raw(lines.next()?.parse().ok().filter(|pid| *pid > 1)?)?,
            port: lines.nth(2)?.parse().ok()?,
        })
    }
}

/// Whether a process's working directory is `folder`, as for a postmaster in its data directory. True if the system cannot
/// tell.
fn works_in(pid: Pid, folder: &Path) -> bool {
    match fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())) {
        Ok(cwd) => fs::canonicalize(folder).is_ok_and(|folder| folder == cwd),
        Err(_) => true,
    }
}
