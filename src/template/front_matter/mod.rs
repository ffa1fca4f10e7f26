//! The TOML in the comment at the start of a template file.
//!
//! ```sql
//! /*
//! description = "every order of the day"
//! time_column = "ordered_at"
//! unique = ["id"]
//! indexes = ["ordered_at", ["store", "ordered_at"]]
//!
//! [columns]
//! id = "bigint"
//! store = "text"
//! total = { type = "numeric(10,2)", round = true }
//! ordered_at = "timestamptz"
//! */
//! SELECT …
//! ```
//!
//! The order of the columns is the order in the warehouse. Every finding has its line in the file.

mod columns;
mod indexes;
mod masks;

use super::finding::Finding;
use super::lexer::{Token, TokenKind, lex, line_of};
use crate::schema::Column;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The default: late rows are expected within two weeks.
const LOOKBACK_DAYS: u32 = 14;

/// The default: today, yesterday, and one day for a run that started late. A refresh writes only what differs in a year's
/// table as well, and every table costs each reader a lock for itself and for each index.
const OPEN_DAYS: u32 = 3;

/// A century: a larger number is a typo.
const MOST_DAYS: u32 = 36_525;

const KEYS: &str = "description, time_column, columns, unique, indexes, lookback_days, open_days, range_query, windows";

/// How many days a window may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowLength {
    /// As many as fit.
    #[default]
    ByBytes,
    /// `"any"`: the same, and the author vouches that a day's rows are the same in any window.
    Any,
    /// `"day"`: one.
    Day,
}

/// The validated front matter; incomplete when there are findings.
#[derive(Debug, Default)]
pub struct FrontMatter {
    pub description: String,
    pub time_column: String,
    pub columns: Vec<Column>,
    pub unique: Vec<String>,
    pub indexes: Vec<Vec<String>>,
    pub lookback_days: u32,
    pub open_days: u32,
    pub range_query: Option<String>,
    pub windows: WindowLength,
    /// Line of each column, in the order of `columns`.
    pub column_lines: Vec<usize>,
}

/// Byte ranges of the TOML and of the query in a template file.
///
/// # Errors
/// The file does not start with a `/* … */` comment.
pub fn split(source: &str) -> Result<(Range<usize>, Range<usize>), Finding> {
    let tokens = lex(source);
    let first = tokens.iter().find(|t| {
        !(t.kind == TokenKind::Space || t.text.starts_with("--") || t.text == "\u{feff}")
    });
    match first {
        Some(Token {
            kind: TokenKind::Comment,
            text,
            start,
        }) => {
            let end = start + text.len();
            let query = &source[end..];
            let from = end + (query.len() - query.trim_start().len());
            let to = (end + query.trim_end().len()).max(from);
            Ok((start + 2..end - 2, from..to))
        }
        Some(Token {
            kind: TokenKind::Unterminated,
            start,
            text,
        }) if text.starts_with("/*") => Err(Finding::error(
            line_of(source, *start),
            "the comment with the template's TOML is never closed",
        )
        .help("close it with `*/` before the query")),
        _ => Err(Finding::error(
            1,
            "the file does not start with a `/* … */` comment that contains the template's TOML",
        )
        .help(
            "run `dayhaul template new NAME --query FILE --tenant T` to generate it for a query",
        )),
    }
}

/// Reads the TOML at `range` of the file.
pub fn read(source: &str, range: Range<usize>) -> (FrontMatter, Vec<Finding>) {
    let mut reader = FrontMatterReader {
        source,
        base: range.start,
        findings: Vec::new(),
        refused: Vec::new(),
    };
    let front = match DeTable::parse(&source[range]) {
        Ok(table) => reader.front_matter(table.get_ref()),
        Err(e) => {
            let span = e.span().unwrap_or_default();
            reader.error(&span, format!("invalid TOML: {}", e.message()));
            FrontMatter::default()
        }
    };
    (front, reader.findings)
}

