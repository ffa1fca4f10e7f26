//! A watchdog for work that moves no byte.

use crate::error::{Error, Kind, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts what moves. Cheap to touch from the work, read by the watchdog.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

impl Meter {
    pub fn moved(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `work`, and ends it when `meter` stood still for `timeout` (to within a quarter of it).
pub async fn unless_stalled<T, E: From<Error>>(
    meter: &Meter,
    timeout: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let watch = async {
        let mut last = meter.0.load(Ordering::Relaxed);
        let mut still = Duration::ZERO;
        let step = timeout / 4;
        while still < timeout {
            tokio::time::sleep(step).await;
            let now = meter.0.load(Ordering::Relaxed);
            still = if now == last {
                still + step
            } else {
                Duration::ZERO
            };
            last = now;
        }
    };
    tokio::select! {
        result = work => result,
        () = watch => Err(Error::new(
            Kind::Stalled,
            format!("nothing moved for {} s", timeout.as_secs()),
        )
        .with_hint("the source may wait for a lock; `stall_timeout` in [load] sets the limit")
        .into()),
    }
}
