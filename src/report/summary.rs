//! The end of a run in figures: one line per tenant and template.

use crate::engine::event::{Outcome, RunReport, UnitReport};
use crate::report::numbers;
use crate::report::table::Sheet;
use crate::unit::{TemplateName, TenantName};
use serde::Serialize;
use std::collections::BTreeMap;

/// Units counted by how they ended, and what went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Totals {
    pub units: u64,
    pub loaded: u64,
    pub skipped: u64,
    pub failed: u64,
    pub not_tried: u64,
    /// Of loaded units.
    pub rows: u64,
    /// Of binary tuples of loaded units.
    pub bytes: u64,
    /// Of work, summed over workers; in a run's totals by the clock.
    pub seconds: f64,
}

impl Totals {
    fn add(&mut self, unit: &UnitReport) {
        self.units += 1;
        match unit.outcome {
            Outcome::Loaded => {
                self.loaded += 1;
                self.rows += unit.rows;
                self.bytes += unit.bytes;
            }
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::NotTried => self.not_tried += 1,
        }
    }

    fn cells(&self) -> [String; 7] {
        [
            numbers::count(self.loaded),
            numbers::count(self.skipped),
            numbers::count(self.failed),
            numbers::count(self.not_tried),
            numbers::count(self.rows),
            numbers::bytes(self.bytes),
            format!("{:.1}", self.seconds),
        ]
    }
}

/// The totals of a run.
pub fn totals(report: &RunReport) -> Totals {
    let mut totals = Totals::default();
    report.units.iter().for_each(|unit| totals.add(unit));
    totals.seconds = report.elapsed.as_secs_f64();
    totals
}

fn by_pair(report: &RunReport) -> BTreeMap<(&TenantName, &TemplateName), Totals> {
    let mut pairs: BTreeMap<_, Totals> = BTreeMap::new();
    for unit in &report.units {
        pairs
            .entry((&unit.unit.tenant, &unit.unit.template))
            .or_default()
            .add(unit);
    }
    for (tenant, template, seconds) in &report.pair_seconds {
        pairs.entry((tenant, template)).or_default().seconds += seconds;
    }
    pairs
}

/// The table: days loaded, skipped, failed, not tried; rows, bytes, seconds; the sum when there is something to sum.
pub fn render(report: &RunReport) -> String {
    let pairs = by_pair(report);
    let mut sheet = Sheet::new(&[
        "tenant",
        "template",
        ">loaded",
        ">skipped",
        ">failed",
        ">not tried",
        ">rows",
        ">bytes",
        ">seconds",
    ]);
    for ((tenant, template), totals) in &pairs {
        sheet.row(
            [tenant.to_string(), template.to_string()]
                .into_iter()
                .chain(totals.cells()),
        );
    }
    if pairs.len() > 1 {
        sheet.row(
            ["all".to_owned(), String::new()]
                .into_iter()
                .chain(totals(report).cells()),
        );
    }
    sheet.render()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::unit::{Day, Unit};
    use std::time::Duration;

    /// A run over one pair, a unit per outcome.
    pub fn report(outcomes: &[Outcome]) -> RunReport {
        let tenant = TenantName::parse("acme").unwrap();
        let template = TemplateName::parse("flights").unwrap();
        let units = outcomes
            .iter()
            .zip(0..)
            .map(|(outcome, i)| UnitReport {
                unit: Unit {
                    tenant: tenant.clone(),
                    template: template.clone(),
                    day: Day::from_pg_days(i),
                },
                outcome: *outcome,
                rows: 1_000,
                bytes: 2_048,
                digest: None,
                relation: None,
                tries: 1,
            })
            .collect();
        RunReport {
            run: Some(7),
            units,
            failures: Vec::new(),
            interrupted: false,
            cancelled_by: None,
            pairs: 1,
            locked_pairs: 0,
            tenants: 1,
            unreachable_tenants: 0,
            pair_seconds: vec![(tenant, template, 1.5)],
            elapsed: Duration::from_millis(1_250),
        }
    }

    #[test]
    fn only_rows_that_this_run_loaded_are_counted() {
        let run = report(&[
            Outcome::Loaded,
            Outcome::Loaded,
            Outcome::Skipped,
            Outcome::Failed,
        ]);
        let totals = totals(&run);
        assert_eq!(
            (totals.units, totals.loaded, totals.skipped, totals.failed),
            (4, 2, 1, 1)
        );
        assert_eq!((totals.rows, totals.bytes), (2_000, 4_096));
    }

    #[test]
    fn the_table_has_a_line_per_pair_and_a_sum_when_there_are_several() {
        let mut run = report(&[Outcome::Loaded]);
        assert_eq!(
            render(&run),
            "tenant  template  loaded  skipped  failed  not tried   rows    bytes  seconds\n\
             acme    flights        1        0       0          0  1,000  2.0 KiB      1.5"
        );
        run.pair_seconds.push((
            TenantName::parse("zenith").unwrap(),
            TemplateName::parse("flights").unwrap(),
            0.5,
        ));
        assert!(
            render(&run).lines().last().unwrap().starts_with("all "),
            "{}",
            render(&run)
        );
    }
}
