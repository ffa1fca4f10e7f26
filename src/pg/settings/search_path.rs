//! In which schemas of a source the names of a query are looked up.

use crate::error::{Error, Result};
use crate::sql::ident;
use crate::unit::IDENTIFIER_BYTES;

/// A tenant's search path: schemas that exist and that its login may use, in order. `pg_catalog` is searched first even
/// when it is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchPath {
    /// What the login had when the tenant was added. Another one of the login's is an error.
    Login(Vec<String>),
    /// What a person chose, whatever the login has.
    Chosen(Vec<String>),
    /// Earlier versions read all tenants with `public`. So it stays until it is known to be the login's path, too, or
    /// until a person chooses.
    Earlier,
    /// The tenant was not contacted yet: the login's.
    Unknown,
}

impl SearchPath {
    /// Whether the first contact is still to record it.
    pub fn is_undecided(&self) -> bool {
        matches!(self, SearchPath::Earlier | SearchPath::Unknown)
    }

    /// The schemas, as far as they are known.
    pub fn schemas(&self) -> Option<Vec<String>> {
        match self {
            SearchPath::Login(schemas) | SearchPath::Chosen(schemas) => Some(schemas.clone()),
            SearchPath::Earlier => Some(vec!["public".to_owned()]),
            SearchPath::Unknown => None,
        }
    }

    /// The path of a tenant whose login has `schemas` at the first contact; `None` when a person has to choose, because
    /// days were read with another one.
    pub fn decided(&self, login: Vec<String>) -> Option<SearchPath> {
        match self {
            SearchPath::Earlier if login != ["public"] => None,
            SearchPath::Earlier | SearchPath::Unknown => Some(SearchPath::Login(login)),
            decided => Some(decided.clone()),
        }
    }
}

/// Reads `acme, extensions` as PostgreSQL does: names without quotes are folded to lower case. An empty path finds
/// nothing but `pg_catalog`.
///
/// # Errors
/// A name that is no schema of its own (`"$user"`), too long, or not closed.
pub fn parse(text: &str) -> Result<Vec<String>> {
    let mut schemas: Vec<String> = Vec::new();
    if text.trim().is_empty() {
        return Ok(schemas);
    }
    for written in split(text)? {
        let schema = name(written.trim())?;
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
    }
    Ok(schemas)
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> Result<Vec<&str>> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(invalid("a quote is not closed"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn name(written: &str) -> Result<String> {
    let inside = written.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    let name = match inside {
        Some(inside) => inside.replace("\"\"", "\""),
        None if written.contains(|c: char| c == '"' || c.is_whitespace()) => {
            return Err(invalid(&format!("`{written}` is not a schema's name")));
        }
        None => written.to_lowercase(),
    };
    check_schema(&name)?;
    Ok(name)
}

/// Checks the name of a source's schema, without quotes.
///
/// # Errors
/// It is none.
pub fn check_schema(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') {
        return Err(invalid("a schema's name is empty"));
    }
    if name.len() > IDENTIFIER_BYTES {
        return Err(invalid(&format!(
            "`{name}` is {} bytes long; PostgreSQL allows {IDENTIFIER_BYTES}",
            name.len()
        )));
    }
    if name == "$user" || name.starts_with("pg_temp") || name.starts_with("pg_toast") {
        return Err(invalid(&format!("`{name}` is not a schema of its own"))
            .with_hint("write the schema's name"));
    }
    Ok(())
}

fn invalid(why: &str) -> Error {
    Error::usage(why).with_hint("for example `--search-path 'acme, extensions'`")
}

/// The schemas as PostgreSQL and `--search-path` take them.
pub fn list(schemas: &[String]) -> String {
    let plain = |name: &str| {
        let mut chars = name.chars();
        chars
            .next()
            .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let names = schemas.iter().map(|name| {
        if plain(name) {
            name.clone()
        } else {
            ident(name)
        }
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_path_is_read_as_postgresql_reads_it_and_written_so_again() {
        for (text, names, again) in [
            (
                "acme, Extensions",
                &["acme", "extensions"][..],
                "acme, extensions",
            ),
            (
                "\"a,b\",\"C\"\"d\"",
                &["a,b", "C\"d"],
                "\"a,b\", \"C\"\"d\"",
            ),
            ("a, b,a", &["a", "b"], "a, b"),
            ("", &[], ""),
            (
                "\"2024\", pg_catalog",
                &["2024", "pg_catalog"],
                "\"2024\", pg_catalog",
            ),
        ] {
            assert_eq!(parse(text).unwrap(), owned(names), "{text}");
            assert_eq!(list(&owned(names)), again);
            assert_eq!(parse(again).unwrap(), owned(names));
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let long = "x".repeat(64);
        for text in [
            "a,",
            ",",
            "a b",
            "\"a",
            "a\"b",
            "\"$user\", public",
            "pg_temp",
            &long,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_that_days_were_read_with_is_never_replaced_without_a_person() {
        let login = || owned(&["t", "public"]);
        assert_eq!(SearchPath::Earlier.decided(login()), None);
        let public = SearchPath::Earlier.decided(owned(&["public"]));
        assert_eq!(public, Some(SearchPath::Login(owned(&["public"]))));
        assert_eq!(
            SearchPath::Unknown.decided(login()),
            Some(SearchPath::Login(login()))
        );
        let chosen = SearchPath::Chosen(owned(&["x"]));
        assert_eq!(chosen.decided(login()), Some(chosen.clone()));
    }
}