struct FrontMatterReader<'a> {
    source: &'a str,
    /// Offset of the TOML in the file.
    base: usize,
    findings: Vec<Finding>,
    /// Columns with an invalid type. They exist, so using them elsewhere is not another error.
    refused: Vec<String>,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl FrontMatterReader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        line_of(self.source, self.base + span.start)
    }

    fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.findings.push(Finding::error(self.line(span), message));
    }

    fn error_help(&mut self, span: &Range<usize>, message: String, help: impl Into<String>) {
        let finding = Finding::error(self.line(span), message).help(help);
        self.findings.push(finding);
    }

    fn front_matter(&mut self, table: &DeTable<'_>) -> FrontMatter {
        let mut front = FrontMatter::default();
        let mut open_days = None;
        front.lookback_days = LOOKBACK_DAYS;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "description" => front.description = self.text(value).unwrap_or_default(),
                "range_query" => front.range_query = self.text(value),
                "lookback_days" => {
                    front.lookback_days = self.days(value).unwrap_or(LOOKBACK_DAYS);
                }
                "open_days" => open_days = self.days(value),
                "windows" => front.windows = self.windows(value),
                "columns" => self.columns(value, &mut front),
                // Read below, when all columns are known.
                "time_column" | "unique" | "indexes" => {}
                unknown => self.error_help(
                    &key.span(),
                    format!("unknown key `{unknown}`"),
                    format!("the keys are {KEYS}"),
                ),
            }
        }
        front.open_days = open_days.unwrap_or(OPEN_DAYS);
        if table.get("columns").is_none() {
            let message = "no columns are declared".to_owned();
            self.error_help(
                &(0..0),
                message,
                "declare them under `[columns]`: `id = \"bigint\"`",
            );
        } else if front.columns.is_empty() && self.findings.is_empty() {
            self.error(&(0..0), "a template needs at least one column");
        }
        self.time_column(table, &mut front);
        self.unique_and_indexes(table, &mut front);
        self.masks(&front);
        front
    }

    fn time_column(&mut self, table: &DeTable<'_>, front: &mut FrontMatter) {
        let Some(value) = table.get("time_column") else {
            let message = "`time_column` is not declared".to_owned();
            self.error_help(
                &(0..0),
                message,
                "set it to the column that decides which day a row belongs to",
            );
            return;
        };
        let Some(name) = self.text(value) else { return };
        match front.columns.iter().find(|c| c.name == name) {
            Some(column) if !column.ty.is_time() => {
                let message = format!("time column `{name}` is `{}`", column.ty);
                self.error_help(
                    &value.span(),
                    message,
                    "a time column must be timestamptz, timestamp (read as UTC) or date",
                );
            }
            None if !front.columns.is_empty() && !self.refused.contains(&name) => {
                self.error(
                    &value.span(),
                    format!("time column `{name}` is not among the columns"),
                );
            }
            _ => {}
        }
        front.time_column = name;
    }

    fn text(&mut self, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            let message = format!("expected a string, found {}", value.get_ref().type_str());
            self.error(&value.span(), message);
        }
        text
    }

    fn windows(&mut self, value: &Value<'_>) -> WindowLength {
        match self.text(value).as_deref() {
            Some("day") => WindowLength::Day,
            Some("any") => WindowLength::Any,
            Some(other) => {
                self.error_help(
                    &value.span(),
                    format!("`windows` cannot be `{other}`"),
                    "`windows = \"day\"` fetches each day with its own query; `windows = \"any\"` says that a day's rows are the \
                     same in any window",
                );
                WindowLength::default()
            }
            None => WindowLength::default(),
        }
    }

    fn days(&mut self, value: &Value<'_>) -> Option<u32> {
        let days = value
            .get_ref()
            .as_integer()
            .and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok())
            .filter(|n| *n <= MOST_DAYS);
        if days.is_none() {
            let message = format!("expected a number of days from 0 to {MOST_DAYS}");
            self.error(&value.span(), message);
        }
        days
    }
}

/// A table's entries in the order of the file; the parser sorts them by name.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
