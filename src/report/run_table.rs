//! The totals of a run: a line per tenant and template.

use crate::engine::report::event::{Outcome, UnitReport};
use crate::engine::report::run::RunReport;
use crate::report::numbers;
use crate::report::table::Sheet;
use crate::unit::{TemplateName, TenantName};
use serde::Serialize;
use std::collections::BTreeMap;

/// Units counted by outcome, and the rows that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RunTotals {
    pub units: u64,
    /// New in the warehouse, or loaded again by `--reload`.
    pub loaded: u64,
    pub unchanged: u64,
    pub changed: u64,
    /// Only their files were written; or they have only a file, which is new.
    pub landed: u64,
    /// Changed to no rows; also counted as changed.
    pub emptied: u64,
    pub skipped: u64,
    pub failed: u64,
    pub not_tried: u64,
    /// Of loaded, unchanged and changed units.
    pub rows: u64,
    /// Of their binary tuples.
    pub bytes: u64,
    /// Rows of changed units.
    pub deleted: u64,
    pub inserted: u64,
    /// Parquet files written, and their size.
    pub files: u64,
    pub file_bytes: u64,
    /// Of work, summed over workers; in the totals of a run, wall-clock time.
    pub seconds: f64,
}

impl RunTotals {
    fn add(&mut self, unit: &UnitReport) {
        self.units += 1;
        let done = [
            Outcome::Loaded,
            Outcome::Unchanged,
            Outcome::Changed,
            Outcome::Landed,
        ];
        if done.contains(&unit.outcome) {
            self.rows += unit.rows;
            self.bytes += unit.bytes;
        }
        match unit.outcome {
            Outcome::Loaded => self.loaded += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Changed => self.changed += 1,
            Outcome::Landed => self.landed += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::NotTried => self.not_tried += 1,
        }
        if let Some(object) = unit.object.as_ref().filter(|object| object.written) {
            self.files += 1;
            self.file_bytes += object.bytes;
        }
        if let Some(change) = unit.change {
            self.deleted += change.deleted;
            self.inserted += change.inserted;
            self.emptied += u64::from(unit.rows == 0 && change.before > 0);
        }
    }

    fn cell(&self, column: &Column) -> String {
        match column.figure {
            Figure::Count(of) => numbers::count(of(self)),
            Figure::Bytes(of) => numbers::bytes(of(self)),
            Figure::Seconds => format!("{:.1}", self.seconds),
        }
    }
}

enum Figure {
    Count(fn(&RunTotals) -> u64),
    Bytes(fn(&RunTotals) -> u64),
    Seconds,
}

/// A column of the table: shown if it has a figure other than zero, or `always`.
struct Column {
    heading: &'static str,
    always: bool,
    figure: Figure,
}

const COLUMNS: [Column; 15] = {
    const fn count(heading: &'static str, always: bool, of: fn(&RunTotals) -> u64) -> Column {
        Column {
            heading,
            always,
            figure: Figure::Count(of),
        }
    }
    [
        count(">loaded", true, |t| t.loaded),
        count(">unchanged", false, |t| t.unchanged),
        count(">changed", false, |t| t.changed),
        count(">landed", false, |t| t.landed),
        count(">emptied", false, |t| t.emptied),
        count(">skipped", true, |t| t.skipped),
        count(">failed", true, |t| t.failed),
        count(">not tried", true, |t| t.not_tried),
        count(">rows", true, |t| t.rows),
        Column {
            heading: ">bytes",
            always: true,
            figure: Figure::Bytes(|t| t.bytes),
        },
        count(">deleted", false, |t| t.deleted),
        count(">inserted", false, |t| t.inserted),
        count(">files", false, |t| t.files),
        Column {
            heading: ">in files",
            always: false,
            figure: Figure::Bytes(|t| t.file_bytes),
        },
        Column {
            heading: ">seconds",
            always: true,
            figure: Figure::Seconds,
        },
    ]
};

/// The totals of a run.
pub fn totals(report: &RunReport) -> RunTotals {
    let mut totals = RunTotals::default();
    report.units.iter().for_each(|unit| totals.add(unit));
    totals.seconds = report.elapsed.as_secs_f64();
    totals
}

fn by_pair(report: &RunReport) -> BTreeMap<(&TenantName, &TemplateName), RunTotals> {
    let mut pairs: BTreeMap<_, RunTotals> = BTreeMap::new();
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

/// The table: a line per tenant and template with its days by outcome; a sum when there are several lines. `None` when
/// there was nothing to do.
pub fn render(report: &RunReport) -> Option<String> {
    let pairs = by_pair(report);
    if pairs.is_empty() {
        return None;
    }
    let sum = totals(report);
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| match column.figure {
            Figure::Count(of) | Figure::Bytes(of) => column.always || of(&sum) > 0,
            Figure::Seconds => true,
        })
        .collect();
    let headings: Vec<&str> = ["tenant", "template"]
        .into_iter()
        .chain(columns.iter().map(|column| column.heading))
        .collect();
    let mut sheet = Sheet::new(&headings);
    let mut line = |tenant: String, template: String, totals: &RunTotals| {
        let cells = columns.iter().map(|column| totals.cell(column));
        sheet.row([tenant, template].into_iter().chain(cells));
    };
    for ((tenant, template), totals) in &pairs {
        line(tenant.to_string(), template.to_string(), totals);
    }
    if pairs.len() > 1 {
        line("all".to_owned(), String::new(), &sum);
    }
    Some(sheet.render())
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
            .map(|(outcome, i)| {
                let unit = Unit {
                    tenant: tenant.clone(),
                    template: template.clone(),
                    day: Day::from_pg_days(i),
                };
                UnitReport {
                    rows: 1_000,
                    bytes: 2_048,
                    tries: 1,
                    ..UnitReport::new(unit, *outcome)
                }
            })
            .collect();
        RunReport {
            run: Some(7),
            units,
            failures: Vec::new(),
            notes: Vec::new(),
            folds: Vec::new(),
            interrupted: false,
            cancelled_by: None,
            pairs: 1,
            locked_pairs: 0,
            tenants: 1,
            unreachable_tenants: 0,
            pair_seconds: vec![(tenant, template, 1.5)],
            not_recorded: None,
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
            render(&run).unwrap(),
            "tenant  template  loaded  skipped  failed  not tried   rows    bytes  seconds\n\
             acme    flights        1        0       0          0  1,000  2.0 KiB      1.5"
        );
        run.pair_seconds.push((
            TenantName::parse("zenith").unwrap(),
            TemplateName::parse("flights").unwrap(),
            0.5,
        ));
        let table = render(&run).unwrap();
        assert!(table.lines().last().unwrap().starts_with("all "), "{table}");
        let nothing = RunReport {
            units: Vec::new(),
            pair_seconds: Vec::new(),
            ..run
        };
        assert_eq!(render(&nothing), None);
    }
}
