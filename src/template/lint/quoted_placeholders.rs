//! Placeholders in places where they are not replaced.

use crate::template::finding::Finding;
use crate::template::lexer::{Token, TokenKind, line_of};

/// Placeholders in literals and comments, where they are not replaced.
pub fn quoted_placeholders(source: &str, query_start: usize, tokens: &[Token<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for token in tokens {
        let (TokenKind::String | TokenKind::QuotedWord | TokenKind::Comment) = token.kind else {
            continue;
        };
        let Some((at, placeholder)) = first_placeholder(token.text) else {
            continue;
        };
        let line = line_of(source, query_start + token.start + at);
        findings.push(if token.kind == TokenKind::Comment {
            Finding::warning(
                line,
                format!("`{placeholder}}}` in a comment is not replaced"),
            )
        } else {
            let becomes = match placeholder {
                "{schema" => "an identifier",
                _ => "a literal",
            };
            Finding::error(
                line,
                format!("`{placeholder}}}` inside quotes is not replaced"),
            )
            .help(format!(
                "remove the quotes: a placeholder becomes {becomes} with its own quotes"
            ))
        });
    }
    findings
}

/// The first text that looks like a placeholder, without its closing brace, and its position.
fn first_placeholder(text: &str) -> Option<(usize, &str)> {
    let starts = ["{from}", "{to}", "{day}", "{tenant}", "{schema}", "{var:"];
    let at = starts.iter().filter_map(|p| text.find(p)).min()?;
    let (placeholder, _) = text[at..].split_once('}')?;
    Some((at, placeholder))
}
