//! What the terminal shows.

use super::results_table::ResultsTable;
use super::text::{DEBUG_BUILD, environment, groups, headlines};
use crate::bench::result::{BenchReport, ScenarioResult};
use crate::report::table::Sheet;
use std::fmt::Write as _;

/// A scenario's title, its headlines, and its tables.
pub fn scenario(results: &ScenarioResult) -> String {
    let mut text = format!("\n{}\n", results.title);
    for line in headlines(results) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(error) = &results.error {
        let _ = writeln!(text, "  not measured: {error}");
    }
    for (group, members) in groups(results) {
        let cells = ResultsTable::of(results, &members);
        let mut headings = cells.headings;
        headings[0] = group;
        let mut sheet = Sheet::new(&headings);
        for row in cells.rows {
            sheet.row(row);
        }
        let _ = write!(text, "\n{}\n", sheet.render());
    }
    text.trim_end().to_owned()
}

/// The environment of the bench.
pub fn summary(report: &BenchReport) -> String {
    let mut sheet = Sheet::new(&["", ""]);
    for (name, value) in environment(report) {
        sheet.row([name, value]);
    }
    let table = sheet.render();
    let note = if report.machine.debug_build {
        format!("\n{DEBUG_BUILD}")
    } else {
        String::new()
    };
    format!("\n{}{note}", table.trim_start_matches('\n'))
}
