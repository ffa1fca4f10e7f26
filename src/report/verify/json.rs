//! A verification as one JSON object, `dayhaul.verify/1`; coverage as `dayhaul.verify.coverage/1`.
//!
//! Values of rows stand in it only where a diff was asked for with values.

use super::{Totals, VerifyOutcome, totals};
use crate::copy::Tally;
use crate::engine::report::run::RunReport;
use crate::engine::verify::coverage::Coverage;
use crate::engine::verify::row_diff::{ColumnValue, Diff, DiffRow, RowChange, RowDiff};
use crate::engine::verify::{Against, Checked, Odd, Verdict, Verification};
use crate::error::exit;
use crate::report::json::{Cause, cause};
use crate::unit::Window;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct Verified<'a> {
    schema: &'static str,
    /// Reading makes no run.
    run: Option<i64>,
    #[serde(flatten)]
    found: Found<'a>,
    /// What was mended, and how it looks after that; null unless something was.
    repair: Option<Repair<'a>>,
}

#[derive(Debug, Serialize)]
struct Found<'a> {
    outcome: VerifyOutcome,
    exit_code: u8,
    against: Against,
    totals: Totals,
    units: Vec<Unit<'a>>,
    failures: Vec<Cause<'a>>,
}

#[derive(Debug, Serialize)]
struct Repair<'a> {
    /// Ids in `_wh.run`.
    run: Option<i64>,
    /// Of loading.
    failures: Vec<Cause<'a>>,
    /// The units that were loaded again.
    after: Found<'a>,
}

#[derive(Debug, Serialize)]
struct Unit<'a> {
    tenant: &'a str,
    template: &'a str,
    day: String,
    /// `ok`, `differs`, `missing`, `missing_file`, `not_landed`, `extra`, `not_loaded`, `failed` or `not_tried`.
    outcome: &'static str,
    /// Null unless `outcome` is `differs`.
    differs: Option<Odd>,
    source: Option<Side>,
    warehouse: Option<Side>,
    ledger: Option<Side>,
    parquet: Option<Side>,
    /// URL of the file that the ledger names.
    object: Option<&'a str>,
    relation: Option<&'a str>,
    /// Of the template.
    version: Option<&'a str>,
    extra: Vec<Extra<'a>>,
    diff: Option<Differing<'a>>,
}

#[derive(Debug, Serialize)]
struct Side {
    rows: u64,
    bytes: u64,
    digest: String,
}

#[derive(Debug, Serialize)]
struct Extra<'a> {
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

impl<'a> Verified<'a> {
    pub fn new(found: &'a Verification) -> Verified<'a> {
        Verified {
            schema: "dayhaul.verify/1",
            run: None,
            found: Found::new(found),
            repair: None,
        }
    }

    /// Adds what was mended: outcome and exit code are then those of `ended`.
    #[must_use]
    pub fn repaired(
        mut self,
        run: &'a RunReport,
        after: &'a Verification,
        ended: VerifyOutcome,
    ) -> Verified<'a> {
        self.found.outcome = ended;
        self.found.exit_code = ended.exit_code();
        self.repair = Some(Repair {
            run: run.run,
            failures: run.failures.iter().map(cause).collect(),
            after: Found::new(after),
        });
        self
    }
}

impl<'a> Found<'a> {
    fn new(found: &'a Verification) -> Found<'a> {
        let outcome = VerifyOutcome::of(found);
        Found {
            outcome,
            exit_code: outcome.exit_code(),
            against: found.against,
            totals: totals(found),
            units: found.units.iter().map(unit).collect(),
            failures: found.failures.iter().map(cause).collect(),
        }
    }
}

fn unit(checked: &Checked) -> Unit<'_> {
    let outcome = match checked.verdict {
        Verdict::Ok => "ok",
        Verdict::Differs(_) => "differs",
        Verdict::Missing => "missing",
        Verdict::MissingFile => "missing_file",
        Verdict::NotLanded => "not_landed",
        Verdict::Extra => "extra",
        Verdict::NotLoaded => "not_loaded",
        Verdict::Failed => "failed",
        Verdict::NotTried => "not_tried",
    };
    let differs = match checked.verdict {
        Verdict::Differs(odd) => Some(odd),
        _ => None,
    };
    Unit {
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
            .map(|extra| Extra {
                relation: &extra.relation,
                rows: extra.rows,
            })
            .collect(),
        diff: checked.diff.as_ref().map(differing),
    }
}

fn side(tally: Tally) -> Side {
    Side {
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
pub struct Covered<'a> {
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
    loaded: usize,
    missing: usize,
    /// Inclusive runs of days.
    gaps: Vec<[String; 2]>,
}

impl<'a> Covered<'a> {
    pub fn new(found: &'a [Coverage]) -> Covered<'a> {
        let whole = found.iter().all(Coverage::is_complete);
        Covered {
            schema: "dayhaul.verify.coverage/1",
            outcome: if whole {
                VerifyOutcome::Ok
            } else {
                VerifyOutcome::NotOk
            },
            exit_code: if whole { exit::OK } else { exit::FAILED },
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
        loaded: pair.loaded,
        missing: pair.missing(),
        gaps: pair
            .gaps
            .iter()
            .map(|w: &Window| [w.from.to_string(), w.to.plus(-1).to_string()])
            .collect(),
    }
}
