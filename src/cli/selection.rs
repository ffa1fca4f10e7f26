//! Which units a command works on: the same flags everywhere.

use super::destination::Destination;
use super::today::TodayArgs;
use crate::catalog::registry::pairs::how_to_enable;
use crate::catalog::{self, Catalog, Pair, Selection};
use crate::error::{Error, Result};
use crate::unit::{Day, TemplateName, TenantName, Window};
use clap::Args;
use std::str::FromStr;

/// `--tenant` and `--template`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selection")]
pub struct PairArgs {
    /// Only this tenant (repeatable) [default: all enabled]
    #[arg(long = "tenant", value_name = "T")]
    tenants: Vec<TenantName>,
    /// Only this template (repeatable) [default: all enabled]
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
}

impl From<PairArgs> for Selection {
    fn from(args: PairArgs) -> Selection {
        Selection {
            tenants: args.tenants,
            templates: args.templates,
        }
    }
}

/// The enabled pairs of a selection.
///
/// # Errors
/// There are none; as [`catalog::pairs`].
pub async fn enabled_pairs(catalog: &Catalog, selection: &Selection) -> Result<Vec<Pair>> {
    let pairs = catalog::pairs(catalog.session(), selection).await?;
    if pairs.is_empty() {
        let hint = how_to_enable(catalog.session(), selection, None, None).await?;
        return Err(Error::refused("no template is enabled for any tenant").with_hint(hint));
    }
    Ok(pairs)
}

/// `--tenant`, `--template` and the days.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectionArgs {
    #[command(flatten)]
    pub pairs: PairArgs,
    /// First UTC day, YYYY-MM-DD
    #[arg(long, value_name = "D")]
    pub from: Option<Day>,
    /// Last UTC day, inclusive [default: yesterday]
    #[arg(long, value_name = "D")]
    pub to: Vec<Until>,
    /// The last N complete UTC days, up to yesterday
    #[arg(long, value_name = "N")]
    pub last: Option<u32>,
    /// All days of a year; of the current year, those up to yesterday
    #[arg(long, value_name = "Y")]
    pub year: Option<i32>,
    #[command(flatten)]
    pub today: TodayArgs,
}

/// A value of `--to`: the last day or, of a load, where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    Day(Day),
    Destination(Destination),
}

impl FromStr for Until {
    type Err = Error;

    fn from_str(text: &str) -> Result<Until> {
        match text.parse() {
            Ok(destination) => Ok(Until::Destination(destination)),
            Err(_) => Ok(Until::Day(text.parse()?)),
        }
    }
}

/// What the flags mean today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub selection: Selection,
    /// `None` when no days were given.
    pub days: Option<Window>,
    pub today: Day,
    /// Days of the selection that are not over yet, as a sentence for the user.
    pub note: Option<String>,
}

impl SelectionArgs {
    /// Takes the destination of the rows out of `--to`.
    ///
    /// # Errors
    /// Two destinations are given.
    pub fn take_destination(&mut self) -> Result<Option<Destination>> {
        let mut destinations = self.to.iter().filter_map(|until| match until {
            Until::Destination(destination) => Some(*destination),
            Until::Day(_) => None,
        });
        let destination = destinations.next();
        if destinations.next().is_some() {
            return Err(Error::usage("`--to` is given two destinations")
                .with_hint("`--to both` writes to the warehouse and to files"));
        }
        self.to.retain(|until| matches!(until, Until::Day(_)));
        Ok(destination)
    }

    /// The day of `--to`.
    fn last_day(&self) -> Result<Option<Day>> {
        match self.to[..] {
            [] => Ok(None),
            [Until::Day(day)] => Ok(Some(day)),
            [Until::Destination(_), ..] => Err(Error::usage(
                "`--to` takes a day here; this command has no destination",
            )
            .with_hint("`backfill`, `refresh` and `sync` take `--to warehouse|parquet|both`")),
            _ => {
                Err(Error::usage("`--to` is given two days")
                    .with_hint("use one: `--from D --to D`"))
            }
        }
    }

    /// Resolves the days against today's UTC date, once for the whole run.
    ///
    /// # Errors
    /// Days given in two ways, `--from` after `--to`, `--to` without `--from`, `--last` or `--year` out of range.
    pub fn resolve(&self) -> Result<Resolved> {
        let today = self.today.day();
        let days = self.days(today)?;
        Ok(Resolved {
            selection: self.pairs.clone().into(),
            days,
            today,
            note: days.and_then(|days| unfinished(days, today)),
        })
    }

    /// As [`SelectionArgs::resolve`], for commands that need days.
    ///
    /// # Errors
    /// As there, and when no days were given.
    pub fn resolve_with_days(&self) -> Result<(Resolved, Window)> {
        let resolved = self.resolve()?;
        let days = resolved.days.ok_or_else(|| {
            Error::usage("no days are given")
                .with_hint("add `--from D --to D`, `--last N` or `--year Y`")
        })?;
        Ok((resolved, days))
    }

    fn days(&self, today: Day) -> Result<Option<Window>> {
        let last_day = self.last_day()?;
        let range = self.from.is_some() || last_day.is_some();
        match (range, self.last, self.year) {
            (false, None, None) => Ok(None),
            (true, None, None) => self.range(last_day, today).map(Some),
            (false, Some(n), None) => last(n, today).map(Some),
            (false, None, Some(year)) => whole_year(year, today).map(Some),
            _ => Err(Error::usage("the days are given in more than one way")
                .with_hint("use either `--from`/`--to`, `--last` or `--year`")),
        }
    }

