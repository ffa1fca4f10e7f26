//! NUMERIC → decimals and doubles. The layout is drawn in [`super::super::numeric`].

use super::super::numeric::{BASE, Finite, GROUP_DIGITS, POW10, Special, group, read};
use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use super::numeric_text;
use super::primitive::Primitive;
use super::rounded::{Rounded, is_rounded};
use arrow_array::types::{Decimal128Type, Decimal256Type, Float64Type};
use arrow_buffer::i256;
use arrow_schema::DataType;
use std::io::Write;

/// Numbers with this many groups are below 10^16.
const SMALL: usize = 4;

/// Numbers with this many digits fit a u64.
const DIGITS_IN_U64: i32 = 19;

/// Integers up to this one are exact as doubles.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// Powers of ten that are exact as doubles.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The decimal that a column is landed as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal {
    pub precision: u8,
    pub scale: u8,
    /// The column is numeric(p,s), so every value has the display scale `scale`.
    pub declared: bool,
}

/// Decimals of at most 38 digits.
pub(super) fn decimal128(ty: &DataType, decimal: Decimal) -> Box<dyn ColumnBuilder> {
    let limit = 10u128.pow(u32::from(decimal.precision));
    Primitive::<Decimal128Type, _>::builder(ty, move |field| {
        let value = finite(field, decimal)?;
        let unscaled = match small(&value, decimal.scale)? {
            Some(unscaled) => u128::from(unscaled),
            None => scaled::<u128>(&value, decimal.scale)?,
        };
        if unscaled >= limit {
            return Err(DecodeFault::TooManyDigits);
        }
        // Below 10^38.
        let unscaled = unscaled.cast_signed();
        Ok(if value.negative { -unscaled } else { unscaled })
    })
}

/// Decimals of at most 76 digits.
pub(super) fn decimal256(ty: &DataType, decimal: Decimal) -> Box<dyn ColumnBuilder> {
    let limit = i256::from_i128(10).wrapping_pow(u32::from(decimal.precision));
    Primitive::<Decimal256Type, _>::builder(ty, move |field| {
        let value = finite(field, decimal)?;
        let unscaled = scaled::<i256>(&value, decimal.scale)?;
        if unscaled >= limit {
            return Err(DecodeFault::TooManyDigits);
        }
        Ok(if value.negative {
            unscaled.wrapping_neg()
        } else {
            unscaled
        })
    })
}

/// The nearest doubles, including NaN and ±infinity. `rounded` counts the values that do not come back from them.
pub(super) fn double(ty: &DataType, rounded: Rounded) -> Box<dyn ColumnBuilder> {
    let mut scratch = Vec::new();
    Primitive::<Float64Type, _>::builder(ty, move |field| match read(field)? {
        Ok(value) => {
            let double = nearest(&value, &mut scratch)?;
            if is_rounded(&value, double, &mut scratch)? {
                rounded.add_one();
            }
            Ok(double)
        }
        Err(Special::NaN) => Ok(f64::NAN),
        Err(Special::Infinity) => Ok(f64::INFINITY),
        Err(Special::NegInfinity) => Ok(f64::NEG_INFINITY),
    })
}

#[inline(always)]
fn finite(field: &[u8], decimal: Decimal) -> Result<Finite<'_>, DecodeFault> {
    let value = read(field)?.map_err(|special| match special {
        Special::NaN => DecodeFault::NotANumber,
        Special::Infinity | Special::NegInfinity => DecodeFault::Infinite,
    })?;
    if decimal.declared && value.dscale != u16::from(decimal.scale) {
        return Err(DecodeFault::DisplayScale);
    }
    Ok(value)
}

/// |value| · 10^scale; `None` where it may not fit a u64.
fn small(value: &Finite<'_>, scale: u8) -> Result<Option<u64>, DecodeFault> {
    let exponent = value.exponent() + i32::from(scale);
    let groups = value.groups.len();
    let digits = GROUP_DIGITS * groups as i32 + exponent.max(0);
    if groups > SMALL || exponent <= -GROUP_DIGITS || digits > DIGITS_IN_U64 {
        return Ok(None);
    }
    let whole = whole(value)?;
    let (quotient, rest) = match exponent {
        0.. => (whole * POW10[exponent.unsigned_abs() as usize], 0),
        -1 => (whole / 10, whole % 10),
        -2 => (whole / 100, whole % 100),
        _ => (whole / 1000, whole % 1000),
    };
    if rest == 0 {
        Ok(Some(quotient))
    } else {
        Err(DecodeFault::TooManyDecimals)
    }
}

