//! The result of a verification for people: a line per tenant and template, then the findings.

mod coverage;
pub mod json;

pub use coverage::coverage;

use crate::engine::report::event::Failure;
use crate::engine::verify::row_diff::{ColumnValue, Diff, DiffRow, RowChange, RowDiff};
use crate::engine::verify::rows_of_no_day::PairRowsOfNoDay;
use crate::engine::verify::{Against, Checked, Odd, Verdict, Verification};
use crate::error::exit;
use crate::report::failure::{days, why};
use crate::report::numbers::{bytes, count, counted};
use crate::report::rows_of_no_day;
use crate::report::table::Sheet;
use crate::sql::literal;
use crate::unit::{TemplateName, TenantName, Window};
use crate::warehouse::Orphan;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a verification ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyOutcome {
    /// No findings.
    Ok,
    /// There are findings, or a unit could not be read.
    NotOk,
    /// All tenants were unreachable.
    Unreachable,
    /// Ended by Ctrl-C or SIGTERM.
    Interrupted,
}

impl VerifyOutcome {
    pub fn of(found: &Verification) -> VerifyOutcome {
        if found.interrupted {
            VerifyOutcome::Interrupted
        } else if found.tenants > 0 && found.unreachable_tenants == found.tenants {
            VerifyOutcome::Unreachable
        } else if found.failures.is_empty()
            && found.views.is_empty()
            && found.orphans.is_empty()
            && found.units.iter().all(|u| u.verdict == Verdict::Ok)
        {
            VerifyOutcome::Ok
        } else {
            VerifyOutcome::NotOk
        }
    }

    pub fn exit_code(self) -> u8 {
        match self {
            VerifyOutcome::Ok => exit::OK,
            VerifyOutcome::NotOk => exit::FAILED,
            VerifyOutcome::Unreachable => exit::UNREACHABLE,
            VerifyOutcome::Interrupted => exit::INTERRUPTED,
        }
    }
}

/// Units counted by verdict, and the rows that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct VerifyTotals {
    pub units: u64,
    pub ok: u64,
    pub differs: u64,
    pub missing: u64,
    pub missing_file: u64,
    pub not_landed: u64,
    pub extra: u64,
    pub not_loaded: u64,
    pub failed: u64,
    pub not_tried: u64,
    /// Read from the warehouse or, where a day is only in its file, from the file.
    pub rows: u64,
    /// Of binary tuples.
    pub bytes: u64,
    /// Of work, summed over workers; in the overall totals, wall-clock time.
    pub seconds: f64,
}

impl VerifyTotals {
    fn add(&mut self, unit: &Checked) {
        self.units += 1;
        *match unit.verdict {
            Verdict::Ok => &mut self.ok,
            Verdict::Differs(_) => &mut self.differs,
            Verdict::Missing => &mut self.missing,
            Verdict::MissingFile => &mut self.missing_file,
            Verdict::NotLanded => &mut self.not_landed,
            Verdict::Extra => &mut self.extra,
            Verdict::NotLoaded => &mut self.not_loaded,
            Verdict::Failed => &mut self.failed,
            Verdict::NotTried => &mut self.not_tried,
        } += 1;
        if let Some(read) = unit.sides.warehouse.or(unit.sides.parquet) {
            self.rows += read.rows;
            self.bytes += read.bytes;
        }
    }

    /// A line of the table; with `files`, including the columns about files.
    fn cells(&self, files: bool) -> Vec<String> {
        let mut days = vec![
            self.ok,
            self.differs,
            self.missing,
            self.extra,
            self.not_loaded,
        ];
        if files {
            days.extend([self.missing_file, self.not_landed]);
        }
        days.extend([self.failed, self.not_tried, self.rows]);
        let mut cells: Vec<String> = days.into_iter().map(count).collect();
        cells.push(bytes(self.bytes));
        cells.push(format!("{:.1}", self.seconds));
        cells
    }
}

/// The overall totals.
pub fn totals(found: &Verification) -> VerifyTotals {
    let mut totals = VerifyTotals::default();
    found.units.iter().for_each(|unit| totals.add(unit));
    totals.seconds = found.elapsed.as_secs_f64();
    totals
}

/// The table, then the findings; days with the same finding share a line.
pub fn render(found: &Verification) -> String {
    let mut text = table(found);
    for line in findings(found) {
        let _ = write!(text, "\n{line}");
    }
    text
}

