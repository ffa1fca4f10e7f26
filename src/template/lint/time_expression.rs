//! What a WHERE may name a column by: it cannot see the aliases of its own SELECT.

use super::Review;
use super::query_levels::{Level, levels};
use super::token_groups::without_parentheses;
use crate::template::lexer::{Token, TokenKind};

/// Values without a table that look like columns.
const NOT_COLUMNS: &str = " null true false default current_date current_time current_timestamp localtime localtimestamp \
    current_role current_user session_user user end ";

/// Where a column of a SELECT comes from.
enum Origin {
    /// From a column that a WHERE can name: this is how.
    Column(String),
    /// From anything else.
    Expression,
}

impl<'a> Review<'a> {
    /// The condition that the window's rows fulfill, for a hint.
    pub(super) fn bounds(&self) -> String {
        let time = self.time;
        if self.time_names[0].is_empty() {
            return condition(Some(time), time, half_open);
        }
        let levels = levels(&self.code);
        let arms = levels.iter().filter(|level| level.outermost);
        let mut columns: Vec<_> = arms.map(|arm| self.origin(arm, time)).collect();
        columns.dedup();
        match &columns[..] {
            [Some(column)] => condition(Some(column), time, half_open),
            _ => condition(None, time, half_open),
        }
    }

    /// A condition on a column that the query names in a comparison: `write` gets what a WHERE in the same place can name.
    pub(super) fn condition_on(
        &self,
        column: &[Token<'_>],
        write: impl Fn(&str) -> String,
    ) -> String {
        let text = self.text(column);
        let origin = match column {
            [name] => self.origin_in_its_level(name),
            _ => None,
        };
        match origin {
            Some(Origin::Column(origin)) => condition(Some(&origin), &text, write),
            Some(Origin::Expression) => condition(None, &text, write),
            None => condition(Some(&text), &text, write),
        }
    }

    /// Where the alias comes from, if the SELECT around it gives that alias.
    fn origin_in_its_level(&self, name: &Token<'_>) -> Option<Origin> {
        let is_here = |level: &Level<'_>| level.own.iter().any(|t| t.start == name.start);
        let level = levels(&self.code).into_iter().find(is_here)?;
        self.selected(&level, &name.name()?)
    }

    /// The name of the column that becomes `name`; with a `*` that may be `name` itself.
    fn origin(&self, level: &Level<'_>, name: &str) -> Option<String> {
        match self.selected(level, name) {
            Some(Origin::Column(column)) => Some(column),
            Some(Origin::Expression) => None,
            None => {
                let mut items = level.select_list().into_iter();
                let all = items.any(|item| item.last().is_some_and(|t| t.is("*")));
                all.then(|| name.to_owned())
            }
        }
    }

    fn selected(&self, level: &Level<'_>, name: &str) -> Option<Origin> {
        let items = level.select_list();
        let expression = items.iter().find_map(|item| expression_of(item, name))?;
        let expression = without_parentheses(expression);
        if is_column(expression) {
            return Some(Origin::Column(self.text(expression)));
        }
        // `date_trunc('day', o.at) AS at`: a WHERE that names `at` means the column.
        let is_named = |column: &[Token<'_>]| column.last()?.name().filter(|n| n == name);
        Some(match columns_in(expression)[..] {
            [only] if is_named(only).is_some() => Origin::Column(self.text(only)),
            _ => Origin::Expression,
        })
    }
}

pub(super) fn half_open(column: &str) -> String {
    format!("{column} >= {{from}} AND {column} < {{to}}")
}

/// A condition to write; `None`: what stands for the column cannot be told.
fn condition(column: Option<&str>, alias: &str, write: impl Fn(&str) -> String) -> String {
    match column {
        Some(column) => format!("`{}`", write(column)),
        None => format!(
            "`{}`, where … is the expression of column `{alias}`",
            write("…")
        ),
    }
}

/// What an item of a select list computes, if the column is called `name`.
fn expression_of<'q, 'a>(item: &'q [Token<'a>], name: &str) -> Option<&'q [Token<'a>]> {
    let (last, before) = item.split_last()?;
    if last.name().as_deref() != Some(name) {
        return None;
    }
    match before.last() {
        None => Some(item),
        Some(dot) if dot.is(".") => Some(item),
        Some(word) if word.is_word("as") => before.split_last().map(|(_, rest)| rest),
        Some(end) if ends_expression(end) => Some(before),
        Some(_) => None,
    }
}

/// Whether an alias without AS may follow.
fn ends_expression(token: &Token<'_>) -> bool {
    let is_value = matches!(token.kind, TokenKind::String | TokenKind::Number);
    is_value || token.name().is_some() || token.is(")") || token.is("]")
}

/// The tokens that can be columns, with what qualifies them.
pub(super) fn columns_in<'q, 'a>(tokens: &'q [Token<'a>]) -> Vec<&'q [Token<'a>]> {
    const KEY_WORDS: &str = " at time zone as interval date timestamp timestamptz cast extract day from and or not is null \
        distinct case when then else end in ";
    let is_column = |at: &usize| {
        let Some(name) = tokens[*at].name() else {
            return false;
        };
        let follows = |text| *at > 0 && tokens[*at - 1].is(text);
        let leads = |text| tokens.get(*at + 1).is_some_and(|t: &Token<'_>| t.is(text));
        let key_word =
            tokens[*at].kind == TokenKind::Word && KEY_WORDS.contains(&format!(" {name} "));
        !(follows("::") || leads("(") || leads(".") || key_word)
    };
    let qualified = |at: usize| {
        let mut from = at;
        while from >= 2 && tokens[from - 1].is(".") {
            from -= 2;
        }
        &tokens[from..=at]
    };
    let columns = (0..tokens.len()).filter(is_column);
    columns.map(qualified).collect()
}

/// `created`, `o.created` or `public.o.created`.
fn is_column(tokens: &[Token<'_>]) -> bool {
    let parts = tokens.split(|t| t.is("."));
    parts.into_iter().all(|part| match part {
        [one] => {
            let key_word = || format!(" {} ", one.text.to_ascii_lowercase());
            one.name().is_some()
                && !(one.kind == TokenKind::Word && NOT_COLUMNS.contains(&key_word()))
        }
        _ => false,
    })
}
