//! `docs/errors.md` shows the tables by which the program decides.

use dayhaul::engine::schedule::decision::{Length, RULES, Rule};
use dayhaul::pg::sqlstate::meaning::{MEANINGS, Meaning, Only};
use std::fmt::Write as _;

const PAGE: &str = include_str!("../../../docs/errors.md");

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn meaning(line: &Meaning) -> String {
    let only = match line.only {
        Only::All => String::new(),
        Only::Routines(routines) => format!("reported by {}", quoted(routines)),
        Only::SystemCatalog => "about a table of the system catalog".to_owned(),
        Only::Pooler(texts) => format!("a pooler says {}", quoted(texts)),
    };
    let (codes, trouble) = (quoted(line.codes), line.trouble.as_str());
    format!("| {codes} | {only} | {} | {trouble} |", line.about)
}

fn rule(line: &Rule) -> String {
    let side = line.side.map_or("any", |side| side.as_str());
    let troubles: Vec<&str> = line.troubles.iter().map(|t| t.as_str()).collect();
    let troubles = match troubles.is_empty() {
        true => "anything else".to_owned(),
        false => troubles.join(", "),
    };
    let length = match line.length {
        Length::Any => "any",
        Length::Many => "several days",
    };
    let tries = match line.tries {
        (1, u32::MAX) => "any".to_owned(),
        (first, u32::MAX) => format!("{first} and later"),
        (first, last) => format!("{first} to {last}"),
    };
    let decision = line.decision.as_str();
    format!("| {side} | {troubles} | {length} | {tries} | {decision} |")
}

fn table(head: &str, lines: impl Iterator<Item = String>) -> String {
    let columns = head.matches('|').count() - 1;
    let mut text = format!("{head}\n|{}\n", "---|".repeat(columns));
    lines.for_each(|line| {
        let _ = writeln!(text, "{line}");
    });
    text
}

#[test]
fn the_page_about_errors_shows_the_programs_tables() {
    let meanings = table(
        "| SQLSTATE, or its beginning | only if | what it is | trouble |",
        MEANINGS.iter().map(meaning),
    );
    let rules = table(
        "| side | trouble | window | try | what follows |",
        RULES.iter().map(rule),
    );
    for table in [meanings, rules] {
        assert!(
            PAGE.contains(&table),
            "docs/errors.md lacks this table:\n\n{table}"
        );
    }
}

/// A table without words around it helps nobody: every trouble and every decision is explained.
#[test]
fn the_page_about_errors_explains_every_decision() {
    for rule in RULES {
        let explained = format!("\n- **{}**: ", rule.decision.as_str());
        assert!(PAGE.contains(&explained), "{explained}");
    }
}
