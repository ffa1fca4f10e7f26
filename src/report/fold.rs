//! A fold for people and for programs.

use crate::engine::fold::{FoldReport, PairFold, Standing};
use crate::engine::locks::held_pairs::HeldPairs;
use crate::report::RunOutcome;
use crate::report::failure::why;
use crate::report::failure_json::{FailureJson, failure};
use crate::report::numbers::{bytes, count, counted};
use crate::report::table::Sheet;
use crate::unit::Day;
use crate::warehouse::Moved;
use serde::Serialize;
use std::fmt::Write as _;

/// How a fold ended. A pair that has to wait for readers is not done.
pub fn outcome(report: &FoldReport) -> RunOutcome {
    let undone = |pair: &PairFold| !matches!(pair.standing, Standing::Moved | Standing::Nothing);
    if report.cancelled_by.is_some() {
        RunOutcome::Cancelled
    } else if report.interrupted {
        RunOutcome::Interrupted
    } else if !report.pairs.is_empty() && report.locked_pairs == report.pairs.len() {
        RunOutcome::Locked
    } else if let Some(error) = &report.not_recorded {
        RunOutcome::not_recorded(error)
    } else if report.pairs.iter().any(undone) || !report.failures.is_empty() {
        RunOutcome::Failed
    } else {
        RunOutcome::Done
    }
}

/// The exit code. Pairs that are left to other runs are not failures.
pub fn exit_code(report: &FoldReport, held: HeldPairs) -> u8 {
    let done = |pair: &PairFold| {
        matches!(
            pair.standing,
            Standing::Moved | Standing::Nothing | Standing::NotTried
        )
    };
    let others = report.not_recorded.is_none() && held.excuses(&report.failures);
    outcome(report).exit_code_unless(others && report.pairs.iter().all(done))
}

/// The table: a line per year of each pair that moves or cannot move; then remarks.
pub fn render(report: &FoldReport) -> String {
    pairs_table(&report.pairs, report.run.is_none()).unwrap_or_else(|| "nothing to move".to_owned())
}

/// The pairs that have to wait, a line each: no failure tells of them.
pub fn not_yet(report: &FoldReport) -> Option<String> {
    let waits = |pair: &&PairFold| matches!(pair.standing, Standing::NotYet(_));
    let mut text = String::new();
    report
        .pairs
        .iter()
        .filter(waits)
        .for_each(|pair| remarks(pair, &mut text));
    (!text.is_empty()).then(|| text.trim_start().to_owned())
}

/// As [`render`], for the folds of a sync; `None` when there is nothing to print.
pub fn pairs_table(pairs: &[PairFold], dry: bool) -> Option<String> {
    let mut sheet = Sheet::new(&[
        "tenant",
        "template",
        "fold line",
        ">year",
        ">days",
        ">rows",
        ">seconds",
        ">before",
        ">after",
        "",
    ]);
    let mut some = false;
    for pair in pairs {
        let word = match &pair.standing {
            Standing::Nothing => continue,
            Standing::Moved if dry => "would move",
            Standing::Moved => "moved",
            Standing::NotYet(_) => "not yet",
            Standing::Failed => "failed",
            Standing::NotTried => "not tried",
        };
        some = true;
        let head = || {
            [
                pair.tenant.to_string(),
                pair.template.to_string(),
                line(pair),
            ]
        };
        if pair.years.is_empty() {
            let blank = std::iter::repeat_n(String::new(), 6);
            sheet.row(head().into_iter().chain(blank).chain([word.to_owned()]));
        }
        for year in &pair.years {
            sheet.row(
                head()
                    .into_iter()
                    .chain(cells(year, dry))
                    .chain([word.to_owned()]),
            );
        }
    }
    let mut text = if some { sheet.render() } else { String::new() };
    for pair in pairs {
        remarks(pair, &mut text);
    }
    (!text.is_empty()).then_some(text)
}

fn line(pair: &PairFold) -> String {
    let day = |day: Option<Day>| day.map_or_else(|| "none".to_owned(), |day| day.to_string());
    match (pair.from_line, pair.to_line) {
        (from, Some(to)) => format!("{} → {to}", day(from)),
        (from, None) => day(from),
    }
}

