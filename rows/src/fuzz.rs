//! Random bytes made from samples: whatever comes in from outside ends in a value or an error, never in a panic.
//!
//! Each target runs a few thousand times in the suite. `scripts/fuzz EXECUTIONS [SEED]` runs each as often as it says.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Executions of each target in the suite.
const EXECUTIONS: u64 = 3_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|e| panic!("{variable}={text}: {e}")),
    )
}

/// xorshift64: enough to choose bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}

/// Runs `target` with inputs made from `samples`. A panic shows its input, as hexadecimal digits.
#[track_caller]
pub fn fuzz(name: &str, samples: &[&[u8]], mut target: impl FnMut(&[u8])) {
    let seed = number("DAYHAUL_TEST_SEED").unwrap_or(20_240_229).max(1);
    let executions = number("DAYHAUL_FUZZ_EXECUTIONS").unwrap_or(EXECUTIONS);
    let mut random = Random(seed);
    for sample in samples {
        target(sample);
    }
    for _ in 0..executions {
        let input = mutated(samples, &mut random);
        let result = catch_unwind(AssertUnwindSafe(|| target(&input)));
        if result.is_err() {
            let hex: String = input.iter().map(|b| format!("{b:02x}")).collect();
            panic!("{name}: {hex}");
        }
    }
    println!("{name}: {executions} executions");
}

fn mutated(samples: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = samples[random.below(samples.len())].to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(random.below(256)).unwrap_or(0),
            2 => bytes.truncate(at),
            3 => {
                let byte = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'\'', b'%'][random.below(8)];
                bytes.insert(at, byte);
            }
            4 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            // An extreme length or number in place of four bytes.
            5 => {
                let value = [0, 1, -1, i32::MAX, i32::MIN, 1 << 30, 0x7fff, 4][random.below(8)];
                let end = bytes.len().min(at + 4);
                bytes.splice(at..end, value.to_be_bytes());
            }
            // A piece of another sample.
            6 => {
                let other = samples[random.below(samples.len())];
                let from = random.below(other.len());
                let to = (from + random.below(32)).min(other.len());
                let piece = other[from..to].to_vec();
                bytes.splice(at..at, piece);
            }
            // A piece of its own, again.
            _ => {
                let to = (at + random.below(16)).min(bytes.len());
                let piece = bytes[at..to].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.truncate(4096);
    bytes
}
