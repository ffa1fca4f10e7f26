//! What failed: where, which days, why, and what to do. Each cause is printed once.

use crate::engine::report::event::Failure;
use crate::error::Error;
use crate::report::numbers::counted;
use crate::unit::{TemplateName, TenantName, Window};
use std::fmt::Write as _;

/// An error and its causes in one line, without causes that repeat the message: `place: message: cause`.
pub fn why(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        let _ = write!(text, ": {cause}");
    }
    text
}

/// The causes of an error that add information, the nearest first.
pub fn causes(error: &Error) -> Vec<String> {
    let mut printed = error.to_string();
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !printed.contains(&text) {
            printed.push_str(&text);
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

/// Windows in order; adjacent ones are merged.
pub fn merged(windows: &[Window]) -> Vec<Window> {
    let mut sorted = windows.to_vec();
    sorted.sort();
    let mut merged: Vec<Window> = Vec::new();
    for window in sorted {
        match merged.last_mut() {
            Some(last) if window.from <= last.to => last.to = last.to.max(window.to),
            _ => merged.push(window),
        }
    }
    merged
}

/// At most this many runs of days are listed.
const RUNS_SHOWN: usize = 6;

/// `2024-01-03, 2024-01-05 … 2024-01-09 (6 days)`.
pub fn days(windows: &[Window]) -> String {
    first_days(windows, RUNS_SHOWN)
}

fn first_days(windows: &[Window], most: usize) -> String {
    let merged = merged(windows);
    let total: usize = merged.iter().map(Window::len).sum();
    let shown: Vec<String> = merged.iter().take(most).map(Window::to_string).collect();
    let mut text = shown.join(", ");
    if merged.len() > most {
        text.push_str(", …");
    }
    if total > 1 {
        let _ = write!(text, " ({})", counted(total as u64, "day"));
    }
    text
}

/// Failures with the same cause.
struct Cause<'a> {
    /// The first of them.
    failure: &'a Failure,
    text: String,
    pairs: Vec<PairDays<'a>>,
}

/// The days of a pair, or of a tenant as a whole, that share a cause.
struct PairDays<'a> {
    tenant: &'a TenantName,
    template: Option<&'a TemplateName>,
    windows: Vec<Window>,
}

impl<'a> Cause<'a> {
    fn add(&mut self, failure: &'a Failure) {
        let (tenant, template) = (&failure.tenant, failure.template.as_ref());
        let same = |pair: &&mut PairDays| pair.tenant == tenant && pair.template == template;
        match self.pairs.iter_mut().find(same) {
            Some(pair) => pair.windows.extend(&failure.windows),
            None => self.pairs.push(PairDays {
                tenant,
                template,
                windows: failure.windows.clone(),
            }),
        }
    }
}

fn by_cause<'a>(failures: impl IntoIterator<Item = &'a Failure>) -> Vec<Cause<'a>> {
    let mut causes: Vec<Cause> = Vec::new();
    for failure in failures {
        let text = why(&failure.error);
        let same =
            |cause: &Cause| cause.text == text && cause.failure.not_tried == failure.not_tried;
        let at = causes.iter().position(same).unwrap_or_else(|| {
            causes.push(Cause {
                failure,
                text,
                pairs: Vec::new(),
            });
            causes.len() - 1
        });
        causes[at].add(failure);
    }
    causes
}

/// What other runs hold, a line per pair; what to do about it, unless it is left to them.
pub fn held_by_others(held: &[&Failure], left: bool) -> String {
    let label = if left {
        "left to another run"
    } else {
        "locked"
    };
    let mut lines = Vec::new();
    let mut hints = Vec::new();
    for cause in by_cause(held.iter().copied()) {
        for pair in &cause.pairs {
            let place = place(pair, RUNS_SHOWN);
            lines.push(format!("{label}: {place}: {}", cause.text));
        }
        let hint = cause.failure.error.hint().filter(|_| !left);
        hints.extend(hint.map(|hint| format!("hint: {hint}")));
    }
    hints.dedup();
    lines.extend(hints);
    lines.join("\n")
}

/// All failures for people, equal causes together. DETAIL and CONTEXT only with `show_values`.
pub fn render<'a>(failures: impl IntoIterator<Item = &'a Failure>, show_values: bool) -> String {
    render_with(failures, show_values, RUNS_SHOWN)
}

