//! The yearly conversion of dblink's day views into year tables.

use super::Contestant;
use super::dblink::DayViews;
use super::statements::{commented, loaded_rows, run_batch, script};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::Result;
use crate::unit::{Day, Window};

pub const NAME: &str = "dblink-years";

/// The conversion.
pub struct Convert {
    /// Creating the views is timed, too. Otherwise they exist before.
    pub load: bool,
}

/// The days of the period in each year.
fn years(period: Window) -> Vec<(i32, Window)> {
    (period.from.year()..=period.to.plus(-1).year())
        .map(|year| {
            let from = Day::first_of_year(year).max(period.from);
            (
                year,
                Window::new(from, Day::first_of_year(year + 1).min(period.to)),
            )
        })
        .collect()
}

fn table(sandbox: &Sandbox, year: i32) -> String {
    sandbox.relation(&format!("_{year:04}"))
}

/// One transaction per year.
fn conversion(sandbox: &Sandbox, year: i32, days: Window) -> Vec<String> {
    let table = table(sandbox, year);
    let all: Vec<String> = days
        .days()
        .map(|day| format!("SELECT * FROM {}", sandbox.day(day)))
        .collect();
    let mut statements = vec![
        "BEGIN".to_owned(),
        format!("CREATE TABLE {table} AS\n{}", all.join("\nUNION ALL ")),
    ];
    statements.extend(sandbox.indexes(&table));
    let views: Vec<String> = days.days().map(|day| sandbox.day(day)).collect();
    statements.push(format!("DROP MATERIALIZED VIEW {}", views.join(", ")));
    statements.push("COMMIT".to_owned());
    statements
}

/// The conversion for the report, with two days of each year.
fn excerpt(sandbox: &Sandbox) -> String {
    years(sandbox.window)
        .into_iter()
        .map(|(year, days)| {
            let short = Window::new(days.from, days.from.plus(2).min(days.to));
            let comment = format!(
                "{year}, one session, one transaction; the first {} of {} days:",
                short.len(),
                days.len()
            );
            commented(&comment, &script(&conversion(sandbox, year, short)))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

const LOADER: DayViews = DayViews { jobs: false };

impl Contestant for Convert {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        if self.load {
            "dblink, a view per day, then converted into year tables".into()
        } else {
            "dblink's day views converted into year tables".into()
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let load = LOADER.excerpt(sandbox)?;
        let load = if self.load {
            load
        } else {
            commented("Not timed:", &load)
        };
        Ok(format!("{load}\n{}", excerpt(sandbox)))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move {
            if !self.load {
                LOADER.load(sandbox).await?;
            }
            Ok(())
        })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            if self.load {
                LOADER.load(sandbox).await?;
            }
            for (year, days) in years(sandbox.window) {
                run_batch(sandbox, &conversion(sandbox, year, days)).await?;
            }
            Ok(ContestantUsage::default())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        let tables = years(sandbox.window)
            .into_iter()
            .map(|(year, days)| (table(sandbox, year), days));
        Box::pin(loaded_rows(sandbox, tables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_split_at_new_year() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let period = Window::new(day("2023-12-30"), day("2025-01-02"));
        let cut: Vec<(i32, String)> = years(period)
            .into_iter()
            .map(|(year, days)| (year, days.to_string()))
            .collect();
        let all = [
            (2023, "2023-12-30 … 2023-12-31".to_owned()),
            (2024, "2024-01-01 … 2024-12-31".to_owned()),
            (2025, "2025-01-01".to_owned()),
        ];
        assert_eq!(cut, all);
    }
}
