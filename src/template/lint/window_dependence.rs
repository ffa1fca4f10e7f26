//! Rows of a day that depend on the days that are fetched with it: rows of several days are grouped, numbered or limited
//! together. Only what PostgreSQL's grammar shows is known here; the first load compares real rows.

use super::Review;
use super::query_levels::{Level, closing, levels, split, until_next_clause};
use crate::template::finding::Finding;
use crate::template::lexer::{Token, TokenKind};
use crate::template::lint::comparison::Comparison;

/// PostgreSQL's aggregates, each between spaces.
const AGGREGATES: &str = " any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp \
    cume_dist every json_agg json_object_agg json_objectagg json_arrayagg jsonb_agg jsonb_object_agg max min mode \
    percentile_cont percentile_disc range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 \
    regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg ";

impl<'a> Review<'a> {
    /// What makes the rows of a day depend on its window, in the SELECTs that see several days.
    pub(super) fn window_dependence(&self, comparisons: &[Comparison<'_, 'a>]) -> Vec<Finding> {
        let bounded = comparisons.iter().flat_map(|c| c.operand);
        let mut times = self.time_names.clone();
        times.extend(bounded.filter_map(Token::name));
        let mut findings = Vec::new();
        for level in levels(&self.code).iter().filter(|l| l.sees_window) {
            let days = DaysOf {
                level,
                times: &times,
            };
            let found = [
                days.limit(),
                days.distinct_on(),
                days.window_function(),
                days.grouping(),
            ];
            let found = found.into_iter().flatten();
            findings.extend(found.map(|(token, what)| self.depends(&token, &what)));
        }
        findings
    }

    fn depends(&self, token: &Token<'_>, what: &str) -> Finding {
        let message = format!(
            "{what} rows of different days together: a day's rows depend on the days that are fetched with it"
        );
        Finding::warning(self.line(token), message).help(
            "write `windows = \"day\"` in the template's comment, or use {day}, or make the day a key; if every window gives \
             each day the same rows, write `windows = \"any\"`",
        )
    }
}

/// Whether a SELECT keeps the rows of different days apart.
struct DaysOf<'l, 'a> {
    level: &'l Level<'a>,
    times: &'l [String],
}

