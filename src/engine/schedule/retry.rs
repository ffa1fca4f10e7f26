//! When to try again, and how long to wait before.

use crate::error::{Result, Trouble};
use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

/// Tries of a window at most.
pub const TRIES: u32 = 7;

/// Waits between the tries of a window: enough for a server to restart.
pub fn of_window() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(TRIES as usize - 1)
        .with_jitter()
        .build()
}

/// Runs `work`, and again after short waits if its error is transient: for the first contact, where the name of an
/// unreachable server is more likely misspelled than the server restarting. A server without a connection left is there: it
/// is waited for as long as by a window.
pub async fn a_few_times<T>(mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_times(2)
        .with_jitter()
        .build();
    let mut waits_for_place = of_window();
    loop {
        match work().await {
            Err(error) if error.trouble() == Trouble::NoPlace => match waits_for_place.next() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            },
            Err(error) if error.is_transient() => match waits.next() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            },
            result => return result,
        }
    }
}
