//! Child processes, with the CPU time and memory that the kernel reports for each.

use super::ProcessUsage;
use crate::error::{Error, Kind, Result};
use crate::os::{self, Usage};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a process may take to exit after SIGTERM.
const EXIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How a process exited, and what it used.
#[derive(Debug)]
pub struct ProcessResult {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub own: ProcessUsage,
}

/// The running child processes of a piece of work.
#[derive(Debug, Clone, Default)]
pub struct ProcessGroup(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Running>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Running {
    pids: Vec<Pid>,
    /// No further process may start.
    stopped: bool,
}

/// Ends the processes, and waits for them, when the work is dropped halfway.
struct Guard(ProcessGroup);

impl Drop for Guard {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        state.stopped = true;
        for pid in &state.pids {
            // A process is waited for only after it was taken off the list, so its id is still its own.
            let _ = kill_process(*pid, Signal::TERM);
        }
        let _ = shared
            .changed
            .wait_timeout_while(state, EXIT_TIMEOUT, |state| !state.pids.is_empty());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs blocking work that starts processes by [`ProcessGroup::run`] and [`ProcessGroup::pipe`].
///
/// # Errors
/// Those of the work.
pub async fn with_processes<T: Send + 'static>(
    work: impl FnOnce(&ProcessGroup) -> Result<T> + Send + 'static,
) -> Result<T> {
    let processes = ProcessGroup::default();
    let _guard = Guard(processes.clone());
    tokio::task::spawn_blocking(move || work(&processes))
        .await
        .map_err(|e| Error::new(Kind::Bug, "a benchmark task panicked").with_source(e))?
}

impl ProcessGroup {
    /// Runs one process until it exits.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, mut command: Command) -> Result<ProcessResult> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self.spawn(&mut command)?;
        self.end(child)
    }

    /// Runs `from | to` until both exit.
    ///
    /// # Errors
    /// One of them cannot be started.
    pub fn pipe(&self, mut from: Command, mut to: Command) -> Result<[ProcessResult; 2]> {
        from.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut first = self.spawn(&mut from)?;
        let between = first.stdout.take().map_or_else(Stdio::null, Stdio::from);
        to.stdin(between)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let second = self.spawn(&mut to)?;
        // `to` keeps the pipe's read end open in this process: `from` would never notice that its reader exited.
        drop(to);
        let second = self.end(second)?;
        Ok([self.end(first)?, second])
    }

    fn spawn(&self, command: &mut Command) -> Result<Child> {
        let mut state = self.0.lock();
        if state.stopped {
            return Err(Error::new(Kind::Interrupted, "interrupted"));
        }
        let child = command.spawn().map_err(|e| {
            let program = command.get_program().to_string_lossy().into_owned();
            Error::new(Kind::Io, format!("failed to run `{program}`")).with_source(e)
        })?;
        state.pids.push(Pid::from_child(&child));
        Ok(child)
    }

    fn end(&self, mut child: Child) -> Result<ProcessResult> {
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
        Ok(ProcessResult {
            status,
            stdout,
            stderr,
            own,
        })
    }

    /// Waits until the process exits; its status and usage, as wait4(2) reports them.
    fn wait(&self, child: &Child) -> Result<(ExitStatus, ProcessUsage)> {
        let failed =
            |e: std::io::Error| Error::new(Kind::Io, "failed to wait for a process").with_source(e);
        let pid = Pid::from_child(child);
        // NOWAIT does not reap the process: its id stays its own until it is taken off the list below.
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
        Ok((status, ProcessUsage { cpu, peak }))
    }
}

impl ProcessResult {
    /// Passes a successful result on.
    ///
    /// # Errors
    /// The process failed; with the last lines of its standard error.
    pub fn ok(self, what: &str) -> Result<ProcessResult> {
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
    async fn a_process_is_measured_alone() {
        let ended = with_processes(|processes| {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done",
            ]);
            processes.run(command)
        })
        .await
        .unwrap();
        assert_eq!(ended.stdout, "done\n");
        assert!(ended.own.cpu > 0.0 && ended.own.peak > 100_000, "{ended:?}");
    }

    #[tokio::test]
    async fn a_pipe_whose_reader_fails_ends() {
        let [from, to] = with_processes(|processes| {
            let mut to = Command::new("sh");
            to.args(["-c", "exit 3"]);
            processes.pipe(Command::new("yes"), to)
        })
        .await
        .unwrap();
        assert_eq!(to.status.code(), Some(3));
        assert!(!from.status.success());
    }

    #[tokio::test]
    async fn work_that_is_dropped_ends_its_processes() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let work = with_processes(move |processes| {
            let mut command = Command::new("sleep");
            command.arg("60");
            let ended = processes.run(command)?;
            let _ = sender.send(ended.status.signal());
            Ok(())
        });
        let _ = tokio::time::timeout(Duration::from_millis(300), work).await;
        let signal = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(signal, Some(Signal::TERM.as_raw()));
    }
}
