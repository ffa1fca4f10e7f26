//! Drafts a template file for a bare query.

use super::definition::Template;
use super::finding::Finding;
use super::lexer::{lex, line_of};
use super::lint::quoted_placeholders;
use super::placeholders::{self, Bindings};
use crate::error::{Error, Kind, Result};
use crate::schema::{PgType, SourceColumn};
use crate::unit::TemplateName;
use std::fmt::Write;

/// A template file being drafted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    query: String,
    columns: Vec<(String, PgType)>,
    time_column: String,
}

/// Binds a bare query so that a tenant's server can describe it.
///
/// # Errors
/// It is not a single statement, has an unclosed literal or a quoted placeholder, or uses an unknown placeholder or
/// variable.
pub fn bind_query(query: &str, bindings: &Bindings<'_>) -> Result<String> {
    let mut findings = placeholders::check(query, |at| line_of(query, at));
    findings.extend(quoted_placeholders(query, 0, &lex(query)));
    match findings.into_iter().find(Finding::is_error) {
        Some(error) => Err(error.into()),
        None => placeholders::bind(query, bindings),
    }
}

impl Draft {
    /// Takes the columns as a tenant describes them, with length and precision, and the time column: the given one, or the
    /// only candidate.
    ///
    /// # Errors
    /// A type is not supported (the message has the column and a cast), or there is no time column, or several and none was
    /// chosen.
    pub fn new(query: &str, source: &[SourceColumn], time_column: Option<&str>) -> Result<Draft> {
        let mut columns = Vec::new();
        let mut refused = Vec::new();
        for column in source {
            match column.modifier.or(column.ty) {
                Some(ty) => columns.push((column.name.clone(), ty)),
                None => refused.push(column),
            }
        }
        if let Some(first) = refused.first() {
            let all: Vec<String> = refused
                .iter()
                .map(|c| format!("`{}` ({})", c.name, c.type_name))
                .collect();
            let why = PgType::parse(&first.type_name).err();
            let why = why.map_or_else(String::new, |e| format!("; {}", e.message()));
            return Err(Error::refused(format!(
                "the query returns columns of unsupported types: {}",
                all.join(", ")
            ))
            .with_hint(format!(
                "cast it in the query, for example `{0}::text AS {0}`{why}",
                first.name
            )));
        }
        let time_column = choose_time(&columns, time_column)?;
        Ok(Draft {
            query: query.trim().to_owned(),
            columns,
            time_column,
        })
    }

    /// The file's text.
    ///
    /// # Errors
    /// A column has a name that a warehouse table cannot have.
    pub fn to_source(&self, name: &TemplateName) -> Result<String> {
        let mut text = String::from("/*\ndescription = \"\"\n");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "time_column = {}", toml_string(&self.time_column));
        text.push_str("# unique = [\"…\"]          columns that together identify a row\n");
        text.push_str("# indexes = [\"…\", […]]    in addition to the one on the time column\n");
        text.push_str("\n[columns]\n");
        for (column, ty) in &self.columns {
            let _ = writeln!(text, "{} = \"{ty}\"", toml_key(column));
        }
        let _ = writeln!(text, "*/\n{}", self.query);
        Template::parse(name.clone(), &text)?;
        Ok(text)
    }
}

fn choose_time(columns: &[(String, PgType)], named: Option<&str>) -> Result<String> {
    let times: Vec<&str> = columns
        .iter()
        .filter(|(_, ty)| ty.is_time())
        .map(|(name, _)| name.as_str())
        .collect();
    let candidates = || {
        times
            .iter()
            .map(|t| format!("`{t}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (named, times.as_slice()) {
        (Some(named), _) if times.contains(&named) => Ok(named.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (_, []) => Err(Error::new(
            Kind::Refused,
            "the query returns no column that can be the time column",
        )
        .with_hint("return a column of type timestamptz, timestamp (read as UTC) or date")),
        (Some(named), _) => Err(Error::usage(format!(
            "`--time-column {named}` is not a date or timestamp column of the query"
        ))
        .with_hint(format!("choose one of {}", candidates()))),
        (None, _) => Err(Error::usage("several columns can be the time column")
            .with_hint(format!("choose one with `--time-column`: {}", candidates()))),
    }
}

fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml_string(name)
    }
}

/// A basic TOML string that is safe inside an SQL comment: a `/`, which could open or close a comment, is escaped.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c == '/' || c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: &str) -> SourceColumn {
        let modifier = PgType::parse(ty).ok();
        SourceColumn {
            name: name.into(),
            type_name: ty.into(),
            ty: modifier.map(|t| t.bare()),
            modifier: modifier.filter(|t| *t != t.bare()),
        }
    }

    #[test]
    fn a_draft_is_a_template_of_the_same_columns() {
        let source = [
            column("id", "bigint"),
            column("a */ \"b\"", "varchar(20)"),
            column("n", "numeric(10,2)"),
            column("t", "timestamptz"),
        ];
        let query = "SELECT * FROM x\nWHERE t >= {from} AND t < {to} -- all\n";
        let name = TemplateName::parse("x").unwrap();
        let text = Draft::new(query, &source, None)
            .unwrap()
            .to_source(&name)
            .unwrap();
        let template = Template::parse(name, &text).unwrap();
        let columns: Vec<_> = template
            .columns
            .iter()
            .map(|c| (c.name.as_str(), c.ty.to_string()))
            .collect();
        assert_eq!(
            columns,
            source
                .iter()
                .map(|c| (c.name.as_str(), c.type_name.clone()))
                .collect::<Vec<_>>()
        );
        assert_eq!(template.time_column, "t");
        assert_eq!(template.query, query.trim());
    }

    #[test]
    fn an_unsupported_type_is_named_with_the_cast() {
        let e = Draft::new("q", &[column("t", "date"), column("m", "mood")], None).unwrap_err();
        assert!(e.message().contains("`m` (mood)"), "{e}");
        assert!(e.hint().unwrap().contains("`m::text AS m`"));
    }

    #[test]
    fn the_time_column_is_the_only_candidate_or_the_chosen_one() {
        let source = [
            column("a", "date"),
            column("b", "timestamp"),
            column("c", "text"),
        ];
        let time = |named| Draft::new("q", &source, named).map(|d| d.time_column);
        assert_eq!(time(Some("b")).unwrap(), "b");
        let e = time(None).unwrap_err();
        assert!(e.hint().unwrap().contains("`a`, `b`"));
        assert!(time(Some("c")).is_err());
        assert!(Draft::new("q", &source[2..], None).is_err());
        assert_eq!(
            Draft::new("q", &source[1..], None).unwrap().time_column,
            "b"
        );
    }
}
