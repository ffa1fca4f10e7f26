//! The SELECTs of a query, each with its own tokens, as far as parentheses and key words show them.

use crate::template::lexer::{Token, TokenKind};
use std::collections::BTreeSet;

/// Key words that end a list of keys.
const AFTER_KEYS: &str =
    " having window order limit offset fetch for rows range groups where from ";

/// One SELECT: the whole query, an arm of a UNION, a subquery or a common table expression.
pub struct Level<'a> {
    /// Its tokens without those of the subqueries in it; white space and comments are left out.
    pub own: Vec<Token<'a>>,
    /// It reads the rows of the window: the bounds stand in it or in what it reads.
    pub sees_window: bool,
    /// Its columns are those of the whole query.
    pub outermost: bool,
}

impl<'a> Level<'a> {
    /// The expressions after SELECT.
    pub fn select_list(&self) -> Vec<&[Token<'a>]> {
        let own = &self.own;
        let Some(at) = own.iter().position(|t| t.is_word("select")) else {
            return Vec::new();
        };
        let mut from = at + 1;
        if own.get(from).is_some_and(|t| t.is_word("distinct")) {
            from += 1;
            if own.get(from).is_some_and(|t| t.is_word("on")) {
                from = (closing(own, from + 1) + 1).min(own.len());
            }
        }
        split(until_next_clause(&own[from..]))
    }
}

/// All levels of `code`, the outermost first.
pub fn levels<'a>(code: &[Token<'a>]) -> Vec<Level<'a>> {
    let bounded = names_with_bounds(code);
    let mut found = Vec::new();
    collect(code, &bounded, true, &mut found);
    found
}

fn collect<'a>(
    code: &[Token<'a>],
    bounded: &BTreeSet<String>,
    outermost: bool,
    found: &mut Vec<Level<'a>>,
) {
    let mut own = Vec::new();
    let mut inner = Vec::new();
    let mut at = 0;
    while at < code.len() {
        own.push(code[at]);
        if code[at].is("(") {
            let end = closing(code, at);
            let inside = &code[at + 1..end];
            if is_query(inside) {
                inner.push(inside);
                at = end;
                continue;
            }
        }
        at += 1;
    }
    let sees_window = outermost || has_bounds(code, bounded);
    for arm in arms(&own) {
        found.push(Level {
            own: arm.to_vec(),
            sees_window,
            outermost,
        });
    }
    for inside in inner {
        collect(inside, bounded, false, found);
    }
}

fn is_query(tokens: &[Token<'_>]) -> bool {
    let first = tokens.iter().find(|t| !t.is("("));
    first.is_some_and(|t| t.is_word("select") || t.is_word("with"))
}

/// The arms of a UNION, INTERSECT or EXCEPT.
fn arms<'q, 'a>(own: &'q [Token<'a>]) -> impl Iterator<Item = &'q [Token<'a>]> {
    let words = ["union", "intersect", "except"];
    own.split(move |t| words.iter().any(|word| t.is_word(word)))
}

/// Position of the parenthesis that closes the one at `open`; the end when none does.
pub fn closing(code: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in code.iter().enumerate().skip(open) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        }
    }
    code.len()
}

fn has_bounds(code: &[Token<'_>], bounded: &BTreeSet<String>) -> bool {
    code.iter().any(|token| match token.kind {
        TokenKind::Placeholder => matches!(token.text, "{from}" | "{to}"),
        _ => token.name().is_some_and(|name| bounded.contains(&name)),
    })
}

/// Names of the common table expressions that read the window's rows, directly or through others.
fn names_with_bounds(code: &[Token<'_>]) -> BTreeSet<String> {
    let mut bounded = BTreeSet::new();
    loop {
        let before = bounded.len();
        for at in 0..code.len() {
            let Some(open) = expression_after(code, at) else {
                continue;
            };
            let inside = &code[open + 1..closing(code, open)];
            if is_query(inside)
                && has_bounds(inside, &bounded)
                && let Some(name) = code[at].name()
            {
                bounded.insert(name);
            }
        }
        if bounded.len() == before {
            return bounded;
        }
    }
}

/// The parenthesis of `name [(columns)] AS [[NOT] MATERIALIZED] (`, when the name is at `at`.
fn expression_after(code: &[Token<'_>], at: usize) -> Option<usize> {
    code[at].name()?;
    let mut next = at + 1;
    if code.get(next)?.is("(") {
        next = closing(code, next) + 1;
    }
    if !code.get(next)?.is_word("as") {
        return None;
    }
    next += 1;
    while code.get(next)?.is_word("not") || code.get(next)?.is_word("materialized") {
        next += 1;
    }
    code.get(next)?.is("(").then_some(next)
}

/// Up to the key word that begins the next clause on the same level.
pub fn until_next_clause<'q, 'a>(tokens: &'q [Token<'a>]) -> &'q [Token<'a>] {
    let mut depth = 0usize;
    let end = tokens.iter().position(|token| {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth = depth.saturating_sub(1);
        }
        let word = || format!(" {} ", token.text.to_ascii_lowercase());
        depth == 0 && token.kind == TokenKind::Word && AFTER_KEYS.contains(&word())
    });
    &tokens[..end.unwrap_or(tokens.len())]
}

/// The parts between commas on the same level.
pub fn split<'q, 'a>(tokens: &'q [Token<'a>]) -> Vec<&'q [Token<'a>]> {
    let mut depth = 0i32;
    let parts = tokens.split(|token| {
        depth += i32::from(token.is("(") || token.is("["));
        depth -= i32::from(token.is(")") || token.is("]"));
        depth == 0 && token.is(",")
    });
    parts.collect()
}
