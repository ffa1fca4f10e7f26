//! NUMERIC → decimals. The layout is drawn in [`super::super::numeric`].

use super::super::numeric::{
    BASE, Finite, GROUP_DIGITS, POW10, SMALL_GROUPS, Special, group, read,
};
use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use super::primitive::Primitive;
use arrow_array::types::{Decimal128Type, Decimal256Type};
use arrow_buffer::i256;
use arrow_schema::DataType;

/// Numbers with this many digits fit a u64.
const DIGITS_IN_U64: i32 = 19;

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
    if groups > SMALL_GROUPS || exponent <= -GROUP_DIGITS || digits > DIGITS_IN_U64 {
        return Ok(None);
    }
    let whole = value.whole()?;
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

#[cfg(test)]
mod tests {
    use super::super::super::numeric::sample;
    use super::*;
    use arrow_array::cast::AsArray;

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
            (sample(1, 0, 4, &[1, 2345, 6789]), 20, 4, small(123_456_789)),
            (sample(-2, 0, 8, &[1000]), 10, 8, small(1000)),
            (sample(-2, 0, 8, &[1000]), 10, 5, small(1)),
            (sample(-1, 0x4000, 1, &[5000]), 5, 1, small(-5)),
            (sample(0, 0, 2, &[]), 5, 2, small(0)),
            (sample(1, 0, 0, &[1]), 5, 0, small(10_000)),
            (sample(5, 0, 0, &[1]), 38, 17, small(10i128.pow(37))),
            (sample(-2, 0, 6, &[100]), 38, 6, small(1)),
            // 38 nines with 19 decimals: the first group and the last hold three digits
            (
                sample(
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
                sample(-2, 0, 8, &[1000]),
                10,
                4,
                DecodeFault::TooManyDecimals,
            ),
            (
                sample(0, 0, 4, &[1, 2345]),
                10,
                3,
                DecodeFault::TooManyDecimals,
            ),
            (
                sample(-30, 0, 120, &[1]),
                38,
                10,
                DecodeFault::TooManyDecimals,
            ),
            (
                sample(1, 0, 0, &[10, 0x0001]),
                5,
                0,
                DecodeFault::TooManyDigits,
            ),
            (sample(32000, 0, 0, &[1]), 76, 0, DecodeFault::TooManyDigits),
            (sample(19, 0, 0, &[1]), 76, 0, DecodeFault::TooManyDigits),
            (sample(0, 0, 0, &[10_000]), 10, 0, DecodeFault::Malformed),
            (sample(0, 0xc000, 0, &[]), 10, 0, DecodeFault::NotANumber),
            (sample(0, 0xf000, 0x20, &[]), 10, 0, DecodeFault::Infinite),
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
        builder.push(Some(&sample(0, 0, 2, &[1, 5000]))).unwrap();
        assert_eq!(
            builder.push(Some(&sample(0, 0, 1, &[1, 5000]))),
            Err(DecodeFault::DisplayScale)
        );
    }
}
