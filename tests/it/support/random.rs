//! Random numbers that a failed test's output lets one replay.

use std::time::{Duration, SystemTime};

/// The seed of whatever a test leaves to chance; set it to replay a failure.
const SEED: &str = "DAYHAUL_TEST_SEED";

pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        let seed = match std::env::var(SEED) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|e| panic!("{SEED}={text}: {e}")),
            Err(_) => {
                let now = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap();
                u64::from(now.subsec_nanos())
            }
        };
        // Nothing but zeros would follow a zero.
        let seed = seed.max(1);
        println!("{SEED}={seed}");
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to `whole`.
    pub fn part_of(&mut self, whole: Duration) -> Duration {
        whole.mul_f64((self.next() % 10_000) as f64 / 10_000.0)
    }
}
