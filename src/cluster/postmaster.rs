//! The server's first process, as our child.

use crate::error::{Error, Kind, Result};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a start may take; a recovery after an immediate stop included.
const START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The postmaster did not come up; why.
pub struct StartFailure(pub String);

/// A running postmaster, leashed to this process or not.
#[derive(Debug)]
pub struct Postmaster {
    child: Child,
    /// Dropped when the server has ended: lets the thread that spawned it go.
    _spawner: mpsc::Sender<()>,
}

impl Postmaster {
    /// Spawns the command.
    ///
    /// Linux sends the parent-death signal when the *thread* that spawned the child ends, so a thread that does nothing
    /// else spawns it and lives as long as it does.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(mut command: Command, leashed: bool) -> Result<Postmaster> {
        if leashed {
            die_with_us(&mut command);
        }
        let failed =
            |e: std::io::Error| Error::new(Kind::Io, "cannot start `postgres`").with_source(e);
        let (spawner, end) = mpsc::channel::<()>();
        let (tell, told) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("postmaster".into())
            .spawn(move || {
                let _ = tell.send(command.spawn());
                let _ = end.recv();
            })
            .map_err(failed)?;
        let child = told
            .recv()
            .map_err(|_| Error::new(Kind::Bug, "the thread that starts `postgres` is gone"))?
            .map_err(failed)?;
        Ok(Postmaster {
            child,
            _spawner: spawner,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server accepts connections: it writes `ready` on the eighth line of `postmaster.pid`, which is
    /// what `pg_ctl --wait` looks at, too.
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
        self.end(libc::SIGQUIT, START);
        Err(StartFailure(format!(
            "not ready after {} s",
            START.as_secs()
        )))
    }

    pub fn signal(&self, signal: libc::c_int) {
        let Ok(pid) = libc::pid_t::try_from(self.child.id()) else {
            return;
        };
        // SAFETY: kill takes plain numbers; the child is ours and not yet reaped, so its id is still its own.
        unsafe { libc::kill(pid, signal) };
    }

    /// Sends the signal and waits for the end; whether it came in time.
    pub fn end(&mut self, signal: libc::c_int, patience: Duration) -> bool {
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

    /// Forgets the server without ending it; only sensible when it is not leashed.
    pub fn release(self) {}
}

/// Asks Linux to send the child SIGQUIT (PostgreSQL's immediate shutdown) when we die, however we die.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed; prctl is one.
    // std runs it after the change of user, which would have cleared the setting.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command) {}
