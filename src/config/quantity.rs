//! Durations and sizes in the notation of PostgreSQL's settings: `100ms`, `5 min`, `16MB`.

use std::time::Duration;

/// Reads a duration with its unit: `us`, `ms`, `s`, `min`, `h` or `d`. A bare `0` needs none.
///
/// # Errors
/// The text is not a duration or size; the message shows the notation.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is not a duration: write a number and us, ms, s, min, h or d, as in `30s`"
        )
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let micros: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        "" if number == 0 => 0,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(micros)
        .map(Duration::from_micros)
        .ok_or_else(wrong)
}

/// Reads a size in bytes: `kB`/`KiB`, `MB`/`MiB`, `GB`/`GiB`, all powers of 1024 as in PostgreSQL, or plain bytes with `B`.
///
/// # Errors
/// The text is not a duration or size; the message shows the notation.
pub fn size(text: &str) -> Result<usize, String> {
    let wrong =
        || format!("`{text}` is not a size: write a number and B, kB, MB or GB, as in `16MB`");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let bytes: u64 = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "gb" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(bytes)
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(wrong)
}

/// `"5 min"` → (5, "min").
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_postgresql_writes_them() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5 min"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("16MB"), Ok(16 << 20));
        assert_eq!(size("64 kB"), Ok(64 << 10));
        assert_eq!(size("100B"), Ok(100));
    }

    #[test]
    fn a_number_without_a_unit_is_refused_since_it_could_mean_anything() {
        for wrong in [
            "30",
            "",
            "s",
            "-5s",
            "5 minutes",
            "1.5h",
            "99999999999999999999d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["16", "MB", "16TB", "-1MB", "1e3MB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
