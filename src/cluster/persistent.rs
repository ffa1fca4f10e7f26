//! A cluster that stays: in a folder of a known name, found again, started and stopped by whoever comes by.
//!
//! What stays needs a better lock than `trust`: clients need the password of `postgres` (scram-sha-256), on TCP and on the
//! socket. It listens on 127.0.0.1 alone.

use super::{Cluster, FAST, IMMEDIATE, OsAccount, Programs, Stop, io_error};
use crate::error::{Error, Kind, Result};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// How long a server on this machine may take to accept a connection.
const ACCEPTS: Duration = Duration::from_secs(5);

/// A cluster that stays; see the module.
#[derive(Debug)]
pub struct PersistentCluster(Cluster);

/// A server that somebody started.
struct RunningServer {
    pid: libc::pid_t,
    port: u16,
}

impl PersistentCluster {
    /// Makes a cluster in `folder`, which is not there yet, without starting it. Its superuser `postgres` has this
    /// password. As root the server runs as `postgres` or `nobody`, and the folder above becomes passable for others.
    ///
    /// # Errors
    /// When the folder cannot be made, or `initdb` fails.
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
            .map_err(|e| io_error("make", folder, e))?;
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
    /// There are no server programs of its version on this machine.
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

    /// Starts the server, unless it runs already, on the port it had the last time, if that is free. `leashed`: it ends
    /// with us. Gives the port.
    ///
    /// # Errors
    /// When it does not start.
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

    /// Stops the server; whether it ran.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<bool> {
        if self.0.server.is_some() {
            self.0.stop(Stop::Fast)?;
            return Ok(true);
        }
        let Some(found) = self.found() else {
            return Ok(false);
        };
        let ended =
            self.end(&found, libc::SIGINT, FAST) || self.end(&found, libc::SIGQUIT, IMMEDIATE);
        match ended {
            true => Ok(true),
            false => Err(Error::new(Kind::Stalled, "PostgreSQL does not stop")),
        }
    }

    /// Sends the signal, and waits until the server has taken its `postmaster.pid` away.
    fn end(&self, found: &RunningServer, signal: libc::c_int, patience: Duration) -> bool {
        // SAFETY: plain numbers; `found` made sure that this is our server.
        unsafe { libc::kill(found.pid, signal) };
        let began = Instant::now();
        while self.noted().is_some_and(|noted| noted.pid == found.pid) {
            if began.elapsed() > patience {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// The server that runs on this data. `postmaster.pid` alone does not say so: it stays when the machine loses power,
    /// and its number may belong to another process by now.
    fn found(&self) -> Option<RunningServer> {
        let noted = self.noted()?;
        // SAFETY: plain numbers; signal 0 only asks whether the process is there.
        let there = unsafe { libc::kill(noted.pid, 0) } == 0;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, noted.port));
        (there
            && works_in(noted.pid, &self.0.data)
            && TcpStream::connect_timeout(&address, ACCEPTS).is_ok())
        .then_some(noted)
    }

    /// What `postmaster.pid` says: the process id on its first line, the port on its fourth.
    fn noted(&self) -> Option<RunningServer> {
        let text = fs::read_to_string(self.0.data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines().map(str::trim);
        Some(RunningServer {
            pid: lines.next()?.parse().ok().filter(|pid| *pid > 1)?,
            port: lines.nth(2)?.parse().ok()?,
        })
    }
}

/// Whether a process works in a folder, as a postmaster does in its data directory. Where the system does not tell, it may.
fn works_in(pid: libc::pid_t, folder: &Path) -> bool {
    match fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(cwd) => fs::canonicalize(folder).is_ok_and(|folder| folder == cwd),
        Err(_) => true,
    }
}
