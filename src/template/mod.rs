//! A template: one dataset's query with day placeholders, its columns and types, its time column, its indexes.
//!
//! A template is one `.sql` file that opens in any SQL editor: a leading comment with TOML (`front_matter`), then one
//! query. Everything here is pure: text in, text or findings out.

mod bind;
mod draft;
mod finding;
mod front_matter;
mod lexer;
mod lint;
mod mask;
mod source;
mod version;

pub use bind::Bindings;
pub use draft::{Draft, bind_query};
pub use finding::{Finding, Severity};
pub use lint::{lint, lint_columns};
pub use source::{
    Mismatch, SOURCE_SETTINGS, check_source, copy_out_sql, days_of_keys_sql, mismatches,
    select_sql, wrap,
};

use crate::error::{Error, Result};
use crate::schema::{Column, Scalar};
use crate::unit::TemplateName;
use bind::{Placeholder, placeholders};
use lexer::line_of;

/// One dataset definition, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub name: TemplateName,
    pub description: String,
    /// A column of type timestamptz, timestamp (read as UTC) or date: says which day a row belongs to.
    pub time_column: String,
    /// In the order of the warehouse's tables.
    pub columns: Vec<Column>,
    /// Columns whose values together name one row; empty when the template does not say.
    pub unique: Vec<String>,
    /// One of them always leads with the time column.
    pub indexes: Vec<Vec<String>>,
    /// How many past days `sync` looks at again.
    pub lookback_days: u32,
    /// How many days, today included, stay tables of their own.
    pub open_days: u32,
    /// A query that gives the first and the last time there are rows for.
    pub range_query: Option<String>,
    /// The query as it stands in the file, placeholders and all.
    pub query: String,
    /// The whole file.
    pub source: String,
    version: String,
    time_index: usize,
    lines: Lines,
}

/// Where things stand in the file; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lines {
    /// Byte offset of the query in the file.
    query_start: usize,
    columns: Vec<usize>,
}

impl Template {
    /// Reads a template file.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and its line in the file.
    pub fn parse(name: TemplateName, source: &str) -> Result<Template> {
        Template::read(name, source).map_err(|findings| match findings.into_iter().next() {
            Some(first) => Error::from(first),
            None => Error::config("cannot be read"),
        })
    }

