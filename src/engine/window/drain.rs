//! The loop from a COPY OUT through an [`Intake`] to wherever the rows go. There is only this one.

use crate::copy::{Intake, SEND_BYTES, Tally};
use crate::engine::report::progress::WindowProgress;
use crate::error::Result;
use crate::pg::CopyOut;
use bytes::Bytes;
use futures::StreamExt;
use std::ops::ControlFlow;

/// Where the rows of a window go.
#[expect(
    async_fn_in_trait,
    reason = "a worker's futures stay on its own thread"
)]
pub trait RowSink {
    /// Whether it takes the tuples themselves, in blocks of about [`SEND_BYTES`], to send them on.
    const TAKES_BLOCKS: bool = false;

    /// A row of the window's day of this index.
    fn row(&mut self, day: usize, tuple: &[u8]);

    /// After each chunk of the stream; `bytes` of tuples have come so far, unless it takes blocks. May end the stream early.
    async fn settle(&mut self, _bytes: usize) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }

    /// Tuples to be sent on.
    async fn send(&mut self, _tuples: Bytes) -> Result<()> {
        Ok(())
    }
}

/// Reads `rows` to their end. Gives the tallies of the window's days; `None` when the sink ended the stream. Of a sink that
/// takes blocks the last tuples are left in `intake`.
///
/// # Errors
/// Errors of the server; those of [`Intake`] and of the sink.
pub async fn drain<S: RowSink>(
    mut rows: CopyOut,
    intake: &mut Intake,
    progress: &WindowProgress<'_>,
    sink: &mut S,
) -> Result<Option<Vec<Tally>>> {
    let (mut seen, mut bytes, mut reported) = (0, 0, 0);
    while let Some(chunk) = rows.next().await {
        intake.push(&chunk?, |day, tuple| {
            seen += 1;
            sink.row(day, tuple);
        })?;
        if !S::TAKES_BLOCKS {
            bytes += intake.waiting();
            intake.discard();
        }
        if sink.settle(bytes).await?.is_break() {
            return Ok(None);
        }
        if S::TAKES_BLOCKS && intake.waiting() >= SEND_BYTES {
            progress.moved(std::mem::take(&mut seen), intake.waiting() as u64);
            if intake.has_strays() {
                // Lost already; the rest is read to count the strays.
                intake.discard();
            } else {
                sink.send(intake.take()).await?;
            }
        } else if bytes - reported >= SEND_BYTES {
            progress.moved(std::mem::take(&mut seen), (bytes - reported) as u64);
            reported = bytes;
        }
    }
    let tallies = intake.finish()?.to_vec();
    let rest = if S::TAKES_BLOCKS {
        intake.waiting()
    } else {
        bytes - reported
    };
    progress.moved(seen, rest as u64);
    Ok(Some(tallies))
}
