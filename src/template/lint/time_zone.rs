//! Times and days that depend on when the query runs, or on the session's time zone.

use super::Review;
use super::token_groups::{count_arguments, has_time_zone, inside};
use crate::template::finding::Finding;
use crate::template::lexer::Token;

impl<'a> Review<'a> {
    /// `now()` and similar functions: their result differs on every attempt.
    pub(super) fn clocks(&self) -> Vec<Finding> {
        const WORDS: [&str; 5] = [
            "current_date",
            "current_time",
            "current_timestamp",
            "localtime",
            "localtimestamp",
        ];
        const FUNCTIONS: [&str; 5] = [
            "now",
            "transaction_timestamp",
            "statement_timestamp",
            "clock_timestamp",
            "timeofday",
        ];
        let mut findings = Vec::new();
        for (at, token) in self.code.iter().enumerate() {
            let word = WORDS.iter().any(|w| token.is_word(w));
            let function = FUNCTIONS.iter().any(|w| token.is_word(w)) && self.is_call(at);
            if word || function {
                let shown = format!("{}{}", token.text, if function { "()" } else { "" });
                let message = format!(
                    "`{shown}` differs on every attempt, and is not the day that is loaded"
                );
                findings.push(
                    Finding::warning(self.line(token), message)
                        .help(format!("use the window's bounds: {}", self.bounds())),
                );
            }
        }
        findings
    }

    /// Dates and days that are in UTC only if the session's time zone is.
    pub(super) fn local_days(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, token) in self.code.iter().enumerate() {
            let (what, instead) = if token.is_word("date_trunc") && self.is_call(at) {
                let arguments = self.group(at + 1);
                if count_arguments(arguments) != 2 || has_time_zone(arguments) {
                    continue;
                }
                let inner = self.text(inside(arguments));
                (
                    self.text(&self.code[at..=at + arguments.len()]),
                    format!("`date_trunc({inner}, 'UTC')`"),
                )
            } else if let Some(operand) = self.cast_to_date(at)
                && self.names_time(operand)
                && !has_time_zone(operand)
            {
                (
                    format!("{}::date", self.text(operand)),
                    format!("`({} AT TIME ZONE 'UTC')::date`", self.text(operand)),
                )
            } else {
                continue;
            };
            let message = format!("`{what}` is a local day: it depends on the session's time zone");
            findings.push(Finding::warning(self.line(token), message).help(format!(
                "filter with {}; to show the UTC day write {instead}",
                self.bounds()
            )));
        }
        findings
    }

    /// The operand of a cast, if the token at `at` ends `x::date` or starts `CAST(x AS date)` or `date(x)`.
    fn cast_to_date(&self, at: usize) -> Option<&[Token<'a>]> {
        let code = &self.code;
        if code[at].is_word("date") && at >= 2 && code[at - 1].is("::") {
            let mut from = at - 2;
            if code[from].is(")") {
                let mut depth = 1usize;
                while depth > 0 && from > 0 {
                    from -= 1;
                    depth = if code[from].is(")") {
                        depth + 1
                    } else {
                        depth - usize::from(code[from].is("("))
                    };
                }
            }
            while from >= 2 && code[from - 1].is(".") {
                from -= 2;
            }
            return Some(&code[from..at - 1]);
        }
        let called =
            |name| code[at].is_word(name) && self.is_call(at) && !(at > 0 && code[at - 1].is("::"));
        if called("date") {
            return Some(inside(self.group(at + 1)));
        }
        if called("cast") {
            let inside = inside(self.group(at + 1));
            if let [operand @ .., as_word, ty] = inside
                && as_word.is_word("as")
                && ty.is_word("date")
            {
                return Some(operand);
            }
        }
        None
    }
}
