//! The current throughput, not the average since the start.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The period that is measured.
const SPAN: Duration = Duration::from_secs(10);

/// Rows and bytes, in total or per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    pub rows: u64,
    pub bytes: u64,
}

/// Totals, sampled from time to time.
#[derive(Debug, Default)]
pub struct Throughput {
    samples: VecDeque<(Instant, Transferred)>,
}

impl Throughput {
    /// Takes the totals so far and returns rows and bytes per second over the last ten seconds.
    pub fn sample(&mut self, now: Instant, total: Transferred) -> Transferred {
        self.samples.push_back((now, total));
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) >= SPAN {
            self.samples.pop_front();
        }
        let (then, before) = self.samples[0];
        let millis = u64::try_from(now.duration_since(then).as_millis()).unwrap_or(u64::MAX);
        let per_second = |n: u64| n.saturating_mul(1_000).checked_div(millis).unwrap_or(0);
        Transferred {
            rows: per_second(total.rows - before.rows),
            bytes: per_second(total.bytes - before.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_brings_the_rate_down() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut throughput = Throughput::default();
        let of = |rows, bytes| Transferred { rows, bytes };
        assert_eq!(throughput.sample(start, of(0, 0)), of(0, 0));
        let total = of(1_000, 5_000);
        assert_eq!(throughput.sample(at(1), total), total);
        for s in 2..30 {
            throughput.sample(at(s), total);
        }
        assert_eq!(throughput.sample(at(30), total), of(0, 0));
    }
}
