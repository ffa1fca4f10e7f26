//! NUMERIC → doubles. The layout is drawn in [`super::super::numeric`].

use super::super::numeric::{Finite, SMALL_GROUPS, Special, read};
use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use super::numeric_text;
use super::primitive::Primitive;
use super::rounded::{Rounded, is_rounded};
use arrow_array::types::Float64Type;
use arrow_schema::DataType;
use std::io::Write;

/// Integers up to this one are exact as doubles.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// Powers of ten that are exact as doubles.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

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
    if let (Some(power), true) = (power, value.groups.len() <= SMALL_GROUPS) {
        let whole = value.whole()?;
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
    use super::super::super::numeric::sample;
    use super::*;
    use arrow_array::cast::AsArray;

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
            (sample(-1, 0, 1, &[1000]), 0.1),
            (sample(1, 0x4000, 4, &[1, 2345, 6789]), -12345.6789),
            (sample(5, 0, 0, &[100]), 1e22),
            (sample(5, 0, 0, &[1000]), 1e23),
            // 9007199254740993 is between two doubles
            (
                sample(3, 0, 0, &[9007, 1992, 5474, 993]),
                9_007_199_254_740_992.0,
            ),
            (sample(-81, 0, 324, &[5]), 5e-324),
            (sample(0, 0, 5, &[]), 0.0),
            (sample(0, 0xd000, 0x20, &[]), f64::INFINITY),
        ] {
            assert_eq!(nearest(&field), Ok(expected), "{field:?}");
        }
        assert_eq!(rounded.take(), 1, "the one between two doubles");
        assert!(nearest(&sample(0, 0xc000, 0, &[])).unwrap().is_nan());
        assert_eq!(
            nearest(&sample(100, 0, 0, &[1])),
            Err(DecodeFault::BeyondDouble)
        );
        assert_eq!(
            nearest(&sample(-100, 0, 400, &[1])),
            Err(DecodeFault::BeyondDouble)
        );
    }
}
