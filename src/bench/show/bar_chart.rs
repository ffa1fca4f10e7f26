//! Bar charts in SVG: one bar per entrant, from zero, on a linear scale, so that lengths can be compared at a glance.

use super::text::{is_dayhaul, ratio, time};
use crate::bench::result::{EntrantResult, EntrantState};
use crate::bench::scenario::ExtraMetric;
use crate::report::numbers::{bytes, count};
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
/// Where bars begin. Titles are above the bars.
const LEFT: f64 = 4.0;
/// The length of the longest bar, which leaves room for its figure.
const LONGEST: f64 = 660.0;
const LINE: f64 = 46.0;
const BAR: f64 = 18.0;
const AXIS: f64 = 22.0;

/// What the length of a bar means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    Seconds,
    /// Per day of a tenant.
    SecondsPerUnit,
    Wal,
    Locks,
}

/// The values of one bar.
struct Figure {
    median: f64,
    /// The least and the most, where there are several tries.
    range: Option<(f64, f64)>,
    ratio: Option<f64>,
}

impl Metric {
    fn figure(self, entrant: &EntrantResult) -> Option<Figure> {
        if !entrant.is_measured() {
            return None;
        }
        let also = |metric: ExtraMetric| {
            let compared = entrant.also.get(&metric)?;
            Some(Figure {
                median: compared.median,
                range: None,
                ratio: compared.ratio,
            })
        };
        match self {
            Metric::Wal => also(ExtraMetric::Wal),
            Metric::Locks => also(ExtraMetric::Locks),
            Metric::Seconds | Metric::SecondsPerUnit => Some(Figure {
                median: self.seconds(entrant, entrant.median)?,
                range: self
                    .seconds(entrant, entrant.min)
                    .zip(self.seconds(entrant, entrant.max))
                    .filter(|_| entrant.tries.len() > 1),
                ratio: entrant.ratio,
            }),
        }
    }

    fn text(self, value: f64) -> String {
        // Bytes and locks are not negative and far below 2^53.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = value.round() as u64;
        match self {
            Metric::Seconds | Metric::SecondsPerUnit => time(value),
            Metric::Wal => bytes(whole),
            Metric::Locks => count(whole),
        }
    }

    fn seconds(self, entrant: &EntrantResult, seconds: Option<f64>) -> Option<f64> {
        match self {
            Metric::SecondsPerUnit => seconds.map(|s| entrant.per_unit(s)),
            _ => seconds,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Metric::Seconds => "wall time",
            Metric::SecondsPerUnit => "wall time per tenant and day",
            Metric::Wal => "WAL",
            Metric::Locks => "locks held at the end of the query",
        }
    }
}

/// A chart of some entrants. `title` is the text for screen readers.
pub fn chart(title: &str, members: &[&EntrantResult], metric: Metric) -> String {
    let longest = members
        .iter()
        .filter_map(|e| metric.figure(e))
        .map(|f| f.range.map_or(f.median, |(_, most)| most))
        .fold(0.0, f64::max);
    // The number of entrants is far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let height = members.len() as f64 * LINE + AXIS;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title)
    );
    let mut top = 0.0;
    for entrant in members {
        bar(&mut svg, entrant, metric, longest, top);
        top += LINE;
    }
    if longest > 0.0 {
        axis(&mut svg, metric, longest, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, entrant: &EntrantResult, metric: Metric, longest: f64, top: f64) {
    let (name, at) = (escape(&entrant.title), top + 14.0);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{at}\" class=\"name\">{name}</text>"
    );
    let y = top + 20.0;
    let text_at = y + BAR - 4.0;
    let Some(figure) = metric.figure(entrant) else {
        let error = entrant.error.as_deref().unwrap_or("not measured");
        let what = match entrant.state {
            EntrantState::Differs => "no figure: its rows differ",
            EntrantState::LeftOut => "left out",
            _ => "failed",
        };
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{text_at}\" class=\"failed\">{what}: {}</text>",
            escape(&shortened(error))
        );
        return;
    };
    let scale = |s: f64| {
        if longest > 0.0 {
            s / longest * LONGEST
        } else {
            0.0
        }
    };
    let class = match (entrant.limit, is_dayhaul(entrant)) {
        (true, _) => "limit",
        (false, true) => "ours",
        (false, false) => "other",
    };
    let width = scale(figure.median).max(1.0);
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" class=\"{class}\"/>"
    );
    let mut end = LEFT + width;
    if let Some((min, max)) = figure.range {
        let (from, to, middle) = (LEFT + scale(min), LEFT + scale(max), y + BAR / 2.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{from:.1} {middle}H{to:.1}M{from:.1} {}V{}M{to:.1} {}V{}\" class=\"range\"/>",
            middle - 4.0,
            middle + 4.0,
            middle - 4.0,
            middle + 4.0
        );
        end = end.max(to);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{text_at}\" class=\"figure\">{}</text>",
        end + 8.0,
        figure_text(entrant, &figure, metric)
    );
}

