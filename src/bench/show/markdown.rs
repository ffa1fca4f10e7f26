//! `bench.md`: the figures, and the statements and commands that were run.

use super::results_table::ResultsTable;
use super::text::{DEBUG_BUILD, LEGEND, environment, groups, headlines};
use crate::bench::result::{BenchReport, ScenarioResult};
use std::fmt::Write as _;

pub fn render(report: &BenchReport) -> String {
    let mut text = "# Dayhaul bench\n\n".to_owned();
    if report.machine.debug_build {
        let _ = writeln!(text, "**{DEBUG_BUILD}**\n");
    }
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in environment(report) {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    let _ = writeln!(text, "\n{LEGEND}");
    for results in &report.scenarios {
        scenario(&mut text, results);
    }
    text.push_str("\n## Statements and commands\n");
    for results in &report.scenarios {
        scripts(&mut text, results);
    }
    text
}

fn scenario(text: &mut String, results: &ScenarioResult) {
    let _ = write!(text, "\n## {}\n\n{}\n", results.title, results.question);
    for line in headlines(results) {
        let _ = write!(text, "\n**{line}**\n");
    }
    if let Some(error) = &results.error {
        let _ = write!(text, "\nNot measured: {error}\n");
    }
    for (group, members) in groups(results) {
        let cells = ResultsTable::of(results, &members);
        let heading = |h: &&str| h.trim_start_matches('>').to_owned();
        let mut headings: Vec<String> = cells.headings.iter().map(heading).collect();
        headings[0] = cell(group);
        let rule = |h: &&str| if h.starts_with('>') { "---:" } else { "---" };
        let rules: Vec<&str> = cells.headings.iter().map(rule).collect();
        let _ = write!(
            text,
            "\n| {} |\n| {} |\n",
            headings.join(" | "),
            rules.join(" | ")
        );
        for row in cells.rows {
            let row: Vec<String> = row.iter().map(|c| cell(c)).collect();
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
}

fn scripts(text: &mut String, results: &ScenarioResult) {
    for entrant in results.entrants.iter().filter(|e| !e.script.is_empty()) {
        let group = match entrant.group.as_str() {
            "" => String::new(),
            group => format!(", {group}"),
        };
        let fence = fence(&entrant.script);
        let _ = write!(
            text,
            "\n### {}: {}{group}\n\n{fence}sql\n{}{fence}\n",
            results.name, entrant.title, entrant.script
        );
    }
}

/// Text that stays within its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A code fence longer than any run of backquotes in the text.
fn fence(text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(longest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_place() {
        assert_eq!(cell("psql | psql\nx"), "psql \\| psql x");
        assert_eq!(fence("a ``` b"), "````");
        assert_eq!(fence("a"), "```");
    }
}
