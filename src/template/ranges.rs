//! Whether a day may be read in parts: then each part's rows must be just those of the day whose time is in it.
//!
//! A query that groups, numbers or limits its rows gives others for a part of a day, and no comparison of one day proves
//! that it does not do so on the next. So only a query whose text proves it is cut: one SELECT without any of these, in
//! whose WHERE the time column itself is compared with `{from}` and `{to}`, and nothing else is.

use super::lexer::{Token, TokenKind, lex};
use super::placeholders::Placeholder;
use crate::sql::instant;
use crate::unit::TimeRange;

/// Key words by which rows depend on each other, or after which a WHERE is not what it looks like.
const REFUSED: &str = " group having distinct limit offset fetch over window union intersect except for into or case ";

/// Whether the rows of a part of a day are those of the day whose `time` column is in it.
pub fn can_be_cut(query: &str, time: &str) -> bool {
    let tokens = lex(query);
    let code: Vec<Token<'_>> = tokens.into_iter().filter(Token::is_code).collect();
    let bounds = code
        .iter()
        .filter_map(|token| match token.kind {
            TokenKind::Placeholder => Placeholder::parse(token.text),
            _ => None,
        })
        .filter(|placeholder| {
            use Placeholder::{Day, From, To};
            matches!(placeholder, From | To | Day)
        });
    let outer = outermost(&code);
    let Some((select_list, conditions)) = parts(&outer) else {
        return false;
    };
    let compared = |bound| {
        let column = |condition: &&[Token<'_>]| compared_column(condition, bound);
        conditions.iter().find_map(column)
    };
    match (compared(Placeholder::From), compared(Placeholder::To)) {
        (Some(from), Some(to)) => {
            bounds.count() == 2 && from == to && selects(&select_list, &from, time)
        }
        _ => false,
    }
}

/// The query for a part of a day: its bounds in place of `{from}` and `{to}`.
pub fn with_bounds(query: &str, range: TimeRange) -> String {
    let tokens = lex(query).into_iter().map(|token| {
        let placeholder = match token.kind {
            TokenKind::Placeholder => Placeholder::parse(token.text),
            _ => None,
        };
        match placeholder {
            Some(Placeholder::From) => instant(range.from),
            Some(Placeholder::To) => instant(range.to),
            _ => token.text.to_owned(),
        }
    });
    tokens.collect()
}

/// The tokens outside of parentheses and brackets, with these; without a semicolon at the end.
fn outermost<'a>(code: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut depth = 0usize;
    let mut outer = Vec::new();
    for token in code {
        if token.is(")") || token.is("]") {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 && !token.is(";") {
            outer.push(*token);
        }
        if token.is("(") || token.is("[") {
            depth += 1;
        }
    }
    outer
}

type Tokens<'q, 'a> = &'q [Token<'a>];

/// The items between SELECT and FROM, and the conditions after WHERE that all have to be met; `None` for a query of another
/// form.
fn parts<'q, 'a>(outer: Tokens<'q, 'a>) -> Option<(Vec<Tokens<'q, 'a>>, Vec<Tokens<'q, 'a>>)> {
    let refused = |token: &Token<'_>| {
        let word = || format!(" {} ", token.text.to_ascii_lowercase());
        token.kind == TokenKind::Word && REFUSED.contains(&word())
    };
    let (select, rest) = outer.split_first()?;
    if !select.is_word("select") || rest.iter().any(refused) {
        return None;
    }
    let from = rest.iter().position(|token| token.is_word("from"))?;
    let filter = rest.iter().position(|token| token.is_word("where"))?;
    let end = rest.iter().position(|token| token.is_word("order"));
    let conditions = rest.get(filter + 1..end.unwrap_or(rest.len()))?;
    let conditions = conditions.split(|token| token.is_word("and")).collect();
    let select_list = rest[..from].split(|token| token.is(",")).collect();
    Some((select_list, conditions))
}

/// The column of `column >= {from}` or `column < {to}`, in either direction, if that is the whole condition.
fn compared_column(condition: Tokens<'_, '_>, bound: Placeholder<'_>) -> Option<Vec<String>> {
    let is_bound = |token: &Token<'_>| {
        token.kind == TokenKind::Placeholder && Placeholder::parse(token.text) == Some(bound)
    };
    let (after, before) = match bound {
        Placeholder::From => (">=", "<="),
        _ => ("<", ">"),
    };
    match condition {
        [left @ .., op, right] if op.is(after) && is_bound(right) => column(left),
        [left, op, right @ ..] if op.is(before) && is_bound(left) => column(right),
        _ => None,
    }
}

/// The names of `at`, `e.at` or `public.event.at`.
fn column(tokens: Tokens<'_, '_>) -> Option<Vec<String>> {
    let parts = tokens.split(|token| token.is("."));
    parts
        .map(|part| match part {
            [name] => name.name(),
            _ => None,
        })
        .collect()
}

