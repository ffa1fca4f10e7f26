//! A printed number → NUMERIC. The layout is drawn in [`super::super::numeric`].

use super::super::numeric::{
    BASE, GROUP_DIGITS, INFINITY, MAX_DSCALE, NAN, NEG_INFINITY, NEGATIVE, POSITIVE,
};
use super::fault::EncodeFault;
use super::field::{put_bytes, put_sized};
use bytes::BytesMut;

/// Most digits before the decimal point: the first group's weight is an i16 (NUMERIC_WEIGHT_MAX).
const MOST_WHOLE_DIGITS: usize = (i16::MAX as usize + 1) * GROUP_DIGITS as usize;

/// Writes a number as PostgreSQL prints it: `-12.50`, `NaN`, `Infinity`. The display scale is the number of decimal places.
pub(super) fn put_printed(out: &mut BytesMut, text: &[u8]) -> Result<(), EncodeFault> {
    match text {
        b"NaN" => put_bytes(out, &NAN),
        b"Infinity" => put_bytes(out, &INFINITY),
        b"-Infinity" => put_bytes(out, &NEG_INFINITY),
        _ => {
            let digits = Digits::read(text)?;
            put_sized(out, |out| digits.put(out))
        }
    }
}

/// The digits on both sides of the decimal point.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    decimals: &'a [u8],
}

impl Digits<'_> {
    fn read(text: &[u8]) -> Result<Digits<'_>, EncodeFault> {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let point = unsigned.iter().position(|b| *b == b'.');
        let (whole, decimals) = match point {
            Some(point) => (&unsigned[..point], &unsigned[point + 1..]),
            None => (unsigned, &unsigned[unsigned.len()..]),
        };
        let are_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let cut_short = point.is_some() && decimals.is_empty();
        if whole.is_empty() || cut_short || !are_digits(whole) || !are_digits(decimals) {
            return Err(EncodeFault::Unreadable);
        }
        if whole.len() > MOST_WHOLE_DIGITS || decimals.len() > usize::from(MAX_DSCALE) {
            return Err(EncodeFault::OutOfRange);
        }
        Ok(Digits {
            negative,
            whole,
            decimals,
        })
    }

    /// The group with this weight.
    fn group(&self, weight: i32) -> u16 {
        let lowest = weight * GROUP_DIGITS;
        let digit = |place: i32| {
            let digit = if place < 0 {
                self.decimals.get((-1 - place).unsigned_abs() as usize)
            } else {
                let from_end = place.unsigned_abs() as usize + 1;
                let at = self.whole.len().checked_sub(from_end);
                at.and_then(|at| self.whole.get(at))
            };
            digit.map_or(0, |d| u16::from(d - b'0'))
        };
        (0..GROUP_DIGITS)
            .rev()
            .fold(0, |group, i| group * 10 + digit(lowest + i))
    }

    fn put(&self, out: &mut BytesMut) -> Result<(), EncodeFault> {
        let groups = |digits: usize| digits.div_ceil(GROUP_DIGITS as usize) as i32;
        let (highest, lowest) = (groups(self.whole.len()) - 1, -groups(self.decimals.len()));
        // Zero groups at both ends are not written.
        let first = (lowest..=highest).rev().find(|w| self.group(*w) != 0);
        let last = (lowest..=highest).find(|w| self.group(*w) != 0);
        let (first, last) = match (first, last) {
            (Some(first), Some(last)) => (first, last),
            _ => (0, 1),
        };
        let count = first - last + 1;
        let sign = if self.negative && count > 0 {
            NEGATIVE
        } else {
            POSITIVE
        };
        let weight = i16::try_from(first).map_err(|_| EncodeFault::OutOfRange)?;
        let count = u16::try_from(count).map_err(|_| EncodeFault::OutOfRange)?;
        for part in [
            count,
            weight.cast_unsigned(),
            sign,
            self.decimals.len() as u16,
        ] {
            out.extend_from_slice(&part.to_be_bytes());
        }
        for weight in (last..=first).rev() {
            let group = self.group(weight);
            debug_assert!(u32::from(group) < BASE);
            out.extend_from_slice(&group.to_be_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<Vec<u8>, EncodeFault> {
        let mut out = BytesMut::new();
        put_printed(&mut out, text.as_bytes()).map(|()| out[4..].to_vec())
    }

    #[test]
    fn golden_bytes_of_printed_numbers() {
        let cases: [(&str, &[u8]); 8] = [
            (
                "12345.6789",
                b"\0\x03\0\x01\0\0\0\x04\0\x01\x09\x29\x1a\x85",
            ),
            ("0.00001000", b"\0\x01\xff\xfe\0\0\0\x08\x03\xe8"),
            ("-0.5", b"\0\x01\xff\xff\x40\0\0\x01\x13\x88"),
            ("0.00", b"\0\0\0\0\0\0\0\x02"),
            ("-0", b"\0\0\0\0\0\0\0\0"),
            ("10000", b"\0\x01\0\x01\0\0\0\0\0\x01"),
            ("10002.00000", b"\0\x02\0\x01\0\0\0\x05\0\x01\0\x02"),
            ("-Infinity", &NEG_INFINITY),
        ];
        for (text, field) in cases {
            assert_eq!(put(text).as_deref(), Ok(field), "{text}");
        }
    }

    #[test]
    fn text_that_postgresql_does_not_print_is_rejected() {
        for text in [
            "", "-", ".", "1.", ".5", "+1", "1e5", "1,5", " 1", "--1", "infinity", "1.2.3",
        ] {
            assert_eq!(put(text), Err(EncodeFault::Unreadable), "{text}");
        }
        let long = "1".repeat(MOST_WHOLE_DIGITS);
        assert!(put(&long).is_ok());
        assert_eq!(put(&format!("{long}1")), Err(EncodeFault::OutOfRange));
        let tiny = format!("0.{}", "1".repeat(16_383));
        assert!(put(&tiny).is_ok());
        assert_eq!(put(&format!("{tiny}1")), Err(EncodeFault::OutOfRange));
    }
}
