//! How fast it goes now, not since the start.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is looked back at.
const SPAN: Duration = Duration::from_secs(10);

/// Rows and bytes that passed, sampled now and then.
#[derive(Debug, Default)]
pub struct Rate {
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    /// Notes the totals so far and returns rows and bytes per second over the last ten seconds.
    pub fn sample(&mut self, now: Instant, rows: u64, bytes: u64) -> (u64, u64) {
        self.samples.push_back((now, rows, bytes));
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) >= SPAN {
            self.samples.pop_front();
        }
        let (then, rows_then, bytes_then) = self.samples[0];
        let millis = u64::try_from(now.duration_since(then).as_millis()).unwrap_or(u64::MAX);
        let per_second = |n: u64| n.saturating_mul(1_000).checked_div(millis).unwrap_or(0);
        (per_second(rows - rows_then), per_second(bytes - bytes_then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_brings_the_rate_down() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut rate = Rate::default();
        assert_eq!(rate.sample(start, 0, 0), (0, 0));
        assert_eq!(rate.sample(at(1), 1_000, 5_000), (1_000, 5_000));
        for s in 2..30 {
            rate.sample(at(s), 1_000, 5_000);
        }
        assert_eq!(rate.sample(at(30), 1_000, 5_000), (0, 0));
    }
}
