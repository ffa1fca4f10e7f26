//! The names Dayhaul works with (tenant, schema, template) and the unit they form with a day.

pub use crate::day::{DAY_MICROS, Day, TimeRange, Window, moment};

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The longest identifier PostgreSQL does not truncate, in bytes (NAMEDATALEN - 1).
pub const IDENTIFIER_BYTES: usize = 63;

/// A tenant's name in the catalog: lowercase letters, digits, `-`, `_`; starts with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(String);

/// The warehouse schema of a tenant: lowercase letters, digits and `_`, starts with a letter, needs no quoting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaName(String);

/// A template's name: like [`SchemaName`], and not ending in `_YYYY` or `_YYYY_MM_DD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(String);

/// The names of a pair.
pub type PairNames<'a> = (&'a TenantName, &'a TemplateName);

/// Schemas that no tenant can use.
const RESERVED_SCHEMAS: [&str; 4] = ["_wh", "public", "information_schema", "pg_catalog"];

/// PostgreSQL's reserved key words (appendix C of its manual, column "reserved"). A schema or template with such a name
/// would need quotes in every query.
const RESERVED_WORDS: &str = " all analyse analyze and any array as asc asymmetric authorization binary both case cast \
    check collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except \
    false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join \
    lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer \
    overlaps placing primary references returning right select session_user similar some symmetric system_user table \
    tablesample then to trailing true union unique user using variadic verbose when where window with ";

/// The longest suffix of a template's name: index 99 of a year table's staging table.
pub const LONGEST_SUFFIX: &str = "_2024_staging_i99";

fn check_identifier(what: &str, name: &str, extra: &[char]) -> Result<()> {
    let refuse = |why: String| Err(Error::refused(format!("{what} name `{name}` {why}")));
    if name.is_empty() {
        return refuse("is empty".into());
    }
    if let Some(c) = name
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || extra.contains(c)))
    {
        let what = match c {
            '.' => "contains a dot".into(),
            '"' | '\'' => "contains a quote".into(),
            c if c.is_ascii_uppercase() => "contains an uppercase letter".into(),
            c => format!("contains the character {c:?}"),
        };
        return refuse(format!("{what}: use lowercase letters, digits and `_`"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refuse("does not start with a lowercase letter".into());
    }
    if name.len() > IDENTIFIER_BYTES {
        return refuse(format!(
            "is {} bytes long; PostgreSQL allows {IDENTIFIER_BYTES}",
            name.len()
        ));
    }
    Ok(())
}

fn check_word(what: &str, name: &str) -> Result<()> {
    if RESERVED_WORDS.contains(&format!(" {name} ")) {
        return Err(Error::refused(format!(
            "{what} name `{name}` is a reserved word in SQL and would need quotes in every query"
        )));
    }
    Ok(())
}

impl TenantName {
    /// # Errors
    /// The name is refused, with the offending character.
    pub fn parse(name: &str) -> Result<TenantName> {
        check_identifier("tenant", name, &['-'])?;
        Ok(TenantName(name.to_owned()))
    }

    /// The tenant's schema when none is given: `acme-prod` → `acme_prod`.
    ///
    /// # Errors
    /// That name is reserved.
    pub fn default_schema(&self) -> Result<SchemaName> {
        SchemaName::parse(&self.0.replace('-', "_"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SchemaName {
    /// # Errors
    /// The name contains an invalid character, or PostgreSQL or Dayhaul reserves it.
    pub fn parse(name: &str) -> Result<SchemaName> {
        if RESERVED_SCHEMAS.contains(&name) || name.starts_with("pg_") {
            return Err(Error::refused(format!("schema name `{name}` is reserved")));
        }
        check_identifier("schema", name, &[])?;
        check_word("schema", name)?;
        Ok(SchemaName(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TemplateName {
    /// # Errors
    /// The name contains an invalid character, is too long, or looks like a day or year table.
    pub fn parse(name: &str) -> Result<TemplateName> {
        check_identifier("template", name, &[])?;
        check_word("template", name)?;
        if name.len() + LONGEST_SUFFIX.len() > IDENTIFIER_BYTES {
            return Err(Error::refused(format!(
                "template name `{name}` is {} bytes long; it can be at most {}, to leave room for `{LONGEST_SUFFIX}`",
                name.len(),
                IDENTIFIER_BYTES - LONGEST_SUFFIX.len()
            )));
        }
        if looks_like_a_table(name) {
            return Err(Error::refused(format!(
                "template name `{name}` ends like a year or day table (`_YYYY`, `_YYYY_MM_DD`)"
            )));
        }
        Ok(TemplateName(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn looks_like_a_table(name: &str) -> bool {
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let mut parts = name.rsplit('_');
    let last = parts.next().unwrap_or_default();
    if name.contains('_') && digits(last, 4) {
        return true;
    }
    let month = parts.next().unwrap_or_default();
    let year = parts.next().unwrap_or_default();
    digits(last, 2) && digits(month, 2) && digits(year, 4)
}

macro_rules! show_name {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = Error;
            fn from_str(s: &str) -> Result<Self> {
                Self::parse(s)
            }
        }
    )*};
}
show_name!(TenantName, SchemaName, TemplateName);

/// The smallest piece that is loaded, verified, retried and reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    pub tenant: TenantName,
    pub template: TemplateName,
    pub day: Day,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.template, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_quoting_or_be_cut_are_refused() {
        for wrong in [
            "", "Acme", "a.b", "a\"b", "a'b", "1a", "pg_x", "public", "_wh",
        ] {
            assert!(SchemaName::parse(wrong).is_err(), "{wrong}");
        }
        assert!(SchemaName::parse(&"a".repeat(64)).is_err());
        for wrong in ["t_2024", "t_2024_01_15", &"t".repeat(47)] {
            assert!(TemplateName::parse(wrong).is_err(), "{wrong}");
        }
        assert!(TemplateName::parse(&"t".repeat(46)).is_ok());
        assert!(TemplateName::parse("log_24").is_ok());
        let tenant = TenantName::parse("acme-prod").unwrap();
        assert_eq!(tenant.default_schema().unwrap().as_str(), "acme_prod");
    }
}
