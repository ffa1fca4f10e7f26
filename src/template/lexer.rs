//! PostgreSQL's lexical rules, as far as they are needed to tell code from literals and comments.
//!
//! Tokens cover the input without gaps: their texts, concatenated, are the input. The rules are those of section 4.1
//! of PostgreSQL's manual with `standard_conforming_strings` on: nested block comments, `E''`, `U&''`, `B''` and `X''`
//! strings, strings that continue after a line break, dollar quotes with tags, quoted identifiers.
//!
//! A `{…}` on one line is not SQL; it lexes as [`TokenKind::Placeholder`].

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Space,
    Comment,
    /// Any string literal, with its prefix and quotes.
    String,
    /// An identifier or key word, unquoted.
    Word,
    QuotedWord,
    Number,
    Placeholder,
    /// One or more operator characters, or `::`.
    Operator,
    /// One character: `( ) [ ] , ; . :`, or one that PostgreSQL would reject.
    Other,
    /// A literal, identifier or comment that is never closed.
    Unterminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: TokenKind,
    pub text: &'a str,
    /// Byte offset in the input.
    pub start: usize,
}

impl Token<'_> {
    /// Whether it is neither white space nor a comment.
    pub fn is_code(&self) -> bool {
        !matches!(self.kind, TokenKind::Space | TokenKind::Comment)
    }

    /// Whether it is the given key word, in any case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is the given operator or punctuation.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, TokenKind::Operator | TokenKind::Other) && self.text == text
    }

    /// An identifier's name: folded to lower case, or the text between its quotes.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            TokenKind::Word => Some(self.text.to_ascii_lowercase()),
            TokenKind::QuotedWord => {
                let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inside.replace("\"\"", "\""))
            }
            _ => None,
        }
    }
}

/// All tokens of `sql`, in order.
pub fn lex(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while start < sql.len() {
        let (kind, length) = next(&sql[start..]);
        let text = &sql[start..start + length];
        tokens.push(Token { kind, text, start });
        start += length;
    }
    tokens
}

/// The line of a byte offset, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.split(|&b| b == b'\n').count()
}

/// Kind and length of the first token of `rest`, which is not empty.
fn next(rest: &str) -> (TokenKind, usize) {
    let bytes = rest.as_bytes();
    let prefix = |p: &str| {
        rest.get(..p.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(p))
    };
    match bytes[0] {
        b if is_space(b) => (TokenKind::Space, count(bytes, is_space)),
        b'-' if prefix("--") => (TokenKind::Comment, line_comment(bytes)),
        b'/' if prefix("/*") => closed(TokenKind::Comment, block_comment(bytes), rest),
        b'\'' => closed(TokenKind::String, string(bytes, 0, false), rest),
        _ if prefix("e'") => closed(TokenKind::String, string(bytes, 1, true), rest),
        _ if prefix("b'") || prefix("x'") || prefix("n'") => {
            closed(TokenKind::String, string(bytes, 1, false), rest)
        }
        _ if prefix("u&'") => closed(TokenKind::String, string(bytes, 2, false), rest),
        _ if prefix("u&\"") => closed(TokenKind::QuotedWord, quoted(bytes, 2, b'"', false), rest),
        b'"' => closed(TokenKind::QuotedWord, quoted(bytes, 0, b'"', false), rest),
        b'$' => match dollar_tag(bytes) {
            Some(tag) => closed(TokenKind::String, dollar_string(rest, tag), rest),
            None => (
                TokenKind::Other,
                1 + count(&bytes[1..], |b| b.is_ascii_digit()),
            ),
        },
        b if is_word_start(b) => (TokenKind::Word, count(bytes, is_word)),
        b if b.is_ascii_digit() => (TokenKind::Number, number(bytes)),
        b'.' if bytes.get(1).is_some_and(u8::is_ascii_digit) => (TokenKind::Number, number(bytes)),
        b'{' => match rest.find(['}', '\n']) {
            Some(end) if bytes[end] == b'}' => (TokenKind::Placeholder, end + 1),
            _ => (TokenKind::Other, 1),
        },
        b':' if prefix("::") => (TokenKind::Operator, 2),
        b if is_operator(b) => (TokenKind::Operator, operator(rest)),
        _ => (TokenKind::Other, 1),
    }
}

/// The token, or all of the rest when it is never closed.
fn closed(kind: TokenKind, length: Option<usize>, rest: &str) -> (TokenKind, usize) {
    match length {
        Some(length) => (kind, length),
        None => (TokenKind::Unterminated, rest.len()),
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// PostgreSQL treats all bytes above ASCII as letters.
fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_word(b: u8) -> bool {
    is_word_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_operator(b: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&b)
}

fn count(bytes: &[u8], mut wanted: impl FnMut(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&b| wanted(b)).count()
}

fn line_comment(bytes: &[u8]) -> usize {
    count(bytes, |b| b != b'\n' && b != b'\r')
}

fn block_comment(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// The end, after the closing quote, of a quoted text whose opening quote is at `open`.
fn quoted(bytes: &[u8], open: usize, quote: u8, backslash: bool) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        if backslash && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return Some(at + 1);
        }
    }
    None
}

