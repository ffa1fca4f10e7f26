//! Placeholders in places where they are not replaced.

use crate::template::finding::Finding;
use crate::template::lexer::{Token, TokenKind, line_of};
use crate::template::meant;

/// Placeholders in literals and comments, where they are not replaced.
pub fn quoted_placeholders(source: &str, query_start: usize, tokens: &[Token<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for token in tokens {
        let (TokenKind::String | TokenKind::QuotedWord | TokenKind::Comment) = token.kind else {
            continue;
        };
        let Some((at, placeholder)) = first_placeholder(token.text) else {
            findings.extend(foreign(source, query_start, token));
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

/// A warning for a string that is nothing but another program's placeholder, as in `'{START_DATE}'`.
fn foreign(source: &str, query_start: usize, token: &Token<'_>) -> Option<Finding> {
    let text = token.text.strip_prefix('\'')?.strip_suffix('\'')?;
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    // `'{day}'` is found as one of ours, and `'{a,b}'` is an array.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let instead = meant::by_words(name).filter(|_| name.chars().all(plain))?;
    let line = line_of(source, query_start + token.start);
    Some(
        Finding::warning(
            line,
            format!("`{{{name}}}` is not a placeholder, and is not replaced"),
        )
        .help(format!("{instead}, without quotes")),
    )
}

/// The first text that looks like a placeholder, without its closing brace, and its position.
fn first_placeholder(text: &str) -> Option<(usize, &str)> {
    let starts = ["{from}", "{to}", "{day}", "{tenant}", "{schema}", "{var:"];
    let at = starts.iter().filter_map(|p| text.find(p)).min()?;
    let (placeholder, _) = text[at..].split_once('}')?;
    Some((at, placeholder))
}
