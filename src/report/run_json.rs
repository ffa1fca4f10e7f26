//! A run as one JSON object: `{"schema": "dayhaul.backfill/1", "run", "outcome", "totals", "units", "failures"}`.
//!
//! Days are `YYYY-MM-DD`, windows inclusive pairs of them, sizes bytes, times seconds, digests 32 hex digits. It never
//! contains values of rows.

use crate::engine::report::event::{Change, LandedIn, Outcome, UnitReport};
use crate::engine::report::run::RunReport;
use crate::report::failure::why;
use crate::report::failure_json::{FailureJson, failure};
use crate::report::fold::{PairFoldJson, pairs_json};
use crate::report::outcome::RunOutcome;
use crate::report::run_table::{RunTotals, totals};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct RunJson<'a> {
    /// `dayhaul.<command>/1`.
    schema: String,
    /// The id in `_wh.run`; null for a dry run.
    run: Option<i64>,
    outcome: RunOutcome,
    /// Who cancelled it with `dayhaul cancel`.
    cancelled_by: Option<&'a str>,
    exit_code: u8,
    totals: RunTotals,
    units: Vec<UnitJson<'a>>,
    failures: Vec<FailureJson<'a>>,
    /// Why the catalog does not have how the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_recorded: Option<String>,
    /// What a person should know about the data.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    /// Of a sync: what it folded or could not fold yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    folds: Vec<PairFoldJson<'a>>,
}

#[derive(Debug, Serialize)]
struct UnitJson<'a> {
    tenant: &'a str,
    template: &'a str,
    day: String,
    outcome: Outcome,
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
    object: Option<&'a LandedIn>,
}

impl<'a> RunJson<'a> {
    /// `command` is the command's name, as in the schema.
    pub fn new(command: &str, report: &'a RunReport, exit_code: u8) -> RunJson<'a> {
        let outcome = RunOutcome::of(report).beside(exit_code);
        RunJson {
            schema: format!("dayhaul.{command}/1"),
            run: report.run,
            outcome,
            cancelled_by: report.cancelled_by.as_deref(),
            exit_code,
            totals: totals(report),
            units: report.units.iter().map(unit).collect(),
            failures: report.failures.iter().map(failure).collect(),
            not_recorded: report.not_recorded.as_ref().map(why),
            notes: &report.notes,
            folds: pairs_json(&report.folds),
        }
    }
}

fn unit(unit: &UnitReport) -> UnitJson<'_> {
    UnitJson {
        tenant: unit.unit.tenant.as_str(),
        template: unit.unit.template.as_str(),
        day: unit.unit.day.to_string(),
        outcome: unit.outcome,
        rows: unit.rows,
        bytes: unit.bytes,
        digest: unit.digest.as_deref(),
        relation: unit.relation.as_deref(),
        tries: unit.tries,
        change: unit.change,
        object: unit.object.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_table::tests::report;

    #[test]
    fn a_run_is_one_object_of_the_documented_shape() {
        let run = report(&[Outcome::Loaded, Outcome::NotTried]);
        let json = serde_json::to_value(RunJson::new("backfill", &run, 1)).unwrap();
        assert_eq!(json["schema"], "dayhaul.backfill/1");
        assert_eq!(json["run"], 7);
        assert_eq!(json["outcome"], "failed");
        assert_eq!(json["exit_code"], 1);
        assert_eq!(json["totals"]["rows"], 1_000);
        assert_eq!(json["units"][1]["outcome"], "not_tried");
        assert_eq!(json["units"][0]["day"], "2000-01-01");
    }
}
