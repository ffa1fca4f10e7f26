//! Where the fold line is to go, and which days move with it.

use super::{FoldReport, PairFold, Standing, untouched};
use crate::catalog::Pair;
use crate::catalog::registry::{fold_line, relations};
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::{Moved, Moving, Place, Shape};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Where the fold line of every pair is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// As many days stay open as the template says.
    OpenDays,
    /// All days of this year that are over are closed, and with them the days before.
    Year(i32),
    /// Back to `from`: days from it on come into tables of their own. `to` is the last of them, when it was named.
    Back { from: Day, to: Option<Day> },
}

impl Target {
    pub fn command(self) -> &'static str {
        match self {
            Target::Back { .. } => "unfold",
            _ => "fold",
        }
    }

    fn line(self, pair: &Pair, today: Day) -> Day {
        match self {
            Target::OpenDays => Shape::first_fold_line(today, pair.template.open_days),
            Target::Year(year) => Day::first_of_year(year + 1).min(today),
            Target::Back { from, .. } => from,
        }
    }

    /// Refuses an unfold that stops short of the fold line: there is one line, and days before it are in year tables.
    pub fn check(self, pairs: &[Pair]) -> Result<()> {
        let Target::Back { to: Some(to), .. } = self else {
            return Ok(());
        };
        let beyond = pairs
            .iter()
            .filter_map(|pair| Some((pair, pair.fold_line?.plus(-1))))
            .find(|(_, last)| to < *last);
        match beyond {
            None => Ok(()),
            Some((pair, last)) => Err(Error::refused(format!(
                "`{}` of tenant `{}` is folded up to {last}, beyond `--to` {to}; days come back from `--from` on up to \
                 the fold line, because only one line parts year tables from day tables",
                pair.template.name, pair.tenant.name
            ))
            .with_hint(format!("leave `--to` away, or say `--to {last}`"))),
        }
    }
}

/// What there is of a pair, and what is to move.
pub struct Plan {
    pub shape: Shape,
    pub line: Day,
    pub moving: Option<Moving>,
}

/// Plans one pair; `None` when it was never loaded.
pub async fn plan(
    session: &Session,
    pair: &Pair,
    target: Target,
    today: Day,
) -> Result<Option<Plan>> {
    let Some(standing) = fold_line::get(session, &pair.tenant.name, &pair.template.name).await?
    else {
        return Ok(None);
    };
    let owned = relations::of_pair(session, &pair.tenant.name, &pair.template.name).await?;
    let mut plan = Plan {
        shape: Shape::new(standing, &owned),
        line: target.line(pair, today),
        moving: None,
    };
    plan.move_days(session, pair, target).await?;
    Ok(Some(plan))
}

impl Plan {
    async fn move_days(&mut self, session: &Session, pair: &Pair, target: Target) -> Result<()> {
        let from = self.line.min(self.shape.fold_line);
        let rows: BTreeMap<Day, u64> =
            fold_line::rows_per_day(session, &pair.tenant.name, &pair.template.name, from).await?;
        self.moving = match target {
            Target::Back { .. } => Moving::unfold(&self.shape, self.line, &rows),
            _ => Moving::fold(&self.shape, self.line, &rows),
        };
        Ok(())
    }

    /// Why the pair has to wait, if it has.
    pub fn obstacle(&self) -> Option<String> {
        let years = self.moving.as_ref()?.years();
        // A year that has a table is being built anew beside it: the rebuild finds the days that come meanwhile.
        let new = |year: &&i32| !self.shape.years.contains(year);
        let year = years.intersection(&self.shape.staging).find(new)?;
        Some(format!(
            "the year {year} is still being built: end it with `dayhaul backfill`"
        ))
    }

    /// Years that an interrupted rebuild left beside their tables. They keep nothing from going on, but nobody ends them.
    pub fn unfinished(&self) -> BTreeSet<i32> {
        let shape = &self.shape;
        shape.staging.intersection(&shape.years).copied().collect()
    }
}

pub fn place(pair: &Pair) -> Place<'_> {
    Place {
        tenant: &pair.tenant.name,
        schema: &pair.tenant.schema,
        template: &pair.template,
    }
}

/// What a fold would do, without doing it: nothing is locked, nothing written.
///
/// # Errors
/// An unfold that leaves days folded behind it; the warehouse's.
pub async fn dry_run(
    session: &Session,
    pairs: &[Pair],
    target: Target,
    today: Day,
) -> Result<FoldReport> {
    let begun = Instant::now();
    target.check(pairs)?;
    let mut folds = Vec::with_capacity(pairs.len());
    for pair in pairs {
        folds.push(match plan(session, pair, target, today).await? {
            None => untouched(pair, Standing::Nothing),
            Some(plan) => would_be(pair, &plan),
        });
    }
    Ok(FoldReport {
        run: None,
        pairs: folds,
        failures: Vec::new(),
        interrupted: false,
        cancelled_by: None,
        locked_pairs: 0,
        elapsed: begun.elapsed(),
    })
}

fn would_be(pair: &Pair, plan: &Plan) -> PairFold {
    let Some(moving) = &plan.moving else {
        return untouched(pair, Standing::Nothing);
    };
    let years = moving.years().into_iter().map(|year| {
        let days = moving.days.iter().filter(|(day, _)| day.year() == year);
        Moved {
            year,
            days: days.clone().count() as u64,
            rows: days.map(|(_, rows)| rows).sum(),
            seconds: 0.0,
            bytes_before: None,
            bytes_after: 0,
        }
    });
    PairFold {
        standing: plan.obstacle().map_or(Standing::Moved, Standing::NotYet),
        from_line: Some(moving.from_line),
        to_line: Some(moving.to_line),
        years: years.collect(),
        ..untouched(pair, Standing::Moved)
    }
}
