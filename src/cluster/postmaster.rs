//! The server's first process, as a child of this process.

use crate::error::{Error, Kind, Result};
use crate::os;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a start may take, including recovery after an immediate shutdown.
const START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Why the postmaster did not start.
pub struct StartFailure(pub String);

/// A running postmaster. If leashed, it ends with this process.
#[derive(Debug)]
pub struct Postmaster {
    child: Child,
    /// Dropped when the server has ended; this ends the thread that spawned it.
    _spawner: mpsc::Sender<()>,
}

impl Postmaster {
    /// Spawns the command.
    ///
    /// Linux sends the parent-death signal when the *thread* that spawned the child ends. A separate thread therefore spawns
    /// it and lives as long as the server.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(mut command: Command, leashed: bool) -> Result<Postmaster> {
        if leashed {
            os::quit_with_parent(&mut command);
        }
        let failed =
            |e: std::io::Error| Error::new(Kind::Io, "failed to start `postgres`").with_source(e);
        let (spawner, end) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("postmaster".into())
            .spawn(move || {
                let _ = sender.send(command.spawn());
                let _ = end.recv();
            })
            .map_err(failed)?;
        let child = receiver
            .recv()
            .map_err(|_| Error::new(Kind::Bug, "the thread that starts `postgres` ended"))?
            .map_err(failed)?;
        Ok(Postmaster {
            child,
            _spawner: spawner,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server accepts connections. It then writes `ready` on the eighth line of `postmaster.pid`, which
    /// `pg_ctl --wait` reads, too.
    pub fn wait_until_ready(&mut self, data: &Path) -> Result<(), StartFailure> {
        let started = Instant::now();
        let pid = self.pid().to_string();
        while started.elapsed() < START {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(StartFailure(status.to_string()));
            }
            let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            let mut lines = text.lines().map(str::trim);
            if lines.next() == Some(&pid) && lines.nth(6) == Some("ready") {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        self.end(Signal::QUIT, START);
        Err(StartFailure(format!(
            "not ready after {} s",
            START.as_secs()
        )))
    }

    /// The child is not reaped yet, so its id is still its own.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Sends the signal and waits for the server to end. Returns whether it ended in time.
    pub fn end(&mut self, signal: Signal, patience: Duration) -> bool {
        let started = Instant::now();
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(signal);
        }
        while matches!(self.child.try_wait(), Ok(None)) {
            if started.elapsed() > patience {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// Drops the handle without stopping the server; only for a server that is not leashed.
    pub fn release(self) {}
}
