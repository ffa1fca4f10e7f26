//! The first step of a pair's fold: copies its days to where no view shows them yet.

use super::outcome::{PairEnd, untouched};
use super::pairs_fold::PairsFold;
use super::plan::{FoldPlan, plan};
use crate::catalog::Pair;
use crate::engine::report::event::Event;
use crate::engine::report::fold::{PairFold, Standing};
use crate::error::Result;
use crate::pg::Session;
use crate::warehouse::{self, Left, Moved, Moving, Place, Shape};
use tokio_util::sync::CancellationToken;

/// A pair whose days were copied to where no view shows them yet.
pub struct Copied<'a> {
    pub pair: &'a Pair,
    pub shape: Shape,
    pub moving: Moving,
    pub years: Vec<Moved>,
    pub unsettled: u64,
    /// Boxed, because most pairs do not keep theirs.
    pub session: Option<Box<Session>>,
}

/// How the copy of a pair ended.
pub enum CopyOutcome<'a> {
    Copied(Copied<'a>),
    /// Nothing was copied: the pair is not revealed.
    Ended(PairEnd),
}

impl<'a> PairsFold<'a> {
    /// Sweeps, plans, copies. Afterwards its session is in no transaction: none of ours may hold a snapshot at the barrier.
    pub async fn copy_hidden(self, pair: &'a Pair, stop: &CancellationToken) -> CopyOutcome<'a> {
        let copy = async |session: &Session| self.copy(session, pair).await;
        match self.in_session(None, stop, copy).await {
            Ok((CopyOutcome::Copied(mut copied), session)) => {
                copied.session = self.keeps_sessions.then(|| Box::new(session));
                CopyOutcome::Copied(copied)
            }
            Ok((ended, _)) => ended,
            Err(error) => CopyOutcome::Ended(PairEnd::failed(pair, error)),
        }
    }

    async fn copy(self, session: &Session, pair: &'a Pair) -> Result<CopyOutcome<'a>> {
        let (steps, at) = (self.steps, Place::of(pair));
        let Some(mut plan) = plan(session, pair, steps.target).await? else {
            let fold = untouched(pair, Standing::Nothing);
            return Ok(CopyOutcome::Ended(PairEnd::without_failure(fold)));
        };
        let left = warehouse::sweep(session, at, &mut plan.shape, self.folding()).await?;
        self.warn_of_left(&left);
        self.warn_of_unfinished(pair, &plan);
        let ended = |plan: &FoldPlan, standing| {
            let fold = plan.not_moved(pair, standing, &left);
            Ok(CopyOutcome::Ended(PairEnd::without_failure(fold)))
        };
        if let Some(why) = plan.obstacle().or_else(|| held(&plan, &left)) {
            return ended(&plan, Standing::NotYet(why));
        }
        let Some(moving) = plan.moving.take() else {
            return ended(&plan, Standing::Nothing);
        };
        self.stage(pair, &what(&moving));
        if !moving.is_unfold() {
            let hidden = warehouse::hide(session, at, &mut plan.shape, self.folding()).await;
            match hidden {
                Err(error) if error.sqlstate() == Some("55P03") => {
                    return ended(&plan, Standing::NotYet(self.readers()));
                }
                other => other?,
            }
        }
        let mut shape = plan.shape;
        let years = if moving.is_unfold() {
            warehouse::unfold_days(session, at, &mut shape, &moving, self.folding()).await?
        } else {
            warehouse::fold_days(session, at, &mut shape, &moving, self.folding()).await?
        };
        if let Some(progress) = steps.progress {
            progress.moved(moving.days.len());
        }
        Ok(CopyOutcome::Copied(Copied {
            pair,
            shape,
            moving,
            years,
            unsettled: plan.unsettled,
            session: None,
        }))
    }

    fn warn_of_unfinished(&self, pair: &Pair, plan: &FoldPlan) {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        for year in plan.unfinished() {
            self.steps.observer.event(&Event::Warning(format!(
                "{tenant}/{template}: a rebuild of {year} was interrupted; readers see the old rows until \
                 `dayhaul rebuild --tenant {tenant} --template {template} --year {year}` finishes it"
            )));
        }
    }
}

/// Why a pair has to wait: a fold, for hidden rows that could not be deleted; an unfold, for the names of day tables that an
/// earlier fold could not drop yet.
fn held(plan: &FoldPlan, left: &[Left]) -> Option<String> {
    let moving = plan.moving.as_ref()?;
    if !moving.is_unfold() {
        // The view hides them only where the fold line is.
        let rows = left.iter().find(|left| left.rows_stay)?;
        return Some(rows.warning());
    }
    let day = moving
        .days
        .keys()
        .find(|day| plan.shape.days.contains(day))?;
    let relation = left.first().map_or("", |left| &left.relation);
    Some(format!(
        "the former table of {day} is still held by a reader (`{relation}`)"
    ))
}

/// What a person sees meanwhile.
fn what(moving: &Moving) -> String {
    let verb = if moving.is_unfold() {
        "unfolding"
    } else {
        "folding"
    };
    match moving.days.len() {
        1 => format!("{verb} 1 day"),
        days => format!("{verb} {days} days"),
    }
}

impl FoldPlan {
    /// The report's line of a pair in which nothing moved.
    fn not_moved(&self, pair: &Pair, standing: Standing, left: &[Left]) -> PairFold {
        PairFold {
            from_line: Some(self.shape.fold_line),
            to_line: Some(self.line),
            left: left.iter().map(|left| left.relation.clone()).collect(),
            ..untouched(pair, standing)
        }
    }
}