/// `6.80 s · 2.03× as fast`.
fn figure_text(entrant: &EntrantResult, figure: &Figure, metric: Metric) -> String {
    let (fewer, more) = match metric {
        Metric::Seconds | Metric::SecondsPerUnit => ("as fast", "as slow"),
        Metric::Wal | Metric::Locks => ("less", "more"),
    };
    let how = figure
        .ratio
        .filter(|r| !entrant.baseline && !entrant.limit && *r > 0.0)
        .map(|r| match 1.0 / r {
            times if times >= 1.005 => format!(" · {}× {fewer}", ratio(times)),
            times if times <= 0.995 => format!(" · {}× {more}", ratio(1.0 / times)),
            _ => " · the same".to_owned(),
        });
    format!("{}{}", metric.text(figure.median), how.unwrap_or_default())
}

/// The axis from zero to the end of the longest bar.
fn axis(svg: &mut String, metric: Metric, longest: f64, top: f64) {
    let (end, text) = (LEFT + LONGEST, top + AXIS - 5.0);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {top}H{end}M{LEFT} {top}v5M{end} {top}v5\" class=\"axis\"/>\n\
         <text x=\"{LEFT}\" y=\"{text}\" class=\"tick\">0</text>\n\
         <text x=\"{}\" y=\"{text}\" class=\"tick middle\">{}, linear scale</text>\n\
         <text x=\"{end}\" y=\"{text}\" class=\"tick end\">{}</text>",
        LEFT + LONGEST / 2.0,
        metric.name(),
        metric.text(longest)
    );
}

/// Cuts text to one line of a chart.
fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text for HTML and its attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result::tests::{entrant, results};
    use crate::bench::scenario::EntrantRole;

    fn widths(svg: &str) -> Vec<f64> {
        svg.split("<rect ")
            .skip(1)
            .map(|rect| {
                let width = rect.split("width=\"").nth(1).unwrap();
                width.split('"').next().unwrap().parse().unwrap()
            })
            .collect()
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let all = results(
            vec![
                entrant("dblink", &[12.0]),
                entrant("broken", &[]),
                entrant("dayhaul", &[3.0]),
            ],
            &[
                EntrantRole::Baseline,
                EntrantRole::Contestant,
                EntrantRole::Contestant,
            ],
        );
        let members: Vec<&EntrantResult> = all.entrants.iter().collect();
        let svg = chart("who", &members, Metric::Seconds);
        let widths = widths(&svg);
        assert_eq!(widths.len(), 2, "{svg}");
        assert!((widths[0] / widths[1] - 4.0).abs() < 0.01, "{widths:?}");
        assert!(
            svg.contains("4.00× as fast") && svg.contains("linear scale"),
            "{svg}"
        );
        assert!(svg.contains("failed: it did not"), "{svg}");
    }
}
