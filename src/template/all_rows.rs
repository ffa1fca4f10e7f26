//! The query without its window: all rows that it would give for any days, and those that no window reaches.

use super::definition::Template;
use super::lexer::{Token, TokenKind, lex};
use super::lint::comparison::{Comparison, closes, comparisons, opens};
use super::placeholders::{Bindings, Placeholder, bind};
use crate::error::Result;

/// Key words that end a WHERE clause.
const AFTER_WHERE: &str =
    " group having window order limit offset fetch for union except intersect ";

impl Template {
    /// The bound query with TRUE in place of each condition about the window. `None` when the conditions cannot be told apart
    /// from the rest of the query: only plain comparisons that WHERE joins by AND are.
    ///
    /// # Errors
    /// As [`Template::bind`].
    pub fn bind_all_rows(&self, bindings: &Bindings<'_>) -> Result<Option<String>> {
        all_rows(&self.query)
            .map(|query| bind(&query, bindings))
            .transpose()
    }
}

fn all_rows(query: &str) -> Option<String> {
    let tokens = lex(query);
    let code: Vec<Token<'_>> = tokens.into_iter().filter(Token::is_code).collect();
    let conditions = comparisons(&code);
    let removable =
        |c: &Comparison<'_, '_>| c.operator != "between" && is_conjunct(&code, c.from, c.to);
    if conditions.len() != count_bounds(&code) || !conditions.iter().all(removable) {
        return None;
    }
    let mut without = String::with_capacity(query.len());
    let mut copied = 0;
    for condition in conditions {
        let (first, last) = (code[condition.from], code[condition.to - 1]);
        // Two bounds in one comparison would be copied twice.
        without.push_str(query.get(copied..first.start)?);
        without.push_str("TRUE");
        copied = last.start + last.text.len();
    }
    without.push_str(&query[copied..]);
    Some(without)
}

