//! What failed: where, which days, why, and what to do. Each cause is printed once.

use crate::engine::report::event::Failure;
use crate::error::Error;
use crate::report::numbers::counted;
use crate::unit::Window;
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
    let merged = merged(windows);
    let total: usize = merged.iter().map(Window::len).sum();
    let shown: Vec<String> = merged
        .iter()
        .take(RUNS_SHOWN)
        .map(Window::to_string)
        .collect();
    let mut text = shown.join(", ");
    if merged.len() > RUNS_SHOWN {
        text.push_str(", …");
    }
    if total > 1 {
        let _ = write!(text, " ({})", counted(total as u64, "day"));
    }
    text
}

/// All failures for people, equal causes together. DETAIL and CONTEXT only with `show_values`.
pub fn render(failures: &[Failure], show_values: bool) -> String {
    let mut groups: Vec<(&Failure, String, Vec<&Failure>)> = Vec::new();
    for failure in failures {
        let cause = why(&failure.error);
        match groups
            .iter_mut()
            .find(|(first, c, _)| *c == cause && first.not_tried == failure.not_tried)
        {
            Some((_, _, members)) => members.push(failure),
            None => groups.push((failure, cause, vec![failure])),
        }
    }
    let mut text = String::new();
    for (first, cause, members) in groups {
        for member in members {
            let _ = writeln!(text, "{}: {}", label(first), place(member));
        }
        let _ = writeln!(text, "  error: {cause}");
        if show_values && let Some(detail) = first.error.detail() {
            for line in detail.lines() {
                let _ = writeln!(text, "  detail: {line}");
            }
        }
        if let Some(hint) = first.error.hint() {
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

fn place(failure: &Failure) -> String {
    let mut text = failure.tenant.to_string();
    if let Some(template) = &failure.template {
        let _ = write!(text, "/{template}");
    }
    if !failure.windows.is_empty() {
        let _ = write!(text, " {}", days(&failure.windows));
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
        ];
        assert_eq!(
            render(&failures, false),
            "failed: acme/flights 2024-01-03\nfailed: zenith/flights 2024-01-03\n  error: no such column\n  hint: do this\n\
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
