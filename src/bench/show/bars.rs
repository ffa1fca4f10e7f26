//! Bar charts in SVG: one bar an entrant, from zero, on a linear scale. Nothing else would show at a glance how much.

use super::{is_ours, ratio, time};
use crate::bench::result::{Standing, State};
use crate::report::numbers::{bytes, count};
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
/// Where bars begin: titles stand above them.
const LEFT: f64 = 4.0;
/// What the longest bar takes; its figure stands behind it.
const LONGEST: f64 = 660.0;
const LINE: f64 = 46.0;
const BAR: f64 = 18.0;
const AXIS: f64 = 22.0;

/// What a bar's length means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Seconds,
    /// Per day of a tenant.
    SecondsPerUnit,
    Wal,
    Locks,
}

/// What a bar shows.
struct Figure {
    median: f64,
    /// The least and the most, where they are worth showing.
    range: Option<(f64, f64)>,
    ratio: Option<f64>,
}

impl Length {
    fn figure(self, standing: &Standing) -> Option<Figure> {
        if standing.state != State::Measured {
            return None;
        }
        let also = |key: &str| {
            let compared = standing.also.get(key)?;
            Some(Figure {
                median: compared.median,
                range: None,
                ratio: compared.ratio,
            })
        };
        match self {
            Length::Wal => also("wal_bytes"),
            Length::Locks => also("locks"),
            Length::Seconds | Length::SecondsPerUnit => Some(Figure {
                median: self.of(standing, standing.median)?,
                range: self
                    .of(standing, standing.min)
                    .zip(self.of(standing, standing.max))
                    .filter(|_| standing.tries.len() > 1),
                ratio: standing.ratio,
            }),
        }
    }

    fn text(self, value: f64) -> String {
        // Bytes and locks: never negative, far below 2^53.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = value.round() as u64;
        match self {
            Length::Seconds | Length::SecondsPerUnit => time(value),
            Length::Wal => bytes(whole),
            Length::Locks => count(whole),
        }
    }

    fn of(self, standing: &Standing, seconds: Option<f64>) -> Option<f64> {
        // Days of tenants are few.
        #[allow(clippy::cast_precision_loss)]
        let units = standing.units.max(1) as f64;
        match self {
            Length::SecondsPerUnit => seconds.map(|s| s / units),
            _ => seconds,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Length::Seconds => "wall time",
            Length::SecondsPerUnit => "wall time per tenant and day",
            Length::Wal => "WAL",
            Length::Locks => "locks held at the end of the query",
        }
    }
}

/// A chart of some entrants; `title` is read out to those who do not see it.
pub fn chart(title: &str, members: &[&Standing], length: Length) -> String {
    let longest = members
        .iter()
        .filter_map(|e| length.figure(e))
        .map(|f| f.range.map_or(f.median, |(_, most)| most))
        .fold(0.0, f64::max);
    // Entrants are few.
    #[allow(clippy::cast_precision_loss)]
    let height = members.len() as f64 * LINE + AXIS;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title)
    );
    let mut top = 0.0;
    for standing in members {
        bar(&mut svg, standing, length, longest, top);
        top += LINE;
    }
    if longest > 0.0 {
        axis(&mut svg, length, longest, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, standing: &Standing, length: Length, longest: f64, top: f64) {
    let (name, at) = (escape(&standing.title), top + 14.0);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{at}\" class=\"name\">{name}</text>"
    );
    let y = top + 20.0;
    let text_at = y + BAR - 4.0;
    let Some(figure) = length.figure(standing) else {
        let error = standing.error.as_deref().unwrap_or("not measured");
        let what = match standing.state {
            State::Differs => "no figure, its rows differ",
            State::LeftOut => "left out",
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
    let class = match (standing.limit, is_ours(standing)) {
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
        words(standing, &figure, length)
    );
}

/// `6.80 s · 2.03× as fast`.
fn words(standing: &Standing, figure: &Figure, length: Length) -> String {
    let (fewer, more) = match length {
        Length::Seconds | Length::SecondsPerUnit => ("as fast", "as slow"),
        Length::Wal | Length::Locks => ("less", "more"),
    };
    let how = figure
        .ratio
        .filter(|r| !standing.baseline && !standing.limit && *r > 0.0)
        .map(|r| match 1.0 / r {
            times if times >= 1.005 => format!(" · {}× {fewer}", ratio(times)),
            times if times <= 0.995 => format!(" · {}× {more}", ratio(1.0 / times)),
            _ => " · the same".to_owned(),
        });
    format!("{}{}", length.text(figure.median), how.unwrap_or_default())
}

/// Zero, and where the longest bar ends. The scale is linear; it says so.
fn axis(svg: &mut String, length: Length, longest: f64, top: f64) {
    let (end, text) = (LEFT + LONGEST, top + AXIS - 5.0);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {top}H{end}M{LEFT} {top}v5M{end} {top}v5\" class=\"axis\"/>\n\
         <text x=\"{LEFT}\" y=\"{text}\" class=\"tick\">0</text>\n\
         <text x=\"{}\" y=\"{text}\" class=\"tick middle\">{}, linear scale</text>\n\
         <text x=\"{end}\" y=\"{text}\" class=\"tick end\">{}</text>",
        LEFT + LONGEST / 2.0,
        length.name(),
        length.text(longest)
    );
}

/// One line of a chart holds no more.
fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text as HTML and its attributes take it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result::tests::{scored, standing};
    use crate::bench::scenario::Role;

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
        let all = scored(
            vec![
                standing("dblink", &[12.0]),
                standing("broken", &[]),
                standing("dayhaul", &[3.0]),
            ],
            &[Role::Baseline, Role::Contestant, Role::Contestant],
        );
        let members: Vec<&Standing> = all.entrants.iter().collect();
        let svg = chart("who", &members, Length::Seconds);
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
