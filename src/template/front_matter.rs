//! The TOML in the comment that a template file begins with.
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
//! The order of the columns is the order in the warehouse. Every remark carries its line in the file.

use super::finding::Finding;
use super::lexer::{Token, TokenKind, lex, line_of};
use crate::schema::{Column, Modifier, PgType, Scalar};
use crate::unit::IDENTIFIER_BYTES;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A late row is expected within two weeks unless the template says otherwise.
const LOOKBACK_DAYS: u32 = 14;

/// Open days beyond the lookback: today, and yesterday's run that came late.
const OPEN_BEYOND_LOOKBACK: u32 = 2;

/// A century: more is a slip of the keyboard.
const MOST_DAYS: u32 = 36_525;

/// PostgreSQL's INDEX_MAX_KEYS.
const INDEX_COLUMNS: usize = 32;

const KEYS: &str =
    "description, time_column, columns, unique, indexes, lookback_days, open_days, range_query";

/// Columns that every table has already, and the one that the public view puts first.
const TAKEN_NAMES: [&str; 7] = [
    "schema_name",
    "ctid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "tableoid",
];

/// What the front matter says, checked; together with findings it may be incomplete.
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
    /// Line of each column, in the order of `columns`.
    pub column_lines: Vec<usize>,
}

/// Byte ranges of the TOML and of the query in a template file.
///
/// # Errors
/// The file does not begin with a `/* … */` comment.
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
            "the comment that holds the template's TOML never closes",
        )
        .help("close it with `*/` before the query")),
        _ => Err(Finding::error(
            1,
            "the file does not begin with a `/* … */` comment that holds the template's TOML",
        )
        .help("`dayhaul template new NAME --query FILE --tenant T` writes it for a query")),
    }
}

/// Reads the TOML at `range` of the file.
pub fn read(source: &str, range: Range<usize>) -> (FrontMatter, Vec<Finding>) {
    let mut reader = Reader {
        source,
        base: range.start,
        findings: Vec::new(),
        refused: Vec::new(),
    };
    let front = match DeTable::parse(&source[range]) {
        Ok(table) => reader.front_matter(table.get_ref()),
        Err(e) => {
            let span = e.span().unwrap_or_default();
            reader.error(&span, format!("this is not TOML: {}", e.message()));
            FrontMatter::default()
        }
    };
    (front, reader.findings)
}