/// Whether the output column `time` is `compared` itself.
fn selects(select_list: &[Tokens<'_, '_>], compared: &[String], time: &str) -> bool {
    let is_named = |item: &&Tokens<'_, '_>| {
        let last = item.last().and_then(Token::name);
        last.as_deref() == Some(time)
    };
    let mut named = select_list.iter().filter(is_named);
    match (named.next(), named.next()) {
        (Some(&item), None) => {
            let expression = match item {
                [expression @ .., word, _] if word.is_word("as") => expression,
                whole => whole,
            };
            column(expression).is_some_and(|names| names == compared)
        }
        (None, _) => selects_all(select_list, compared, time),
        _ => false,
    }
}

/// Whether `*`, or `e.*` for the compared `e.at`, gives the column under its own name.
fn selects_all(select_list: &[Tokens<'_, '_>], compared: &[String], time: &str) -> bool {
    let Some((name, qualifier)) = compared.split_last() else {
        return false;
    };
    let is_star = |item: &Tokens<'_, '_>| match item {
        [star] => star.text == "*",
        [qualified @ .., dot, star] if dot.is(".") && star.text == "*" => {
            column(qualified).is_some_and(|names| names == qualifier)
        }
        _ => false,
    };
    name == time && select_list.iter().any(is_star)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_filters_by_its_time_column_can_be_cut() {
        for query in [
            "SELECT id, at FROM event WHERE at >= {from} AND at < {to}",
            "SELECT e.\"at\", e.id FROM event e JOIN x USING (id) WHERE e.AT >= {from} AND e.at < {to} AND x.n > 1;",
            "SELECT o.created AS at FROM o WHERE {from} <= o.created AND {to} > o.created ORDER BY 1",
            "SELECT * FROM event WHERE at >= {from} AND at < {to} -- end",
            "SELECT e.*, n FROM event AS e, LATERAL (SELECT count(*) AS n FROM x WHERE x.id = e.id LIMIT 1) AS l \
             WHERE f(1) IS NOT NULL AND e.at >= {from} AND e.at < {to} AND (a OR b)",
            "SELECT at, {tenant} AS who FROM event WHERE at >= {from} AND at < {to}",
        ] {
            assert!(can_be_cut(query, "at"), "{query}");
        }
    }

    #[test]
    fn a_query_whose_rows_may_depend_on_each_other_is_not_cut() {
        let bounds = "at >= {from} AND at < {to}";
        for query in [
            "SELECT min(at) AS at FROM event WHERE {bounds}",
            "SELECT at, count(*) FROM event WHERE {bounds} GROUP BY at",
            "SELECT DISTINCT at FROM event WHERE {bounds}",
            "SELECT at, row_number() OVER (ORDER BY at) FROM event WHERE {bounds}",
            "SELECT at FROM event WHERE {bounds} ORDER BY at LIMIT 10",
            "SELECT at FROM event WHERE {bounds} UNION ALL SELECT now()",
            "WITH e AS (SELECT * FROM event WHERE {bounds}) SELECT at FROM e",
            "SELECT at FROM (SELECT at FROM event WHERE {bounds}) AS e",
            "SELECT at FROM event WHERE {bounds} AND id IN (SELECT id FROM x WHERE t < {to})",
            "SELECT at FROM event WHERE {bounds} OR true",
            "SELECT at FROM event WHERE NOT at >= {from} AND at < {to}",
            "SELECT at FROM event WHERE CASE WHEN true AND {bounds} AND true THEN true END",
        ] {
            let query = query.replace("{bounds}", bounds);
            assert!(!can_be_cut(&query, "at"), "{query}");
        }
    }

    #[test]
    fn a_query_that_compares_anything_else_with_its_bounds_is_not_cut() {
        for query in [
            "SELECT at FROM event WHERE at > {from} AND at <= {to}",
            "SELECT at FROM event WHERE at BETWEEN {from} AND {to}",
            "SELECT at FROM event WHERE at >= {from} AND at < {to} - interval '1 day'",
            "SELECT at FROM event WHERE at::date >= {from} AND at::date < {to}",
            "SELECT at FROM event WHERE at >= {from} AND other < {to}",
            "SELECT at FROM event WHERE other >= {from} AND other < {to}",
            "SELECT e.other AS at FROM e WHERE e.at >= {from} AND e.at < {to}",
            "SELECT date_trunc('hour', at) AS at FROM e WHERE at >= {from} AND at < {to}",
            "SELECT x.* FROM e, x WHERE e.at >= {from} AND e.at < {to}",
            "SELECT *, now() AS at FROM e WHERE at >= {from} AND at < {to}",
            "SELECT at FROM event WHERE at >= {from}",
            "SELECT at FROM event WHERE day = {day}",
            "SELECT at FROM event WHERE at >= {from} AND at < {to} AND day = {day}",
            "",
        ] {
            assert!(!can_be_cut(query, "at"), "{query}");
        }
    }

    #[test]
    fn bounds_take_the_place_of_placeholders_and_of_nothing_else() {
        let day = "2024-01-15".parse().unwrap();
        let query = with_bounds(
            "SELECT '{from}' /* {to} */ WHERE at >= {from} AND at < {to} AND {tenant}",
            TimeRange::of_day(day, 4)[1],
        );
        assert_eq!(
            query,
            "SELECT '{from}' /* {to} */ WHERE at >= '2024-01-15 06:00:00+00'::timestamptz \
             AND at < '2024-01-15 12:00:00+00'::timestamptz AND {tenant}"
        );
    }
}
