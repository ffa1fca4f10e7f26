//! The steps of a fold, within a run that holds the pairs' locks: that of `fold` itself, or of another command.

use super::outcome::{PairEnd, failure, untouched};
use super::plan::{FoldPlan, FoldTarget, days_to_move, due, plan};
use crate::catalog::Pair;
use crate::config::Settings;
use crate::engine::locks::lock_holder::LockHolder;
use crate::engine::report::event::{Event, Failure, Observer};
use crate::engine::report::fold::{PairFold, Standing};
use crate::engine::report::run_progress::RunProgress;
use crate::error::{Error, Result};
use crate::pg::{Access, Session};
use crate::warehouse::{
    self, Barrier, Folding, Left, Moved, Moving, Place, Shape, WarehouseContext,
};
use futures::StreamExt;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the steps of a fold need.
#[derive(Clone, Copy)]
pub struct Steps<'a> {
    pub settings: &'a Settings,
    pub access: &'a Access,
    pub run: i64,
    pub target: FoldTarget,
    pub observer: &'a dyn Observer,
    /// Counts the days that are copied; `None` within a sync, which counts the days that it loads.
    pub progress: Option<&'a RunProgress>,
}

/// A fold of several pairs at once.
#[derive(Clone, Copy)]
struct PairsFold<'a> {
    steps: Steps<'a>,
    /// Sessions that copy the days of one pair.
    jobs_per_pair: usize,
    /// With few pairs each keeps its session, idle, during the barrier.
    keeps_sessions: bool,
}

/// Folds `pairs`, whose locks are held, and keeps the run alive meanwhile. Ends early, and cleanly, when `cancel` is
/// cancelled or the locks are lost. The failures give the reasons for pairs that failed or were not tried; a pair that has
/// to wait for readers did not fail.
pub async fn fold_pairs(
    steps: Steps<'_>,
    locks: &mut LockHolder,
    pairs: &[Pair],
    cancel: &CancellationToken,
) -> (Vec<PairFold>, Vec<Failure>) {
    let stop = cancel.child_token();
    let fold = PairsFold {
        steps,
        jobs_per_pair: (steps.settings.load.jobs / pairs.len().max(1)).max(1),
        keeps_sessions: pairs.len() <= steps.settings.load.jobs,
    };
    let mut work = std::pin::pin!(fold.all(pairs, &stop));
    tokio::select! {
        ended = &mut work => return ended,
        () = cancel.cancelled() => {}
        error = locks.keep() => {
            steps.observer.event(&Event::Warning(format!("the pairs' locks were lost: {error}")));
            stop.cancel();
        }
    }
    work.await
}

/// As [`fold_pairs`], for the pairs with something to fold, or to take away after an earlier fold.
pub async fn fold_what_closed(
    steps: Steps<'_>,
    locks: &mut LockHolder,
    pairs: &[Pair],
    cancel: &CancellationToken,
) -> (Vec<PairFold>, Vec<Failure>) {
    let due = match due(locks.session(), pairs, steps.target).await {
        Ok(due) => due,
        Err(error) => {
            tracing::debug!(%error, "failed to ask which pairs are to be folded");
            vec![true; pairs.len()]
        }
    };
    let (mut folds, mut closed) = (Vec::new(), Vec::new());
    for (pair, due) in pairs.iter().zip(due) {
        if due {
            closed.push(pair.clone());
        } else {
            folds.push(untouched(pair, Standing::Nothing));
        }
    }
    if closed.is_empty() {
        return (folds, Vec::new());
    }
    let (folded, failures) = fold_pairs(steps, locks, &closed, cancel).await;
    folds.extend(folded);
    (folds, failures)
}

/// A pair whose days were copied to where no view shows them yet.
struct Copied<'a> {
    pair: &'a Pair,
    shape: Shape,
    moving: Moving,
    years: Vec<Moved>,
    unsettled: u64,
    /// Boxed, because most pairs do not keep theirs.
    session: Option<Box<Session>>,
}