/// The end of a string literal and its continuations: after a line break, the next `'…'` belongs to the same literal and
/// keeps its escape rules.
fn string(bytes: &[u8], open: usize, backslash: bool) -> Option<usize> {
    let mut end = quoted(bytes, open, b'\'', backslash)?;
    while let Some(gap) = continuation(&bytes[end..]) {
        end = quoted(bytes, end + gap, b'\'', backslash)?;
    }
    Some(end)
}

/// Length of the white space and line comments, including a line break, before a `'`.
fn continuation(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += count(&bytes[at..], is_space);
        if !bytes[at..].starts_with(b"--") {
            break;
        }
        at += line_comment(&bytes[at..]);
    }
    let broken = bytes[..at].iter().any(|b| matches!(b, b'\n' | b'\r'));
    (broken && bytes.get(at) == Some(&b'\'')).then_some(at)
}

/// Length of the `$tag$` at the start of `bytes`.
fn dollar_tag(bytes: &[u8]) -> Option<usize> {
    let tag = count(&bytes[1..], |b| b != b'$' && is_word(b));
    let well_named = tag == 0 || is_word_start(bytes[1]);
    (well_named && bytes.get(tag + 1) == Some(&b'$')).then_some(tag + 2)
}

fn dollar_string(rest: &str, tag: usize) -> Option<usize> {
    let (open, body) = rest.split_at(tag);
    body.find(open).map(|end| end + 2 * tag)
}

fn number(bytes: &[u8]) -> usize {
    let digit = |b: u8| b.is_ascii_digit() || b == b'_';
    if bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) {
        return 2 + count(&bytes[2..], |b| b.is_ascii_hexdigit() || b == b'_');
    }
    let mut at = count(bytes, digit);
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1) != Some(&b'.') {
        at += 1 + count(&bytes[at + 1..], digit);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = count(&bytes[(at + 1 + sign).min(bytes.len())..], digit);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// Length of the operator characters before a comment.
fn operator(rest: &str) -> usize {
    let length = count(rest.as_bytes(), is_operator);
    let run = &rest[..length];
    let comment = [run.find("--"), run.find("/*")];
    comment.into_iter().flatten().min().unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(sql: &str) -> Vec<(TokenKind, &str)> {
        lex(sql)
            .into_iter()
            .filter(|t| t.kind != TokenKind::Space)
            .map(|t| (t.kind, t.text))
            .collect()
    }

    #[test]
    fn literals_and_comments_are_one_token_each() {
        use TokenKind::{Comment, QuotedWord, String};
        for (sql, kind) in [
            ("'it''s {from}'", String),
            ("E'a\\'b {from}'", String),
            ("U&'d\\0061t'", String),
            ("'a'\n  -- between\n 'b'", String),
            ("E'a'\n'\\' still'", String),
            ("$$ it's -- no comment $$", String),
            ("$tag$ $$ $other$ $tag$", String),
            ("\"a\"\"{to}\"", QuotedWord),
            ("U&\"d\\0061\"", QuotedWord),
            ("-- {from} ' \" $$", Comment),
            ("/* a /* nested ' */ b */", Comment),
        ] {
            assert_eq!(code(sql), [(kind, sql)]);
        }
    }

    #[test]
    fn an_unclosed_literal_is_unterminated() {
        for sql in ["'a", "E'a\\'", "\"a", "$t$ $$", "/* /* */"] {
            assert_eq!(code(sql), [(TokenKind::Unterminated, sql)]);
        }
    }

    #[test]
    fn adjacent_tokens_are_separated() {
        let texts = |sql| code(sql).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(texts("a::date<-1.5e3"), ["a", "::", "date", "<-", "1.5e3"]);
        assert_eq!(texts("a$b$c"), ["a$b$c"]);
        assert_eq!(texts("1-- one"), ["1", "-- one"]);
        assert_eq!(texts("a+/*x*/b"), ["a", "+", "/*x*/", "b"]);
        assert_eq!(texts("t.{x}.1 $1"), ["t", ".", "{x}", ".1", "$1"]);
        assert_eq!(texts("'a' 'b'"), ["'a'", "'b'"]);
        assert_eq!(texts("{ open"), ["{", "open"]);
    }

    proptest! {
        #[test]
        fn tokens_concatenated_are_the_input(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "'", "''", "\"", "$", "$$", "$a$", "--", "/*", "*/", "\n", " ", "E'", "U&'", "u&\"", "\\", "{from}",
                    "{", "}", "1", "0x", "1e", ".", "..", "::", "<", "a", "é", "select", ";", "(", "\u{0}",
                ]),
                0..24,
            )
        ) {
            let sql = parts.concat();
            let tokens = lex(&sql);
            prop_assert_eq!(tokens.iter().map(|t| t.text).collect::<String>(), sql.as_str());
            prop_assert!(tokens.iter().all(|t| !t.text.is_empty()));
        }

        #[test]
        fn any_text_lexes(sql in ".*") {
            prop_assert_eq!(lex(&sql).iter().map(|t| t.text).collect::<String>(), sql);
        }
    }
}