fn cells(moved: &Moved, dry: bool) -> [String; 6] {
    let done = |text: String| if dry { String::new() } else { text };
    [
        moved.year.to_string(),
        count(moved.days),
        count(moved.rows),
        done(format!("{:.1}", moved.seconds)),
        moved.bytes_before.map_or_else(String::new, bytes),
        done(bytes(moved.bytes_after)),
    ]
}

fn remarks(pair: &PairFold, text: &mut String) {
    let place = format!("{}/{}", pair.tenant, pair.template);
    if let Standing::NotYet(why) = &pair.standing {
        let _ = write!(text, "\n{place}: not yet: {why}");
    }
    if !pair.left.is_empty() {
        let _ = write!(
            text,
            "\n{place}: {} hidden but still in use; the next fold drops {}",
            counted(pair.left.len() as u64, "table"),
            if pair.left.len() == 1 { "it" } else { "them" }
        );
    }
}

/// `dayhaul.fold/1`, for `fold` and `unfold`.
#[derive(Debug, Serialize)]
pub struct FoldJson<'a> {
    schema: &'static str,
    /// The id in `_wh.run`; null for a dry run.
    run: Option<i64>,
    outcome: RunOutcome,
    exit_code: u8,
    totals: FoldTotals,
    pairs: Vec<PairFoldJson<'a>>,
    failures: Vec<FailureJson<'a>>,
    /// Why the catalog does not have how the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_recorded: Option<String>,
}

#[derive(Debug, Serialize)]
struct FoldTotals {
    pairs: usize,
    moved: usize,
    not_yet: usize,
    /// Of pairs that moved.
    days: u64,
    rows: u64,
    /// Wall-clock time.
    seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct PairFoldJson<'a> {
    tenant: &'a str,
    template: &'a str,
    /// `moved`, `nothing`, `not_yet`, `failed`, `not_tried`.
    outcome: &'static str,
    fold_line_before: Option<String>,
    fold_line: Option<String>,
    why: Option<&'a str>,
    years: &'a [Moved],
    /// Days that are folded and not settled.
    unsettled: u64,
    left: &'a [String],
}

impl<'a> FoldJson<'a> {
    pub fn new(report: &'a FoldReport, exit_code: u8) -> FoldJson<'a> {
        let outcome = outcome(report).beside(exit_code);
        let pairs: Vec<_> = report.pairs.iter().map(pair).collect();
        let counted = |name| pairs.iter().filter(|pair| pair.outcome == name).count();
        FoldJson {
            schema: "dayhaul.fold/1",
            run: report.run,
            outcome,
            exit_code,
            totals: FoldTotals {
                pairs: pairs.len(),
                moved: counted("moved"),
                not_yet: counted("not_yet"),
                days: report.pairs.iter().map(PairFold::days).sum(),
                rows: report.pairs.iter().map(PairFold::rows).sum(),
                seconds: report.elapsed.as_secs_f64(),
            },
            pairs,
            failures: report.failures.iter().map(failure).collect(),
            not_recorded: report.not_recorded.as_ref().map(why),
        }
    }
}

/// The folds of a sync.
pub fn pairs_json(folds: &[PairFold]) -> Vec<PairFoldJson<'_>> {
    folds.iter().map(pair).collect()
}

fn pair(pair: &PairFold) -> PairFoldJson<'_> {
    let moved = pair.standing == Standing::Moved;
    let (outcome, why) = match &pair.standing {
        Standing::Moved => ("moved", None),
        Standing::Nothing => ("nothing", None),
        Standing::NotYet(why) => ("not_yet", Some(why.as_str())),
        Standing::Failed => ("failed", None),
        Standing::NotTried => ("not_tried", None),
    };
    let before = pair.from_line;
    PairFoldJson {
        tenant: pair.tenant.as_str(),
        template: pair.template.as_str(),
        outcome,
        fold_line_before: before.map(|day| day.to_string()),
        fold_line: pair
            .to_line
            .filter(|_| moved)
            .or(before)
            .map(|day| day.to_string()),
        why,
        years: &pair.years,
        unsettled: if moved { pair.unsettled } else { 0 },
        left: &pair.left,
    }
}
