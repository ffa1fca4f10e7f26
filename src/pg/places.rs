//! How many sessions this process has open at each source server: an open session has one of the server's places.
//!
//! Whoever finds no place waits for one. Nobody does so while keeping another place of the same server: a worker has one
//! session with a source at a time and gives it up before it opens the next, and a session that nobody reads from is closed
//! as soon as somebody waits for its place ([`Session::rest`](super::Session::rest)). So every place in use belongs to
//! somebody who is reading, and becomes free.
//!
//! A server that refuses a connection because it has too many (a role's or database's CONNECTION LIMIT, `max_connections`,
//! a pooler's limit) has fewer places from then on, but always one.

use crate::error::{Error, Result, Trouble};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Waits before a refused connection counts: a server takes a moment to notice that a session has ended.
const MOMENTS: [u64; 6] = [5, 10, 30, 100, 200, 400];

static SERVERS: LazyLock<Mutex<HashMap<String, Arc<Server>>>> = LazyLock::new(Mutex::default);

struct Server {
    free: Arc<Semaphore>,
    /// How many places there are, free and taken.
    places: Mutex<usize>,
    /// How many wait for one.
    waiting: watch::Sender<usize>,
}

/// The right to one open session at a server.
pub struct Place {
    server: Arc<Server>,
    permit: Option<OwnedSemaphorePermit>,
}

/// Counts as waiting until it is dropped.
struct Waiting<'a>(&'a Server);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|n| *n -= 1);
    }
}

impl Place {
    /// Waits until somebody waits for a place of the same server.
    pub async fn is_wanted(&self) {
        let mut waiting = self.server.waiting.subscribe();
        // The server outlives its places, so there is always somebody to hear from.
        let _ = waiting.wait_for(|n| *n > 0).await;
    }
}

impl Server {
    fn new(places: usize) -> Server {
        let places = places.max(1);
        Server {
            free: Arc::new(Semaphore::new(places)),
            places: Mutex::new(places),
            waiting: watch::Sender::new(0),
        }
    }

    async fn place(self: &Arc<Server>) -> Place {
        let free = || Arc::clone(&self.free);
        let permit = match free().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.waiting.send_modify(|n| *n += 1);
                let _waiting = Waiting(self);
                // It is never closed.
                free().acquire_owned().await.ok()
            }
        };
        Place {
            server: Arc::clone(self),
            permit,
        }
    }

    /// Takes a place out of use, unless it is the last.
    fn withdraw(&self, mut place: Place) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if *places == 1 {
            return false;
        }
        *places -= 1;
        if let Some(permit) = place.permit.take() {
            permit.forget();
        }
        true
    }
}

/// Opens a session at the server as soon as one of its `places` is free.
///
/// # Errors
/// Those of `open`; that of a refused connection only when this process has no other session there.
pub async fn open_in_place<T, F>(
    server: &str,
    places: usize,
    open: impl Fn() -> F,
) -> Result<(T, Place)>
where
    F: Future<Output = Result<T>>,
{
    let server = {
        let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Server::new(places));
        Arc::clone(servers.entry(server.to_owned()).or_insert_with(new))
    };
    loop {
        let place = server.place().await;
        match open_patiently(&open).await {
            Ok(session) => return Ok((session, place)),
            Err(error) if has_too_many(&error) && server.withdraw(place) => {
                tracing::debug!(%error, "the server gets fewer sessions from now on");
            }
            Err(error) => return Err(error),
        }
    }
}

async fn open_patiently<T, F>(open: &impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for moment in MOMENTS {
        match open().await {
            Err(error) if has_too_many(&error) => {
                tokio::time::sleep(Duration::from_millis(moment)).await;
            }
            result => return result,
        }
    }
    open().await
}

fn has_too_many(error: &Error) -> bool {
    error.trouble() == Trouble::NoPlace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_place_stays() {
        let server = Arc::new(Server::new(2));
        let first = server.place().await;
        assert!(server.withdraw(first));
        let last = server.place().await;
        assert_eq!(server.free.available_permits(), 0);
        assert!(!server.withdraw(last));
        assert_eq!(server.free.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_place_is_wanted_only_while_somebody_waits() {
        let server = Arc::new(Server::new(1));
        let held = server.place().await;
        let soon = Duration::from_millis(5);
        let (waited, wanted) = tokio::join!(
            tokio::time::timeout(soon, server.place()),
            tokio::time::timeout(soon * 200, held.is_wanted())
        );
        assert!(waited.is_err() && wanted.is_ok());
        assert_eq!(*server.waiting.borrow(), 0);
        drop(held);
        server.place().await;
    }
}
