//! Finds comparisons with a time placeholder, as far as the tokens alone show them.

use crate::template::lexer::{Token, TokenKind};
use crate::template::placeholders::Placeholder;

/// Key words that end a comparison.
const BOUNDARIES: &str = " where and or on not when then else end case having select from group order limit union except \
    intersect join left right full inner cross using filter as returning with ";

/// `operand op placeholder`, with the operator as if the operand were on the left.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'q, 'a> {
    pub operand: &'q [Token<'a>],
    /// `<`, `<=`, `>`, `>=`, `=`, `<>`, or `between`.
    pub operator: &'q str,
    pub placeholder: Placeholder<'a>,
    /// Whether the placeholder is the whole other side.
    pub alone: bool,
    /// All of its tokens: operand, operator and the other side.
    pub from: usize,
    pub to: usize,
}

/// The comparisons of `code` (no white space, no comments) with `{from}`, `{to}` or `{day}`.
pub fn comparisons<'q, 'a>(code: &'q [Token<'a>]) -> Vec<Comparison<'q, 'a>> {
    code.iter()
        .enumerate()
        .filter(|(_, token)| token.kind == TokenKind::Placeholder)
        .filter_map(|(at, token)| match Placeholder::parse(token.text)? {
            Placeholder::Tenant | Placeholder::Schema | Placeholder::Var(_) => None,
            placeholder => comparison(code, at, placeholder),
        })
        .collect()
}

/// Expands from the placeholder outwards, parenthesis by parenthesis, until a comparison operator is next to it.
fn comparison<'q, 'a>(
    code: &'q [Token<'a>],
    at: usize,
    placeholder: Placeholder<'a>,
) -> Option<Comparison<'q, 'a>> {
    let (mut from, mut to) = (at, at + 1);
    loop {
        let (outer_from, outer_to) = (reach_left(code, from), reach_right(code, to));
        if let Some(op) = operator_in(code, outer_from, from) {
            return Some(Comparison {
                operand: &code[outer_from..op],
                operator: spelling(code[op].text, false),
                placeholder,
                alone: op + 2 == outer_to,
                from: outer_from,
                to: outer_to,
            });
        }
        if let Some(op) = operator_in(code, to, outer_to) {
            return Some(Comparison {
                operand: &code[op + 1..outer_to],
                operator: spelling(code[op].text, true),
                placeholder,
                alone: outer_from + 1 == op,
                from: outer_from,
                to: outer_to,
            });
        }
        let enclosed = outer_from > 0
            && code[outer_from - 1].is("(")
            && code.get(outer_to).is_some_and(|t| t.is(")"));
        if !enclosed {
            return None;
        }
        (from, to) = (outer_from - 1, outer_to + 1);
    }
}

fn is_boundary(token: &Token<'_>) -> bool {
    let word = || format!(" {} ", token.text.to_ascii_lowercase());
    token.is(",") || token.is(";") || token.kind == TokenKind::Word && BOUNDARIES.contains(&word())
}

pub fn opens(token: &Token<'_>) -> bool {
    token.is("(") || token.is("[")
}

pub fn closes(token: &Token<'_>) -> bool {
    token.is(")") || token.is("]")
}

/// Start of the tokens left of `from` on the same parenthesis level.
fn reach_left(code: &[Token<'_>], mut from: usize) -> usize {
    let mut depth = 0usize;
    while from > 0 {
        let token = &code[from - 1];
        if closes(token) {
            depth += 1;
        } else if depth == 0 && (opens(token) || is_boundary(token)) {
            break;
        } else if opens(token) {
            depth -= 1;
        }
        from -= 1;
    }
    from
}

/// End of the tokens right of `to` on the same parenthesis level.
fn reach_right(code: &[Token<'_>], mut to: usize) -> usize {
    let mut depth = 0usize;
    while let Some(token) = code.get(to) {
        if opens(token) {
            depth += 1;
        } else if depth == 0 && (closes(token) || is_boundary(token)) {
            break;
        } else if closes(token) {
            depth -= 1;
        }
        to += 1;
    }
    to
}

fn operator_in(code: &[Token<'_>], from: usize, to: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in code.iter().enumerate().take(to).skip(from) {
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && !spelling(token.text, false).is_empty() {
            return Some(at);
        }
    }
    None
}

/// The operator, reversed when the operand is on its right; empty when it is not a comparison.
fn spelling(text: &str, reversed: bool) -> &'static str {
    match (text, reversed) {
        ("<", false) | (">", true) => "<",
        ("<=", false) | (">=", true) => "<=",
        (">", false) | ("<", true) => ">",
        (">=", false) | ("<=", true) => ">=",
        ("=", _) => "=",
        ("<>" | "!=", _) => "<>",
        (word, false) if word.eq_ignore_ascii_case("between") => "between",
        _ => "",
    }
}
