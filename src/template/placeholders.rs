//! The placeholders of a query, and the values of one window that replace them.

use super::finding::Finding;
use super::lexer::{TokenKind, lex};
use super::meant;
use super::variable_name::is_variable;
use crate::error::{Error, Kind, Result};
use crate::schema::Scalar;
use crate::sql::{bound, ident, literal};
use crate::unit::{SchemaName, Window};
use std::collections::BTreeMap;

/// The values of a query's placeholders in one window of one tenant.
#[derive(Debug, Clone, Copy)]
pub struct Bindings<'a> {
    pub window: Window,
    pub schema: &'a SchemaName,
    /// The tenant's schema at the source, if it has one of its own.
    pub source_schema: Option<&'a str>,
    pub vars: &'a BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// Start of the window, a timestamptz.
    From,
    /// End of the window (exclusive), a timestamptz.
    To,
    /// The only day of the window, a date.
    Day,
    /// The tenant's schema name, a text literal.
    Tenant,
    /// The tenant's schema at the source, a quoted identifier.
    Schema,
    /// A variable of the tenant, a text literal.
    Var(&'a str),
}

impl<'a> Placeholder<'a> {
    /// Reads `{from}`, with its braces.
    pub fn parse(text: &'a str) -> Option<Placeholder<'a>> {
        match text.strip_prefix('{')?.strip_suffix('}')? {
            "from" => Some(Placeholder::From),
            "to" => Some(Placeholder::To),
            "day" => Some(Placeholder::Day),
            "tenant" => Some(Placeholder::Tenant),
            "schema" => Some(Placeholder::Schema),
            inside => {
                let name = inside.strip_prefix("var:")?;
                is_variable(name).then_some(Placeholder::Var(name))
            }
        }
    }
}

/// The placeholders of a query's code, in order.
pub fn placeholders(query: &str) -> impl Iterator<Item = Placeholder<'_>> {
    lex(query)
        .into_iter()
        .filter(|t| t.kind == TokenKind::Placeholder)
        .filter_map(|t| Placeholder::parse(t.text))
}

/// Whether a query can be bound: one statement, every literal closed, every placeholder known. `line` returns the line in
/// the file of a byte offset in the query.
pub fn check(query: &str, line: impl Fn(usize) -> usize) -> Vec<Finding> {
    let tokens = lex(query);
    let mut findings = Vec::new();
    let mut code = tokens.iter().filter(|t| t.is_code()).peekable();
    if code.peek().is_none_or(|first| first.is(";")) {
        findings.push(
            Finding::error(line(0), "there is no query")
                .help("write one SELECT after the comment with the TOML"),
        );
        return findings;
    }
    while let Some(token) = code.next() {
        let at = line(token.start);
        match token.kind {
            TokenKind::Unterminated => findings.push(Finding::error(
                at,
                "a string, quoted name or comment starts here and is never closed",
            )),
            TokenKind::Placeholder if Placeholder::parse(token.text).is_none() => findings.push(
                Finding::error(at, format!("unknown placeholder `{}`", token.text))
                    .help(meant::instead(token.text)),
            ),
            _ if token.is("{") || token.is("}") => findings.push(Finding::error(
                at,
                format!("`{}` is neither SQL nor part of a placeholder", token.text),
            )),
            _ if token.is(";") => {
                if let Some(second) = code.find(|t| !t.is(";")) {
                    findings.push(
                        Finding::error(line(second.start), "a second statement starts here").help(
                            "a template is one query: combine the statements with WITH or UNION ALL",
                        ),
                    );
                    break;
                }
            }
            _ => {}
        }
    }
    findings
}

/// The query with every placeholder replaced and without a trailing `;`.
pub fn bind(query: &str, bindings: &Bindings<'_>) -> Result<String> {
    let mut bound_query = String::with_capacity(query.len() + 64);
    for token in lex(query) {
        match token.kind {
            TokenKind::Placeholder => bound_query.push_str(&value(token.text, bindings)?),
            TokenKind::Other if token.text == ";" => {}
            _ => bound_query.push_str(token.text),
        }
    }
    Ok(bound_query)
}

