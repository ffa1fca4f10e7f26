//! dblink's day views, and then their conversion into yearly tables: the night that comes once a year.

use super::Contestant;
use super::dblink::DayViews;
use super::statements::{at_once, commented, held, text};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::Lane;
use crate::bench::meter::Used;
use crate::error::Result;
use crate::unit::{Day, Window};

pub const NAME: &str = "dblink-years";

/// The conversion, with or without the loading before it.
pub struct Convert {
    /// The views are made within the time, too; else they are there.
    pub load: bool,
}

/// The period's share of each year.
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

fn table(lane: &Lane, year: i32) -> String {
    lane.relation(&format!("_{year:04}"))
}

/// One transaction per year.
fn conversion(lane: &Lane, year: i32, days: Window) -> Vec<String> {
    let table = table(lane, year);
    let all: Vec<String> = days
        .days()
        .map(|day| format!("SELECT * FROM {}", lane.day(day)))
        .collect();
    let mut statements = vec![
        "BEGIN".to_owned(),
        format!("CREATE TABLE {table} AS\n{}", all.join("\nUNION ALL ")),
    ];
    statements.extend(lane.indexes(&table));
    let views: Vec<String> = days.days().map(|day| lane.day(day)).collect();
    statements.push(format!("DROP MATERIALIZED VIEW {}", views.join(", ")));
    statements.push("COMMIT".to_owned());
    statements
}

/// The same with most of the days left out.
fn shown(lane: &Lane) -> String {
    years(lane.window)
        .into_iter()
        .map(|(year, days)| {
            let short = Window::new(days.from, days.from.plus(2).min(days.to));
            let comment = format!(
                "{year}, one session, one transaction; {} days where the first {} stand here:",
                days.len(),
                short.len()
            );
            commented(&comment, &text(&conversion(lane, year, short)))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

const LOADER: DayViews = DayViews { many: false };

impl Contestant for Convert {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        match self.load {
            true => "dblink, a view per day, then converted into yearly tables".into(),
            false => "dblink's day views converted into yearly tables".into(),
        }
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        let load = LOADER.shown(lane)?;
        let load = match self.load {
            true => load,
            false => commented("Not timed:", &load),
        };
        Ok(format!("{load}\n{}", shown(lane)))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn prepare<'a>(&'a self, lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async move {
            if !self.load {
                LOADER.load(lane).await?;
            }
            Ok(())
        })
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            if self.load {
                LOADER.load(lane).await?;
            }
            for (year, days) in years(lane.window) {
                at_once(lane, &conversion(lane, year, days)).await?;
            }
            Ok(Used::default())
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        let tables = years(lane.window)
            .into_iter()
            .map(|(year, days)| (table(lane, year), days));
        Box::pin(held(lane, tables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_cut_at_new_year() {
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
