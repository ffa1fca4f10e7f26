//! The words of the trade: tenant, template, day, window, unit.

use crate::error::{Error, Result};
use chrono::{Datelike, NaiveDate};
use std::fmt;
use std::str::FromStr;

/// Longest identifier PostgreSQL keeps whole, in bytes (NAMEDATALEN - 1).
pub const IDENTIFIER_BYTES: usize = 63;

/// One customer, as the catalog names it: lowercase letters, digits, `-`, `_`; starts with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(String);

/// The warehouse schema of a tenant: lowercase letters, digits and `_`, starts with a letter, needs no quoting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaName(String);

/// One dataset definition's name: like [`SchemaName`], and not ending in `_YYYY` or `_YYYY_MM_DD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(String);

/// Schemas that are never a tenant's.
const RESERVED_SCHEMAS: [&str; 4] = ["_wh", "public", "information_schema", "pg_catalog"];

/// PostgreSQL's reserved key words (appendix C of its manual, column "reserved"): a schema or template of such a name
/// would have to be quoted in every query a person writes.
const RESERVED_WORDS: &str = " all analyse analyze and any array as asc asymmetric authorization binary both case cast \
    check collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except \
    false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join \
    lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer \
    overlaps placing primary references returning right select session_user similar some symmetric system_user table \
    tablesample then to trailing true union unique user using variadic verbose when where window with ";

/// The longest thing appended to a template's name: a year being built, and its index 99.
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
            '.' => "has a dot".into(),
            '"' | '\'' => "has a quote".into(),
            c if c.is_ascii_uppercase() => "has upper case".into(),
            c => format!("has the character {c:?}"),
        };
        return refuse(format!("{what}: use lowercase letters, digits and `_`"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refuse("does not start with a lowercase letter".into());
    }
    if name.len() > IDENTIFIER_BYTES {
        return refuse(format!(
            "is {} bytes long; PostgreSQL keeps {IDENTIFIER_BYTES}",
            name.len()
        ));
    }
    Ok(())
}

fn check_word(what: &str, name: &str) -> Result<()> {
    if RESERVED_WORDS.contains(&format!(" {name} ")) {
        return Err(Error::refused(format!(
            "{what} name `{name}` is a reserved word of SQL and would have to be quoted everywhere"
        )));
    }
    Ok(())
}

impl TenantName {
    /// # Errors
    /// Refused with the offending character.
    pub fn parse(name: &str) -> Result<TenantName> {
        check_identifier("tenant", name, &['-'])?;
        Ok(TenantName(name.to_owned()))
    }