/// How the reveal of a pair ended.
struct Revealed {
    standing: Standing,
    /// Hidden tables that could not be dropped yet.
    swept: Result<Vec<Left>>,
}

impl Revealed {
    fn not_yet(why: String) -> Revealed {
        Revealed {
            standing: Standing::NotYet(why),
            swept: Ok(Vec::new()),
        }
    }
}

/// How the copy of a pair ended.
enum CopyOutcome<'a> {
    Copied(Copied<'a>),
    /// Nothing was copied: the pair is not revealed.
    Ended(PairEnd),
}

impl<'a> PairsFold<'a> {
    async fn all(
        self,
        pairs: &'a [Pair],
        stop: &CancellationToken,
    ) -> (Vec<PairFold>, Vec<Failure>) {
        self.plan_progress(pairs, stop).await;
        let jobs = self.steps.settings.load.jobs.max(1);
        let (mut ends, mut copied) = (Vec::new(), Vec::new());
        let mut copies = futures::stream::iter(pairs)
            .map(|pair| self.copy_hidden(pair, stop))
            .buffered(jobs);
        while let Some(copy) = copies.next().await {
            match copy {
                CopyOutcome::Copied(pair) => copied.push(pair),
                CopyOutcome::Ended(end) => ends.push(end),
            }
        }
        if !copied.is_empty() {
            let passed = self.barrier(&copied, stop).await;
            let mut revealed = futures::stream::iter(copied)
                .map(|pair| self.reveal_after(&passed, pair, stop))
                .buffered(jobs);
            while let Some(end) = revealed.next().await {
                ends.push(end);
            }
        }
        let (folds, failures): (Vec<PairFold>, Vec<Option<Failure>>) =
            ends.into_iter().map(|end| (end.fold, end.failure)).unzip();
        (folds, failures.into_iter().flatten().collect())
    }

    /// Counts the days that are to move, for whoever watches from elsewhere. If that fails, they see no progress.
    async fn plan_progress(self, pairs: &[Pair], stop: &CancellationToken) {
        let Some(progress) = self.steps.progress else {
            return;
        };
        let target = self.steps.target;
        let count = async |session: &Session| days_to_move(session, pairs, target).await;
        match self.in_session(None, stop, count).await {
            Ok((days, _)) => progress.plan(days),
            Err(error) => tracing::debug!(%error, "failed to count the days that are to move"),
        }
    }

