//! "Write `{day}`": what an unknown placeholder was meant to be.

use super::variable_name::is_variable;
use crate::nearest::nearest;

/// The known placeholders without a name of their own, with the words of others' names for them.
const KNOWN: [(&str, &str, &[&str]); 5] = [
    (
        "from",
        "the start of the window",
        &["from", "start", "begin", "first", "since", "lower"],
    ),
    (
        "to",
        "the end of the window, exclusive",
        &["to", "end", "until", "till", "last", "stop", "upper"],
    ),
    (
        "schema",
        "the tenant's schema at the source",
        &["schema", "namespace"],
    ),
    (
        "tenant",
        "the name of the tenant's schema in the warehouse",
        &["tenant"],
    ),
    (
        "day",
        "the day of the window, a date",
        &["day", "date", "ds", "today", "yesterday"],
    ),
];

/// What to write instead of an unknown placeholder, `text` with its braces.
pub fn instead(text: &str) -> String {
    let name = text.trim_matches(['{', '}']);
    if let Some(help) = by_words(name) {
        return help;
    }
    let lower = name.to_ascii_lowercase();
    let one_word = lower.chars().all(|c| c.is_ascii_alphabetic());
    let near = nearest(&lower, KNOWN.map(|known| known.0)).filter(|_| one_word);
    near.and_then(|near| write(KNOWN.iter().find(|known| known.0 == near)))
        .unwrap_or_else(|| variable(name))
}

/// What to write instead of a name that tells by its words what it is.
pub fn by_words(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<_> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    // `{var NAME}` and `{client_id}` are values of the tenant, whatever else they are called.
    if words.iter().any(|word| ["var", "id", "key"].contains(word)) {
        return None;
    }
    write(
        KNOWN
            .iter()
            .find(|known| known.2.iter().any(|word| words.contains(word))),
    )
}

fn write(known: Option<&(&str, &str, &[&str])>) -> Option<String> {
    known.map(|(name, what, _)| format!("write `{{{name}}}`, {what}"))
}

fn variable(name: &str) -> String {
    let key = if is_variable(name) { name } else { "NAME" };
    format!(
        "write `{{var:{key}}}` for a value of the tenant, set with `dayhaul tenant set T --var {key}=VALUE`; the other \
         placeholders are {{from}}, {{to}}, {{day}}, {{tenant}}, {{schema}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_used_elsewhere_is_told_with_ours() {
        for (theirs, ours) in [
            ("{TARGET_DATE}", "`{day}`"),
            ("{date}", "`{day}`"),
            ("{ds}", "`{day}`"),
            ("{START_DATE}", "`{from}`"),
            ("{from_day}", "`{from}`"),
            ("{FROM}", "`{from}`"),
            ("{form}", "`{from}`"),
            ("{END_DATE}", "`{to}`"),
            ("{until}", "`{to}`"),
            ("{schema_name}", "`{schema}`"),
            ("{tenant_schema}", "`{schema}`"),
            ("{TENANT}", "`{tenant}`"),
            ("{tenant_name}", "`{tenant}`"),
            ("{CLIENT_ID}", "`{var:CLIENT_ID}`"),
            ("{tenant_id}", "`{var:tenant_id}`"),
            ("{var:}", "`{var:NAME}`"),
        ] {
            let help = instead(theirs);
            assert!(
                help.starts_with(&format!("write {ours}")),
                "{theirs}: {help}"
            );
        }
    }
}