fn table(found: &Verification) -> String {
    let mut pairs: BTreeMap<(&TenantName, &TemplateName), VerifyTotals> = BTreeMap::new();
    for unit in &found.units {
        let pair = (&unit.unit.tenant, &unit.unit.template);
        pairs.entry(pair).or_default().add(unit);
    }
    for (tenant, template, seconds) in &found.pair_seconds {
        pairs.entry((tenant, template)).or_default().seconds += seconds;
    }
    let files = found.against.reads_files();
    let mut headings = vec![
        "tenant",
        "template",
        ">ok",
        ">differ",
        ">missing",
        ">extra",
        ">not loaded",
    ];
    if files {
        headings.extend([">no file", ">not landed"]);
    }
    headings.extend([">failed", ">not tried", ">rows", ">bytes", ">seconds"]);
    let mut sheet = Sheet::new(&headings);
    let mut row = |tenant: &str, template: &str, totals: VerifyTotals| {
        let names = [tenant.to_owned(), template.to_owned()];
        sheet.row(names.into_iter().chain(totals.cells(files)));
    };
    for ((tenant, template), totals) in &pairs {
        row(tenant.as_str(), template.as_str(), *totals);
    }
    if pairs.len() > 1 {
        row("all", "", totals(found));
    }
    sheet.render()
}

fn findings(found: &Verification) -> Vec<String> {
    let mut groups: BTreeMap<_, Vec<&Checked>> = BTreeMap::new();
    for unit in &found.units {
        // Why a unit was not read is printed with the failures.
        let elsewhere = matches!(
            unit.verdict,
            Verdict::Ok | Verdict::Failed | Verdict::NotTried
        );
        if !elsewhere {
            let key = (&unit.unit.tenant, &unit.unit.template, unit.verdict);
            groups.entry(key).or_default().push(unit);
        }
    }
    let mut lines: Vec<String> = found.views.iter().map(ToString::to_string).collect();
    lines.extend(found.orphans.iter().map(ToString::to_string));
    if found.orphans.iter().any(Orphan::is_droppable) {
        lines.push("an interrupted run left tables that keep new ones from being made: `dayhaul verify --repair` drops those that are empty or were never shown".to_owned());
    }
    lines.extend(
        found
            .rows_of_no_day
            .iter()
            .filter_map(|pair| in_no_day(pair, found)),
    );
    for ((tenant, template, verdict), units) in groups {
        let windows: Vec<Window> = units.iter().map(|u| Window::single(u.unit.day)).collect();
        let what = explain(verdict, found.against, &units);
        lines.push(format!("{tenant}/{template} {}: {what}", days(&windows)));
        for unit in units {
            if verdict != Verdict::Extra && !unit.extra.is_empty() {
                lines.push(format!("  {}: {}", unit.unit.day, extra(&[unit])));
            }
            if let Some(diff) = &unit.diff {
                lines.push(format!("  {}: {}", unit.unit.day, differing(diff)));
                if let Diff::Rows(rows) = diff {
                    lines.extend(rows.shown.iter().map(|row| format!("    {}", shown(row))));
                }
            }
        }
    }
    lines
}

/// Rows of a source that are in no day. Where the query failed, its failure is enough.
fn in_no_day(pair: &PairRowsOfNoDay, found: &Verification) -> Option<String> {
    let (tenant, template) = (&pair.tenant, &pair.template);
    match &pair.rows {
        Ok(rows) if rows.is_none() => None,
        Ok(rows) => Some(format!(
            "{tenant}/{template}: the source has rows that are in no day: {}",
            rows_of_no_day::counts(rows)
        )),
        Err(error) => {
            let failed = |f: &Failure| f.tenant == *tenant && f.template.as_ref() == Some(template);
            let why = why(error);
            let shown = !found.failures.iter().any(failed);
            shown.then(|| {
                format!("{tenant}/{template}: rows that are in no day were not counted: {why}")
            })
        }
    }
}

