//! A statement that ends with the future that waits for it.

use super::Session;
use super::cancel::Canceller;
use crate::error::Result;
use tokio::runtime::Handle;

/// Sends a cancel request when it is dropped armed. Otherwise the server would keep computing for a client that is
/// gone, with all its locks, until it looks for it (`client_connection_check_interval`).
pub struct CancelOnDrop(Option<Canceller>);

impl CancelOnDrop {
    /// The statements have ended.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let (Some(canceller), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move {
                // The server's own look for its client is what remains when this fails.
                let _ = canceller.cancel().await;
            });
        }
    }
}

impl Session {
    /// Cancels what the session is doing when it is dropped armed.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(Some(self.canceller()))
    }

    /// As [`Session::batch`]; dropped before the answer, it cancels the statements at the server.
    ///
    /// # Errors
    /// The server's, in the first statement that fails.
    pub async fn batch_or_cancel(&self, sql: &str) -> Result<()> {
        let guard = self.cancel_on_drop();
        let result = self.batch(sql).await;
        guard.disarm();
        result
    }

    /// As [`Session::execute`] without parameters; dropped before the answer, it cancels the statement at the server.
    ///
    /// # Errors
    /// The server's.
    pub async fn execute_or_cancel(&self, sql: &str) -> Result<u64> {
        let guard = self.cancel_on_drop();
        let result = self.execute(sql, &[]).await;
        guard.disarm();
        result
    }
}
