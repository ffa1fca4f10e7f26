//! Decimals → NUMERIC. The layout is drawn in [`super::super::numeric`].

use super::super::numeric::{BASE, GROUP_DIGITS, NEGATIVE, POSITIVE, POW10};
use arrow_buffer::i256;
use bytes::BytesMut;

/// Enough for any i256: 77 digits, where the last group is written alone and the others four at a time.
const MOST_GROUPS: usize = 24;

/// Bytes of length, ndigits, weight, sign and dscale.
const HEADER: usize = 12;

/// The base of four groups.
const CHUNK: u64 = 10_000_000_000_000_000;

/// A field that is built from its last group to its first.
struct Groups {
    /// Length, header and groups, aligned to the end.
    field: [u8; HEADER + 2 * MOST_GROUPS],
    /// Start of the first group.
    start: usize,
    /// End of the last group that is not zero.
    end: usize,
}

impl Groups {
    fn new() -> Groups {
        let field = [0; HEADER + 2 * MOST_GROUPS];
        Groups {
            start: field.len(),
            end: field.len(),
            field,
        }
    }

    /// Adds a group in front.
    fn prepend(&mut self, group: u16) {
        self.start -= 2;
        self.field[self.start..self.start + 2].copy_from_slice(&group.to_be_bytes());
        // Trailing zero groups are not written.
        if group == 0 && self.start + 2 == self.end {
            self.end = self.start;
        }
    }

    /// Adds all groups of `rest` in front.
    fn prepend_all(&mut self, mut rest: u64) {
        while rest != 0 {
            self.prepend((rest % u64::from(BASE)) as u16);
            rest /= u64::from(BASE);
        }
    }

    /// Adds four groups in front.
    fn prepend_chunk(&mut self, mut chunk: u64) {
        for _ in 0..4 {
            self.prepend((chunk % u64::from(BASE)) as u16);
            chunk /= u64::from(BASE);
        }
    }

    /// Writes the field. `behind` of the added groups are behind the decimal point.
    fn write(mut self, negative: bool, behind: i32, dscale: u16, out: &mut BytesMut) {
        let put = (self.field.len() - self.start) / 2;
        let mut start = self.start;
        while start < self.end && self.field[start..start + 2] == [0, 0] {
            start += 2;
        }
        let count = (self.end - start) / 2;
        let leading = (start - self.start) / 2;
        // There are at most 24 groups, and the scale is at most 76, so the casts keep the values.
        let (weight, sign) = match count {
            0 => (0, POSITIVE),
            _ => (
                (put - leading) as i16 - behind as i16 - 1,
                if negative { NEGATIVE } else { POSITIVE },
            ),
        };
        let header = start - HEADER;
        let field = &mut self.field[header..self.end];
        field[..4].copy_from_slice(&((8 + 2 * count) as u32).to_be_bytes());
        field[4..6].copy_from_slice(&(count as u16).to_be_bytes());
        field[6..8].copy_from_slice(&weight.to_be_bytes());
        field[8..10].copy_from_slice(&sign.to_be_bytes());
        field[10..12].copy_from_slice(&dscale.to_be_bytes());
        out.extend_from_slice(field);
    }
}

/// For a scale: the number of digits in the last group, and the number of groups behind the decimal point.
fn last_group(scale: u8) -> (usize, i32) {
    let behind = (i32::from(scale) + GROUP_DIGITS - 1) / GROUP_DIGITS;
    let missing = behind * GROUP_DIGITS - i32::from(scale);
    ((GROUP_DIGITS - missing) as usize, behind)
}

/// Writes `value` · 10^-scale, with `scale` decimal places.
pub(super) fn put_decimal128(out: &mut BytesMut, value: i128, scale: u8) {
    let (kept, behind) = last_group(scale);
    let mut groups = Groups::new();
    let magnitude = value.unsigned_abs();
    let cut = POW10[kept];
    let scale_up = POW10[GROUP_DIGITS as usize - kept];
    if let Ok(small) = u64::try_from(magnitude) {
        groups.prepend((small % cut * scale_up) as u16);
        groups.prepend_all(small / cut);
    } else {
        groups.prepend(((magnitude % u128::from(cut)) as u64 * scale_up) as u16);
        let mut rest = magnitude / u128::from(cut);
        while u64::try_from(rest).is_err() {
            groups.prepend_chunk((rest % u128::from(CHUNK)) as u64);
            rest /= u128::from(CHUNK);
        }
        groups.prepend_all(rest as u64);
    }
    groups.write(value < 0, behind, scale.into(), out);
}

/// Writes `value` · 10^-scale, with `scale` decimal places. `value` must not be `i256::MIN`, which has no positive counterpart.
pub(super) fn put_decimal256(out: &mut BytesMut, value: i256, scale: u8) {
    if let Some(narrow) = value.to_i128() {
        put_decimal128(out, narrow, scale);
        return;
    }
    let (kept, behind) = last_group(scale);
    let mut groups = Groups::new();
    let split = |rest: i256, by: u64| {
        let (quotient, part) = rest.wrapping_div_rem(i256::from_i128(by.into()));
        (quotient, part.as_i128() as u64)
    };
    let (mut rest, last) = split(value.wrapping_abs(), POW10[kept]);
    groups.prepend((last * POW10[GROUP_DIGITS as usize - kept]) as u16);
    while rest != i256::ZERO {
        let chunk;
        (rest, chunk) = split(rest, CHUNK);
        groups.prepend_chunk(chunk);
    }
    groups.write(value.is_negative(), behind, scale.into(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(value: i128, scale: u8) -> Vec<u8> {
        let (mut narrow, mut wide) = (BytesMut::new(), BytesMut::new());
        put_decimal128(&mut narrow, value, scale);
        put_decimal256(&mut wide, i256::from_i128(value), scale);
        assert_eq!(narrow, wide);
        narrow.to_vec()
    }

    #[test]
    fn golden_bytes_of_decimals() {
        let cases: [(i128, u8, &[u8]); 8] = [
            // 12345.6789, 0.00001000, 0.000001, -0.5, 0.00, 10000, 99990000.0
            (
                123_456_789,
                4,
                b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x04\0\x01\x09\x29\x1a\x85",
            ),
            (1000, 8, b"\0\0\0\x0a\0\x01\xff\xfe\0\0\0\x08\x03\xe8"),
            (1, 6, b"\0\0\0\x0a\0\x01\xff\xfe\0\0\0\x06\0\x64"),
            (-5, 1, b"\0\0\0\x0a\0\x01\xff\xff\x40\0\0\x01\x13\x88"),
            (0, 2, b"\0\0\0\x08\0\0\0\0\0\0\0\x02"),
            (10_000, 0, b"\0\0\0\x0a\0\x01\0\x01\0\0\0\0\0\x01"),
            (999_900_000, 1, b"\0\0\0\x0a\0\x01\0\x01\0\0\0\x01\x27\x0f"),
            // 10^37: ten groups, of which only the first is not zero.
            (10i128.pow(37), 0, b"\0\0\0\x0a\0\x01\0\x09\0\0\0\0\0\x0a"),
        ];
        for (value, scale, field) in cases {
            assert_eq!(both(value, scale), field, "{value} {scale}");
        }
    }

    #[test]
    fn every_magnitude_has_room() {
        for value in [i256::MAX, i256::MAX.wrapping_neg()] {
            for scale in 0..=76 {
                put_decimal256(&mut BytesMut::new(), value, scale);
            }
        }
    }
}
