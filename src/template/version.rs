//! A template's version: a hash of everything in its text that decides which rows it loads.

use super::lexer::{TokenKind, lex};
use crate::schema::Column;
use xxhash_rust::xxh3::Xxh3;

/// 32 hexadecimal digits: XXH3-128 of the normalized query, the columns, the time column and `windows`. Two templates with
/// the same version load the same rows into the same columns. Comments, description, indexes, lookback, and how a column
/// lands or is masked have no effect.
///
/// The hash covers, each preceded by its length in bytes (u64, little endian): the query, the time column, for each column
/// its name, its type, and `round` or nothing; and `windows=day` when days are fetched one by one although the query does
/// not say so itself: a query that groups or limits across days gives other rows then.
pub fn version(
    query: &str,
    columns: &[Column],
    time_column: &str,
    one_day_windows: bool,
) -> String {
    let mut hash = Xxh3::new();
    let mut add = |part: &str| {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add(&normalize(query));
    add(time_column);
    for column in columns {
        add(&column.name);
        add(&column.ty.to_string());
        add(if column.round { "round" } else { "" });
    }
    if one_day_windows {
        add("windows=day");
    }
    format!("{:032x}", hash.digest128())
}

/// The query without comments and trailing `;`, with white space outside literals collapsed into single spaces.
fn normalize(query: &str) -> String {
    let mut normal = String::with_capacity(query.len());
    let mut gap = false;
    for token in lex(query) {
        match token.kind {
            TokenKind::Space | TokenKind::Comment => gap = true,
            TokenKind::Other if token.text == ";" => {}
            _ => {
                if gap && !normal.is_empty() {
                    normal.push(' ');
                }
                gap = false;
                normal.push_str(token.text);
            }
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{LandAs, Mask, PgType};

    fn of(query: &str) -> String {
        version(query, &[], "t", false)
    }

    #[test]
    fn comments_and_white_space_do_not_change_the_version() {
        let plain = of("SELECT a, 'x  y' FROM t");
        for same in [
            "  SELECT a,\n\t'x  y'   FROM t\n",
            "SELECT/* which */a, 'x  y' FROM t -- all\n;",
            "SELECT a, 'x  y' FROM t; ",
        ] {
            assert_eq!(of(same), plain, "{same}");
        }
        assert_eq!(plain.len(), 32);
    }

    #[test]
    fn literals_and_code_change_the_version() {
        let plain = of("SELECT a, 'x  y' FROM t");
        for other in [
            "SELECT a, 'x y' FROM t",
            "SELECT a, 'x  Y' FROM t",
            "SELECT b, 'x  y' FROM t",
            "SELECT a , 'x  y' FROM \"t\"",
        ] {
            assert_ne!(of(other), plain, "{other}");
        }
    }

    #[test]
    fn how_a_column_lands_or_is_masked_does_not_change_the_version() {
        let column = |land, mask| Column {
            name: "n".into(),
            ty: PgType::parse("numeric").unwrap(),
            round: false,
            land,
            mask,
        };
        let plain = version("q", &[column(None, None)], "t", false);
        for (land, mask) in [
            (Some(LandAs::Text), None),
            (Some(LandAs::Double), None),
            (None, Some(Mask::Fake)),
        ] {
            assert_eq!(version("q", &[column(land, mask)], "t", false), plain);
        }
    }

    #[test]
    fn columns_types_rounding_and_time_column_change_the_version() {
        let column = |name: &str, ty: &str, round| Column {
            name: name.into(),
            ty: PgType::parse(ty).unwrap(),
            round,
            land: None,
            mask: None,
        };
        let (a, b) = (
            column("a", "numeric(5,2)", false),
            column("b", "text", false),
        );
        let versions = [
            version("q", &[a.clone(), b.clone()], "t", false),
            version("q", &[b.clone(), a.clone()], "t", false),
            version("q", &[a.clone(), b.clone()], "u", false),
            version("q", &[a.clone(), b.clone()], "t", true),
            version("q", std::slice::from_ref(&a), "t", false),
            version(
                "q",
                &[column("a", "numeric(5,3)", false), b.clone()],
                "t",
                false,
            ),
            version("q", &[column("a", "numeric(5,2)", true), b], "t", false),
        ];
        let distinct: std::collections::BTreeSet<_> = versions.iter().collect();
        assert_eq!(distinct.len(), versions.len());
    }
}
