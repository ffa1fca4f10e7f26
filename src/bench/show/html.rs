//! `bench.html`: one file that needs nothing else, not even a network.

use super::bars::{Length, chart, escape};
use super::cells::Cells;
use super::{DEBUG_BUILD, LEGEND, circumstances, groups, headlines};
use crate::bench::result::{Report, Scored, Standing};
use std::fmt::Write as _;

const STYLE: &str = include_str!("bench.css");

pub fn render(report: &Report) -> String {
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Dayhaul bench</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Dayhaul bench</h1>\n"
    );
    if report.machine.debug_build {
        let _ = writeln!(text, "<p class=\"warning\">{}</p>", escape(DEBUG_BUILD));
    }
    text.push_str(
        "<p class=\"key\"><span class=\"swatch ours\"></span> Dayhaul <span class=\"swatch other\"></span> others \
         <span class=\"swatch limit\"></span> PostgreSQL's own limit · shorter is faster · a line from the least to the most</p>\n",
    );
    for scored in &report.scenarios {
        scenario(&mut text, scored);
    }
    text.push_str("<h2>Circumstances</h2>\n<table class=\"pairs\">\n");
    for (name, value) in circumstances(report) {
        let _ = writeln!(
            text,
            "<tr><th>{}</th><td>{}</td></tr>",
            escape(&name),
            escape(&value)
        );
    }
    let _ = writeln!(
        text,
        "</table>\n<p>{}</p>\n</body>\n</html>",
        escape(LEGEND)
    );
    text
}

fn scenario(text: &mut String, scored: &Scored) {
    let title = escape(&scored.title);
    let _ = writeln!(text, "<section>\n<h2>{title}</h2>");
    if let Some(error) = &scored.error {
        let _ = writeln!(
            text,
            "<p class=\"warning\">Not measured: {}</p>",
            escape(error)
        );
    }
    for line in headlines(scored) {
        let _ = writeln!(text, "<p class=\"headline\">{}</p>", escape(&line));
    }
    let length = match scored.per_unit {
        true => Length::SecondsPerUnit,
        false => Length::Seconds,
    };
    for (group, members) in groups(scored) {
        if !group.is_empty() {
            let _ = writeln!(text, "<h3>{}</h3>", escape(group));
        }
        text.push_str(&chart(&scored.title, &members, length));
        for (key, length) in [("wal_bytes", Length::Wal), ("locks", Length::Locks)] {
            if members.iter().any(|e| e.also.contains_key(key)) {
                text.push_str(&chart(&scored.title, &members, length));
            }
        }
    }
    let _ = writeln!(
        text,
        "<p>{}</p>\n<details><summary>Figures</summary>",
        escape(&scored.question)
    );
    for (group, members) in groups(scored) {
        table(text, scored, group, &members);
    }
    text.push_str("</details>\n<details><summary>What exactly was run</summary>\n");
    for standing in scored.entrants.iter().filter(|e| !e.script.is_empty()) {
        let group = match standing.group.as_str() {
            "" => String::new(),
            group => format!(", {group}"),
        };
        let _ = writeln!(
            text,
            "<h4>{}</h4>\n<pre>{}</pre>",
            escape(&format!("{}{group}", standing.title)),
            escape(&standing.script)
        );
    }
    text.push_str("</details>\n</section>\n");
}

fn table(text: &mut String, scored: &Scored, group: &str, members: &[&Standing]) {
    let cells = Cells::of(scored, members);
    text.push_str("<div class=\"wide\"><table>\n<tr>");
    for (i, heading) in cells.headings.iter().enumerate() {
        let heading = if i == 0 {
            group
        } else {
            heading.trim_start_matches('>')
        };
        let _ = write!(text, "<th>{}</th>", escape(heading));
    }
    text.push_str("</tr>\n");
    for row in &cells.rows {
        text.push_str("<tr>");
        for (cell, heading) in row.iter().zip(&cells.headings) {
            let class = if heading.starts_with('>') {
                " class=\"number\""
            } else {
                ""
            };
            let _ = write!(text, "<td{class}>{}</td>", escape(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
}
