//! SQL text: quotes identifiers and literals, and writes day bounds.

use crate::schema::Scalar;
use crate::unit::{Day, Window, moment};

/// `"name"`, with inner quotes doubled.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `"schema"."name"`.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// `'text'`, or `E'text'` when it contains a backslash, whose meaning would depend on `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Midnight at the start of `day`, as a constant of the time column's type. It must not be an expression: CHECKs, view
/// filters and indexes then compare the same type, whatever the session's time zone.
pub fn bound(day: Day, time: Scalar) -> String {
    match time {
        Scalar::Date => format!("'{day}'::date"),
        Scalar::Timestamp => format!("'{day} 00:00:00'::timestamp"),
        _ => format!("'{day} 00:00:00+00'::timestamptz"),
    }
}

/// A moment of a whole second, in microseconds since 2000-01-01 00:00 UTC.
pub fn instant(micros: i64) -> String {
    format!("'{}+00'::timestamptz", moment(micros))
}

/// The condition that the time column is within `window`. `time` is the quoted column.
pub fn within(time: &str, window: Window, ty: Scalar) -> String {
    format!(
        "{time} >= {} AND {time} < {}",
        bound(window.from, ty),
        bound(window.to, ty)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_quotes_and_backslashes() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }

    #[test]
    fn bounds_are_constants_of_the_columns_own_type() {
        let day: Day = "2024-01-15".parse().unwrap();
        assert_eq!(bound(day, Scalar::Date), "'2024-01-15'::date");
        assert_eq!(
            bound(day, Scalar::Timestamptz),
            "'2024-01-15 00:00:00+00'::timestamptz"
        );
        assert_eq!(
            within("\"on\"", Window::single(day), Scalar::Date),
            "\"on\" >= '2024-01-15'::date AND \"on\" < '2024-01-16'::date"
        );
    }
}
