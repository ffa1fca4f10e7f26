//! The terminal's share: what happened, scenario by scenario.

use super::cells::Cells;
use super::{DEBUG_BUILD, circumstances, groups, headlines};
use crate::bench::result::{Report, Scored};
use crate::report::table::Sheet;
use std::fmt::Write as _;

/// A scenario's title, who is faster, and its table.
pub fn scenario(scored: &Scored) -> String {
    let mut text = format!("\n{}\n", scored.title);
    for line in headlines(scored) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(error) = &scored.error {
        let _ = writeln!(text, "  not measured: {error}");
    }
    for (group, members) in groups(scored) {
        let cells = Cells::of(scored, &members);
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

/// Where and with what it was measured.
pub fn summary(report: &Report) -> String {
    let mut sheet = Sheet::new(&["", ""]);
    for (name, value) in circumstances(report) {
        sheet.row([name, value]);
    }
    let table = sheet.render();
    let note = match report.machine.debug_build {
        true => format!("\n{DEBUG_BUILD}"),
        false => String::new(),
    };
    format!("\n{}{note}", table.trim_start_matches('\n'))
}
