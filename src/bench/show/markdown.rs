//! `bench.md`: the figures, and what exactly was run.

use super::cells::Cells;
use super::{DEBUG_BUILD, LEGEND, circumstances, groups, headlines};
use crate::bench::result::{Report, Scored};
use std::fmt::Write as _;

pub fn render(report: &Report) -> String {
    let mut text = "# Dayhaul bench\n\n".to_owned();
    if report.machine.debug_build {
        let _ = writeln!(text, "**{DEBUG_BUILD}**\n");
    }
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in circumstances(report) {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    let _ = writeln!(text, "\n{LEGEND}");
    for scored in &report.scenarios {
        scenario(&mut text, scored);
    }
    text.push_str("\n## What exactly was run\n");
    for scored in &report.scenarios {
        scripts(&mut text, scored);
    }
    text
}

fn scenario(text: &mut String, scored: &Scored) {
    let _ = write!(text, "\n## {}\n\n{}\n", scored.title, scored.question);
    for line in headlines(scored) {
        let _ = write!(text, "\n**{line}**\n");
    }
    if let Some(error) = &scored.error {
        let _ = write!(text, "\nNot measured: {error}\n");
    }
    for (group, members) in groups(scored) {
        let cells = Cells::of(scored, &members);
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

fn scripts(text: &mut String, scored: &Scored) {
    for standing in scored.entrants.iter().filter(|e| !e.script.is_empty()) {
        let group = match standing.group.as_str() {
            "" => String::new(),
            group => format!(", {group}"),
        };
        let fence = fence(&standing.script);
        let _ = write!(
            text,
            "\n### {}: {}{group}\n\n{fence}sql\n{}{fence}\n",
            scored.name, standing.title, standing.script
        );
    }
}

/// Text that neither ends its cell nor begins another row.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Longer than any run of backquotes in the text.
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
