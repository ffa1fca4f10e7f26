//! Processes of our own, with what each of them cost by the kernel's account.

use super::Own;
use crate::error::{Error, Kind, Result};
use crate::os::{self, Usage};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a process may take to end once it is asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub own: Own,
}

/// The processes of a piece of work that are at work now. Dropped with the work, it asks them to end and waits.
#[derive(Debug, Clone, Default)]
pub struct Leash(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pids: Vec<Pid>,
    /// Nothing is to be started any more.
    over: bool,
}

/// Asks the processes to end when the work is dropped halfway.
struct Guard(Leash);

impl Drop for Guard {
    fn drop(&mut self) {
        let held = &self.0.0;
        let mut state = held.lock();
        state.over = true;
        for pid in &state.pids {
            // A process is waited for only after it was taken off the list, so its id is still its own.
            let _ = kill_process(*pid, Signal::TERM);
        }
        let _ = held
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.pids.is_empty());
    }
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs blocking work that starts processes by [`Leash::run`] and [`Leash::pipe`], off the runtime's threads.
///
/// # Errors
/// Those of the work.
pub async fn leashed<T: Send + 'static>(
    work: impl FnOnce(&Leash) -> Result<T> + Send + 'static,
) -> Result<T> {
    let leash = Leash::default();
    let _guard = Guard(leash.clone());
    tokio::task::spawn_blocking(move || work(&leash))
        .await
        .map_err(|e| Error::new(Kind::Bug, "a part of the bench panicked").with_source(e))?
}

impl Leash {
    /// Runs one process to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, mut command: Command) -> Result<Ended> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self.spawn(&mut command)?;
        self.end(child)
    }

    /// Runs `from | to` to the end of both.
    ///
    /// # Errors
    /// One of them cannot be started.
    pub fn pipe(&self, mut from: Command, mut to: Command) -> Result<[Ended; 2]> {
        from.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut first = self.spawn(&mut from)?;
        let between = first.stdout.take().map_or_else(Stdio::null, Stdio::from);
        to.stdin(between)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let second = self.spawn(&mut to)?;
        // `to` holds the pipe's end in this process, too: `from` would never hear that its reader is gone.
        drop(to);
        let second = self.end(second)?;
        Ok([self.end(first)?, second])
    }

    fn spawn(&self, command: &mut Command) -> Result<Child> {
        let mut state = self.0.lock();
        if state.over {
            return Err(Error::new(Kind::Interrupted, "interrupted"));
        }
        let child = command.spawn().map_err(|e| {
            let program = command.get_program().to_string_lossy().into_owned();
            Error::new(Kind::Io, format!("cannot run `{program}`")).with_source(e)
        })?;
        state.pids.push(Pid::from_child(&child));
        Ok(child)
    }

    fn end(&self, mut child: Child) -> Result<Ended> {
        let read = |pipe: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            pipe.map(|pipe| pipe.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let mut errors = child.stderr.take();
        let (stdout, stderr) = std::thread::scope(|scope| {
            let errors = scope.spawn(|| read(errors.as_mut().map(|pipe| pipe as &mut dyn Read)));
            let mut out = child.stdout.take();
            let stdout = read(out.as_mut().map(|pipe| pipe as &mut dyn Read));
            (stdout, errors.join().unwrap_or_default())
        });
        let (status, own) = self.wait(&child)?;
        Ok(Ended {
            status,
            stdout,
            stderr,
            own,
        })
    }

    /// As wait4(2): how it ended, and what it used.
    fn wait(&self, child: &Child) -> Result<(ExitStatus, Own)> {
        let failed =
            |e: std::io::Error| Error::new(Kind::Io, "cannot wait for a process").with_source(e);
        let pid = Pid::from_child(child);
        // Until it has ended and not a moment longer: its id stays its own until it is taken off the list.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(pid), ended) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(e) => return Err(failed(e.into())),
            }
        }
        let mut state = self.0.lock();
        let waited = os::wait_with_usage(child);
        state.pids.retain(|other| *other != pid);
        self.0.changed.notify_all();
        let (status, usage) = waited.map_err(failed)?;
        let Usage { cpu, peak } = usage;
        Ok((status, Own { cpu, peak }))
    }
}

impl Ended {
    /// What it said, unless it did well.
    ///
    /// # Errors
    /// The last lines of its standard error.
    pub fn ok(self, what: &str) -> Result<Ended> {
        if self.status.success() {
            return Ok(self);
        }
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .filter(|l| !l.trim().is_empty())
            .collect();
        let last = lines[lines.len().saturating_sub(6)..].join(" / ");
        Err(Error::new(
            Kind::Io,
            format!("{what} failed ({}): {last}", self.status),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[tokio::test]
    async fn a_process_is_weighed_alone() {
        let ended = leashed(|leash| {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done",
            ]);
            leash.run(command)
        })
        .await
        .unwrap();
        assert_eq!(ended.stdout, "done\n");
        assert!(ended.own.cpu > 0.0 && ended.own.peak > 100_000, "{ended:?}");
    }

    #[tokio::test]
    async fn a_pipe_whose_reader_fails_ends() {
        let [from, to] = leashed(|leash| {
            let mut to = Command::new("sh");
            to.args(["-c", "exit 3"]);
            leash.pipe(Command::new("yes"), to)
        })
        .await
        .unwrap();
        assert_eq!(to.status.code(), Some(3));
        assert!(!from.status.success());
    }

    #[tokio::test]
    async fn work_that_is_dropped_ends_its_processes() {
        let (tell, told) = std::sync::mpsc::channel();
        let work = leashed(move |leash| {
            let mut command = Command::new("sleep");
            command.arg("60");
            let ended = leash.run(command)?;
            let _ = tell.send(ended.status.signal());
            Ok(())
        });
        let _ = tokio::time::timeout(Duration::from_millis(300), work).await;
        let signal = told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(signal, Some(Signal::TERM.as_raw()));
    }
}
