//! A template, read from its file.

use super::finding::Finding;
use super::front_matter::{self, WindowLength};
use super::lexer::line_of;
use super::placeholders::{self, Bindings, Placeholder, placeholders};
use super::ranges;
use super::version;
use crate::error::{Error, Result};
use crate::schema::{Column, Scalar};
use crate::unit::{Day, TemplateName, TimeRange};

/// A dataset's definition, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub name: TemplateName,
    pub description: String,
    /// The column that decides which day a row belongs to; its type is timestamptz, timestamp (read as UTC) or date.
    pub time_column: String,
    /// In the order of the warehouse tables.
    pub columns: Vec<Column>,
    /// Columns whose values together identify a row; empty when the template declares none.
    pub unique: Vec<String>,
    /// At least one of them starts with the time column.
    pub indexes: Vec<Vec<String>>,
    /// How many past days `sync` checks again.
    pub lookback_days: u32,
    /// How many days, including today, remain day tables.
    pub open_days: u32,
    /// A query that returns the first and the last time that have rows.
    pub range_query: Option<String>,
    /// Whether each day is fetched with its own query: with `{day}` in it, or `windows = "day"` above it.
    pub one_day_windows: bool,
    /// The query as written in the file, with its placeholders.
    pub query: String,
    /// The whole file.
    pub source: String,
    version: String,
    time_index: usize,
    pub(super) lines: Lines,
}

/// Positions in the file; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    /// Byte offset of the query in the file.
    query_start: usize,
    pub(super) columns: Vec<usize>,
}

impl Template {
    /// Reads a template file.
    ///
    /// # Errors
    /// The first problem, with its line in the file.
    pub fn parse(name: TemplateName, source: &str) -> Result<Template> {
        Template::read(name, source).map_err(|findings| match findings.into_iter().next() {
            Some(first) => Error::from(first),
            None => Error::config("the template cannot be read"),
        })
    }

    /// The columns and the time column of a file that may have problems, as far as they can be read.
    pub fn shape(source: &str) -> (Vec<Column>, String) {
        front_matter::split(source).map_or_else(
            |_| (Vec::new(), String::new()),
            |(toml, _)| {
                let (front, _) = front_matter::read(source, toml);
                (front.columns, front.time_column)
            },
        )
    }

    /// Reads a template file, or returns all problems in it by line.
    pub(super) fn read(name: TemplateName, source: &str) -> Result<Template, Vec<Finding>> {
        let (toml, query) = front_matter::split(source).map_err(|f| vec![f])?;
        let (front, mut findings) = front_matter::read(source, toml);
        let query_start = query.start;
        let query = &source[query];
        findings.extend(placeholders::check(query, |at| {
            line_of(source, query_start + at)
        }));
        let time_index = front
            .columns
            .iter()
            .position(|c| c.name == front.time_column);
        let (true, Some(time_index)) = (findings.is_empty(), time_index) else {
            findings.sort_by_key(|f| f.line);
            return Err(findings);
        };
        let by_day = front.windows == WindowLength::Day;
        let uses_day = placeholders(query).any(|p| p == Placeholder::Day);
        Ok(Template {
            version: version::version(
                query,
                &front.columns,
                &front.time_column,
                by_day && !uses_day,
            ),
            one_day_windows: by_day || uses_day,
            name,
            description: front.description,
            time_column: front.time_column,
            columns: front.columns,
            unique: front.unique,
            indexes: front.indexes,
            lookback_days: front.lookback_days,
            open_days: front.open_days,
            range_query: front.range_query,
            query: query.to_owned(),
            source: source.to_owned(),
            time_index,
            lines: Lines {
                query_start,
                columns: front.column_lines,
            },
        })
    }

    /// 32 hexadecimal digits: a hash of the query, the columns, the time column and `windows`, not of comments, description or indexes.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Line of the file on which the query begins.
    pub fn query_line(&self) -> usize {
        line_of(&self.source, self.lines.query_start)
    }

    /// [`Template::lookback_days`], as statements take it.
    pub fn lookback(&self) -> i32 {
        i32::try_from(self.lookback_days).unwrap_or(i32::MAX)
    }

    /// The first date on which a comparison with the source settles a day: its end plus the lookback.
    pub fn settles_on(&self, day: Day) -> Day {
        day.next().plus(self.lookback())
    }

    /// Whether a day that was last compared with its source on `checked_on` is settled: only then it is left alone.
    pub fn is_settled(&self, day: Day, checked_on: Option<Day>) -> bool {
        checked_on >= Some(self.settles_on(day))
    }

    /// Whether a daily `sync` would have compared an unsettled day by now, once it had ended or could be settled.
    pub fn is_overdue(&self, day: Day, checked_on: Option<Day>, today: Day) -> bool {
        let since_its_end = checked_on > Some(day);
        let by_now = if since_its_end {
            self.settles_on(day)
        } else {
            day.next()
        };
        !self.is_settled(day, checked_on) && today > by_now
    }

    /// Type of the time column.
    pub fn time_type(&self) -> Scalar {
        self.columns[self.time_index].ty.scalar
    }

    /// Position of the time column in [`Template::columns`].
    pub fn time_index(&self) -> usize {
        self.time_index
    }

    /// The columns that are unique together, with their positions.
    pub fn unique_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.unique.iter().filter_map(|name| {
            let mut columns = self.columns.iter().enumerate();
            columns.find(|(_, column)| column.name == *name)
        })
    }

    /// The tenant variables that the query uses, each once.
    pub fn variables(&self) -> Vec<&str> {
        let mut names: Vec<&str> = placeholders(&self.query)
            .filter_map(|p| match p {
                Placeholder::Var(name) => Some(name),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether the query, or the one for the first and last time, names a schema of the tenant's own.
    pub fn uses_schema(&self) -> bool {
        let range = self.range_query.as_deref().unwrap_or_default();
        let mut all = placeholders(&self.query).chain(placeholders(range));
        all.any(|p| p == Placeholder::Schema)
    }

    /// Whether the query gives a day in parts, too: each the rows of the day whose time is in it.
    pub fn can_be_cut(&self) -> bool {
        let time = &self.columns[self.time_index];
        let has_time_of_day = matches!(time.ty.scalar, Scalar::Timestamp | Scalar::Timestamptz);
        // A masked time may be in another part than the time that the query compares.
        let is_itself = has_time_of_day && time.mask.is_none();
        is_itself && !self.one_day_windows && ranges::can_be_cut(&self.query, &self.time_column)
    }

    /// The query for a part of a day of one tenant.
    ///
    /// # Errors
    /// As [`Template::bind`].
    pub fn bind_range(&self, bindings: &Bindings<'_>, range: TimeRange) -> Result<String> {
        placeholders::bind(&ranges::with_bounds(&self.query, range), bindings)
    }

    /// The query for one window of one tenant: placeholders replaced, a trailing `;` removed.
    ///
    /// # Errors
    /// The tenant has no value for a variable; or `{day}` is bound to several days, which is a bug of the caller.
    pub fn bind(&self, bindings: &Bindings<'_>) -> Result<String> {
        placeholders::bind(&self.query, bindings)
    }
}

#[cfg(test)]
mod tests;