/// How often the query names the window.
fn count_bounds(code: &[Token<'_>]) -> usize {
    code.iter()
        .filter(|token| token.kind == TokenKind::Placeholder)
        .filter(|token| {
            let placeholder = Placeholder::parse(token.text);
            matches!(
                placeholder,
                Some(Placeholder::From | Placeholder::To | Placeholder::Day)
            )
        })
        .count()
}

/// Whether the tokens are a condition that every row of a SELECT must meet: WHERE joins it by AND, maybe in parentheses.
fn is_conjunct(code: &[Token<'_>], mut from: usize, mut to: usize) -> bool {
    loop {
        let Some(left) = from.checked_sub(1) else {
            return false;
        };
        let before = &code[left];
        let begins = before.is_word("where") || before.is_word("and") || before.is("(");
        if !begins || !ends_condition(code.get(to)) {
            return false;
        }
        let (Some(start), Some(end)) = (left_end(code, from), right_end(code, to)) else {
            return false;
        };
        if code[start].is_word("where") {
            return true;
        }
        // The parentheses around it must be such a condition, too.
        (from, to) = (start, end + 1);
        if to > code.len() {
            return false;
        }
    }
}

fn ends_condition(token: Option<&Token<'_>>) -> bool {
    token.is_none_or(|t| t.is_word("and") || t.is(")") || t.is(";") || ends_where(t))
}

fn ends_where(token: &Token<'_>) -> bool {
    token.kind == TokenKind::Word
        && AFTER_WHERE.contains(&format!(" {} ", token.text.to_ascii_lowercase()))
}

/// Words that give the conditions around them another meaning than "all of these".
fn changes_meaning(token: &Token<'_>) -> bool {
    const OTHER: [&str; 9] = [
        "or", "case", "when", "then", "else", "on", "having", "select", "from",
    ];
    token.is(",") || OTHER.iter().any(|word| token.is_word(word))
}

/// The WHERE or the parenthesis that begins the conditions left of `from`.
fn left_end(code: &[Token<'_>], from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in (0..from).rev() {
        let token = &code[at];
        if closes(token) {
            depth += 1;
        } else if depth > 0 {
            depth -= usize::from(opens(token));
        } else if opens(token) || token.is_word("where") {
            return Some(at);
        } else if changes_meaning(token) {
            return None;
        }
    }
    None
}

/// The end of the conditions right of `to`: a parenthesis, the next clause, or the end of the query.
fn right_end(code: &[Token<'_>], to: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in code.iter().enumerate().skip(to) {
        if opens(token) {
            depth += 1;
        } else if depth > 0 {
            depth -= usize::from(closes(token));
        } else if closes(token) || ends_where(token) {
            return Some(at);
        } else if changes_meaning(token) {
            return None;
        }
    }
    Some(code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_about_the_window_becomes_true() {
        for (query, all) in [
            (
                "SELECT * FROM o WHERE o.ts >= {from} AND o.ts < {to}",
                "SELECT * FROM o WHERE TRUE AND TRUE",
            ),
            (
                "SELECT * FROM o WHERE a = 1 AND ({from} <= o.ts AND (o.ts < {to})) -- {to}\nORDER BY 1;",
                "SELECT * FROM o WHERE a = 1 AND (TRUE AND (TRUE)) -- {to}\nORDER BY 1;",
            ),
            (
                "SELECT * FROM o WHERE o.ts >= {from} - interval '1 day' AND (o.a OR o.b) AND o.ts < {to}",
                "SELECT * FROM o WHERE TRUE AND (o.a OR o.b) AND TRUE",
            ),
            (
                "WITH w AS (SELECT * FROM o WHERE ts >= {from} AND ts < {to}) SELECT * FROM w WHERE a IN (1, 2)",
                "WITH w AS (SELECT * FROM o WHERE TRUE AND TRUE) SELECT * FROM w WHERE a IN (1, 2)",
            ),
            (
                "SELECT 1 FROM a WHERE t >= {from} AND t < {to} UNION ALL SELECT 2 FROM b WHERE t >= {from} AND t < {to}",
                "SELECT 1 FROM a WHERE TRUE AND TRUE UNION ALL SELECT 2 FROM b WHERE TRUE AND TRUE",
            ),
            (
                "SELECT * FROM o WHERE ts::date = {day} AND who = {var:who}",
                "SELECT * FROM o WHERE TRUE AND who = {var:who}",
            ),
            ("SELECT 1 AS x", "SELECT 1 AS x"),
        ] {
            assert_eq!(all_rows(query).as_deref(), Some(all), "{query}");
        }
    }

    #[test]
    fn a_window_that_is_part_of_something_else_is_left_alone() {
        for query in [
            "SELECT * FROM o WHERE ts BETWEEN {from} AND {to}",
            "SELECT * FROM o WHERE NOT (ts >= {from} AND ts < {to})",
            "SELECT * FROM o WHERE NOT ts < {from} AND ts < {to}",
            "SELECT * FROM o WHERE a OR ts >= {from} AND ts < {to}",
            "SELECT * FROM o WHERE (ts >= {from} AND ts < {to}) IS NOT FALSE",
            "SELECT * FROM o WHERE tstzrange({from}, {to}) @> ts",
            "SELECT * FROM o WHERE coalesce(ts >= {from}, true) AND ts < {to}",
            "SELECT {day} AS day, count(*) FROM o WHERE ts::date = {day}",
            "SELECT * FROM days({from}, {to})",
            "SELECT CASE WHEN a AND ts >= {from} THEN 1 END FROM o WHERE ts >= {from} AND ts < {to}",
            "SELECT * FROM a LEFT JOIN o ON o.ts >= {from} AND o.ts < {to}",
            "SELECT a FROM o GROUP BY a HAVING max(ts) >= {from} AND max(ts) < {to}",
            "SELECT * FROM o WHERE (ts >= {from} AND ts < {to}",
        ] {
            assert_eq!(all_rows(query), None, "{query}");
        }
    }
}
