//! COPY streams: bytes out of a server, bytes into one, never looked at.

use super::ending::Ending;
use crate::error::Result;
use bytes::Bytes;
use futures::{SinkExt, Stream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio_postgres::{CopyInSink, CopyOutStream};

/// One message carries at most this much: large enough that its header and its way through the driver cost nothing,
/// small enough that several sessions wait for the network without hoarding memory.
const SLICE: usize = 256 * 1024;

type Reason = Pin<Box<dyn Future<Output = crate::error::Error> + Send>>;

/// The data of `COPY … TO STDOUT`, split anywhere (PostgreSQL sends a message per row).
///
/// Ends after the server's CopyDone; an error ends it, too. Dropped before its end, it marks the session, which then
/// cuts the connection when it is dropped itself; to keep using the session, cancel first.
pub struct CopyOut {
    stream: Pin<Box<CopyOutStream>>,
    ending: Ending,
    reason: Option<Reason>,
    done: bool,
    abandoned: Arc<AtomicBool>,
}

impl CopyOut {
    pub fn new(stream: CopyOutStream, ending: Ending, abandoned: Arc<AtomicBool>) -> CopyOut {
        CopyOut {
            stream: Box::pin(stream),
            ending,
            reason: None,
            done: false,
            abandoned,
        }
    }
}

impl Stream for CopyOut {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Some(reason) = &mut self.reason {
            let error = ready!(reason.as_mut().poll(cx));
            self.reason = None;
            return Poll::Ready(Some(Err(error)));
        }
        if self.done {
            return Poll::Ready(None);
        }
        match ready!(self.stream.as_mut().poll_next(cx)) {
            Some(Ok(bytes)) => Poll::Ready(Some(Ok(bytes))),
            None => {
                self.done = true;
                Poll::Ready(None)
            }
            Some(Err(e)) => {
                self.done = true;
                let ending = self.ending.clone();
                self.reason = Some(Box::pin(async move { ending.explain(e).await }));
                self.poll_next(cx)
            }
        }
    }
}

impl Drop for CopyOut {
    fn drop(&mut self) {
        if !self.done {
            self.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

/// The receiving end of `COPY … FROM STDIN`. Must be completed with [`CopyIn::finish`]; dropped before, the COPY fails on
/// the server and nothing of it stays.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    ending: Ending,
}

impl CopyIn {
    pub fn new(sink: CopyInSink<Bytes>, ending: Ending) -> CopyIn {
        ending.heard().forget();
        CopyIn {
            sink: Box::pin(sink),
            ending,
        }
    }

    /// Sends bytes, in slices of at most 256 KiB; waits while the network is slower than we are.
    ///
    /// # Errors
    /// The server's, as soon as it was received; the rest comes from [`CopyIn::finish`]. The connection is lost. After an
    /// error the COPY is over.
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            if self.ending.heard().last().is_some() {
                // The server throws away whatever comes now. Ending the COPY returns its error.
                return self.end().await.map(drop);
            }
            let slice = bytes.split_to(bytes.len().min(SLICE));
            if let Err(e) = self.sink.feed(slice).await {
                return Err(self.ending.explain(e).await);
            }
        }
        Ok(())
    }

    /// Ends the COPY; returns the number of rows the server took.
    ///
    /// # Errors
    /// The server's, wherever in the data it met the fault.
    pub async fn finish(mut self) -> Result<u64> {
        self.end().await
    }

    async fn end(&mut self) -> Result<u64> {
        match self.sink.as_mut().finish().await {
            Ok(rows) => Ok(rows),
            Err(e) => Err(self.ending.explain(e).await),
        }
    }
}
