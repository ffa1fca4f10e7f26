//! How many values a decoder could not keep exactly.

use super::super::numeric::Finite;
use super::fault::DecodeFault;
use super::numeric_text;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers with so many groups have at most 12 digits; every number of at most 15 comes back from the nearest double, unless
/// it is subnormal.
const NEVER_ROUNDED: usize = 3;

/// A count that a decoder shares with its builders.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounded(Arc<AtomicU64>);

impl Rounded {
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Whether the shortest decimal that is nearest to `double`, which is what comes back from it, is another number.
pub(super) fn is_rounded(
    value: &Finite<'_>,
    double: f64,
    scratch: &mut Vec<u8>,
) -> Result<bool, DecodeFault> {
    if value.groups.len() <= NEVER_ROUNDED && double.abs() >= f64::MIN_POSITIVE {
        return Ok(false);
    }
    scratch.clear();
    numeric_text::digits(value, scratch)?;
    let shortest = format!("{:e}", double.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let first = scratch.iter().position(|d| *d != b'0').unwrap_or(0);
    // Power of ten of the first digit that is not zero.
    let power = value.exponent() + (scratch.len() - first) as i32 - 1;
    let same_digits = trimmed(scratch[first..].iter().copied())
        == trimmed(mantissa.bytes().filter(u8::is_ascii_digit));
    let same = value.groups.is_empty() || same_digits && exponent.parse() == Ok(power);
    Ok(!same)
}

/// Digits without zeros at the end.
fn trimmed(digits: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut digits: Vec<u8> = digits.collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    digits
}
