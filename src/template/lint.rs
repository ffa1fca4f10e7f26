//! What a template file would be told in a review: wrong, slow, or not meant so.

use super::bind::Placeholder;
use super::comparison::{Comparison, comparisons};
use super::finding::Finding;
use super::lexer::{Token, TokenKind, lex, line_of};
use super::{Template, front_matter, mismatches};
use crate::schema::SourceColumn;
use crate::unit::TemplateName;

/// Looks at a template file without a server. Findings come by line; errors are those that
/// [`Template::parse`] fails with, and those with which no day could be loaded.
pub fn lint(name: &TemplateName, source: &str) -> Vec<Finding> {
    let mut findings = match Template::read(name.clone(), source) {
        Ok(_) => Vec::new(),
        Err(findings) => findings,
    };
    if let Ok((toml, query)) = front_matter::split(source) {
        let (front, _) = front_matter::read(source, toml);
        let tokens = lex(&source[query.clone()]);
        let review = Review::new(source, query.start, &tokens, &front.time_column);
        findings.extend(review.findings());
    }
    findings.sort_by_key(|f| (f.line, f.severity));
    findings
}

/// Looks at what the query returns at a tenant: columns by name, and types that could change a value on their way.
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
    /// What the time column is called in the query: by its own name, and by those it is an alias of.
    time_names: Vec<String>,
    /// How to say the time column in a hint.
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

    fn findings(&self) -> Vec<Finding> {
        let comparisons = comparisons(&self.code);
        let mut findings = Vec::new();
        findings.extend(self.hidden_placeholders());
        findings.extend(self.missing_placeholders());
        findings.extend(self.clocks());
        findings.extend(self.local_days());
        findings.extend(comparisons.iter().filter_map(|c| self.unindexed(c)));
        findings.extend(comparisons.iter().filter_map(|c| self.off_by_an_instant(c)));
        findings
    }

    fn line(&self, token: &Token<'_>) -> usize {
        line_of(self.source, self.query_start + token.start)
    }

    /// The text of neighbouring tokens as it stands in the file, on one line.
    fn text(&self, tokens: &[Token<'_>]) -> String {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return String::new();
        };
        let range = self.query_start + first.start..self.query_start + last.start + last.text.len();
        let words: Vec<&str> = self.source[range].split_whitespace().collect();
        words.join(" ")
    }

    fn bounds(&self) -> String {
        format!("`{0} >= {{from}} AND {0} < {{to}}`", self.time)
    }

    /// Placeholders in literals and comments, which are left as they are.
    fn hidden_placeholders(&self) -> Vec<Finding> {
        let hidden = |token: &Token<'_>| {
            ["{from}", "{to}", "{day}", "{tenant}", "{var:"]
                .into_iter()
                .filter_map(|p| Some((token.text.find(p)?, p)))
                .min()
        };
        let mut findings = Vec::new();
        for token in self.tokens {
            let (TokenKind::String | TokenKind::QuotedWord | TokenKind::Comment) = token.kind
            else {
                continue;
            };
            let Some((at, placeholder)) = hidden(token) else {
                continue;
            };
            let line = line_of(self.source, self.query_start + token.start + at);
            let placeholder = placeholder.trim_end_matches(':');
            findings.push(if token.kind == TokenKind::Comment {
                Finding::warning(
                    line,
                    format!("`{placeholder}` in a comment is not replaced"),
                )
            } else {
                Finding::error(
                    line,
                    format!("`{placeholder}` inside quotes is not replaced"),
                )
                .help("write it without quotes: it becomes a whole literal, quotes included")
            });
        }
        findings
    }

    fn missing_placeholders(&self) -> Option<Finding> {
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
        let help = format!("bound the rows with {}", self.bounds());
        match (from, to) {
            _ if day => None,
            (true, true) => None,
            (false, false) => Some(
                Finding::error(
                    self.line(first),
                    "the query has no {from}, {to} or {day}: it returns the same rows for every day",
                )
                .help(help),
            ),
            _ => {
                let missing = if from { "{to}" } else { "{from}" };
                let message = format!("the query has no {missing}: it returns rows outside the window");
                Some(Finding::error(self.line(first), message).help(help))
            }
        }
    }

    /// `now()` and its like: another time at each try.
    fn clocks(&self) -> Vec<Finding> {
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
                    "`{shown}` differs from try to try, and the day it names is not the day that is loaded"
                );
                findings.push(
                    Finding::warning(self.line(token), message)
                        .help(format!("let the window say the time: {}", self.bounds())),
                );
            }
        }
        findings
    }

    /// Dates and days that are UTC's only when the session's zone is.
    fn local_days(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, token) in self.code.iter().enumerate() {
            let (what, instead) = if token.is_word("date_trunc") && self.is_call(at) {
                let arguments = self.group(at + 1);
                if count_arguments(arguments) != 2 || says_zone(arguments) {
                    continue;
                }
                let inner = self.text(inside(arguments));
                (
                    self.text(&self.code[at..=at + arguments.len()]),
                    format!("`date_trunc({inner}, 'UTC')`"),
                )
            } else if let Some(operand) = self.cast_to_date(at)
                && self.names_time(operand)
                && !says_zone(operand)
            {
                (
                    format!("{}::date", self.text(operand)),
                    format!("`({} AT TIME ZONE 'UTC')::date`", self.text(operand)),
                )
            } else {
                continue;
            };
            let message =
                format!("`{what}` is a local day: which one depends on the session's time zone");
            findings.push(Finding::warning(self.line(token), message).help(format!(
                "filter with {}; to show the UTC day write {instead}",
                self.bounds()
            )));
        }
        findings
    }

    /// What is cast, when the token at `at` ends `x::date` or begins `CAST(x AS date)` or `date(x)`.
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

    /// A column inside a function or cast, compared with a bound: no plain index serves it.
    fn unindexed(&self, comparison: &Comparison<'_, 'a>) -> Option<Finding> {
        let operand = without_parentheses(comparison.operand);
        let plain = operand.iter().all(|t| t.name().is_some() || t.is("."));
        if plain {
            return None;
        }
        let column = self.column_in(operand)?;
        let message = format!(
            "`{}` in a comparison cannot use an index on `{column}`: the source reads the whole table for every window",
            self.text(operand)
        );
        Some(
            Finding::warning(self.line(operand.first()?), message).help(format!(
                "compare the column itself: `{column} >= {{from}} AND {column} < {{to}}`"
            )),
        )
    }

    /// The window is half open: `<= {to}` lets in midnight of the next day, `> {from}` loses its own.
    fn off_by_an_instant(&self, comparison: &Comparison<'_, 'a>) -> Option<Finding> {
        let operand = self.text(comparison.operand);
        let (why, right) = match (comparison.operator, comparison.placeholder) {
            _ if !comparison.alone && comparison.operator != "between" => return None,
            ("<=", Placeholder::To) => ("lets in midnight of the day after the window", "< {to}"),
            (">", Placeholder::From) => ("loses the rows of midnight", ">= {from}"),
            ("between", Placeholder::From) => (
                "lets in midnight of the day after the window",
                ">= {from} AND … < {to}",
            ),
            _ => return None,
        };
        let message = format!(
            "`{operand} {}` {why}: {{to}} is the first instant outside",
            comparison.operator.to_uppercase()
        );
        let finding = Finding::warning(self.line(comparison.operand.first()?), message);
        Some(finding.help(format!(
            "write `{operand} {}`",
            right.replace('…', &operand)
        )))
    }

    fn is_call(&self, at: usize) -> bool {
        self.code.get(at + 1).is_some_and(|t| t.is("("))
    }

    /// The parenthesised group that opens at `open`, with its parentheses.
    fn group(&self, open: usize) -> &[Token<'a>] {
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

    fn names_time(&self, tokens: &[Token<'_>]) -> bool {
        let names = tokens.iter().filter_map(Token::name);
        names
            .into_iter()
            .any(|name| self.time_names.contains(&name))
    }

    /// The time column as the tokens spell it, else the first thing in them that can be a column.
    fn column_in(&self, tokens: &[Token<'_>]) -> Option<String> {
        const NOT_COLUMNS: &str = " at time zone as interval date timestamp timestamptz cast extract day from and or not is null \
            distinct case when then else end in ";
        let is_column = |at: &usize| {
            let Some(name) = tokens[*at].name() else {
                return false;
            };
            let follows = |text| *at > 0 && tokens[*at - 1].is(text);
            let leads = |text| tokens.get(*at + 1).is_some_and(|t: &Token<'_>| t.is(text));
            let key_word =
                tokens[*at].kind == TokenKind::Word && NOT_COLUMNS.contains(&format!(" {name} "));
            !(follows("::") || leads("(") || leads(".") || key_word)
        };
        let candidates: Vec<usize> = (0..tokens.len()).filter(is_column).collect();
        let is_time = |at: &&usize| {
            tokens[**at]
                .name()
                .is_some_and(|n| self.time_names.contains(&n))
        };
        let at = *candidates.iter().find(is_time).or(candidates.first())?;
        let mut from = at;
        while from >= 2 && tokens[from - 1].is(".") {
            from -= 2;
        }
        Some(self.text(&tokens[from..=at]))
    }
}

/// The time column's name, and the columns that the query gives this name to (`l.created AS logged_time`).
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

fn inside<'q, 'a>(group: &'q [Token<'a>]) -> &'q [Token<'a>] {
    match group {
        [open, inner @ .., close] if open.is("(") && close.is(")") => inner,
        other => other,
    }
}

fn without_parentheses<'q, 'a>(mut tokens: &'q [Token<'a>]) -> &'q [Token<'a>] {
    loop {
        let inner = inside(tokens);
        // `(a) + (b)` begins and ends with parentheses, too.
        if inner.len() == tokens.len() || !is_balanced(inner) {
            return tokens;
        }
        tokens = inner;
    }
}