    /// The schema a tenant gets when none is named: `acme-prod` → `acme_prod`.
    ///
    /// # Errors
    /// Refused when that would be a reserved name.
    pub fn default_schema(&self) -> Result<SchemaName> {
        SchemaName::parse(&self.0.replace('-', "_"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SchemaName {
    /// # Errors
    /// Refused with the offending character, or because PostgreSQL or Dayhaul reserves the name.
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
    /// Refused with the offending character, for its length, or because it looks like a day or year table.
    pub fn parse(name: &str) -> Result<TemplateName> {
        check_identifier("template", name, &[])?;
        check_word("template", name)?;
        if name.len() + LONGEST_SUFFIX.len() > IDENTIFIER_BYTES {
            return Err(Error::refused(format!(
                "template name `{name}` is {} bytes long; at most {} leave room for `{LONGEST_SUFFIX}`",
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

/// One UTC calendar date, counted in days since 2000-01-01 (PostgreSQL's epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// Microseconds of one UTC day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Days between 0001-01-01 (day 1 of the proleptic Gregorian calendar) and 2000-01-01.
const EPOCH_FROM_CE: i32 = 730_120;

impl Day {
    pub fn from_pg_days(days: i32) -> Day {
        Day(days)
    }

    /// Days since 2000-01-01.
    pub fn pg_days(self) -> i32 {
        self.0
    }

    /// The day of a timestamp in microseconds since 2000-01-01 00:00 UTC.
    pub fn of_micros(micros: i64) -> Day {
        // i64 microseconds span ±106,751,991 days: fits an i32.
        #[allow(clippy::cast_possible_truncation)]
        Day(micros.div_euclid(DAY_MICROS) as i32)
    }

    /// Midnight at the start of the day, in microseconds since 2000-01-01 00:00 UTC.
    pub fn micros(self) -> i64 {
        i64::from(self.0) * DAY_MICROS
    }

    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Day> {
        NaiveDate::from_ymd_opt(year, month, day).map(Day::from)
    }

    pub fn first_of_year(year: i32) -> Day {
        Day::from(NaiveDate::from_yo_opt(year, 1).unwrap_or(NaiveDate::MIN))
    }

    /// Today by the clock of this machine, in UTC.
    pub fn today() -> Day {
        Day::from(chrono::Utc::now().date_naive())
    }

    pub fn date(self) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(self.0 + EPOCH_FROM_CE).unwrap_or(NaiveDate::MAX)
    }

    pub fn year(self) -> i32 {
        self.date().year()
    }

    #[must_use]
    pub fn next(self) -> Day {
        Day(self.0 + 1)
    }

    #[must_use]
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }

    /// How a day table's name ends: `2024_01_15`.
    pub fn suffix(self) -> String {
        self.date().format("%Y_%m_%d").to_string()
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Day {
        Day(date.num_days_from_ce() - EPOCH_FROM_CE)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date().format("%Y-%m-%d"))
    }
}

impl FromStr for Day {
    type Err = Error;

    /// `YYYY-MM-DD`, years 1 to 9999.
    fn from_str(s: &str) -> Result<Day> {
        let wrong = || Error::usage(format!("`{s}` is not a day: write it as YYYY-MM-DD"));
        if s.len() != 10 {
            return Err(wrong());
        }
        let date = NaiveDate::parse_from_str(s, "%Y-%m-%d").map_err(|_| wrong())?;
        if date.year() < 1 {
            return Err(wrong());
        }
        Ok(Day::from(date))
    }
}

/// A run of consecutive days, `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    pub from: Day,
    /// The first day that is *not* in the window.
    pub to: Day,
}

impl Window {
    pub fn new(from: Day, to: Day) -> Window {
        debug_assert!(from < to, "a window holds at least a day");
        Window { from, to }
    }

    pub fn single(day: Day) -> Window {
        Window::new(day, day.next())
    }

    pub fn contains(&self, day: Day) -> bool {
        self.from <= day && day < self.to
    }

    /// Number of days.
    pub fn len(&self) -> usize {
        usize::try_from(self.to.0 - self.from.0).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn days(&self) -> impl Iterator<Item = Day> + use<> {
        (self.from.0..self.to.0).map(Day)
    }

    /// Days in ascending order as the runs they form.
    pub fn runs(days: impl IntoIterator<Item = Day>) -> Vec<Window> {
        let mut runs: Vec<Window> = Vec::new();
        for day in days {
            match runs.last_mut() {
                Some(run) if run.to == day => run.to = day.next(),
                _ => runs.push(Window::single(day)),
            }
        }
        runs
    }

    /// The window without `day`, and `day` by itself, in order.
    pub fn around(&self, day: Day) -> Vec<Window> {
        let mut pieces = Vec::with_capacity(3);
        if self.from < day {
            pieces.push(Window::new(self.from, day));
        }
        pieces.push(Window::single(day));
        if day.next() < self.to {
            pieces.push(Window::new(day.next(), self.to));
        }
        pieces
    }

    /// Both halves, the first no shorter than the second; `None` for a single day.
    pub fn halves(&self) -> Option<(Window, Window)> {
        let n = i32::try_from(self.len()).unwrap_or(i32::MAX);
        if n < 2 {
            return None;
        }
        let middle = self.from.plus((n + 1) / 2);
        Some((Window::new(self.from, middle), Window::new(middle, self.to)))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len() == 1 {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{} … {}", self.from, self.to.plus(-1))
        }
    }
}

/// The smallest thing that is loaded, verified, retried, reported.
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
    fn a_day_counts_from_2000_and_back() {
        let day: Day = "2000-01-01".parse().unwrap();
        assert_eq!(day.pg_days(), 0);
        let day: Day = "2024-02-29".parse().unwrap();
        assert_eq!(day.to_string(), "2024-02-29");
        assert_eq!(Day::of_micros(day.micros()), day);
        assert_eq!(Day::of_micros(day.micros() - 1), day.plus(-1));
        assert_eq!(day.suffix(), "2024_02_29");
        assert_eq!(Day::first_of_year(2024).to_string(), "2024-01-01");
    }

    #[test]
    fn a_day_is_refused_unless_it_is_written_whole() {
        for wrong in [
            "2024-2-29",
            "2023-02-29",
            "yesterday",
            "",
            "0000-01-01",
            "2024/01/01",
        ] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

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

    #[test]
    fn days_form_runs_that_break_at_gaps() {
        let runs = Window::runs([1, 2, 4].map(Day));
        assert_eq!(runs, [Window::new(Day(1), Day(3)), Window::single(Day(4))]);
    }

    #[test]
    fn a_window_splits_into_halves_that_cover_it() {
        let window = Window::new(Day(0), Day(5));
        let (a, b) = window.halves().unwrap();
        assert_eq!((a.len(), b.len()), (3, 2));
        assert_eq!((a.from, a.to, b.to), (window.from, b.from, window.to));
        assert!(Window::single(Day(3)).halves().is_none());
    }
}