    /// Sweeps, plans, copies. Afterwards its session is in no transaction: none of ours may hold a snapshot at the barrier.
    async fn copy_hidden(self, pair: &'a Pair, stop: &CancellationToken) -> CopyOutcome<'a> {
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

    async fn barrier(self, copied: &[Copied<'_>], stop: &CancellationToken) -> Result<Barrier> {
        for copied in copied {
            self.stage(copied.pair, "waiting for readers that began earlier");
        }
        let timeout = self.steps.settings.load.barrier_timeout;
        let owner = &self.steps.settings.warehouse.owner_role;
        warehouse::barrier(self.steps.access, owner, timeout, stop).await
    }

    /// Reveals and sweeps, if the barrier was passed.
    async fn reveal_after(
        self,
        barrier: &Result<Barrier>,
        mut copied: Copied<'a>,
        stop: &CancellationToken,
    ) -> PairEnd {
        let pair = copied.pair;
        let result = match barrier {
            Ok(Barrier::Passed) => {
                let session = copied.session.take().map(|session| *session);
                let reveal = async |session: &Session| self.reveal(session, &mut copied).await;
                let revealed = self.in_session(session, stop, reveal).await;
                revealed.map(|(revealed, _)| revealed)
            }
            Ok(Barrier::NotYet) => Ok(Revealed::not_yet(self.readers())),
            Ok(Barrier::Interrupted) => Err(Error::interrupted()),
            Err(error) => Err(Error::new(error.kind(), error.to_string()).at("barrier")),
        };
        let (standing, left, failure) = match result {
            Ok(Revealed { standing, swept }) => match swept {
                Ok(left) => (standing, left, None),
                // Readers see the days in their new tables; the next run drops the hidden ones.
                Err(error) => (standing, Vec::new(), Some(failure(pair, error))),
            },
            Err(error) => {
                let end = PairEnd::failed(pair, error);
                (end.fold.standing, Vec::new(), end.failure)
            }
        };
        let fold = PairFold {
            from_line: Some(copied.moving.from_line),
            to_line: Some(copied.moving.to_line),
            years: copied.years,
            unsettled: copied.unsettled,
            left: left.into_iter().map(|left| left.relation).collect(),
            ..untouched(pair, standing)
        };
        PairEnd { fold, failure }
    }

    /// Reveals; when days moved, sweeps and runs ANALYZE.
    async fn reveal(self, session: &Session, copied: &mut Copied<'_>) -> Result<Revealed> {
        let (at, shape) = (Place::of(copied.pair), &mut copied.shape);
        self.stage(copied.pair, "revealing");
        let revealed = warehouse::reveal(session, at, shape, &copied.moving, self.folding()).await;
        match revealed {
            // Readers held the view until the timeout.
            Err(error) if error.sqlstate() == Some("55P03") => {
                return Ok(Revealed::not_yet(self.readers()));
            }
            other => other?,
        }
        let grown = if copied.moving.is_unfold() {
            &[]
        } else {
            &copied.years[..]
        };
        let (swept, analyzed) = tokio::join!(
            warehouse::sweep(session, at, shape, self.folding()),
            warehouse::analyze_grown(at, grown, self.folding()),
        );
        self.warn_of_left(swept.as_deref().unwrap_or_default());
        Ok(Revealed {
            standing: Standing::Moved,
            swept: swept.and_then(|left| analyzed.map(|()| left)),
        })
    }

    /// Runs `work` in `session`, or in a new one, and ends that cleanly when the run is stopped.
    async fn in_session<T>(
        self,
        session: Option<Session>,
        stop: &CancellationToken,
        work: impl AsyncFnOnce(&Session) -> Result<T>,
    ) -> Result<(T, Session)> {
        if stop.is_cancelled() {
            return Err(Error::interrupted());
        }
        let session = match session {
            Some(session) if !session.is_closed() => session,
            _ => {
                let owner = &self.steps.settings.warehouse.owner_role;
                warehouse::open_session(self.steps.access, owner).await?
            }
        };
        let result = tokio::select! {
            result = work(&session) => result,
            () = stop.cancelled() => Err(Error::interrupted()),
        };
        match result {
            Ok(done) => Ok((done, session)),
            Err(error) => {
                // The session is in an unknown state. If the server does not answer, it notices the lost connection itself.
                let _ = tokio::time::timeout(Duration::from_secs(5), session.abort()).await;
                Err(error)
            }
        }
    }

    fn folding(&self) -> Folding<'a> {
        let settings = self.steps.settings;
        Folding {
            warehouse: WarehouseContext::new(self.steps.access, settings),
            run: self.steps.run,
            jobs: self.jobs_per_pair,
            patience: settings.load.barrier_timeout,
        }
    }

    fn readers(&self) -> String {
        format!(
            "readers that began earlier were still running after {} s; to see them, query `pg_stat_activity`",
            self.steps.settings.load.barrier_timeout.as_secs_f64()
        )
    }

    fn stage(&self, pair: &Pair, what: &str) {
        self.steps.observer.event(&Event::Stage {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            what: what.to_owned(),
        });
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

    /// A later run drops tables that readers hold. Those that cannot be dropped for another reason need a person.
    fn warn_of_left(&self, left: &[Left]) {
        for left in left.iter().filter(|left| !left.is_held()) {
            self.steps.observer.event(&Event::Warning(left.warning()));
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
