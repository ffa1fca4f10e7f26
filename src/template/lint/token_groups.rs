//! Calls, parenthesized groups and arguments among tokens.

use super::Review;
use crate::template::lexer::Token;

impl<'a> Review<'a> {
    pub(super) fn is_call(&self, at: usize) -> bool {
        self.code.get(at + 1).is_some_and(|t| t.is("("))
    }

    /// The group that opens at `open`, including its parentheses.
    pub(super) fn group(&self, open: usize) -> &[Token<'a>] {
        let mut depth = 0usize;
        for (at, token) in self.code.iter().enumerate().skip(open) {
            if token.is("(") {
                depth += 1;
            } else if token.is(")") {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return &self.code[open..=at];
                }
            }
        }
        &self.code[open..]
    }

    pub(super) fn names_time(&self, tokens: &[Token<'_>]) -> bool {
        let names = tokens.iter().filter_map(Token::name);
        names
            .into_iter()
            .any(|name| self.time_names.contains(&name))
    }
}

pub(super) fn inside<'q, 'a>(group: &'q [Token<'a>]) -> &'q [Token<'a>] {
    match group {
        [open, inner @ .., close] if open.is("(") && close.is(")") => inner,
        other => other,
    }
}

pub(super) fn without_parentheses<'q, 'a>(mut tokens: &'q [Token<'a>]) -> &'q [Token<'a>] {
    loop {
        let inner = inside(tokens);
        // `(a) + (b)` also starts and ends with parentheses.
        if inner.len() == tokens.len() || !is_balanced(inner) {
            return tokens;
        }
        tokens = inner;
    }
}

pub(super) fn is_balanced(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0i32;
    for token in tokens {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

pub(super) fn count_arguments(group: &[Token<'_>]) -> usize {
    let mut depth = 0i32;
    let mut commas = 0;
    for token in inside(group) {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        commas += usize::from(depth == 0 && token.is(","));
    }
    commas + 1
}

/// Whether a time zone is given: `x AT TIME ZONE 'UTC'`.
pub(super) fn has_time_zone(tokens: &[Token<'_>]) -> bool {
    tokens
        .windows(2)
        .any(|two| two[0].is_word("time") && two[1].is_word("zone"))
}