fn value(text: &str, bindings: &Bindings<'_>) -> Result<String> {
    let window = bindings.window;
    match Placeholder::parse(text) {
        Some(Placeholder::From) => Ok(bound(window.from, Scalar::Timestamptz)),
        Some(Placeholder::To) => Ok(bound(window.to, Scalar::Timestamptz)),
        Some(Placeholder::Day) if window.len() == 1 => Ok(bound(window.from, Scalar::Date)),
        Some(Placeholder::Day) => Err(Error::new(
            Kind::Bug,
            format!("`{{day}}` was bound to the window {window}, which is not one day"),
        )),
        Some(Placeholder::Tenant) => Ok(literal(bindings.schema.as_str())),
        Some(Placeholder::Schema) => match bindings.source_schema {
            Some(schema) => Ok(ident(schema)),
            None => Err(
                Error::config("the tenant has no schema of its own at the source").with_hint(
                    "the query uses `{schema}`: set it with `dayhaul tenant set NAME --source-schema SCHEMA`",
                ),
            ),
        },
        Some(Placeholder::Var(name)) => match bindings.vars.get(name) {
            Some(value) => Ok(literal(value)),
            None => Err(
                Error::config(format!("the tenant has no variable `{name}`")).with_hint(format!(
                    "the query uses `{text}`: set it with `dayhaul tenant set NAME --var {name}=VALUE`"
                )),
            ),
        },
        None => Err(Error::config(format!("unknown placeholder `{text}`"))
            .with_hint(meant::instead(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound_for(query: &str, to: &str) -> Result<String> {
        let schema = SchemaName::parse("acme").unwrap();
        let vars = BTreeMap::from([("client".to_owned(), "o'neill".to_owned())]);
        let window = Window::new("2024-01-15".parse().unwrap(), to.parse().unwrap());
        bind(
            query,
            &Bindings {
                window,
                schema: &schema,
                source_schema: Some("Acme \"1\""),
                vars: &vars,
            },
        )
    }

    #[test]
    fn a_placeholder_becomes_a_literal_of_its_type() {
        assert_eq!(
            bound_for("t >= {from} AND t < {to}", "2024-01-17").unwrap(),
            "t >= '2024-01-15 00:00:00+00'::timestamptz AND t < '2024-01-17 00:00:00+00'::timestamptz"
        );
        assert_eq!(
            bound_for("{day}, {tenant}, {var:client}", "2024-01-16").unwrap(),
            "'2024-01-15'::date, 'acme', 'o''neill'"
        );
        assert_eq!(
            bound_for("FROM {schema}.orders", "2024-01-16").unwrap(),
            "FROM \"Acme \"\"1\"\"\".orders"
        );
    }

    #[test]
    fn literals_and_comments_are_left_as_they_are() {
        let query =
            "SELECT '{from}', E'\\'{to}', $${day}$$, \"{x}\" -- {tenant}\n/* {var:no} */ FROM t";
        assert_eq!(bound_for(query, "2024-01-16").unwrap(), query);
    }

    #[test]
    fn a_closing_semicolon_goes_and_a_closing_comment_stays() {
        assert_eq!(
            bound_for("SELECT 1; -- end;", "2024-01-16").unwrap(),
            "SELECT 1 -- end;"
        );
    }

    #[test]
    fn an_unknown_variable_is_named_with_what_to_do() {
        let e = bound_for("{var:region}", "2024-01-16").unwrap_err();
        assert!(e.message().contains("`region`"));
        assert!(e.hint().unwrap().contains("--var region="));
    }

    #[test]
    fn a_day_is_never_bound_to_a_longer_window() {
        assert!(bound_for("{day}", "2024-01-17").is_err());
    }

    #[test]
    fn what_cannot_be_bound_is_found_with_its_line() {
        let lines = |query: &str| -> Vec<(usize, String)> {
            check(query, |offset| {
                crate::template::lexer::line_of(query, offset)
            })
            .into_iter()
            .map(|f| (f.line, f.message))
            .collect()
        };
        for (query, line, word) in [
            ("", 1, "no query"),
            ("-- nothing\n;", 1, "no query"),
            ("SELECT 1;\nSELECT 2", 2, "second statement"),
            ("SELECT 1\n, {form}", 2, "`{form}`"),
            ("SELECT 1\n, { from", 2, "`{`"),
            ("SELECT\n'a", 2, "is never closed"),
        ] {
            let found = lines(query);
            assert_eq!(found.len(), 1, "{query}: {found:?}");
            assert_eq!(found[0].0, line, "{query}");
            assert!(found[0].1.contains(word), "{query}: {found:?}");
        }
        assert!(lines("SELECT 1;; -- end; /* ; */").is_empty());
    }
}
