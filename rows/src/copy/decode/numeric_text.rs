//! NUMERIC → the text that PostgreSQL prints (`get_str_from_var` in `src/backend/utils/adt/numeric.c`).

use super::super::numeric::{Finite, GROUP_DIGITS, Special, group, read};
use super::fault::DecodeFault;

const ZEROS: [u8; 4] = *b"0000";

/// Prints every digit, with as many decimal places as the display scale.
pub(super) fn print(field: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    let value = match read(field)? {
        Ok(value) => value,
        Err(special) => {
            out.extend_from_slice(match special {
                Special::NaN => b"NaN",
                Special::Infinity => b"Infinity",
                Special::NegInfinity => b"-Infinity",
            });
            return Ok(());
        }
    };
    if value.negative {
        out.push(b'-');
    }
    let start = out.len();
    for weight in (0..=value.weight).rev() {
        out.extend_from_slice(&at(&value, weight)?);
    }
    let zeros = out[start..].iter().take_while(|d| **d == b'0').count();
    out.drain(start..start + zeros);
    if out.len() == start {
        out.push(b'0');
    }
    if value.dscale > 0 {
        out.push(b'.');
    }
    let end = out.len() + usize::from(value.dscale);
    let groups = (i32::from(value.dscale) + GROUP_DIGITS - 1) / GROUP_DIGITS;
    for weight in (-groups..0).rev() {
        out.extend_from_slice(&at(&value, weight)?);
    }
    // Digits beyond the display scale must be zeros: no digit is dropped.
    let hidden = -value.exponent() > groups * GROUP_DIGITS;
    if hidden || out[end..].iter().any(|d| *d != b'0') {
        return Err(DecodeFault::Malformed);
    }
    out.truncate(end);
    Ok(())
}

/// The digits of all groups, without sign and decimal point.
pub(super) fn digits(value: &Finite<'_>, out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    for bytes in value.groups {
        out.extend_from_slice(&four(*bytes)?);
    }
    Ok(())
}

/// The four digits of the group with this weight.
fn at(value: &Finite<'_>, weight: i32) -> Result<[u8; 4], DecodeFault> {
    let bytes = usize::try_from(value.weight - weight)
        .ok()
        .and_then(|i| value.groups.get(i));
    bytes.map_or(Ok(ZEROS), |bytes| four(*bytes))
}

fn four(bytes: [u8; 2]) -> Result<[u8; 4], DecodeFault> {
    let group = group(bytes)?;
    let digit = |place: u32| b'0' + (group / place % 10) as u8;
    Ok([digit(1000), digit(100), digit(10), digit(1)])
}

#[cfg(test)]
mod tests {
    use super::super::super::numeric::{INFINITY, NAN, NEG_INFINITY};
    use super::*;

    fn printed(field: &[u8]) -> Result<String, DecodeFault> {
        let mut out = Vec::new();
        print(field, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn golden_bytes_print_as_postgresql_does() {
        let cases: [(&[u8], &str); 9] = [
            (
                b"\0\x03\0\x01\0\0\0\x04\0\x01\x09\x29\x1a\x85",
                "12345.6789",
            ),
            (b"\0\x01\xff\xfe\0\0\0\x08\x03\xe8", "0.00001000"),
            (b"\0\x01\xff\xff\x40\0\0\x01\x13\x88", "-0.5"),
            (b"\0\0\0\0\0\0\0\x02", "0.00"),
            (b"\0\x01\0\x01\0\0\0\0\0\x01", "10000"),
            (b"\0\x02\0\x01\0\0\0\x05\0\x01\0\x02", "10002.00000"),
            (&NAN, "NaN"),
            (&INFINITY, "Infinity"),
            (&NEG_INFINITY, "-Infinity"),
        ];
        for (field, text) in cases {
            assert_eq!(printed(field).as_deref(), Ok(text));
        }
    }

    #[test]
    fn digits_beyond_the_display_scale_are_not_dropped() {
        for field in [
            &b"\0\x02\0\0\0\0\0\x02\0\x01\x13\x89"[..],
            b"\0\x01\xff\xfd\0\0\0\x04\0\x01",
            b"\0\x01\xff\xfd\0\0\0\0\0\x01",
        ] {
            assert_eq!(printed(field), Err(DecodeFault::Malformed), "{field:?}");
        }
    }
}