/// The same, with all days of each pair.
pub fn render_all_days<'a>(
    failures: impl IntoIterator<Item = &'a Failure>,
    show_values: bool,
) -> String {
    render_with(failures, show_values, usize::MAX)
}

fn render_with<'a>(
    failures: impl IntoIterator<Item = &'a Failure>,
    show_values: bool,
    most: usize,
) -> String {
    let mut text = String::new();
    for cause in by_cause(failures) {
        for pair in &cause.pairs {
            let _ = writeln!(text, "{}: {}", label(cause.failure), place(pair, most));
        }
        let _ = writeln!(text, "  error: {}", cause.text);
        let error = &cause.failure.error;
        if show_values && let Some(detail) = error.detail() {
            for line in detail.lines() {
                let _ = writeln!(text, "  detail: {line}");
            }
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(text, "  hint: {hint}");
        }
    }
    text
}

fn label(failure: &Failure) -> &'static str {
    if failure.not_tried {
        "not tried"
    } else {
        "failed"
    }
}

fn place(pair: &PairDays, most: usize) -> String {
    let mut text = pair.tenant.to_string();
    if let Some(template) = pair.template {
        let _ = write!(text, "/{template}");
    }
    if !pair.windows.is_empty() {
        let _ = write!(text, " {}", first_days(&pair.windows, most));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::unit::{Day, TemplateName, TenantName};

    fn window(from: &str, to: &str) -> Window {
        let (from, to): (Day, Day) = (from.parse().unwrap(), to.parse().unwrap());
        Window::new(from, to.next())
    }

    fn failure(tenant: &str, windows: Vec<Window>, message: &str) -> Failure {
        Failure {
            tenant: TenantName::parse(tenant).unwrap(),
            template: Some(TemplateName::parse("flights").unwrap()),
            windows,
            error: Error::new(Kind::Sql, message)
                .with_detail("Failing row contains (7).")
                .with_hint("do this"),
            not_tried: false,
        }
    }

    #[test]
    fn days_that_touch_are_one_run() {
        let windows = [
            window("2024-01-05", "2024-01-06"),
            window("2024-01-03", "2024-01-03"),
            window("2024-01-07", "2024-01-09"),
        ];
        assert_eq!(
            days(&windows),
            "2024-01-03, 2024-01-05 … 2024-01-09 (6 days)"
        );
        assert_eq!(days(&windows[1..2]), "2024-01-03");
        let many: Vec<_> = (1..=9)
            .map(|d| window(&format!("2024-0{d}-01"), &format!("2024-0{d}-01")))
            .collect();
        let all = render_all_days(&[failure("acme", many.clone(), "no")], false);
        assert!(all.contains("2024-08-01, 2024-09-01 (9 days)"), "{all}");
        assert!(
            days(&many).ends_with("2024-06-01, … (9 days)"),
            "{}",
            days(&many)
        );
    }

    #[test]
    fn an_equal_cause_is_printed_once_and_without_values() {
        let day = || vec![window("2024-01-03", "2024-01-03")];
        let failures = [
            failure("acme", day(), "no such column"),
            failure("zenith", day(), "no such column"),
            failure("acme", day(), "another"),
            failure(
                "acme",
                vec![window("2024-01-05", "2024-01-05")],
                "no such column",
            ),
        ];
        assert_eq!(
            render(&failures, false),
            "failed: acme/flights 2024-01-03, 2024-01-05 (2 days)\nfailed: zenith/flights 2024-01-03\n  error: no such column\n  hint: do this\n\
             failed: acme/flights 2024-01-03\n  error: another\n  hint: do this\n"
        );
        assert!(render(&failures, true).contains("detail: Failing row contains (7)."));
    }

    #[test]
    fn a_cause_that_repeats_the_message_is_left_out() {
        let inner = std::io::Error::other("refused");
        let error = Error::new(Kind::Connect, "cannot connect: refused").with_source(inner);
        assert_eq!(why(&error), "cannot connect: refused");
        let error = Error::new(Kind::Connect, "cannot connect")
            .with_source(std::io::Error::other("refused"));
        assert_eq!(why(&error), "cannot connect: refused");
    }
}
