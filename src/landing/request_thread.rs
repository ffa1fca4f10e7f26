//! A separate thread for requests to an object store.
//!
//! A worker encodes on its own thread and cannot serve sockets meanwhile, and a connection opened in one worker's runtime
//! would hang when another worker used it. So all requests of a landing run on this thread, and parts are sent while the
//! next ones are encoded.

use crate::error::{Error, Kind, Result};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The thread ends when the last user is dropped.
#[derive(Debug)]
pub(super) struct RequestThread {
    runtime: Handle,
    /// Closing it ends the thread.
    _open: oneshot::Sender<()>,
}

impl RequestThread {
    /// # Errors
    /// The system cannot start a thread.
    pub fn start() -> Result<RequestThread> {
        let failed = |e: std::io::Error| {
            Error::new(Kind::Io, "failed to start a thread for the object store").with_source(e)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("object-store".into())
            .spawn(move || {
                let _ = runtime.block_on(closed);
            })
            .map_err(failed)?;
        Ok(RequestThread {
            runtime: handle,
            _open: open,
        })
    }

    /// Starts work at once. It is cancelled when the returned value is dropped.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> PendingRequest<T> {
        PendingRequest(self.runtime.spawn(work))
    }

    /// Starts work that runs to its end, without a result.
    pub fn spawn_detached(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }
}

/// A result that is awaited from the thread.
#[derive(Debug)]
pub(super) struct PendingRequest<T>(JoinHandle<T>);

impl<T> PendingRequest<T> {
    /// Cancels the work, and waits until it has stopped.
    pub async fn cancel(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl<T> Future for PendingRequest<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let polled = Pin::new(&mut self.0).poll(context);
        polled.map_err(|e| {
            Error::new(
                Kind::Bug,
                "a request to the object store ended without a result",
            )
            .with_source(e)
        })
    }
}

impl<T> Drop for PendingRequest<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