    fn range(&self, last_day: Option<Day>, today: Day) -> Result<Window> {
        let from = self.from.ok_or_else(|| {
            Error::usage("`--to` needs `--from`").with_hint("add the first day with `--from D`")
        })?;
        let to = last_day.unwrap_or(today.plus(-1));
        if from > to {
            let what = if last_day.is_some() {
                "`--to`"
            } else {
                "yesterday,"
            };
            return Err(Error::usage(format!(
                "`--from` {from} is after {what} {to}"
            )));
        }
        Ok(Window::new(from, to.next()))
    }
}

fn last(n: u32, today: Day) -> Result<Window> {
    match i32::try_from(n) {
        Ok(n @ 1..=365_000) => Ok(Window::new(today.plus(-n), today)),
        _ => Err(Error::usage(format!(
            "`--last {n}` is out of range: use 1 to 365000 days"
        ))),
    }
}

fn whole_year(year: i32, today: Day) -> Result<Window> {
    if !(1000..=9999).contains(&year) {
        return Err(Error::usage(format!(
            "`--year {year}` is not a year with four digits"
        )));
    }
    let from = Day::first_of_year(year);
    let next = Day::from_ymd(year + 1, 1, 1).unwrap_or(from.plus(365));
    let to = if year == today.year() && from < today {
        today
    } else {
        next
    };
    Ok(Window::new(from, to))
}

/// A note for a window with days that are not over.
fn unfinished(days: Window, today: Day) -> Option<String> {
    let last = days.to.plus(-1);
    if last > today {
        Some(format!(
            "the selection ends in the future, on {last}; today is {today} (UTC)"
        ))
    } else if last == today {
        Some(format!(
            "the selection includes today, {today} (UTC), which is not over yet"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn args() -> SelectionArgs {
        SelectionArgs {
            today: day("2024-03-01").into(),
            ..SelectionArgs::default()
        }
    }

    fn days(args: &SelectionArgs) -> String {
        args.resolve().unwrap().days.unwrap().to_string()
    }

    #[test]
    fn last_counts_complete_days_that_end_yesterday() {
        assert_eq!(
            days(&SelectionArgs {
                last: Some(1),
                ..args()
            }),
            "2024-02-29"
        );
        assert_eq!(
            days(&SelectionArgs {
                last: Some(3),
                ..args()
            }),
            "2024-02-27 … 2024-02-29"
        );
    }

    #[test]
    fn from_and_to_are_inclusive() {
        let range = SelectionArgs {
            from: Some(day("2024-01-01")),
            to: vec![Until::Day(day("2024-01-02"))],
            ..args()
        };
        assert_eq!(range.resolve().unwrap().days.unwrap().len(), 2);
        let open = SelectionArgs {
            from: Some(day("2024-02-01")),
            ..args()
        };
        assert_eq!(days(&open), "2024-02-01 … 2024-02-29");
    }

    #[test]
    fn a_year_is_whole_unless_it_is_not_over() {
        assert_eq!(
            SelectionArgs {
                year: Some(2023),
                ..args()
            }
            .resolve()
            .unwrap()
            .days
            .unwrap()
            .len(),
            365
        );
        assert_eq!(
            days(&SelectionArgs {
                year: Some(2024),
                ..args()
            }),
            "2024-01-01 … 2024-02-29"
        );
    }

    #[test]
    fn a_future_day_is_allowed_with_a_note() {
        let future = SelectionArgs {
            from: Some(day("2024-03-01")),
            to: vec![Until::Day(day("2024-03-05"))],
            ..args()
        };
        assert!(future.resolve().unwrap().note.unwrap().contains("future"));
        assert!(
            SelectionArgs {
                last: Some(5),
                ..args()
            }
            .resolve()
            .unwrap()
            .note
            .is_none()
        );
    }

    #[test]
    fn days_that_contradict_each_other_are_refused() {
        let from = Some(day("2024-02-02"));
        for wrong in [
            SelectionArgs {
                from,
                to: vec![Until::Day(day("2024-02-01"))],
                ..args()
            },
            SelectionArgs {
                from,
                last: Some(3),
                ..args()
            },
            SelectionArgs {
                year: Some(2023),
                last: Some(3),
                ..args()
            },
            SelectionArgs {
                to: vec![Until::Day(day("2024-02-02"))],
                ..args()
            },
            SelectionArgs {
                from,
                to: ["2024-02-03", "2024-02-04"]
                    .map(|d| Until::Day(day(d)))
                    .to_vec(),
                ..args()
            },
            SelectionArgs {
                from,
                to: vec!["parquet".parse().unwrap()],
                ..args()
            },
            SelectionArgs {
                last: Some(0),
                ..args()
            },
            SelectionArgs {
                year: Some(24),
                ..args()
            },
            SelectionArgs {
                year: Some(20244),
                ..args()
            },
            SelectionArgs {
                from: Some(day("2024-03-01")),
                ..args()
            },
        ] {
            assert!(wrong.resolve().is_err(), "{wrong:?}");
        }
        assert!(args().resolve_with_days().is_err());
    }
}
