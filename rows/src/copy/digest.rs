//! A fingerprint of a set of tuples, independent of their order.

use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_128;

/// The wrapping 128-bit sum of the XXH3-128 hashes of all tuples (field count and fields). Printed as 32 hex digits.
///
/// A sum instead of an exclusive or, so that two equal tuples do not cancel out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(u128);

/// XXH3-128 of one tuple.
pub fn tuple_hash(tuple: &[u8]) -> u128 {
    xxh3_128(tuple)
}

impl Digest {
    /// The digest of one tuple.
    pub fn of(tuple: &[u8]) -> Digest {
        Digest(xxh3_128(tuple))
    }

    pub fn add(&mut self, tuple: &[u8]) {
        self.0 = self.0.wrapping_add(tuple_hash(tuple));
    }

    /// The digest of both sets together.
    pub fn merge(&mut self, other: Digest) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Digest, Self::Err> {
        u128::from_str_radix(s, 16).map(Digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_repetition_does() {
        let of = |tuples: &[&[u8]]| {
            let mut digest = Digest::default();
            tuples.iter().for_each(|t| digest.add(t));
            digest
        };
        assert_eq!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a", b"a"]), of(&[]));
        assert_ne!(of(&[b"a", b"a"]), of(&[b"a"]));
        assert_ne!(of(&[b"ab", b"cd"]), of(&[b"ad", b"cb"]));
    }

    #[test]
    fn it_is_written_as_32_hex_digits_and_read_back() {
        let mut digest = Digest::default();
        assert_eq!(digest.to_string(), "0".repeat(32));
        digest.add(b"tuple");
        assert_eq!(digest.to_string().len(), 32);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }
}