impl<'a> DaysOf<'_, 'a> {
    fn own(&self) -> &[Token<'a>] {
        &self.level.own
    }

    fn has_time(&self, tokens: &[Token<'_>]) -> bool {
        let mut names = tokens.iter().filter_map(Token::name);
        names.any(|name| self.times.contains(&name))
    }

    fn limit(&self) -> Option<(Token<'a>, String)> {
        let own = self.own();
        own.iter().enumerate().find_map(|(at, token)| {
            let next = own.get(at + 1)?;
            let limits = token.is_word("limit") && !next.is_word("all")
                || token.is_word("offset")
                || token.is_word("fetch") && (next.is_word("first") || next.is_word("next"));
            let what = || format!("`{}` counts", token.text.to_ascii_uppercase());
            limits.then(|| (*token, what()))
        })
    }

    fn distinct_on(&self) -> Option<(Token<'a>, String)> {
        let own = self.own();
        let at = own
            .windows(3)
            .position(|w| w[0].is_word("distinct") && w[1].is_word("on") && w[2].is("("))?;
        let keys = &own[at + 3..closing(own, at + 2)];
        (!self.is_by_day(keys)).then(|| (own[at], "`DISTINCT ON` compares".to_owned()))
    }

    fn window_function(&self) -> Option<(Token<'a>, String)> {
        let own = self.own();
        own.iter().enumerate().find_map(|(at, token)| {
            if !token.is_word("over") || at == 0 || !own[at - 1].is(")") {
                return None;
            }
            let window = window_of(own, at + 1)?;
            let by = window
                .windows(2)
                .position(|w| w[0].is_word("partition") && w[1].is_word("by"));
            let keys = by.map_or(&[][..], |by| until_next_clause(&window[by + 2..]));
            let what = || "a window function (`OVER`) sees".to_owned();
            (!self.is_by_day(keys)).then(|| (*token, what()))
        })
    }

    /// A grouping keeps days apart when the time is one of its keys, or selected outside of aggregates: PostgreSQL allows that
    /// only where the keys determine it.
    fn grouping(&self) -> Option<(Token<'a>, String)> {
        let own = self.own();
        let by = own
            .windows(2)
            .position(|w| w[0].is_word("group") && w[1].is_word("by"));
        let selects_time = self
            .level
            .select_list()
            .iter()
            .any(|item| self.has_time(&without_aggregates(without_alias(item))));
        if let Some(by) = by {
            let keys = until_next_clause(&own[by + 2..]);
            let by_day = selects_time || self.is_by_day(keys);
            return (!by_day).then(|| (own[by], "`GROUP BY` combines".to_owned()));
        }
        let at = (0..own.len()).find(|at| is_aggregate(own, *at))?;
        Some((own[at], format!("`{}` combines", own[at].text)))
    }

    /// Whether one of the keys is the time, written out, by its place in the select list, or by its alias.
    fn is_by_day(&self, keys: &[Token<'_>]) -> bool {
        let items = self.level.select_list();
        split(keys).iter().any(|key| match key {
            [place] if place.kind == TokenKind::Number => {
                let item = place.text.parse::<usize>().ok();
                let item = item.and_then(|n| items.get(n.checked_sub(1)?).copied());
                item.is_some_and(|item| self.has_time(without_alias(item)))
            }
            [alias] => {
                let alias_of = |item: &&&[Token<'_>]| {
                    item.len() > 1 && item.last().and_then(Token::name) == alias.name()
                };
                let item = items.iter().find(alias_of);
                self.has_time(key) || item.is_some_and(|item| self.has_time(without_alias(item)))
            }
            key => self.has_time(key),
        })
    }
}

/// The definition of a window: in parentheses at `at`, or named there and defined by WINDOW.
fn window_of<'q, 'a>(own: &'q [Token<'a>], at: usize) -> Option<&'q [Token<'a>]> {
    if own.get(at)?.is("(") {
        return Some(&own[at + 1..closing(own, at)]);
    }
    let name = own[at].name()?;
    let defined = own.windows(3).position(|w| {
        w[0].name().as_deref() == Some(&name) && w[1].is_word("as") && w[2].is("(")
    })?;
    Some(&own[defined + 3..closing(own, defined + 2)])
}

pub(super) fn is_aggregate(own: &[Token<'_>], at: usize) -> bool {
    let called = own.get(at + 1).is_some_and(|t| t.is("("));
    let name = || format!(" {} ", own[at].text.to_ascii_lowercase());
    if !called || own[at].kind != TokenKind::Word || !AGGREGATES.contains(&name()) {
        return false;
    }
    // With OVER it is a window function.
    let mut next = closing(own, at + 1) + 1;
    if own.get(next).is_some_and(|t| t.is_word("filter")) {
        next = closing(own, next + 1) + 1;
    }
    !own.get(next).is_some_and(|t| t.is_word("over"))
}

/// The tokens that are not arguments of aggregates.
fn without_aggregates<'a>(item: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut rest = Vec::new();
    let mut at = 0;
    while at < item.len() {
        if is_aggregate(item, at) {
            at = closing(item, at + 1) + 1;
        } else {
            rest.push(item[at]);
            at += 1;
        }
    }
    rest
}

/// The expression of `expression [AS] alias`.
fn without_alias<'q, 'a>(item: &'q [Token<'a>]) -> &'q [Token<'a>] {
    match item {
        [expression @ .., word, _alias] if word.is_word("as") => expression,
        [expression @ .., alias] if alias.name().is_some() => match expression.last() {
            Some(last) if last.is(")") => expression,
            _ => item,
        },
        _ => item,
    }
}
