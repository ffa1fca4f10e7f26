//! `land`: how a numeric without precision lands as Parquet.

use crate::error::{Error, Result};
use std::fmt;

/// Maximum digits of a Decimal256, and of any decimal that lands.
pub const DECIMAL256_DIGITS: u8 = 76;

/// How a numeric without precision lands. Its digits are unlimited, so the template must declare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LandAs {
    /// A value that does not fit is an error. Trailing zeros are lost.
    Decimal {
        /// Total digits, 1 to 76.
        precision: u8,
        /// Digits after the decimal point, 0 to `precision`.
        scale: i8,
    },
    /// Every digit as PostgreSQL prints it, `NaN` and `Infinity` too.
    Text,
    /// The nearest double: about 15 digits.
    Double,
}

impl LandAs {
    /// Reads `decimal(p,s)`, `text` or `double`.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn parse(text: &str) -> Result<LandAs> {
        let compact: String = text.split_whitespace().collect();
        let land = match compact.to_ascii_lowercase().as_str() {
            "text" => Some(LandAs::Text),
            "double" => Some(LandAs::Double),
            other => other
                .strip_prefix("decimal(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(decimal),
        };
        land.ok_or_else(|| {
            Error::config(format!(
                "`land = \"{text}\"` is invalid: write \"decimal(p,s)\" with 1 ≤ p ≤ {DECIMAL256_DIGITS} and \
                 0 ≤ s ≤ p, \"text\" or \"double\""
            ))
        })
    }
}

fn decimal(arguments: &str) -> Option<LandAs> {
    let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    let (precision, scale) = (precision.parse::<u8>().ok()?, scale.parse::<u8>().ok()?);
    ((1..=DECIMAL256_DIGITS).contains(&precision) && scale <= precision).then_some(
        LandAs::Decimal {
            precision,
            scale: scale.cast_signed(),
        },
    )
}

impl fmt::Display for LandAs {
    /// As [`LandAs::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LandAs::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            LandAs::Text => f.write_str("text"),
            LandAs::Double => f.write_str("double"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn land_is_read_as_it_is_printed() {
        for text in ["decimal(20,6)", "decimal(76,76)", "text", "double"] {
            assert_eq!(LandAs::parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "decimal",
            "decimal(77,0)",
            "decimal(5,6)",
            "decimal(5,-1)",
            "decimal(0,0)",
            "float",
            "",
        ] {
            assert!(LandAs::parse(wrong).is_err(), "{wrong}");
        }
    }
}
