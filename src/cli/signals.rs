//! Ctrl-C and SIGTERM: the first asks the command to end cleanly, the second ends the process.

use crate::error::exit;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// `timeout` and some supervisors send one request twice: to the process and to its group.
const ECHO: Duration = Duration::from_millis(300);

/// A token that is cancelled by the first SIGINT or SIGTERM.
pub fn cancelled_by_signals() -> CancellationToken {
    let token = CancellationToken::new();
    let ours = token.clone();
    tokio::spawn(async move {
        if next_signal().await {
            ours.cancel();
            tokio::time::sleep(ECHO).await;
            if next_signal().await {
                std::process::exit(exit::INTERRUPTED.into());
            }
        }
    });
    token
}

/// Waits for a signal; `false` when signals cannot be listened to.
async fn next_signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return false;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    true
}