fn explain(verdict: Verdict, against: Against, units: &[&Checked]) -> String {
    match verdict {
        Verdict::Differs(odd) => {
            let who = match (odd, against) {
                (Odd::Source, Against::All) => "source differs (the others agree)",
                (Odd::Source, _) => "source differs (warehouse and ledger agree)",
                (Odd::Warehouse, Against::Both) => "warehouse differs (source and ledger agree)",
                (Odd::Warehouse, _) => "warehouse differs (the others agree)",
                (Odd::Ledger, Against::Both) => "ledger differs (source and warehouse agree)",
                (Odd::Ledger, _) => "ledger differs (the others agree)",
                (Odd::Parquet, _) => "file differs (the others agree)",
                (Odd::All, Against::Both) => "source, warehouse and ledger differ",
                (Odd::All, Against::Source) => "source and warehouse differ",
                (Odd::All, Against::Ledger) => "warehouse and ledger differ",
                (Odd::All, Against::Parquet) => "file, warehouse and ledger differ",
                (Odd::All, Against::All) => "source, file, warehouse and ledger differ",
            };
            format!("{who}; rows: {}", rows_of_sides(against, units))
        }
        Verdict::Missing => {
            let relations = relations(units.iter().filter_map(|u| u.relation.as_deref()));
            format!("missing: the ledger names {relations}, which no longer exists")
        }
        Verdict::MissingFile => {
            let objects = relations(units.iter().filter_map(|u| u.object.as_deref()).take(1));
            match units.len() {
                1 => format!("no file: the ledger names {objects}, which no longer exists"),
                n => format!(
                    "no files: the ledger names {n} that no longer exist, the first is {objects}"
                ),
            }
        }
        Verdict::NotLanded => {
            "not landed: no file is known to have its rows; `dayhaul land` writes it".to_owned()
        }
        Verdict::Extra => extra(units),
        Verdict::NotLoaded => "not loaded".to_owned(),
        Verdict::Ok | Verdict::Failed | Verdict::NotTried => String::new(),
    }
}

fn extra(units: &[&Checked]) -> String {
    let found = || units.iter().flat_map(|u| &u.extra);
    format!(
        "extra: {} in {} not in the ledger",
        counted(found().map(|e| e.rows).sum(), "row"),
        relations(found().map(|e| e.relation.as_str()))
    )
}

/// Each name once.
fn relations<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: std::collections::BTreeSet<&str> = names.collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// `source 101, warehouse 100, ledger 100`, summed over the units.
fn rows_of_sides(against: Against, units: &[&Checked]) -> String {
    let side = |name, of: fn(&Checked) -> Option<crate::copy::Tally>| {
        let rows = units.iter().filter_map(|u| of(u)).map(|t| t.rows).sum();
        format!("{name} {}", count(rows))
    };
    let mut sides = Vec::with_capacity(4);
    if against.reads_sources() {
        sides.push(side("source", |u| u.sides.source));
    }
    if units.iter().any(|u| u.sides.warehouse.is_some()) {
        sides.push(side("warehouse", |u| u.sides.warehouse));
    }
    if against.reads_ledger() {
        sides.push(side("ledger", |u| u.sides.ledger));
    }
    if against.reads_files() {
        sides.push(side("file", |u| u.sides.parquet));
    }
    sides.join(", ")
}

/// `1 row added, 2 rows changed (amount 2, note 1)`.
fn differing(diff: &Diff) -> String {
    let rows = match diff {
        Diff::TooLarge { budget } => {
            return format!(
                "too many rows to match in {}: only counted",
                bytes(*budget as u64)
            );
        }
        Diff::Rows(rows) => rows,
    };
    let RowDiff {
        added,
        removed,
        changed,
        ..
    } = *rows;
    if !rows.by_key {
        return format!(
            "{} only at the source, {} only in the warehouse (the template has no `unique` columns to match rows)",
            counted(added, "row"),
            counted(removed, "row")
        );
    }
    let mut parts = Vec::new();
    if added > 0 {
        parts.push(format!("{} added", counted(added, "row")));
    }
    if removed > 0 {
        parts.push(format!("{} removed", counted(removed, "row")));
    }
    if changed > 0 {
        let columns = rows.columns.iter();
        let columns: Vec<String> = columns
            .map(|(name, n)| format!("{name} {}", count(*n)))
            .collect();
        parts.push(format!(
            "{} changed ({})",
            counted(changed, "row"),
            columns.join(", ")
        ));
    }
    if parts.is_empty() {
        return "no rows differ any more".to_owned();
    }
    parts.join(", ")
}

fn shown(row: &DiffRow) -> String {
    // As literals, to distinguish null, an empty text and the text `null`.
    let value = |value: &ColumnValue| value.text.as_deref().map_or("null".into(), literal);
    let named = |of: &ColumnValue| format!("{} {}", of.column, value(of));
    let key: Vec<String> = row.key.iter().map(named).collect();
    let what = match row.change {
        RowChange::Added => "added",
        RowChange::Removed => "removed",
        RowChange::Changed => "changed",
    };
    let columns: Vec<String> = row
        .columns
        .iter()
        .map(|changed| {
            format!(
                "{} in the warehouse, {} at the source",
                named(&changed.warehouse),
                value(&changed.source)
            )
        })
        .collect();
    let colon = if columns.is_empty() { "" } else { ": " };
    format!("{what} {}{colon}{}", key.join(", "), columns.join("; "))
}