/// The groups as one integer. There must be at most [`SMALL`].
fn whole(value: &Finite<'_>) -> Result<u64, DecodeFault> {
    let mut whole = 0;
    let mut greatest = 0;
    for bytes in value.groups {
        let group = u16::from_be_bytes(*bytes);
        greatest = greatest.max(group);
        whole = whole * u64::from(BASE) + u64::from(group);
    }
    if u32::from(greatest) < BASE {
        Ok(whole)
    } else {
        Err(DecodeFault::Malformed)
    }
}

/// An integer built digit by digit.
trait Magnitude: Copy {
    const ZERO: Self;

    /// `self · by + plus`; `None` when it overflows.
    fn times_plus(self, by: u64, plus: u64) -> Option<Self>;
}

impl Magnitude for u128 {
    const ZERO: u128 = 0;

    fn times_plus(self, by: u64, plus: u64) -> Option<u128> {
        self.checked_mul(by.into())?.checked_add(plus.into())
    }
}

impl Magnitude for i256 {
    const ZERO: i256 = i256::ZERO;

    fn times_plus(self, by: u64, plus: u64) -> Option<i256> {
        self.checked_mul(i256::from_i128(by.into()))?
            .checked_add(i256::from_i128(plus.into()))
    }
}

/// |value| · 10^scale.
fn scaled<M: Magnitude>(value: &Finite<'_>, scale: u8) -> Result<M, DecodeFault> {
    let Some((last, leading)) = value.groups.split_last() else {
        return Ok(M::ZERO);
    };
    let exponent = value.exponent() + i32::from(scale);
    let mut result = M::ZERO;
    for bytes in leading {
        result = result
            .times_plus(BASE.into(), group(*bytes)?.into())
            .ok_or(DecodeFault::TooManyDigits)?;
    }
    let last = u64::from(group(*last)?);
    // The last group is not zero: a scale that drops all of it would drop digits.
    let kept = GROUP_DIGITS + exponent.min(0);
    let kept = usize::try_from(kept).map_err(|_| DecodeFault::TooManyDecimals)?;
    let cut = POW10[GROUP_DIGITS as usize - kept];
    if !last.is_multiple_of(cut) {
        return Err(DecodeFault::TooManyDecimals);
    }
    result = result
        .times_plus(POW10[kept], last / cut)
        .ok_or(DecodeFault::TooManyDigits)?;
    for _ in 0..exponent {
        result = result.times_plus(10, 0).ok_or(DecodeFault::TooManyDigits)?;
    }
    Ok(result)
}

