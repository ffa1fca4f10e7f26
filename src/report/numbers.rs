//! Numbers and times for people. All tables, lines and bars format them here.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 day`, `2 days`, `1,234 rows`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {}", count(n), plural(n, noun))
}

/// `day` for one, `days` for all other numbers.
pub fn plural(n: u64, noun: &str) -> String {
    if n == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

/// `512 B`, `12.3 MiB`.
pub fn bytes(n: u64) -> String {
    // Beyond 2^53, the last digits are lost; they are not shown.
    #[allow(clippy::cast_precision_loss)]
    let mut value = n as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match unit {
        "B" => format!("{n} B"),
        _ => format!("{value:.1} {unit}"),
    }
}

/// `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 07 min`.
pub fn seconds(s: f64) -> String {
    let s = if s.is_finite() { s.max(0.0) } else { 0.0 };
    // The seconds of any run fit.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = s.round() as u64;
    if s < 9.995 {
        format!("{s:.2} s")
    } else if s < 59.95 {
        format!("{s:.1} s")
    } else if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

/// As [`seconds`].
pub fn duration(d: Duration) -> String {
    seconds(d.as_secs_f64())
}

/// `2024-01-15 03:00:00`, in UTC.
pub fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2024-01-15 03:00`, in UTC.
pub fn utc_minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(counted(1, "day"), "1 day");
        assert_eq!(counted(0, "file"), "0 files");
        assert_eq!(counted(1_000, "row"), "1,000 rows");
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (16 << 20, "16.0 MiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (s, text) in [
            (0.0, "0.00 s"),
            (9.999, "10.0 s"),
            (59.97, "1 min 00 s"),
            (185.0, "3 min 05 s"),
            (7620.0, "2 h 07 min"),
            (f64::NAN, "0.00 s"),
        ] {
            assert_eq!(seconds(s), text);
        }
    }
}
