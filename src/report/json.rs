//! A run as one JSON object: `{"schema": "dayhaul.backfill/1", "run", "outcome", "totals", "units", "failures"}`.
//!
//! Days are `YYYY-MM-DD`, windows inclusive pairs of them, sizes bytes, times seconds, digests 32 hex digits. Values of
//! rows never stand in it.

use crate::engine::report::event::{Change, Failure, Outcome, UnitReport};
use crate::engine::report::run::RunReport;
use crate::report::failure::{merged, why};
use crate::report::fold::{PairJson, pairs_json};
use crate::report::outcome::RunOutcome;
use crate::report::summary::{Totals, totals};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Run<'a> {
    /// `dayhaul.<command>/1`.
    schema: String,
    /// The id in `_wh.run`; null for a dry run.
    run: Option<i64>,
    outcome: RunOutcome,
    /// Who ended it by `dayhaul cancel`.
    cancelled_by: Option<&'a str>,
    exit_code: u8,
    totals: Totals,
    units: Vec<Unit<'a>>,
    failures: Vec<Cause<'a>>,
    /// What a person should know of the data.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    /// Of a sync: what it folded, or could not yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    folds: Vec<PairJson<'a>>,
}

#[derive(Debug, Serialize)]
struct Unit<'a> {
    tenant: &'a str,
    template: &'a str,
    day: String,
    /// `loaded`, `skipped`, `unchanged`, `changed`, `landed`, `failed` or `not_tried`.
    outcome: &'static str,
    rows: u64,
    bytes: u64,
    digest: Option<&'a str>,
    relation: Option<&'a str>,
    tries: u32,
    /// Of a changed day: its rows before, and how many were deleted and inserted.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
    /// Of a unit whose rows are in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object<'a>>,
}

#[derive(Debug, Serialize)]
struct Object<'a> {
    url: &'a str,
    bytes: u64,
    /// By this run.
    written: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Cause<'a> {
    tenant: &'a str,
    template: Option<&'a str>,
    /// Inclusive runs of days.
    days: Vec<[String; 2]>,
    not_tried: bool,
    error: String,
    sqlstate: Option<&'a str>,
    hint: Option<&'a str>,
}

impl<'a> Run<'a> {
    /// `command` is the command's name, as in the schema.
    pub fn new(command: &str, report: &'a RunReport, exit_code: u8) -> Run<'a> {
        let outcome = RunOutcome::of(report);
        Run {
            schema: format!("dayhaul.{command}/1"),
            run: report.run,
            outcome,
            cancelled_by: report.cancelled_by.as_deref(),
            exit_code,
            totals: totals(report),
            units: report.units.iter().map(unit).collect(),
            failures: report.failures.iter().map(cause).collect(),
            notes: &report.notes,
            folds: pairs_json(&report.folds),
        }
    }
}

fn unit(unit: &UnitReport) -> Unit<'_> {
    Unit {
        tenant: unit.unit.tenant.as_str(),
        template: unit.unit.template.as_str(),
        day: unit.unit.day.to_string(),
        outcome: match unit.outcome {
            Outcome::Loaded => "loaded",
            Outcome::Skipped => "skipped",
            Outcome::Unchanged => "unchanged",
            Outcome::Landed => "landed",
            Outcome::Changed => "changed",
            Outcome::Failed => "failed",
            Outcome::NotTried => "not_tried",
        },
        rows: unit.rows,
        bytes: unit.bytes,
        digest: unit.digest.as_deref(),
        relation: unit.relation.as_deref(),
        tries: unit.tries,
        change: unit.change,
        object: unit.object.as_ref().map(|object| Object {
            url: &object.url,
            bytes: object.bytes,
            written: object.written,
        }),
    }
}

pub(super) fn cause(failure: &Failure) -> Cause<'_> {
    Cause {
        tenant: failure.tenant.as_str(),
        template: failure.template.as_ref().map(AsRef::as_ref),
        days: merged(&failure.windows)
            .iter()
            .map(|w| [w.from.to_string(), w.to.plus(-1).to_string()])
            .collect(),
        not_tried: failure.not_tried,
        error: why(&failure.error),
        sqlstate: failure.error.sqlstate(),
        hint: failure.error.hint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::tests::report;

    #[test]
    fn a_run_is_one_object_of_the_documented_shape() {
        let run = report(&[Outcome::Loaded, Outcome::NotTried]);
        let json = serde_json::to_value(Run::new("backfill", &run, 1)).unwrap();
        assert_eq!(json["schema"], "dayhaul.backfill/1");
        assert_eq!(json["run"], 7);
        assert_eq!(json["outcome"], "failed");
        assert_eq!(json["exit_code"], 1);
        assert_eq!(json["totals"]["rows"], 1_000);
        assert_eq!(json["units"][1]["outcome"], "not_tried");
        assert_eq!(json["units"][0]["day"], "2000-01-01");
    }
}
