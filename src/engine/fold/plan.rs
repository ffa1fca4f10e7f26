//! Plans a fold: where the fold line goes, and which days move with it.

use super::outcome::untouched;
use crate::catalog::Pair;
use crate::catalog::ledger::units;
use crate::catalog::registry::{fold_line, relations};
use crate::engine::report::fold::{FoldReport, PairFold, Standing};
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::{Moved, Moving, Shape};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Where the fold line of every pair goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldTarget {
    /// The template's number of open days stays open, counted back from `today`.
    OpenDays { today: Day },
    /// All days of this year before `today` are folded, and all days before them.
    Year { year: i32, today: Day },
    /// Back to `from`: days from there on get day tables again. `to` is the last of them, if it was given.
    Back { from: Day, to: Option<Day> },
}

impl FoldTarget {
    pub fn command(self) -> &'static str {
        match self {
            FoldTarget::Back { .. } => "unfold",
            _ => "fold",
        }
    }

    fn line(self, pair: &Pair) -> Day {
        match self {
            FoldTarget::OpenDays { today } => {
                Shape::first_fold_line(today, pair.template.open_days)
            }
            FoldTarget::Year { year, today } => Day::first_of_year(year + 1).min(today),
            FoldTarget::Back { from, .. } => from,
        }
    }

    /// Refuses an unfold that ends before the fold line: a pair has one line, and all days before it are in year tables.
    pub fn check(self, pairs: &[Pair]) -> Result<()> {
        let FoldTarget::Back { to: Some(to), .. } = self else {
            return Ok(());
        };
        let beyond = pairs
            .iter()
            .filter_map(|pair| Some((pair, pair.fold_line?.plus(-1))))
            .find(|(_, last)| to < *last);
        let Some((pair, last)) = beyond else {
            return Ok(());
        };
        Err(Error::refused(format!(
            "`{}` of tenant `{}` is folded up to {last}, beyond `--to` {to}; an unfold moves all days from `--from` up to \
             the fold line, because a pair has one line between year tables and day tables",
            pair.template.name, pair.tenant.name
        ))
        .with_hint(format!("omit `--to`, or use `--to {last}`")))
    }
}

/// A pair's tables, and what moves between them.
pub struct FoldPlan {
    pub shape: Shape,
    pub line: Day,
    pub moving: Option<Moving>,
    /// How many of the days that are folded are not settled.
    pub unsettled: u64,
}

/// Tells of each pair whether its fold line is to move, or an earlier fold left something.
///
/// # Errors
/// The warehouse's.
pub async fn due(session: &Session, pairs: &[Pair], target: FoldTarget) -> Result<Vec<bool>> {
    let lines = pairs.iter().map(|pair| {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        (tenant, template, target.line(pair))
    });
    let due = fold_line::due(session, lines).await?;
    let names = |pair: &Pair| (pair.tenant.name.to_string(), pair.template.name.to_string());
    Ok(pairs
        .iter()
        .map(|pair| due.contains(&names(pair)))
        .collect())
}

/// Plans one pair; `None` when it was never loaded.
pub async fn plan(session: &Session, pair: &Pair, target: FoldTarget) -> Result<Option<FoldPlan>> {
    let Some(standing) = fold_line::get(session, &pair.tenant.name, &pair.template.name).await?
    else {
        return Ok(None);
    };
    let owned = relations::of_pair(session, &pair.tenant.name, &pair.template.name).await?;
    let mut plan = FoldPlan {
        shape: Shape::new(standing, &owned),
        line: target.line(pair),
        moving: None,
        unsettled: 0,
    };
    plan.move_days(session, pair, target).await?;
    Ok(Some(plan))
}

/// How many days of these pairs are to move.
///
/// # Errors
/// The warehouse's.
pub async fn days_to_move(session: &Session, pairs: &[Pair], target: FoldTarget) -> Result<usize> {
    let mut days = 0;
    for pair in pairs {
        let plan = plan(session, pair, target).await?;
        let moving = plan.and_then(|plan| plan.moving);
        days += moving.map_or(0, |moving| moving.days.len());
    }
    Ok(days)
}

impl FoldPlan {
    async fn move_days(
        &mut self,
        session: &Session,
        pair: &Pair,
        target: FoldTarget,
    ) -> Result<()> {
        let from = self.line.min(self.shape.fold_line);
        let rows: BTreeMap<Day, u64> =
            fold_line::rows_per_day(session, &pair.tenant.name, &pair.template.name, from).await?;
        if let FoldTarget::Back { .. } = target {
            self.moving = Moving::unfold(&self.shape, self.line, &rows);
            return Ok(());
        }
        self.moving = Moving::fold(&self.shape, self.line, &rows);
        if let Some(moving) = &self.moving {
            let (tenant, template) = (&pair.tenant.name, &pair.template);
            let checked = units::checked_on(session, tenant, &template.name, from).await?;
            let is_settled =
                |day: &Day| template.is_settled(*day, checked.get(day).copied().flatten());
            let unsettled = moving.days.keys().filter(|day| !is_settled(day));
            self.unsettled = unsettled.count() as u64;
        }
        Ok(())
    }

    /// Why the pair has to wait; `None` if it does not.
    pub fn obstacle(&self) -> Option<String> {
        let years = self.moving.as_ref()?.years();
        // If the year has a table, this is a rebuild: it picks up the days that are folded meanwhile.
        let new = |year: &&i32| !self.shape.years.contains(year);
        let year = years.intersection(&self.shape.staging).find(new)?;
        Some(format!(
            "the year {year} is still being built: finish it with `dayhaul backfill --year {year}`"
        ))
    }

    /// Years whose rebuild was interrupted: their staging tables still exist. They do not block a fold, but a person has to
    /// finish them.
    pub fn unfinished(&self) -> BTreeSet<i32> {
        let shape = &self.shape;
        shape.staging.intersection(&shape.years).copied().collect()
    }
}

/// Reports what a fold would do. Locks nothing and writes nothing.
///
/// # Errors
/// An unfold that would leave later days folded; errors of the warehouse.
pub async fn dry_run(session: &Session, pairs: &[Pair], target: FoldTarget) -> Result<FoldReport> {
    let begun = Instant::now();
    target.check(pairs)?;
    let mut folds = Vec::with_capacity(pairs.len());
    for pair in pairs {
        folds.push(match plan(session, pair, target).await? {
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
        not_recorded: None,
        elapsed: begun.elapsed(),
    })
}

fn would_be(pair: &Pair, plan: &FoldPlan) -> PairFold {
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
        unsettled: plan.unsettled,
        ..untouched(pair, Standing::Moved)
    }
}