    /// Reads a template file; everything that is wrong with it, by line, otherwise.
    fn read(name: TemplateName, source: &str) -> Result<Template, Vec<Finding>> {
        let (toml, query) = front_matter::split(source).map_err(|f| vec![f])?;
        let (front, mut findings) = front_matter::read(source, toml);
        let query_start = query.start;
        let query = &source[query];
        findings.extend(bind::check(query, |at| line_of(source, query_start + at)));
        let time_index = front
            .columns
            .iter()
            .position(|c| c.name == front.time_column);
        let (true, Some(time_index)) = (findings.is_empty(), time_index) else {
            findings.sort_by_key(|f| f.line);
            return Err(findings);
        };
        Ok(Template {
            version: version::version(query, &front.columns, &front.time_column),
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

    /// 32 hex digits over the query, the columns and the time column; not over comments, description or indexes.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Line of the file on which the query begins.
    pub fn query_line(&self) -> usize {
        line_of(&self.source, self.lines.query_start)
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

    /// Whether the query uses `{day}` and so can only be asked for one day at a time.
    pub fn one_day_windows(&self) -> bool {
        placeholders(&self.query).any(|p| p == Placeholder::Day)
    }

    /// Names of the tenant variables that the query uses, each once.
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

    /// The query for one window of one tenant: placeholders replaced, a closing `;` gone.
    ///
    /// # Errors
    /// The tenant lacks a variable; or `{day}` is asked for more than a day, which is a bug of the caller.
    pub fn bind(&self, bindings: &Bindings<'_>) -> Result<String> {
        bind::bind(&self.query, bindings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = r#"/*
description = "orders"
time_column = "ordered_at"
unique = ["id"]
indexes = ["store", ["store", "ordered_at"]]

[columns]
store = "varchar(20)"
id = "int8"
total = { type = "numeric(10,2)", round = true }
ordered_at = "timestamptz"
*/
SELECT * FROM orders
WHERE ordered_at >= {from} AND ordered_at < {to};
"#;

    fn parse(source: &str) -> Result<Template> {
        Template::parse(TemplateName::parse("orders").unwrap(), source)
    }

    #[test]
    fn columns_keep_the_order_of_the_file() {
        let template = parse(ORDERS).unwrap();
        let columns: Vec<String> = template
            .columns
            .iter()
            .map(|c| format!("{} {}", c.name, c.ty))
            .collect();
        assert_eq!(
            columns,
            [
                "store varchar(20)",
                "id bigint",
                "total numeric(10,2)",
                "ordered_at timestamptz"
            ]
        );
        assert!(template.columns[2].round);
        assert_eq!(template.time_index(), 3);
        assert_eq!((template.lookback_days, template.open_days), (14, 16));
    }

    #[test]
    fn an_index_always_leads_with_the_time_column() {
        let template = parse(ORDERS).unwrap();
        assert_eq!(template.indexes[0], ["ordered_at"]);
        assert_eq!(template.indexes.len(), 3);
        let declared = parse(&ORDERS.replace(
            "\"store\", [\"store\", \"ordered_at\"]",
            "[\"ordered_at\", \"store\"]",
        ));
        assert_eq!(declared.unwrap().indexes, [["ordered_at", "store"]]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_in_the_file() {
        for (from, to, line, word) in [
            ("description", "descripton", 2, "unknown key `descripton`"),
            (
                "\"ordered_at\"\nunique",
                "\"ordered\"\nunique",
                3,
                "`ordered` is not among",
            ),
            (
                "\"ordered_at\"\nunique",
                "\"id\"\nunique",
                3,
                "time column `id` is `bigint`",
            ),
            ("time_column =", "#", 1, "`time_column` is not declared"),
            (
                "unique = [\"id\"]",
                "unique = [\"key\"]",
                4,
                "unique on a column that does not exist: `key`",
            ),
            (
                "[\"store\", \"ordered_at\"]]",
                "\"stor\"]",
                5,
                "index on a column that does not exist: `stor`",
            ),
            (
                "[\"store\", \"ordered_at\"]]",
                "\"store\"]",
                5,
                "declared twice",
            ),
            ("[\"store\", \"ordered_at\"]]", "[]]", 5, "0 columns"),
            ("[columns]", "[column]", 1, "no columns"),
            (
                "varchar(20)",
                "char(20)",
                8,
                "column `store`: type `char(20)`",
            ),
            ("id = \"int8\"", "id = 8", 9, "not a string"),
            ("id = \"int8\"", "store = \"int8\"", 9, "duplicate key"),
            ("id = \"int8\"", "schema_name = \"int8\"", 4, "`id`"),
            ("numeric(10,2)", "numeric", 10, "`round`"),
            ("round = true", "rund = true", 10, "unknown key `rund`"),
            ("round = true", "land = \"text\"", 10, "`land` says how"),
            ("round = true", "land = \"float\"", 10, "decimal(p,s)"),
            ("round = true", "land = true", 10, "expected a string"),
            ("SELECT *", "SELECT {form}", 13, "`{form}`"),
            ("{to};", "{to}; SELECT 1", 14, "second statement"),
            ("*/", "", 1, "never closes"),
            ("/*", "", 1, "does not begin with"),
        ] {
            let e = parse(&ORDERS.replacen(from, to, 1)).unwrap_err();
            assert!(
                e.message().starts_with(&format!("line {line}: ")),
                "{to}: {e}"
            );
            assert!(e.message().contains(word), "{to}: {e}");
        }
    }

    #[test]
    fn a_numeric_without_precision_may_say_how_it_lands() {
        let plain = ORDERS.replacen(
            "{ type = \"numeric(10,2)\", round = true }",
            "\"numeric\"",
            1,
        );
        let landing = plain.replacen(
            "\"numeric\"",
            "{ type = \"numeric\", land = \"decimal(20,6)\" }",
            1,
        );
        let template = parse(&landing).unwrap();
        let land = template.columns[2].land.map(|l| l.to_string());
        assert_eq!(land.as_deref(), Some("decimal(20,6)"));
        // The warehouse holds the same rows either way.
        assert_eq!(template.version(), parse(&plain).unwrap().version());
    }

    #[test]
    fn a_column_name_that_a_table_cannot_have_is_refused() {
        for name in ["schema_name", "ctid", "\"\"", &"c".repeat(64)] {
            let source = ORDERS.replacen("[columns]", &format!("[columns]\n{name} = \"text\""), 1);
            assert!(parse(&source).is_err(), "{name}");
        }
        let odd = ORDERS.replacen("[columns]", "[columns]\n\"Größe \\\"x\\\"\" = \"text\"", 1);
        assert_eq!(parse(&odd).unwrap().columns[0].name, "Größe \"x\"");
    }

    #[test]
    fn a_mask_that_would_break_the_template_is_refused_with_its_line() {
        let masked = |column: &str, with: &str| parse(&ORDERS.replacen(column, with, 1));
        let template = masked("\"int8\"", "{ type = \"int8\", mask = \"hash\" }").unwrap();
        assert_eq!(template.columns[1].mask, Some(crate::schema::Mask::Hash));
        assert_eq!(template.version(), parse(ORDERS).unwrap().version());
        for (column, with, line, word) in [
            (
                "\"timestamptz\"",
                "{ type = \"timestamptz\", mask = \"fake\" }",
                11,
                "time column `ordered_at` cannot be masked",
            ),
            (
                "\"int8\"",
                "{ type = \"int8\", mask = \"null\" }",
                9,
                "`id` is unique",
            ),
            (
                "\"int8\"",
                "{ type = \"int8\", mask = \"fake\" }",
                9,
                "`id` is unique",
            ),
            (
                "round = true",
                "mask = \"hash\"",
                10,
                "`mask = \"hash\"` cannot mask",
            ),
            (
                "\"varchar(20)\"",
                "{ type = \"varchar(12)\", mask = \"hash\" }",
                8,
                "`store` is `varchar(12)`",
            ),
            ("round = true", "mask = \"md5\"", 10, "`md5` is no mask"),
        ] {
            let e = masked(column, with).unwrap_err();
            let place = format!("line {line}: ");
            assert!(e.message().starts_with(&place), "{with}: {e}");
            assert!(e.message().contains(word), "{with}: {e}");
            assert!(e.hint().is_some(), "{with}");
        }
    }

    #[test]
    fn placeholders_say_what_the_template_needs() {
        let template = parse(ORDERS).unwrap();
        assert!(!template.one_day_windows());
        assert!(template.variables().is_empty());
        let daily = ORDERS.replace(
            "ordered_at >= {from} AND ordered_at < {to}",
            "day = {day} AND client = {var:client} AND '{var:no}' <> ''",
        );
        let daily = parse(&daily).unwrap();
        assert!(daily.one_day_windows());
        assert_eq!(daily.variables(), ["client"]);
    }
}
