//! The rules that values must satisfy so that the warehouse returns the same bytes, and the two corrections made in place.

use super::fault::RowFault;
use super::frame::Tuple;
use crate::schema::{Column, Modifier, Scalar};
use crate::unit::{Day, TimeRange};

#[derive(Debug, Clone, Copy)]
enum Rule {
    MaxChars(usize),
    Scale(u16),
    NullFlag,
    FiniteIntervals { array: bool },
}

/// The first version with infinite intervals. Their bytes, all fields at their limit, are a finite interval for older
/// servers. It is the only type of the allow-list whose binary format 12 to 18 read differently.
const INFINITE_INTERVALS: u32 = 170_000;

/// The rules of a template's columns.
pub(super) struct Rules {
    rules: Vec<(usize, Rule)>,
    time_column: usize,
    time: Scalar,
}

impl Rules {
    pub fn new(columns: &[Column], time_column: usize) -> Rules {
        let rule = |column: &Column| match column.ty.modifier {
            _ if column.ty.array => Some(Rule::NullFlag),
            Modifier::Length(n) => Some(Rule::MaxChars(n as usize)),
            Modifier::Numeric { scale, .. } => Some(Rule::Scale(scale)),
            Modifier::None => None,
        };
        Rules {
            rules: columns
                .iter()
                .enumerate()
                .filter_map(|(i, c)| rule(c).map(|r| (i, r)))
                .collect(),
            time_column,
            time: columns
                .get(time_column)
                .map_or(Scalar::Timestamptz, |c| c.ty.scalar),
        }
    }

    /// Adds the rules for values that servers of these versions read differently.
    pub fn between(&mut self, columns: &[Column], source: u32, warehouse: u32) {
        if (source >= INFINITE_INTERVALS) == (warehouse >= INFINITE_INTERVALS) {
            return;
        }
        let intervals = columns.iter().enumerate();
        let intervals = intervals.filter(|(_, column)| column.ty.scalar == Scalar::Interval);
        self.rules.extend(intervals.map(|(i, column)| {
            let array = column.ty.array;
            (i, Rule::FiniteIntervals { array })
        }));
    }

    /// The UTC day of a tuple.
    pub fn day(&self, tuple: &Tuple) -> Result<Day, RowFault> {
        let malformed = RowFault::Malformed {
            column: self.time_column,
        };
        let value = tuple.field(self.time_column).ok_or(RowFault::NullTime)?;
        if self.time == Scalar::Date {
            let days = i32::from_be_bytes(value.try_into().map_err(|_| malformed)?);
            if days == i32::MAX || days == i32::MIN {
                return Err(RowFault::InfiniteTime);
            }
            Ok(Day::from_pg_days(days))
        } else {
            let micros = i64::from_be_bytes(value.try_into().map_err(|_| malformed)?);
            if micros == i64::MAX || micros == i64::MIN {
                return Err(RowFault::InfiniteTime);
            }
            Ok(Day::of_micros(micros))
        }
    }

    /// Whether the time of a tuple, which has one, is within `range`. A date has no time of the day.
    pub fn is_within(&self, range: TimeRange, tuple: &Tuple) -> bool {
        let value = tuple.field(self.time_column);
        let micros = value.and_then(|value| Some(i64::from_be_bytes(value.try_into().ok()?)));
        micros.is_none_or(|micros| range.contains(micros))
    }

