//! Whether the query returns exactly the window's rows, and whether an index can be used.

use super::Review;
use super::comparison::Comparison;
use super::time_expression::{columns_in, half_open};
use super::token_groups::without_parentheses;
use crate::template::finding::Finding;
use crate::template::lexer::{Token, TokenKind};
use crate::template::placeholders::Placeholder;

impl<'a> Review<'a> {
    pub(super) fn missing_placeholders(&self) -> Option<Finding> {
        let used = |wanted: Placeholder<'_>| {
            let placeholders = self
                .code
                .iter()
                .filter(|t| t.kind == TokenKind::Placeholder);
            placeholders
                .filter_map(|t| Placeholder::parse(t.text))
                .any(|p| p == wanted)
        };
        let (from, to, day) = (
            used(Placeholder::From),
            used(Placeholder::To),
            used(Placeholder::Day),
        );
        let first = self.code.first()?;
        let help = format!("filter the rows with {}", self.bounds());
        match (from, to) {
            _ if day => None,
            (true, true) => None,
            (false, false) => Some(
                Finding::error(
                    self.line(first),
                    "the query does not use {from}, {to} or {day}: it returns the same rows for every day",
                )
                .help(help),
            ),
            _ => {
                let missing = if from { "{to}" } else { "{from}" };
                let message = format!("the query does not use {missing}: it returns rows outside the window");
                Some(Finding::error(self.line(first), message).help(help))
            }
        }
    }

    /// A column inside a function or cast that is compared with a bound: no plain index can be used.
    pub(super) fn unindexed(&self, comparison: &Comparison<'_, 'a>) -> Option<Finding> {
        let operand = without_parentheses(comparison.operand);
        let plain = operand.iter().all(|t| t.name().is_some() || t.is("."));
        if plain {
            return None;
        }
        let named = self.column_in(operand)?;
        let column = self.text(named);
        let message = format!(
            "`{}` in a comparison cannot use an index on `{column}`: the source scans the whole table for every window",
            self.text(operand)
        );
        Some(
            Finding::warning(self.line(operand.first()?), message).help(format!(
                "compare the column itself: {}",
                self.condition_on(named, half_open)
            )),
        )
    }

    /// The window is half open: `<= {to}` includes midnight of the next day, `> {from}` excludes midnight of the first.
    pub(super) fn off_by_an_instant(&self, comparison: &Comparison<'_, 'a>) -> Option<Finding> {
        let operand = self.text(comparison.operand);
        let (why, right) = match (comparison.operator, comparison.placeholder) {
            _ if !comparison.alone && comparison.operator != "between" => return None,
            ("<=", Placeholder::To) => ("includes midnight of the day after the window", "< {to}"),
            (">", Placeholder::From) => ("excludes the rows at midnight", ">= {from}"),
            ("between", Placeholder::From) => (
                "includes midnight of the day after the window",
                ">= {from} AND … < {to}",
            ),
            _ => return None,
        };
        let message = format!(
            "`{operand} {}` {why}: {{to}} is exclusive",
            comparison.operator.to_uppercase()
        );
        let finding = Finding::warning(self.line(comparison.operand.first()?), message);
        let write = |column: &str| format!("{column} {}", right.replace('…', column));
        Some(finding.help(format!(
            "write {}",
            self.condition_on(comparison.operand, write)
        )))
    }

    /// The time column as written in the tokens, otherwise the first token that can be a column.
    fn column_in<'q>(&self, tokens: &'q [Token<'a>]) -> Option<&'q [Token<'a>]> {
        let columns = columns_in(tokens);
        let is_time = |column: &&&[Token<'_>]| self.names_time(&column[column.len() - 1..]);
        columns.iter().find(is_time).or(columns.first()).copied()
    }
}
