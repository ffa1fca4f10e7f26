//! A thread of its own for requests to an object store.
//!
//! A worker encodes on its own thread and cannot serve a socket meanwhile; and a connection made by one worker's runtime
//! would hang when another worker uses it. So all requests of a landing run here, and parts go out while the next ones
//! are being encoded.

use crate::error::{Error, Kind, Result};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Ends with the last of its users.
#[derive(Debug)]
pub(super) struct Lane {
    runtime: Handle,
    /// Closing it ends the thread.
    _open: oneshot::Sender<()>,
}

impl Lane {
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> Result<Lane> {
        let failed = |e: std::io::Error| {
            Error::new(Kind::Io, "a thread for the object store cannot be started").with_source(e)
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
        Ok(Lane {
            runtime: handle,
            _open: open,
        })
    }

    /// Starts work there at once. It is cancelled when what is given back is dropped.
    pub fn start_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> OnLane<T> {
        OnLane(self.runtime.spawn(work))
    }

    /// Starts work there that nobody waits for.
    pub fn leave_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }
}

/// Work on the lane.
#[derive(Debug)]
pub(super) struct OnLane<T>(JoinHandle<T>);

impl<T> OnLane<T> {
    /// Ends it, and waits until it has ended.
    pub async fn cancel(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl<T> Future for OnLane<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let polled = Pin::new(&mut self.0).poll(context);
        polled.map_err(|e| {
            Error::new(Kind::Bug, "a request to the object store ended too soon").with_source(e)
        })
    }
}

impl<T> Drop for OnLane<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
