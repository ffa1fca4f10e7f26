//! A watchdog for work that no longer moves any byte.

use crate::engine::report::progress::WindowProgress;
use crate::error::{Error, Kind, Result};
use std::time::Duration;

/// Runs `work`, and ends it when `progress` has not changed for `timeout` (to within a quarter of it).
///
/// # Errors
/// Those of `work`; [`Kind::Stalled`].
pub async fn unless_stalled<T>(
    progress: &WindowProgress<'_>,
    timeout: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let watch = async {
        let mut last = progress.count();
        let mut still = Duration::ZERO;
        let step = timeout / 4;
        while still < timeout {
            tokio::time::sleep(step).await;
            let now = progress.count();
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
        .with_hint("the source may wait for a lock; `stall_timeout` in [load] sets the limit")),
    }
}