/// The nearest double. Where both the digits and the power of ten are exact as doubles, one operation rounds correctly.
/// Otherwise the digits are parsed.
fn nearest(value: &Finite<'_>, scratch: &mut Vec<u8>) -> Result<f64, DecodeFault> {
    let signed = |magnitude: f64| {
        if value.negative {
            -magnitude
        } else {
            magnitude
        }
    };
    let exponent = value.exponent();
    let power = EXACT_POWERS.get(exponent.unsigned_abs() as usize);
    if let (Some(power), true) = (power, value.groups.len() <= SMALL) {
        let whole = whole(value)?;
        if whole <= EXACT_IN_DOUBLE {
            let whole = whole as f64;
            return Ok(signed(if exponent < 0 {
                whole / power
            } else {
                whole * power
            }));
        }
    }
    scratch.clear();
    numeric_text::digits(value, scratch)?;
    // Writing to a Vec cannot fail.
    let _ = write!(scratch, "e{exponent}");
    let text = std::str::from_utf8(scratch).map_err(|_| DecodeFault::Malformed)?;
    let magnitude: f64 = text.parse().map_err(|_| DecodeFault::Malformed)?;
    if magnitude.is_finite() && magnitude != 0.0 {
        Ok(signed(magnitude))
    } else {
        Err(DecodeFault::BeyondDouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;

    /// ndigits, weight, sign, dscale, digits.
    fn numeric(weight: i16, sign: u16, dscale: u16, digits: &[u16]) -> Vec<u8> {
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

    fn decimal(precision: u8, scale: u8, field: &[u8]) -> Result<i256, DecodeFault> {
        let s = scale.cast_signed();
        let decimal = Decimal {
            precision,
            scale,
            declared: false,
        };
        let mut wide = decimal256(&DataType::Decimal256(precision, s), decimal);
        let wide = wide.push(Some(field)).map(|()| {
            let array = wide.finish().unwrap();
            array.as_primitive::<Decimal256Type>().value(0)
        });
        if precision <= 38 {
            let mut narrow = decimal128(&DataType::Decimal128(precision, s), decimal);
            let narrow = narrow.push(Some(field)).map(|()| {
                let array = narrow.finish().unwrap();
                i256::from_i128(array.as_primitive::<Decimal128Type>().value(0))
            });
            assert_eq!(narrow, wide);
        }
        wide
    }

    #[test]
    fn golden_bytes_of_decimals() {
        let small = |n: i128| Ok(i256::from_i128(n));
        for (field, precision, scale, expected) in [
            // 12345.6789, 0.00001000, -0.5, 0.00, 10000, 1e20, 0.000001 as the group 0100
            (
                numeric(1, 0, 4, &[1, 2345, 6789]),
                20,
                4,
                small(123_456_789),
            ),
            (numeric(-2, 0, 8, &[1000]), 10, 8, small(1000)),
            (numeric(-2, 0, 8, &[1000]), 10, 5, small(1)),
            (numeric(-1, 0x4000, 1, &[5000]), 5, 1, small(-5)),
            (numeric(0, 0, 2, &[]), 5, 2, small(0)),
            (numeric(1, 0, 0, &[1]), 5, 0, small(10_000)),
            (numeric(5, 0, 0, &[1]), 38, 17, small(10i128.pow(37))),
            (numeric(-2, 0, 6, &[100]), 38, 6, small(1)),
            // 38 nines with 19 decimals: the first group and the last hold three digits
            (
                numeric(
                    4,
                    0,
                    19,
                    &[999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9990],
                ),
                38,
                19,
                small(10i128.pow(38) - 1),
            ),
        ] {
            assert_eq!(decimal(precision, scale, &field), expected, "{field:?}");
        }
    }

    #[test]
    fn what_a_decimal_cannot_hold_is_reported() {
        for (field, precision, scale, expected) in [
            (
                numeric(-2, 0, 8, &[1000]),
                10,
                4,
                DecodeFault::TooManyDecimals,
            ),
            (
                numeric(0, 0, 4, &[1, 2345]),
                10,
                3,
                DecodeFault::TooManyDecimals,
            ),
            (
                numeric(-30, 0, 120, &[1]),
                38,
                10,
                DecodeFault::TooManyDecimals,
            ),
            (
                numeric(1, 0, 0, &[10, 0x0001]),
                5,
                0,
                DecodeFault::TooManyDigits,
            ),
            (
                numeric(32000, 0, 0, &[1]),
                76,
                0,
                DecodeFault::TooManyDigits,
            ),
            (numeric(19, 0, 0, &[1]), 76, 0, DecodeFault::TooManyDigits),
            (numeric(0, 0, 0, &[10_000]), 10, 0, DecodeFault::Malformed),
            (numeric(0, 0xc000, 0, &[]), 10, 0, DecodeFault::NotANumber),
            (numeric(0, 0xf000, 0x20, &[]), 10, 0, DecodeFault::Infinite),
        ] {
            assert_eq!(
                decimal(precision, scale, &field),
                Err(expected),
                "{field:?}"
            );
        }
    }

    #[test]
    fn a_declared_scale_must_be_the_one_that_is_shown() {
        let ty = DataType::Decimal128(5, 2);
        let declared = Decimal {
            precision: 5,
            scale: 2,
            declared: true,
        };
        let mut builder = decimal128(&ty, declared);
        builder.push(Some(&numeric(0, 0, 2, &[1, 5000]))).unwrap();
        assert_eq!(
            builder.push(Some(&numeric(0, 0, 1, &[1, 5000]))),
            Err(DecodeFault::DisplayScale)
        );
    }

    #[test]
    fn a_double_is_the_nearest() {
        let rounded = Rounded::default();
        let nearest = |field: &[u8]| {
            let mut builder = double(&DataType::Float64, rounded.clone());
            builder.push(Some(field)).map(|()| {
                builder
                    .finish()
                    .unwrap()
                    .as_primitive::<Float64Type>()
                    .value(0)
            })
        };
        for (field, expected) in [
            (numeric(-1, 0, 1, &[1000]), 0.1),
            (numeric(1, 0x4000, 4, &[1, 2345, 6789]), -12345.6789),
            (numeric(5, 0, 0, &[100]), 1e22),
            (numeric(5, 0, 0, &[1000]), 1e23),
            // 9007199254740993 is between two doubles
            (
                numeric(3, 0, 0, &[9007, 1992, 5474, 993]),
                9_007_199_254_740_992.0,
            ),
            (numeric(-81, 0, 324, &[5]), 5e-324),
            (numeric(0, 0, 5, &[]), 0.0),
            (numeric(0, 0xd000, 0x20, &[]), f64::INFINITY),
        ] {
            assert_eq!(nearest(&field), Ok(expected), "{field:?}");
        }
        assert_eq!(rounded.take(), 1, "the one between two doubles");
        assert!(nearest(&numeric(0, 0xc000, 0, &[])).unwrap().is_nan());
        assert_eq!(
            nearest(&numeric(100, 0, 0, &[1])),
            Err(DecodeFault::BeyondDouble)
        );
        assert_eq!(
            nearest(&numeric(-100, 0, 400, &[1])),
            Err(DecodeFault::BeyondDouble)
        );
    }
}