fn is_balanced(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0i32;
    for token in tokens {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn count_arguments(group: &[Token<'_>]) -> usize {
    let mut depth = 0i32;
    let mut commas = 0;
    for token in inside(group) {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        commas += usize::from(depth == 0 && token.is(","));
    }
    commas + 1
}

/// Whether a zone is named: `x AT TIME ZONE 'UTC'`.
fn says_zone(tokens: &[Token<'_>]) -> bool {
    tokens
        .windows(2)
        .any(|two| two[0].is_word("time") && two[1].is_word("zone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(query: &str) -> Vec<Finding> {
        let source =
            format!("/*\ntime_column = \"t\"\n[columns]\nt = \"timestamptz\"\n*/\n{query}");
        lint(&TemplateName::parse("x").unwrap(), &source)
    }

    /// The only finding.
    #[track_caller]
    fn finding(query: &str) -> Finding {
        let mut found = review(query);
        assert_eq!(found.len(), 1, "{query}: {found:#?}");
        found.remove(0)
    }

    #[test]
    fn the_shipped_templates_are_clean() {
        for (name, source) in [
            (
                "foodlogstats",
                include_str!("../../templates/foodlogstats.sql"),
            ),
            ("flights", include_str!("../../templates/flights.sql")),
        ] {
            assert_eq!(lint(&TemplateName::parse(name).unwrap(), source), []);
        }
    }

    #[test]
    fn a_filter_that_bounds_the_column_itself_is_clean() {
        for query in [
            "SELECT t FROM x WHERE t >= {from} AND t < {to}",
            "SELECT t FROM x WHERE {from} <= x.t AND {to} > (x.\"t\");",
            "SELECT d AS t FROM x WHERE d = {day}",
            "SELECT t FROM x WHERE (t, id) >= ({from}, 0) AND t < {to} + interval '0'",
            "SELECT t, (t AT TIME ZONE 'UTC')::date, date_trunc('day', t, 'UTC'), b::date, x.now \
             FROM x WHERE t >= {from} AND t < {to}",
            "SELECT t FROM x WHERE t >= date_trunc('hour', {from}, 'UTC') AND t < {to}",
        ] {
            assert_eq!(review(query), [], "{query}");
        }
    }

    #[test]
    fn a_query_without_bounds_is_an_error() {
        let none = finding("SELECT t\nFROM x");
        assert!(none.is_error() && none.line == 6, "{none:?}");
        assert!(none.message.contains("same rows for every day"));
        let half = finding("SELECT t FROM x WHERE t >= {from}");
        assert!(half.is_error() && half.message.contains("{to}"));
    }

    #[test]
    fn clocks_are_pointed_at() {
        let bounded =
            |list: &str| format!("SELECT t, {list}\nFROM x WHERE t >= {{from}} AND t < {{to}}");
        for clock in [
            "now()",
            "current_date",
            "LOCALTIMESTAMP",
            "CURRENT_TIMESTAMP",
            "pg_catalog.clock_timestamp()",
        ] {
            let f = finding(&bounded(clock));
            assert!(!f.is_error() && f.line == 6, "{f:?}");
            assert!(f.message.contains("differs from try to try"), "{f:?}");
        }
    }

    #[test]
    fn days_of_the_sessions_zone_are_pointed_at() {
        let bounded =
            |list: &str| format!("SELECT\n{list}\nFROM x WHERE c >= {{from}} AND c < {{to}}");
        for (list, shown) in [
            ("t::date", "`t::date`"),
            ("x.t::date", "`x.t::date`"),
            ("c AS t, (c)::date", "`(c)::date`"),
            ("CAST(t AS date)", "`t::date`"),
            ("date(t)", "`t::date`"),
            ("date_trunc('day', b)", "`date_trunc('day', b)`"),
        ] {
            let f = finding(&bounded(list));
            assert!(!f.is_error() && f.line == 7, "{list}: {f:?}");
            assert!(f.message.starts_with(shown), "{list}: {f:?}");
        }
    }

    #[test]
    fn a_wrapped_column_in_a_comparison_is_pointed_at() {
        for (filter, shown) in [
            (
                "c + interval '1 h' >= {from} AND c < {to}",
                "`c + interval '1 h'`",
            ),
            (
                "c >= {from} AND {to} > coalesce(x.c, y)",
                "`coalesce(x.c, y)`",
            ),
            (
                "(c AT TIME ZONE 'UTC')::date = {day}",
                "`(c AT TIME ZONE 'UTC')::date`",
            ),
            (
                "to_char(c, 'YYYY-MM-DD') = ({day})::text",
                "`to_char(c, 'YYYY-MM-DD')`",
            ),
        ] {
            let f = finding(&format!("SELECT c AS t FROM x\nWHERE {filter}"));
            assert!(!f.is_error() && f.line == 7, "{f:?}");
            assert!(f.message.starts_with(shown), "{f:?}");
            assert!(f.help.unwrap().contains("c >= {from}"), "{filter}");
        }
    }

    #[test]
    fn a_bound_that_takes_midnight_twice_is_pointed_at() {
        for (filter, word) in [
            ("t >= {from} AND t <= {to}", "write `t < {to}`"),
            ("{from} < t AND t < {to}", "write `t >= {from}`"),
            (
                "t BETWEEN {from} AND {to}",
                "write `t >= {from} AND t < {to}`",
            ),
        ] {
            let f = finding(&format!("SELECT t FROM x WHERE {filter}"));
            assert!(f.help.as_ref().is_some_and(|h| h == word), "{f:?}");
        }
    }

    #[test]
    fn a_placeholder_that_stays_as_it_is_is_pointed_at() {
        let f = finding("SELECT t FROM x WHERE t >= {from} AND t < {to}\nAND y > '{day}'");
        assert!(f.is_error() && f.line == 7, "{f:?}");
        let f = finding("SELECT t FROM x WHERE t >= {from} AND t < {to}\n/* or\n{day} */");
        assert!(!f.is_error() && f.line == 8, "{f:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_reviewed_all_the_same() {
        let source = "/*\ntime_column = \"t\"\nindexes = [\"u\"]\n[columns]\nt = \"timestamptz\"\nc = \"char(3)\"\n*/\n\
             SELECT t, now() FROM x; SELECT 2";
        let found = lint(&TemplateName::parse("x").unwrap(), source);
        let lines: Vec<_> = found.iter().map(|f| (f.line, f.is_error())).collect();
        assert_eq!(
            lines,
            [(3, true), (6, true), (8, true), (8, true), (8, false)]
        );
    }

    #[test]
    fn a_finding_is_shown_with_its_line() {
        let source = "/*\ntime_column = \"t\"\nindexes = [\"u\"]\n[columns]\nt = \"date\"\n*/\nSELECT t FROM x WHERE t = {day}";
        let found = lint(&TemplateName::parse("x").unwrap(), source);
        assert_eq!(
            found[0].render("templates/x.sql", source),
            "templates/x.sql:3: error: index on a column that does not exist: `u`\n     3 | indexes = [\"u\"]\n"
        );
    }
}
