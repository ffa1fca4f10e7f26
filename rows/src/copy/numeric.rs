//! The binary format of NUMERIC.
//!
//! # Layout
//!
//! `numeric_send` and `numeric_recv` in PostgreSQL's `src/backend/utils/adt/numeric.c`; all integers big-endian:
//!
//! ```text
//!  0        2        4        6        8        10
//! ┌────────┬────────┬────────┬────────┬────────┬────────┬─
//! │ndigits │weight  │sign    │dscale  │digit 0 │digit 1 │ …      digit: 0 … 9999
//! └────────┴────────┴────────┴────────┴────────┴────────┴─
//!
//! value = ± Σ digit[i] · 10000^(weight − i)
//!
//! sign    0x0000 positive   0x4000 negative   0xC000 NaN   0xD000 Infinity   0xF000 -Infinity
//! dscale  decimal places shown, including zeros: 1.50 is not 1.5
//!
//!      12345.6789   3  1  0x0000  4   0001 2345 6789
//!      0.00001000   1 -2  0x0000  8   1000                  (groups are counted from the decimal point: 0000 1000)
//!          -0.5     1 -1  0x4000  1   5000
//!          0.00     0  0  0x0000  2
//!           NaN     0  0  0xC000  0
//!      Infinity     0  0  0xD000  32                        (the 32 is a bit of the sign, read as a scale)
//! ```
//!
//! PostgreSQL stores a value without zero groups at either end, and zero as positive with weight 0 (`make_result`). So value
//! and dscale determine every byte. Other bytes count as damaged here, because they would not be restored as they were.

/// Base of a group.
pub(super) const BASE: u32 = 10_000;

/// Decimal digits of a group.
pub(super) const GROUP_DIGITS: i32 = 4;

/// Numbers with this many groups are below 10^16.
pub(super) const SMALL_GROUPS: usize = 4;

/// The greatest display scale (NUMERIC_DSCALE_MAX).
pub(super) const MAX_DSCALE: u16 = 0x3fff;

pub(super) const POSITIVE: u16 = 0x0000;
pub(super) const NEGATIVE: u16 = 0x4000;

/// Header of NaN: no groups, weight 0.
pub(super) const NAN: [u8; 8] = [0, 0, 0, 0, 0xc0, 0, 0, 0];
pub(super) const INFINITY: [u8; 8] = [0, 0, 0, 0, 0xd0, 0, 0, 0x20];
pub(super) const NEG_INFINITY: [u8; 8] = [0, 0, 0, 0, 0xf0, 0, 0, 0x20];

/// The powers of ten that fit a u64.
pub(super) const POW10: [u64; 20] = {
    let mut table = [1; 20];
    let mut i = 1;
    while i < table.len() {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// A value without digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    NaN,
    Infinity,
    NegInfinity,
}

/// A finite value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finite<'a> {
    pub negative: bool,
    /// Power of 10000 of the first group.
    pub weight: i32,
    pub dscale: u16,
    /// Big-endian. Neither the first nor the last is 0; whether each is below 10000 is not checked.
    pub groups: &'a [[u8; 2]],
}

/// The bytes are not a NUMERIC as PostgreSQL stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads a field. Inlined, so that its parts stay in registers.
#[inline(always)]
pub(super) fn read(field: &[u8]) -> Result<Result<Finite<'_>, Special>, Malformed> {
    let (header, digits) = field.split_first_chunk::<8>().ok_or(Malformed)?;
    let part = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    let (groups, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() || groups.len() != usize::from(part(0)) {
        return Err(Malformed);
    }
    let sign = part(4);
    if sign & !NEGATIVE != 0 {
        let special = match *header {
            NAN => Special::NaN,
            INFINITY => Special::Infinity,
            NEG_INFINITY => Special::NegInfinity,
            _ => return Err(Malformed),
        };
        return Ok(Err(special));
    }
    let weight = i32::from(part(2).cast_signed());
    let ends = match (groups.first(), groups.last()) {
        (Some(first), Some(last)) => *first != [0, 0] && *last != [0, 0],
        _ => sign == POSITIVE && weight == 0,
    };
    let dscale = part(6);
    if !ends || dscale > MAX_DSCALE {
        return Err(Malformed);
    }
    Ok(Ok(Finite {
        negative: sign == NEGATIVE,
        weight,
        dscale,
        groups,
    }))
}

impl Finite<'_> {
    /// Power of ten of the last group's last digit; 0 for zero.
    pub fn exponent(&self) -> i32 {
        if self.groups.is_empty() {
            return 0;
        }
        GROUP_DIGITS * (self.weight + 1 - i32::try_from(self.groups.len()).unwrap_or(i32::MAX))
    }

    /// The groups as one integer. There must be at most [`SMALL_GROUPS`].
    pub fn whole(&self) -> Result<u64, Malformed> {
        let mut whole = 0;
        let mut greatest = 0;
        for bytes in self.groups {
            let group = u16::from_be_bytes(*bytes);
            greatest = greatest.max(group);
            whole = whole * u64::from(BASE) + u64::from(group);
        }
        if u32::from(greatest) < BASE {
            Ok(whole)
        } else {
            Err(Malformed)
        }
    }
}

/// The value of one group.
pub(super) fn group(bytes: [u8; 2]) -> Result<u32, Malformed> {
    let value = u32::from(u16::from_be_bytes(bytes));
    if value < BASE {
        Ok(value)
    } else {
        Err(Malformed)
    }
}

/// A field for tests: ndigits, weight, sign, dscale, digits.
#[cfg(test)]
pub(super) fn sample(weight: i16, sign: u16, dscale: u16, digits: &[u16]) -> Vec<u8> {
    let count = u16::try_from(digits.len()).unwrap();
    let mut bytes = Vec::new();
    for part in [count, weight.cast_unsigned(), sign, dscale]
        .iter()
        .chain(digits)
    {
        bytes.extend_from_slice(&part.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_that_postgresql_writes_are_a_numeric() {
        let finite: [&[u8]; 3] = [
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 1, 0xff, 0xfe, 0, 0, 0, 8, 3, 0xe8],
            &[0, 2, 0, 0, 0x40, 0, 0, 1, 0, 1, 0x13, 0x88],
        ];
        for bytes in finite {
            assert!(matches!(read(bytes), Ok(Ok(_))), "{bytes:?}");
        }
        assert!(matches!(read(&NAN), Ok(Err(Special::NaN))));
        assert!(matches!(read(&INFINITY), Ok(Err(Special::Infinity))));
        assert!(matches!(read(&NEG_INFINITY), Ok(Err(Special::NegInfinity))));
        let damaged: [&[u8]; 9] = [
            &[],
            &[0, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0],
            // Zero with a sign, with a weight; a zero group at an end; NaN with a scale.
            &[0, 0, 0, 0, 0x40, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0, 0],
            &[0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0],
            &[0, 0, 0, 0, 0xc0, 0, 0, 1],
        ];
        for bytes in damaged {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
