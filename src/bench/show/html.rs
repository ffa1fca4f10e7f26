//! `bench.html`: one self-contained file.

use super::bar_chart::{Metric, chart, escape};
use super::results_table::ResultsTable;
use super::text::{DEBUG_BUILD, LEGEND, environment, groups, headlines};
use crate::bench::result::{BenchReport, EntrantResult, ScenarioResult};
use crate::bench::scenario::ExtraMetric;
use std::fmt::Write as _;

const STYLE: &str = include_str!("bench.css");

pub fn render(report: &BenchReport) -> String {
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
         <span class=\"swatch limit\"></span> PostgreSQL's limit · shorter is faster · the line spans the least to the most</p>\n",
    );
    for results in &report.scenarios {
        scenario(&mut text, results);
    }
    text.push_str("<h2>Environment</h2>\n<table class=\"pairs\">\n");
    for (name, value) in environment(report) {
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

fn scenario(text: &mut String, results: &ScenarioResult) {
    let title = escape(&results.title);
    let _ = writeln!(text, "<section>\n<h2>{title}</h2>");
    if let Some(error) = &results.error {
        let _ = writeln!(
            text,
            "<p class=\"warning\">Not measured: {}</p>",
            escape(error)
        );
    }
    for line in headlines(results) {
        let _ = writeln!(text, "<p class=\"headline\">{}</p>", escape(&line));
    }
    let metric = if results.per_unit {
        Metric::SecondsPerUnit
    } else {
        Metric::Seconds
    };
    for (group, members) in groups(results) {
        if !group.is_empty() {
            let _ = writeln!(text, "<h3>{}</h3>", escape(group));
        }
        text.push_str(&chart(&results.title, &members, metric));
        for (extra, metric) in [
            (ExtraMetric::Wal, Metric::Wal),
            (ExtraMetric::Locks, Metric::Locks),
        ] {
            if members.iter().any(|e| e.also.contains_key(&extra)) {
                text.push_str(&chart(&results.title, &members, metric));
            }
        }
    }
    let _ = writeln!(
        text,
        "<p>{}</p>\n<details><summary>Figures</summary>",
        escape(&results.question)
    );
    for (group, members) in groups(results) {
        table(text, results, group, &members);
    }
    text.push_str("</details>\n");
    scripts(text, results);
    text.push_str("</section>\n");
}

fn scripts(text: &mut String, results: &ScenarioResult) {
    text.push_str("<details><summary>Statements and commands</summary>\n");
    for entrant in results.entrants.iter().filter(|e| !e.script.is_empty()) {
        let group = match entrant.group.as_str() {
            "" => String::new(),
            group => format!(", {group}"),
        };
        let _ = writeln!(
            text,
            "<h4>{}</h4>\n<pre>{}</pre>",
            escape(&format!("{}{group}", entrant.title)),
            escape(&entrant.script)
        );
    }
    text.push_str("</details>\n");
}

fn table(text: &mut String, results: &ScenarioResult, group: &str, members: &[&EntrantResult]) {
    let cells = ResultsTable::of(results, members);
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
