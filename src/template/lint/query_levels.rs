//! The SELECTs of a query, each with its own tokens, as far as parentheses and key words show them.

use crate::template::lexer::{Token, TokenKind};
use std::collections::BTreeSet;

/// One SELECT: the whole query, an arm of a UNION, a subquery or a common table expression.
pub struct Level<'a> {
    /// Its tokens without those of the subqueries in it; white space and comments are left out.
    pub own: Vec<Token<'a>>,
    /// It reads the rows of the window: the bounds stand in it or in what it reads.
    pub sees_window: bool,
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
