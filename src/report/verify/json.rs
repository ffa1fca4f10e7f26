//! A verification as one JSON object, `dayhaul.verify/1`; coverage as `dayhaul.verify.coverage/1`.
//!
//! It contains values of rows only for a diff with `--show-values`.

use super::{VerifyOutcome, VerifyTotals, totals};
use crate::catalog::runs::selected::inclusive;
use crate::copy::Tally;
use crate::engine::report::run::RunReport;
use crate::engine::verify::coverage::Coverage;
use crate::engine::verify::row_diff::{ColumnValue, Diff, DiffRow, RowChange, RowDiff};
use crate::engine::verify::rows_of_no_day::PairRowsOfNoDay;
use crate::engine::verify::{Against, Checked, Odd, Verdict, Verification};
use crate::error::exit;
use crate::report::failure_json::{FailureJson, failure};
use crate::report::odd_view_json::{OddViewJson, odd_views};
use crate::report::rows_of_no_day::{self, RowsOfNoDayJson};
use crate::warehouse::Orphan;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct VerifyJson<'a> {
    schema: &'static str,
    /// Reading makes no run.
    run: Option<i64>,
    #[serde(flatten)]
    found: FoundJson<'a>,
    /// What was repaired, and the verification after it; null unless something was.
    repair: Option<RepairJson<'a>>,
}

#[derive(Debug, Serialize)]
struct FoundJson<'a> {
    outcome: VerifyOutcome,
    exit_code: u8,
    against: Against,
    totals: VerifyTotals,
    units: Vec<CheckedJson<'a>>,
    /// Views that do not show what they should.
    views: Vec<OddViewJson<'a>>,
    /// Tables of Dayhaul's that the catalog does not know.
    orphans: Vec<OrphanJson<'a>>,
    /// Rows of the sources that no day has.
    rows_of_no_day: Vec<PairRowsOfNoDayJson<'a>>,
    failures: Vec<FailureJson<'a>>,
}

#[derive(Debug, Serialize)]
struct RepairJson<'a> {
    /// Ids in `_wh.run`.
    run: Option<i64>,
    /// Of loading.
    failures: Vec<FailureJson<'a>>,
    /// The units that were loaded again.
    after: FoundJson<'a>,
}

#[derive(Debug, Serialize)]
struct CheckedJson<'a> {
    tenant: &'a str,
    template: &'a str,
    day: String,
    /// `ok`, `differs`, `missing`, `missing_file`, `not_landed`, `extra`, `not_loaded`, `failed` or `not_tried`.
    outcome: &'static str,
    /// Null unless `outcome` is `differs`.
    differs: Option<Odd>,
    source: Option<TallyJson>,
    warehouse: Option<TallyJson>,
    ledger: Option<TallyJson>,
    parquet: Option<TallyJson>,
    /// URL of the file that the ledger names.
    object: Option<&'a str>,
    relation: Option<&'a str>,
    /// Of the template.
    version: Option<&'a str>,
    extra: Vec<ExtraJson<'a>>,
    diff: Option<Differing<'a>>,
}

#[derive(Debug, Serialize)]
struct TallyJson {
    rows: u64,
    bytes: u64,
    digest: String,
}

#[derive(Debug, Serialize)]
struct OrphanJson<'a> {
    tenant: &'a str,
    template: &'a str,
    relation: String,
    has_rows: bool,
    /// Whether `--repair` drops it.
    repairable: bool,
}

#[derive(Debug, Serialize)]
struct PairRowsOfNoDayJson<'a> {
    tenant: &'a str,
    template: &'a str,
    #[serde(flatten)]
    rows: RowsOfNoDayJson,
}

#[derive(Debug, Serialize)]
struct ExtraJson<'a> {
    relation: &'a str,
    rows: u64,
}

/// Null counts: too many rows to match.
#[derive(Debug, Default, Serialize)]
struct Differing<'a> {
    by_key: bool,
    added: Option<u64>,
    removed: Option<u64>,
    changed: Option<u64>,
    columns: Option<&'a BTreeMap<String, u64>>,
    /// Only with `--show-values`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Shown<'a>>,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    change: RowChange,
    key: BTreeMap<&'a str, Option<&'a str>>,
    columns: BTreeMap<&'a str, Values<'a>>,
}

#[derive(Debug, Serialize)]
struct Values<'a> {
    warehouse: Option<&'a str>,
    source: Option<&'a str>,
}

impl<'a> VerifyJson<'a> {
    pub fn new(found: &'a Verification) -> VerifyJson<'a> {
        VerifyJson {
            schema: "dayhaul.verify/1",
            run: None,
            found: FoundJson::new(found),
            repair: None,
        }
    }

    /// Adds the repair: outcome and exit code are then those of `ended`.
    #[must_use]
    pub fn repaired(
        mut self,
        run: &'a RunReport,
        after: &'a Verification,
        ended: VerifyOutcome,
    ) -> VerifyJson<'a> {
        self.found.outcome = ended;
        self.found.exit_code = ended.exit_code();
        self.repair = Some(RepairJson {
            run: run.run,
            failures: run.failures.iter().map(failure).collect(),
            after: FoundJson::new(after),
        });
        self
    }
}

