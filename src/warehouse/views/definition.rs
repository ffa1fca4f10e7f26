//! What a view of ours says: its SQL, and its parts as they are read back from the server.
//!
//! `pg_get_viewdef` gives a view's query in the server's own words: with the table's name before each column (until
//! PostgreSQL 17), with long names of types, in other lines. Both that and our SQL are therefore taken apart into the same
//! [`Definition`], which leaves out what does not change the meaning. What cannot be taken apart is not a view of ours.

use crate::sql::{bound, ident, literal, qualified};
use crate::template::Template;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{day_table, year_table};
use crate::warehouse::tables::shape::{Shape, year_window};
use std::collections::BTreeSet;

/// What a view lists of a column: without length or precision, so that a later widening need not touch the view.
fn view_columns(template: &Template) -> String {
    template
        .columns
        .iter()
        .map(|c| {
            let name = ident(&c.name);
            if c.ty == c.ty.bare() {
                name
            } else {
                format!("{name}::{} AS {name}", c.ty.bare())
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The tables that the tenant view shows, by level: years, then days; with each, whether the view must hide what it
/// holds from the fold line on.
///
/// Only the fold line decides, so that a table on its way in or out of the view needs no mark: years that
/// begin at or after the line, and days before it, are hidden whole. The year that holds the line hides what it may hold
/// beyond; where that is nothing, the view has no condition, in front of which the planner would read the year whole for
/// `max(time)` and for the latest rows.
pub fn shown_tables(template: &Template, shape: &Shape) -> Vec<(String, bool)> {
    let line = shape.fold_line;
    let years = shape
        .years
        .iter()
        .map(|year| year_window(*year))
        .filter(|year| year.from < line)
        .map(|year| {
            let hides = shape.hides && year.to > line;
            (year_table(&template.name, year.from.year()), hides)
        });
    let days = shape
        .days
        .range(line..)
        .map(|day| (day_table(&template.name, *day), false));
    years.chain(days).collect()
}

/// Whether a view over this shape would show nothing at all: PostgreSQL has no view over no table.
pub fn shows_nothing(template: &Template, shape: &Shape) -> bool {
    shown_tables(template, shape).is_empty()
}

/// The query of a tenant view.
pub fn tenant_query(place: Place<'_>, shape: &Shape) -> String {
    let (schema, template) = (place.schema.as_str(), place.template);
    let columns = view_columns(template);
    shown_tables(template, shape)
        .into_iter()
        .map(|(table, hides)| {
            let mut arm = format!("SELECT {columns} FROM {}", qualified(schema, &table));
            if hides {
                arm += &format!(
                    " WHERE {} < {}",
                    ident(&template.time_column),
                    bound(shape.fold_line, template.time_type())
                );
            }
            arm
        })
        .collect::<Vec<_>>()
        .join("\nUNION ALL ")
}

/// The query of a public view over the tenant views of `schemas`.
pub fn public_query(template: &Template, schemas: &[String]) -> String {
    let columns = template
        .columns
        .iter()
        .map(|c| ident(&c.name))
        .collect::<Vec<_>>()
        .join(", ");
    schemas
        .iter()
        .map(|schema| {
            format!(
                "SELECT {}::text AS schema_name, {columns} FROM {}",
                literal(schema),
                qualified(schema, template.name.as_str())
            )
        })
        .collect::<Vec<_>>()
        .join("\nUNION ALL ")
}

/// A view's query: its arms in any order, since readers see the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition(pub BTreeSet<Arm>);

/// One `SELECT … FROM table [WHERE …]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arm {
    /// Schema and name of what it reads.
    pub relation: (String, String),
    columns: Vec<Column>,
    condition: Vec<Token>,
}

/// A column or text, perhaps cast, under a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    value: Token,
    name: String,
    cast: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    /// `SELECT`, `FROM` …: the server writes them in capitals, and quotes a name that is.
    Word(String),
    Name(String),
    Text(String),
    Cast,
    Mark(char),
}

impl Definition {
    /// Takes a query apart; `None` when it is not of the kind that Dayhaul writes.
    pub fn parse(query: &str) -> Option<Definition> {
        let tokens = tokens(query)?;
        let mut arms = BTreeSet::new();
        let mut rest = &tokens[..];
        loop {
            let end = rest.iter().position(|token| is(token, "UNION"));
            let (arm, more) = rest.split_at(end.unwrap_or(rest.len()));
            // Twice the same arm would show its rows twice.
            if !arms.insert(Arm::parse(arm)?) {
                return None;
            }
            match more {
                [] => return Some(Definition(arms)),
                [_, all, others @ ..] if is(all, "ALL") => rest = others,
                _ => return None,
            }
        }
    }

    /// The relations (schema, name) that it reads.
    pub fn reads(&self) -> BTreeSet<(String, String)> {
        self.0.iter().map(|arm| arm.relation.clone()).collect()
    }

    /// The relations whose arms are not the same in both.
    pub fn differences(&self, other: &Definition) -> BTreeSet<(String, String)> {
        let differing = self.0.symmetric_difference(&other.0);
        differing.map(|arm| arm.relation.clone()).collect()
    }
}

impl Arm {
    fn parse(tokens: &[Token]) -> Option<Arm> {
        let [select, tokens @ ..] = tokens else {
            return None;
        };
        let from = tokens.iter().position(|token| is(token, "FROM"))?;
        let (columns, tokens) = (&tokens[..from], &tokens[from + 1..]);
        let (source, condition) = match tokens.iter().position(|token| is(token, "WHERE")) {
            Some(at) => (&tokens[..at], &tokens[at + 1..]),
            None => (tokens, &[][..]),
        };
        let (schema, name, alias) = match source {
            [Token::Name(schema), Token::Mark('.'), Token::Name(name)] => (schema, name, name),
            [
                Token::Name(schema),
                Token::Mark('.'),
                Token::Name(name),
                Token::Name(alias),
            ] => (schema, name, alias),
            _ => return None,
        };
        let columns = without_prefix(columns, alias);
        Some(Arm {
            relation: (schema.clone(), name.clone()),
            columns: columns
                .split(|token| *token == Token::Mark(','))
                .map(Column::parse)
                .collect::<Option<_>>()?,
            condition: canonical(&without_prefix(condition, alias)),
        })
        .filter(|_| is(select, "SELECT"))
    }
}

impl Column {
    fn parse(tokens: &[Token]) -> Option<Column> {
        let (value, name) = match tokens {
            [Token::Name(name)] => {
                return Some(Column {
                    value: Token::Name(name.clone()),
                    name: name.clone(),
                    cast: None,
                });
            }
            [value @ .., keyword, Token::Name(name)] if is(keyword, "AS") => (value, name),
            _ => return None,
        };
        let [value, Token::Cast, ty @ ..] = value else {
            return None;
        };
        let words: Vec<&str> = ty
            .iter()
            .map(|token| match token {
                Token::Name(word) => Some(word.as_str()),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let cast = long_name(&words.join(" "));
        let value_is_column = *value == Token::Name(name.clone());
        Some(Column {
            value: value.clone(),
            name: name.clone(),
            // Some servers leave a cast out that only forgets a length.
            cast: (!value_is_column || !FORGETS_LENGTH.contains(&cast.as_str())).then_some(cast),
        })
    }
}

/// Types whose length or precision a view forgets: the cast itself changes no value.
const FORGETS_LENGTH: [&str; 3] = ["character varying", "numeric", "bit varying"];

/// A type's name as the server writes it.
fn long_name(ty: &str) -> String {
    match ty {
        "varchar" => "character varying",
        "varbit" => "bit varying",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        other => other,
    }
    .to_owned()
}

/// A condition with the types' long names.
fn canonical(condition: &[Token]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = condition;
    while let [first, others @ ..] = rest {
        tokens.push(first.clone());
        rest = others;
        if *first == Token::Cast {
            let words = rest.iter().map_while(|token| match token {
                Token::Name(word) => Some(word.as_str()),
                _ => None,
            });
            let words: Vec<&str> = words.collect();
            tokens.push(Token::Name(long_name(&words.join(" "))));
            rest = &rest[words.len()..];
        }
    }
    tokens
}

fn without_prefix(tokens: &[Token], alias: &str) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    loop {
        rest = match rest {
            [] => return kept,
            [Token::Name(table), Token::Mark('.'), others @ ..] if table == alias => others,
            [token, others @ ..] => {
                kept.push(token.clone());
                others
            }
        };
    }
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found == word)
}

/// The tokens of a query. Parentheses are left out: in a query of ours they change nothing, and any other has more that
/// tells it apart.
fn tokens(query: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_end().trim_end_matches(';');
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' | '\'' => {
                let (text, taken) = quoted(rest, first)?;
                tokens.push(match first {
                    '"' => Token::Name(text),
                    _ => Token::Text(text),
                });
                taken
            }
            'E' if rest[1..].starts_with('\'') => {
                let (text, taken) = quoted(&rest[1..], '\'')?;
                tokens.push(Token::Text(text.replace("\\\\", "\\")));
                taken + 1
            }
            '(' | ')' => 1,
            ':' if rest.starts_with("::") => {
                tokens.push(Token::Cast);
                2
            }
            space if space.is_whitespace() => space.len_utf8(),
            letter if letter.is_alphanumeric() || letter == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
                let word = &rest[..end.unwrap_or(rest.len())];
                let capitals = word.chars().all(|c| c.is_ascii_uppercase());
                tokens.push(if capitals {
                    Token::Word(word.to_owned())
                } else {
                    Token::Name(word.to_owned())
                });
                word.len()
            }
            mark => {
                tokens.push(Token::Mark(mark));
                mark.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    Some(tokens)
}

/// What stands between quotes at the start of `text`, and how many bytes it takes.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            inner.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            inner.push(quote);
        } else {
            return Some((inner, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests;
