//! Values that differ each time that a day is fetched, although its rows are the same: every refresh would write them anew.

use super::Review;
use super::query_levels::closing;
use crate::template::finding::Finding;
use crate::template::lexer::Token;

/// Functions whose result differs with each call.
const RANDOM: [&str; 9] = [
    "random",
    "random_normal",
    "gen_random_uuid",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
    "nextval",
];

/// Aggregates whose result depends on the order of their rows.
const ORDERED: [&str; 9] = [
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "json_objectagg",
    "json_arrayagg",
    "xmlagg",
    "any_value",
];

/// Window functions that number rows or take one of them by its place.
const NUMBERING: [&str; 7] = [
    "row_number",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

impl<'a> Review<'a> {
    pub(super) fn differs_from_pull_to_pull(&self) -> Vec<Finding> {
        let calls = (0..self.code.len()).filter(|at| self.is_call(*at));
        calls.filter_map(|at| self.unstable_call(at)).collect()
    }

    fn unstable_call(&self, at: usize) -> Option<Finding> {
        let token = &self.code[at];
        let is_one_of = |names: &[&str]| names.iter().any(|name| token.is_word(name));
        let end = closing(&self.code, at + 1);
        let arguments = self.code.get(at + 2..end).unwrap_or_default();
        let shown = token.text;
        if is_one_of(&RANDOM) {
            let message = format!(
                "`{shown}()` differs each time that a day is fetched: every refresh finds the day changed, and writes it again"
            );
            let finding = Finding::warning(self.line(token), message);
            return Some(finding.help("select a column of the source, or a hash of some"));
        }
        let (what, ordered) = if is_one_of(&ORDERED) {
            let over = self.code.get(end + 1).is_some_and(|t| t.is_word("over"));
            let example = format!("`{shown}(… ORDER BY …)`");
            (example, over || has_order(arguments))
        } else if is_one_of(&NUMBERING) && self.code.get(end + 1)?.is_word("over") {
            let open = end + 2;
            let inline = self.code.get(open)?.is("(");
            let window = self.code.get(open..closing(&self.code, open));
            let example = format!("`{shown}() OVER (… ORDER BY …)`");
            (example, !inline || has_order(window.unwrap_or_default()))
        } else {
            return None;
        };
        let message = format!(
            "`{shown}` without ORDER BY depends on the order in which the source reads its rows, which may differ each time"
        );
        let finding = Finding::warning(self.line(token), message);
        (!ordered).then(|| finding.help(format!("order by a unique key: {what}")))
    }
}

fn has_order(tokens: &[Token<'_>]) -> bool {
    let mut words = tokens.windows(2);
    words.any(|w| w[0].is_word("order") && w[1].is_word("by"))
}
