//! Ctrl-C and SIGTERM: the first asks the command to end cleanly, the second ends the process.

use crate::error::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// `timeout` and some supervisors send one request twice: to the process and to its group.
const ECHO: Duration = Duration::from_millis(300);

/// How long a command that is simply dropped may take to end, before the process is ended under it.
const GRACE: Duration = Duration::from_millis(500);

/// The user's request to end, from the program's first moment on.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    requested: CancellationToken,
    /// The command took the token: it ends cleanly by itself.
    handled: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to SIGINT and SIGTERM from now on. Where that is impossible, signals end the process as they always do.
    pub fn on_signals() -> Interrupt {
        let interrupt = Interrupt::default();
        if let Some(listener) = Listener::new() {
            tokio::spawn(interrupt.clone().watch(listener));
        }
        interrupt
    }

    /// The token of a command that ends cleanly by itself once the token is cancelled. A command that never takes it is
    /// dropped at its next await.
    pub fn token(&self) -> CancellationToken {
        self.handled.store(true, Ordering::SeqCst);
        self.requested.clone()
    }

    /// Waits until the command is to be dropped: somebody asked it to end, and it does not do so by itself.
    pub async fn unhandled(&self) {
        self.requested.cancelled().await;
        if self.is_handled() {
            std::future::pending::<()>().await;
        }
    }

    fn is_handled(&self) -> bool {
        self.handled.load(Ordering::SeqCst)
    }

    async fn watch(self, mut listener: Listener) {
        listener.next().await;
        self.requested.cancel();
        if self.is_handled() {
            tokio::time::sleep(ECHO).await;
            // A new listener has not seen the echo.
            let Some(mut listener) = Listener::new() else {
                return;
            };
            listener.next().await;
        } else {
            // It may be waiting for a line of standard input, which no await would notice.
            tokio::time::sleep(GRACE).await;
        }
        std::process::exit(exit::INTERRUPTED.into());
    }
}

/// Both signals, from the moment it is made.
struct Listener {
    interrupt: Signal,
    terminate: Signal,
}

impl Listener {
    fn new() -> Option<Listener> {
        Some(Listener {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_takes_the_token_is_not_dropped() {
        let interrupt = Interrupt::default();
        interrupt.requested.cancel();
        interrupt.unhandled().await;
        assert!(interrupt.token().is_cancelled());
        let dropped = tokio::time::timeout(Duration::from_millis(20), interrupt.unhandled());
        assert!(dropped.await.is_err());
    }
}
