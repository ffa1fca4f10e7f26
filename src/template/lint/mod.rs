//! Reviews a template file: what is wrong, slow, or probably not intended.

pub(super) mod comparison;
mod pull_to_pull;
mod query_levels;
mod quoted_placeholders;
mod time_expression;
mod time_zone;
mod token_groups;
mod window_bounds;
mod window_dependence;

pub use quoted_placeholders::quoted_placeholders;

use super::definition::Template;
use super::finding::Finding;
use super::front_matter::{self, WindowLength};
use super::lexer::{Token, lex, line_of};
use super::mismatch::mismatches;
use crate::schema::SourceColumn;
use crate::unit::TemplateName;

/// Reviews a template file without a server. Findings are sorted by line. Errors are those that [`Template::parse`] fails
/// with, and those that make every load fail.
pub fn lint(name: &TemplateName, source: &str) -> Vec<Finding> {
    let mut findings = match Template::read(name.clone(), source) {
        Ok(_) => Vec::new(),
        Err(findings) => findings,
    };
    if let Ok((toml, query)) = front_matter::split(source) {
        let (front, _) = front_matter::read(source, toml);
        let tokens = lex(&source[query.clone()]);
        let review = Review::new(source, query.start, &tokens, &front.time_column);
        findings.extend(review.findings(front.windows == WindowLength::ByBytes));
    }
    findings.sort_by_key(|f| (f.line, f.severity));
    findings
}

/// Reviews the columns that the query returns at a tenant: their names, and types whose conversion could change a value.
pub fn lint_columns(template: &Template, source: &[SourceColumn]) -> Vec<Finding> {
    let query_line = template.query_line();
    mismatches(template, source)
        .into_iter()
        .map(|mismatch| {
            let declared = template
                .columns
                .iter()
                .position(|c| c.name == mismatch.column());
            let line = declared.and_then(|at| template.lines.columns.get(at));
            Finding::error(*line.unwrap_or(&query_line), mismatch.to_string()).help(mismatch.help())
        })
        .collect()
}

/// A query under review.
struct Review<'a> {
    source: &'a str,
    query_start: usize,
    tokens: &'a [Token<'a>],
    /// Without white space and comments.
    code: Vec<Token<'a>>,
    /// The time column's names in the query: its own, and those it is an alias of.
    time_names: Vec<String>,
    /// The time column's name in hints.
    time: &'a str,
}

impl<'a> Review<'a> {
    fn new(
        source: &'a str,
        query_start: usize,
        tokens: &'a [Token<'a>],
        time: &'a str,
    ) -> Review<'a> {
        let code: Vec<Token<'a>> = tokens.iter().copied().filter(Token::is_code).collect();
        Review {
            source,
            query_start,
            tokens,
            time_names: time_names(&code, time),
            code,
            time: if time.is_empty() { "time" } else { time },
        }
    }

    /// `several_days`: windows may be longer than a day, and nobody vouches that this changes no row.
    fn findings(&self, several_days: bool) -> Vec<Finding> {
        let comparisons = comparison::comparisons(&self.code);
        let mut findings = Vec::new();
        findings.extend(quoted_placeholders(
            self.source,
            self.query_start,
            self.tokens,
        ));
        findings.extend(self.missing_placeholders());
        findings.extend(self.clocks());
        findings.extend(self.local_days());
        findings.extend(self.differs_from_pull_to_pull());
        if several_days && !self.code.iter().any(|t| t.text == "{day}") {
            findings.extend(self.window_dependence(&comparisons));
        }
        findings.extend(comparisons.iter().filter_map(|c| self.unindexed(c)));
        findings.extend(comparisons.iter().filter_map(|c| self.off_by_an_instant(c)));
        findings
    }

    fn line(&self, token: &Token<'_>) -> usize {
        line_of(self.source, self.query_start + token.start)
    }

    /// The text of adjacent tokens as written in the file, on one line.
    fn text(&self, tokens: &[Token<'_>]) -> String {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return String::new();
        };
        let range = self.query_start + first.start..self.query_start + last.start + last.text.len();
        let words: Vec<&str> = self.source[range].split_whitespace().collect();
        words.join(" ")
    }
}

/// The time column's name, and the columns that the query renames to it (`l.created AS logged_time`).
fn time_names(code: &[Token<'_>], time: &str) -> Vec<String> {
    let mut names = vec![time.to_owned()];
    for three in code.windows(3) {
        let alias = three[1].is_word("as") && three[2].name().as_deref() == Some(time);
        if let (true, Some(name)) = (alias, three[0].name()) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