impl<'a> FoundJson<'a> {
    fn new(found: &'a Verification) -> FoundJson<'a> {
        let outcome = VerifyOutcome::of(found);
        FoundJson {
            outcome,
            exit_code: outcome.exit_code(),
            against: found.against,
            totals: totals(found),
            units: found.units.iter().map(unit).collect(),
            views: odd_views(&found.views),
            orphans: found.orphans.iter().map(orphan).collect(),
            rows_of_no_day: found.rows_of_no_day.iter().map(of_no_day).collect(),
            failures: found.failures.iter().map(failure).collect(),
        }
    }
}

fn orphan(orphan: &Orphan) -> OrphanJson<'_> {
    OrphanJson {
        tenant: orphan.tenant.as_str(),
        template: orphan.template.as_str(),
        relation: orphan.relation(),
        has_rows: orphan.has_rows,
        repairable: orphan.is_droppable(),
    }
}

fn of_no_day(pair: &PairRowsOfNoDay) -> PairRowsOfNoDayJson<'_> {
    PairRowsOfNoDayJson {
        tenant: pair.tenant.as_str(),
        template: pair.template.as_str(),
        rows: rows_of_no_day::json(&pair.rows),
    }
}

fn unit(checked: &Checked) -> CheckedJson<'_> {
    let (outcome, differs) = match checked.verdict {
        Verdict::Ok => ("ok", None),
        Verdict::Differs(odd) => ("differs", Some(odd)),
        Verdict::Missing => ("missing", None),
        Verdict::MissingFile => ("missing_file", None),
        Verdict::NotLanded => ("not_landed", None),
        Verdict::Extra => ("extra", None),
        Verdict::NotLoaded => ("not_loaded", None),
        Verdict::Failed => ("failed", None),
        Verdict::NotTried => ("not_tried", None),
    };
    CheckedJson {
        tenant: checked.unit.tenant.as_str(),
        template: checked.unit.template.as_str(),
        day: checked.unit.day.to_string(),
        outcome,
        differs,
        source: checked.sides.source.map(side),
        warehouse: checked.sides.warehouse.map(side),
        ledger: checked.sides.ledger.map(side),
        parquet: checked.sides.parquet.map(side),
        object: checked.object.as_deref(),
        relation: checked.relation.as_deref(),
        version: checked.version.as_deref(),
        extra: checked
            .extra
            .iter()
            .map(|extra| ExtraJson {
                relation: &extra.relation,
                rows: extra.rows,
            })
            .collect(),
        diff: checked.diff.as_ref().map(differing),
    }
}

fn side(tally: Tally) -> TallyJson {
    TallyJson {
        rows: tally.rows,
        bytes: tally.bytes,
        digest: tally.digest.to_string(),
    }
}

fn differing(diff: &Diff) -> Differing<'_> {
    match diff {
        Diff::TooLarge { .. } => Differing::default(),
        Diff::Rows(rows) => {
            let RowDiff {
                added,
                removed,
                changed,
                ..
            } = *rows;
            Differing {
                by_key: rows.by_key,
                added: Some(added),
                removed: Some(removed),
                changed: Some(changed),
                columns: Some(&rows.columns),
                rows: rows.shown.iter().map(shown).collect(),
            }
        }
    }
}

fn shown(row: &DiffRow) -> Shown<'_> {
    fn named(value: &ColumnValue) -> (&str, Option<&str>) {
        (&value.column, value.text.as_deref())
    }
    Shown {
        change: row.change,
        key: row.key.iter().map(named).collect(),
        columns: row
            .columns
            .iter()
            .map(|changed| {
                let values = Values {
                    warehouse: changed.warehouse.text.as_deref(),
                    source: changed.source.text.as_deref(),
                };
                (changed.warehouse.column.as_str(), values)
            })
            .collect(),
    }
}

#[derive(Debug, Serialize)]
pub struct CoverageJson<'a> {
    schema: &'static str,
    /// `ok` or `not_ok`.
    outcome: VerifyOutcome,
    exit_code: u8,
    pairs: Vec<CoveredPair<'a>>,
}

#[derive(Debug, Serialize)]
struct CoveredPair<'a> {
    tenant: &'a str,
    template: &'a str,
    first_day: Option<String>,
    loaded: u64,
    missing: usize,
    /// Inclusive runs of days.
    gaps: Vec<[String; 2]>,
    unsettled: u64,
    /// Inclusive runs of days.
    overdue: Vec<[String; 2]>,
}

impl<'a> CoverageJson<'a> {
    pub fn new(found: &'a [Coverage]) -> CoverageJson<'a> {
        let complete = found.iter().all(Coverage::is_complete);
        CoverageJson {
            schema: "dayhaul.verify.coverage/1",
            outcome: if complete {
                VerifyOutcome::Ok
            } else {
                VerifyOutcome::NotOk
            },
            exit_code: if complete { exit::OK } else { exit::FAILED },
            pairs: found.iter().map(covered).collect(),
        }
    }

    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

fn covered(pair: &Coverage) -> CoveredPair<'_> {
    CoveredPair {
        tenant: pair.tenant.as_str(),
        template: pair.template.as_str(),
        first_day: pair.first_day.map(|day| day.to_string()),
        loaded: pair.days.loaded,
        missing: pair.days.missing(),
        gaps: inclusive(&pair.days.missing_days),
        unsettled: pair.days.unsettled,
        overdue: inclusive(&pair.days.overdue_days),
    }
}
