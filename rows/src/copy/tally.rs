//! Counts the rows of one day: how many, how large, which.

use super::digest::Digest;

/// The rows received for one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub rows: u64,
    /// Bytes of tuples.
    pub bytes: u64,
    pub digest: Digest,
}

impl Tally {
    pub fn add(&mut self, tuple: &[u8]) {
        self.rows += 1;
        self.bytes += tuple.len() as u64;
        self.digest.add(tuple);
    }

    /// Adds other rows of the same day.
    pub fn join(&mut self, other: Tally) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.digest.merge(other.digest);
    }
}
