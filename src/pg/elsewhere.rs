//! Dayhaul beside Dayhaul: for a bench in a warehouse that is in use, what is `_wh` and `public` to every statement is moved
//! into schemas of the bench's own, and so the catalog that counts is neither read nor written.
//!
//! Only the processes that a bench starts are told so, by [`VARIABLE`]. Only sessions with the warehouse heed it; their
//! statements are text of ours, in which `_wh` is nothing but the catalog's schema.

use crate::unit::SchemaName;
use std::borrow::Cow;
use std::sync::OnceLock;

/// Names the scratch schema.
pub const VARIABLE: &str = "DAYHAUL_BENCH_SCHEMA";

/// The catalog's schema, as all statements write it.
const CATALOG: &str = "_wh";
const PUBLIC: &str = "public";

struct Elsewhere {
    catalog: String,
    public: String,
}

/// The schema that holds the catalog of a bench in `scratch`.
pub fn catalog_of(scratch: &SchemaName) -> String {
    format!("{scratch}{CATALOG}")
}

/// The schema that holds the public views of a bench in `scratch`.
pub fn public_of(scratch: &SchemaName) -> String {
    format!("{scratch}_{PUBLIC}")
}

fn elsewhere() -> Option<&'static Elsewhere> {
    static ELSEWHERE: OnceLock<Option<Elsewhere>> = OnceLock::new();
    let told = || {
        let scratch = SchemaName::parse(&std::env::var(VARIABLE).ok()?).ok()?;
        Some(Elsewhere {
            catalog: catalog_of(&scratch),
            public: public_of(&scratch),
        })
    };
    ELSEWHERE.get_or_init(told).as_ref()
}

/// The schema of the catalog.
pub fn catalog_schema() -> &'static str {
    elsewhere().map_or(CATALOG, |there| &there.catalog)
}

/// The schema of the public views.
pub fn public_schema() -> &'static str {
    elsewhere().map_or(PUBLIC, |there| &there.public)
}

/// A statement for the warehouse, as it is to be sent.
pub fn moved(sql: &str) -> Cow<'_, str> {
    match elsewhere() {
        None => Cow::Borrowed(sql),
        Some(there) => Cow::Owned(replaced(sql, &there.catalog)),
    }
}

/// The catalog's name, where it is a word of its own, replaced.
fn replaced(sql: &str, catalog: &str) -> String {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut text = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(at) = rest.find(CATALOG) {
        let (before, after) = (&rest[..at], &rest[at + CATALOG.len()..]);
        text.push_str(before);
        let alone = !text.ends_with(part_of_word) && !after.starts_with(part_of_word);
        text.push_str(if alone { catalog } else { CATALOG });
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_catalogs_own_name_is_moved() {
        let sql = "SELECT \"_wh\".x, '_wh' FROM _wh.unit, a_wh.b, _when.c, \"wh_admin\"; CREATE SCHEMA _wh";
        assert_eq!(
            replaced(sql, "s_wh"),
            "SELECT \"s_wh\".x, 's_wh' FROM s_wh.unit, a_wh.b, _when.c, \"wh_admin\"; CREATE SCHEMA s_wh"
        );
        assert_eq!(moved("SELECT 1 FROM _wh.unit"), "SELECT 1 FROM _wh.unit");
    }
}
