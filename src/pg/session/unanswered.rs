//! What happens to a transaction when the future that runs its statement is dropped.
//!
//! An interrupt or a timeout drops a future between BEGIN and COMMIT. The server still carries out the statement that was
//! sent, and the transaction stays open. Whoever used the session next would continue that transaction, and commit a part of it.
//! So the next statement on the session is preceded by a ROLLBACK, which the server executes after what is still running.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::{Client, Error};

/// Whether a statement was dropped before its answer, and nothing was rolled back since.
#[derive(Debug, Default)]
pub struct Unanswered(AtomicBool);

/// Notes a statement whose future is dropped before it ends.
struct Watch<'a> {
    unanswered: &'a Unanswered,
    ended: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.unanswered.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Unanswered {
    /// Runs a statement, after a ROLLBACK when an earlier one was dropped.
    ///
    /// # Errors
    /// The driver's, of the statement or of the ROLLBACK.
    pub async fn run<T>(
        &self,
        client: &Client,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut watch = Watch {
            unanswered: self,
            ended: false,
        };
        if self.0.swap(false, Ordering::Relaxed) {
            client.batch_execute("ROLLBACK").await?;
        }
        let result = statement.await;
        watch.ended = true;
        result
    }
}