struct Reader<'a> {
    source: &'a str,
    /// Offset of the TOML in the file.
    base: usize,
    findings: Vec<Finding>,
    /// Columns whose type could not be read: they exist, so nothing else is said about them.
    refused: Vec<String>,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
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
                "columns" => self.columns(value, &mut front),
                // Below, when all columns are known.
                "time_column" | "unique" | "indexes" => {}
                unknown => self.error_help(
                    &key.span(),
                    format!("unknown key `{unknown}`"),
                    format!("the keys are {KEYS}"),
                ),
            }
        }
        front.open_days = open_days.unwrap_or(front.lookback_days + OPEN_BEYOND_LOOKBACK);
        if table.get("columns").is_none() {
            let message = "no columns are declared".to_owned();
            self.error_help(
                &(0..0),
                message,
                "declare them under `[columns]`: `id = \"bigint\"`",
            );
        } else if front.columns.is_empty() && self.findings.is_empty() {
            self.error(&(0..0), "a template has at least one column");
        }
        self.time_column(table, &mut front);
        self.unique_and_indexes(table, &mut front);
        front
    }

    fn columns(&mut self, value: &Value<'_>, front: &mut FrontMatter) {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`columns` is a table, not {}", value.get_ref().type_str());
            self.error_help(
                &value.span(),
                message,
                "write `[columns]`, then `id = \"bigint\"`",
            );
            return;
        };
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            self.column_name(name, &key.span());
            let Some((ty, round)) = self.column_type(name, value) else {
                self.refused.push(name.to_owned());
                continue;
            };
            front.column_lines.push(self.line(&key.span()));
            front.columns.push(Column {
                name: name.to_owned(),
                ty,
                round,
            });
        }
    }

    fn column_name(&mut self, name: &str, span: &Range<usize>) {
        if name.is_empty() || name.contains('\0') {
            self.error(
                span,
                "a column's name is an identifier of at least one character",
            );
        } else if name.len() > IDENTIFIER_BYTES {
            let message = format!(
                "column name `{name}` is {} bytes long; PostgreSQL keeps {IDENTIFIER_BYTES}",
                name.len()
            );
            self.error_help(
                span,
                message,
                "give it a shorter name with `AS` in the query",
            );
        } else if TAKEN_NAMES.contains(&name) {
            let why = match name {
                "schema_name" => "the public view's first column",
                _ => "a system column of every table",
            };
            let message = format!("a column cannot be named `{name}`: that is {why}");
            self.error_help(span, message, "give it another name with `AS` in the query");
        }
    }

    /// `"type"`, or `{ type = "type", round = true }`.
    fn column_type(&mut self, column: &str, value: &Value<'_>) -> Option<(PgType, bool)> {
        if let DeValue::String(text) = value.get_ref() {
            return Some((self.pg_type(column, text, &value.span())?, false));
        }
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("the type of column `{column}` is not a string");
            self.error_help(
                &value.span(),
                message,
                format!(
                    "write `{column} = \"text\"`, or `{{ type = \"numeric(10,2)\", round = true }}`"
                ),
            );
            return None;
        };
        let mut ty = None;
        let mut round = None;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "type" => {
                    let text = self.text(value)?;
                    ty = Some(self.pg_type(column, &text, &value.span())?);
                }
                "round" => match value.get_ref().as_bool() {
                    Some(yes) => round = Some((yes, value.span())),
                    None => self.error(&value.span(), "`round` is `true` or `false`"),
                },
                unknown => self.error_help(
                    &key.span(),
                    format!("unknown key `{unknown}` of column `{column}`"),
                    "the keys are type, round",
                ),
            }
        }
        let Some(ty) = ty else {
            self.error(&value.span(), format!("column `{column}` has no `type`"));
            return None;
        };
        match round {
            Some((true, span)) if !matches!(ty.modifier, Modifier::Numeric { .. }) => {
                let message =
                    format!("`round` rounds to a declared scale, and column `{column}` is `{ty}`");
                self.error_help(
                    &span,
                    message,
                    "declare `numeric(p,s)`, or leave `round` out",
                );
                None
            }
            round => Some((ty, round.is_some_and(|(yes, _)| yes))),
        }
    }

    fn pg_type(&mut self, column: &str, text: &str, span: &Range<usize>) -> Option<PgType> {
        match PgType::parse(text) {
            Ok(ty) => Some(ty),
            Err(e) => {
                self.error(span, format!("column `{column}`: {}", e.message()));
                None
            }
        }
    }

    fn time_column(&mut self, table: &DeTable<'_>, front: &mut FrontMatter) {
        let Some(value) = table.get("time_column") else {
            let message = "`time_column` is not declared".to_owned();
            self.error_help(
                &(0..0),
                message,
                "name the column that says which day a row belongs to",
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
                    "a time column is timestamptz, timestamp (read as UTC) or date",
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

    fn unique_and_indexes(&mut self, table: &DeTable<'_>, front: &mut FrontMatter) {
        if let Some(value) = table.get("unique") {
            front.unique = self
                .key_columns("unique", value, &front.columns)
                .unwrap_or_default();
        }
        if let Some(value) = table.get("indexes") {
            front.indexes = self.indexes(value, &front.columns);
        }
        let leads = |index: &Vec<String>| index.first() == Some(&front.time_column);
        if !front.time_column.is_empty() && !front.indexes.iter().any(leads) {
            front.indexes.insert(0, vec![front.time_column.clone()]);
        }
    }

    fn indexes(&mut self, value: &Value<'_>, columns: &[Column]) -> Vec<Vec<String>> {
        let Some(list) = value.get_ref().as_array() else {
            self.error_help(
                &value.span(),
                "`indexes` is not a list".to_owned(),
                "write `indexes = [\"store\", [\"store\", \"ordered_at\"]]`",
            );
            return Vec::new();
        };
        let mut indexes: Vec<Vec<String>> = Vec::new();
        for item in list.iter() {
            let index = match item.get_ref() {
                DeValue::String(name) => {
                    let known = self.known_column("index", name, &item.span(), columns);
                    known.then(|| vec![name.clone().into_owned()])
                }
                _ => self.key_columns("index", item, columns),
            };
            match index {
                Some(index) if indexes.contains(&index) => self.error(
                    &item.span(),
                    format!("index on `{}` is declared twice", index.join(", ")),
                ),
                Some(index) => indexes.push(index),
                None => {}
            }
        }
        indexes
    }

    /// A list of columns that one index can hold.
    fn key_columns(
        &mut self,
        what: &str,
        value: &Value<'_>,
        columns: &[Column],
    ) -> Option<Vec<String>> {
        let Some(list) = value.get_ref().as_array() else {
            self.error(&value.span(), format!("`{what}` is not a list of columns"));
            return None;
        };
        let mut names: Vec<String> = Vec::new();
        for item in list.iter() {
            let name = self.text(item)?;
            if !self.known_column(what, &name, &item.span(), columns) {
                return None;
            }
            if names.contains(&name) {
                self.error(
                    &item.span(),
                    format!("{what}: column `{name}` is named twice"),
                );
                return None;
            }
            names.push(name);
        }
        if names.is_empty() || names.len() > INDEX_COLUMNS {
            self.error(
                &value.span(),
                format!(
                    "{what}: {} columns; PostgreSQL takes 1 to {INDEX_COLUMNS}",
                    names.len()
                ),
            );
            return None;
        }
        Some(names)
    }

    fn known_column(
        &mut self,
        what: &str,
        name: &str,
        span: &Range<usize>,
        columns: &[Column],
    ) -> bool {
        let Some(column) = columns.iter().find(|c| c.name == name) else {
            // With columns that could not be read, this would only repeat that.
            if !columns.is_empty() && !self.refused.iter().any(|r| r == name) {
                self.error(
                    span,
                    format!("{what} on a column that does not exist: `{name}`"),
                );
            }
            return false;
        };
        if column.ty.scalar == Scalar::Json {
            let message = format!(
                "{what}: column `{name}` is `{}`, which has no order",
                column.ty
            );
            self.error_help(
                span,
                message,
                "declare `jsonb`, or leave it out of the index",
            );
            return false;
        }
        true
    }

    fn text(&mut self, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            let message = format!("expected a string, found {}", value.get_ref().type_str());
            self.error(&value.span(), message);
        }
        text
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

/// A table's entries as they stand in the file; the parser keeps them sorted by name.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