    /// Checks every value whose type has a modifier, and corrects display scales and null flags.
    pub fn apply(&self, tuple: &mut Tuple) -> Result<(), RowFault> {
        for &(column, rule) in &self.rules {
            let Some(value) = tuple.field_mut(column) else {
                continue;
            };
            match rule {
                Rule::MaxChars(n) if value.len() <= n => {}
                Rule::MaxChars(n) => {
                    if characters(value) > n {
                        return Err(RowFault::TooLong { column });
                    }
                }
                Rule::Scale(scale) => match fits_scale(value, scale) {
                    Some(true) => {}
                    Some(false) => return Err(RowFault::TooManyDecimals { column }),
                    None => return Err(RowFault::Malformed { column }),
                },
                Rule::NullFlag => {
                    recompute_null_flag(value).ok_or(RowFault::Malformed { column })?;
                }
                Rule::FiniteIntervals { array } => {
                    let mut infinite = is_infinite_interval(value);
                    if array {
                        infinite = false;
                        for_each_element(value, |element| {
                            infinite |= is_infinite_interval(element)
                        })
                        .ok_or(RowFault::Malformed { column })?;
                    }
                    if infinite {
                        return Err(RowFault::InfiniteInterval { column });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Characters of UTF-8 text: the bytes that are not continuation bytes.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|b| (**b & 0xc0) != 0x80).count()
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    bytes
        .get(at..)?
        .first_chunk::<2>()
        .map(|b| i16::from_be_bytes(*b))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes
        .get(at..)?
        .first_chunk::<4>()
        .map(|b| i32::from_be_bytes(*b))
}

/// Whether a numeric has no digit beyond `scale`. If so, sets its display scale to `scale`, as `numeric(p,s)` stores it.
/// NaN and the infinities (sign 0xC000, 0xD000, 0xF000) stay unchanged. `None` when the bytes are not a numeric.
fn fits_scale(value: &mut [u8], scale: u16) -> Option<bool> {
    let ndigits = usize::try_from(i16_at(value, 0)?).ok()?;
    let weight = i32::from(i16_at(value, 2)?);
    let sign = i16_at(value, 4)?.cast_unsigned();
    if value.len() != 8 + 2 * ndigits {
        return None;
    }
    if sign >= 0xc000 {
        return Some(true);
    }
    let last = (0..ndigits)
        .rev()
        .map(|i| (i, i16_at(value, 8 + 2 * i).unwrap_or(0)))
        .find(|(_, digit)| *digit != 0);
    if let Some((i, digit)) = last {
        let groups_behind_point = i32::try_from(i).ok()? - weight;
        let trailing_zeros = [10, 100, 1000].iter().filter(|p| digit % **p == 0).count();
        let decimals = groups_behind_point * 4 - i32::try_from(trailing_zeros).ok()?;
        if decimals > i32::from(scale) {
            return Some(false);
        }
    }
    value[6..8].copy_from_slice(&scale.to_be_bytes());
    Some(true)
}

/// Whether all of microseconds, days and months are at the same limit.
fn is_infinite_interval(value: &[u8]) -> bool {
    const fn limit(micros: i64, part: i32) -> [u8; 16] {
        let (a, b) = (micros.to_be_bytes(), part.to_be_bytes());
        [
            a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0], b[1], b[2], b[3], b[0], b[1],
            b[2], b[3],
        ]
    }
    value == limit(i64::MAX, i32::MAX) || value == limit(i64::MIN, i32::MIN)
}

/// Sets an array's null flag to whether it contains a null. PostgreSQL leaves it set after a null was overwritten, and
/// recomputes it when it receives the array.
fn recompute_null_flag(value: &mut [u8]) -> Option<()> {
    let nulls = for_each_element(value, |_| {})?;
    value[4..8].copy_from_slice(&i32::from(nulls > 0).to_be_bytes());
    Some(())
}

/// Shows each element that is not null, and counts the others. `None` when the bytes are not an array.
fn for_each_element(value: &[u8], mut each: impl FnMut(&[u8])) -> Option<usize> {
    let dimensions = usize::try_from(i32_at(value, 0)?).ok()?;
    let mut at = 12 + 8 * dimensions;
    let mut nulls = 0;
    while at < value.len() {
        let len = i32_at(value, at)?;
        at += 4;
        match usize::try_from(len) {
            Ok(len) => {
                each(value.get(at..at + len)?);
                at += len;
            }
            Err(_) => nulls += 1,
        }
    }
    (at == value.len() && value.len() >= 12).then_some(nulls)
}

#[cfg(test)]
mod tests {
    use super::super::numeric::sample;
    use super::*;

    #[test]
    fn decimals_beyond_the_scale_are_found_wherever_the_digits_are() {
        // 1.5, 0.00001, 123400000000, 1.2345, 1.2340
        let cases = [
            (sample(0, 0, 1, &[1, 5000]), 1),
            (sample(-2, 0, 5, &[1000]), 5),
            (sample(2, 0, 0, &[1234]), 0),
            (sample(0, 0x4000, 4, &[1, 2345]), 4),
            (sample(0, 0, 4, &[1, 2340]), 3),
        ];
        for (value, decimals) in cases {
            if decimals > 0 {
                assert_eq!(fits_scale(&mut value.clone(), decimals - 1), Some(false));
            }
            let mut fixed = value.clone();
            assert_eq!(fits_scale(&mut fixed, decimals), Some(true));
            assert_eq!(fixed[6..8], decimals.to_be_bytes());
        }
    }

    #[test]
    fn nan_and_infinity_stay_unchanged() {
        for sign in [0xc000, 0xd000, 0xf000] {
            let mut value = sample(0, sign, 0x20, &[]);
            let before = value.clone();
            assert_eq!(fits_scale(&mut value, 2), Some(true));
            assert_eq!(value, before);
        }
    }

    #[test]
    fn zero_takes_the_scale() {
        let mut value = sample(0, 0, 0, &[]);
        assert_eq!(fits_scale(&mut value, 3), Some(true));
        assert_eq!(value, sample(0, 0, 3, &[]));
    }

    #[test]
    fn bytes_that_are_not_a_numeric_are_detected() {
        assert_eq!(fits_scale(&mut [0, 1, 0, 0, 0, 0, 0, 0], 2), None);
        assert_eq!(fits_scale(&mut [0xff, 0xff, 0, 0, 0, 0, 0, 0], 2), None);
        assert_eq!(fits_scale(&mut [], 2), None);
    }

    #[test]
    fn a_stale_null_flag_is_recomputed() {
        let array = |flag: u8, fields: &[&[u8]]| {
            let mut v = vec![0, 0, 0, 1, 0, 0, 0, flag, 0, 0, 0, 23];
            v.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 1]);
            fields.iter().for_each(|f| v.extend_from_slice(f));
            v
        };
        let int: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 7];
        let null: &[u8] = &[0xff; 4];
        let mut stale = array(1, &[int, int]);
        recompute_null_flag(&mut stale).unwrap();
        assert_eq!(stale, array(0, &[int, int]));
        let mut missing = array(0, &[int, null]);
        recompute_null_flag(&mut missing).unwrap();
        assert_eq!(missing, array(1, &[int, null]));
        assert!(recompute_null_flag(&mut [0; 8]).is_none());
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(characters("añ€😀".as_bytes()), 4);
    }
}
