//! The fold itself, within a run that holds the pairs' locks: `fold`'s own, or another command's.

use super::plan::{Plan, Target, place, plan};
use super::{PairFold, Standing, failure, interrupted, untouched};
use crate::catalog::Pair;
use crate::config::Settings;
use crate::engine::locks::lock_holder::Keeper;
use crate::engine::report::event::{Event, Failure, Observer};
use crate::error::{Error, Kind, Result};
use crate::pg::{Access, Session};
use crate::unit::Day;
use crate::warehouse::{self, Barrier, Folding, Left, Moved, Moving, Shape};
use futures::StreamExt;
use std::ops::Deref;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the steps of a fold need.
#[derive(Clone, Copy)]
pub struct Steps<'a> {
    pub settings: &'a Settings,
    pub access: &'a Access,
    pub run: i64,
    pub target: Target,
    pub today: Day,
    pub observer: &'a dyn Observer,
}

/// The steps at work.
#[derive(Clone, Copy)]
struct Work<'a> {
    steps: Steps<'a>,
    /// Sessions that one pair may take to copy its days.
    jobs_a_pair: usize,
    /// There are so few pairs that each keeps its session, idle, while the barrier is waited for.
    keeps_sessions: bool,
}

impl<'a> Deref for Work<'a> {
    type Target = Steps<'a>;

    fn deref(&self) -> &Steps<'a> {
        &self.steps
    }
}

/// Folds `pairs`, whose locks `keeper` holds, and keeps the run alive meanwhile. Ends early, and cleanly, when `cancel` is
/// cancelled or the locks are lost. Why pairs failed or were not tried is in the failures; a pair that has to wait for
/// readers is no failure.
pub async fn fold_pairs(
    steps: Steps<'_>,
    keeper: &mut Keeper,
    pairs: &[Pair],
    cancel: &CancellationToken,
) -> (Vec<PairFold>, Vec<Failure>) {
    let stop = cancel.child_token();
    let work = Work {
        steps,
        jobs_a_pair: (steps.settings.load.jobs / pairs.len().max(1)).max(1),
        keeps_sessions: pairs.len() <= steps.settings.load.jobs,
    };
    let mut work = std::pin::pin!(work.all(pairs, &stop));
    tokio::select! {
        ended = &mut work => return ended,
        () = cancel.cancelled() => {}
        error = keeper.keep() => {
            steps.observer.event(&Event::Warning(format!("the pairs' locks were lost: {error}")));
            stop.cancel();
        }
    }
    work.await
}

/// A pair whose days stand where no view shows them yet.
struct Copied<'a> {
    pair: &'a Pair,
    shape: Shape,
    moving: Moving,
    years: Vec<Moved>,
    /// Boxed, because few keep theirs.
    session: Option<Box<Session>>,
}

/// How a pair's first step ended.
enum First<'a> {
    Copied(Copied<'a>),
    /// There is no second.
    Ended(PairFold, Option<Failure>),
}

impl<'a> Work<'a> {
    async fn all(
        self,
        pairs: &'a [Pair],
        stop: &CancellationToken,
    ) -> (Vec<PairFold>, Vec<Failure>) {
        let jobs = self.settings.load.jobs.max(1);
        let (mut folds, mut failures) = (Vec::new(), Vec::new());
        let mut copied = Vec::new();
        let mut firsts = futures::stream::iter(pairs)
            .map(|pair| self.first(pair, stop))
            .buffered(jobs);
        while let Some(first) = firsts.next().await {
            match first {
                First::Copied(pair) => copied.push(pair),
                First::Ended(fold, failure) => {
                    folds.push(fold);
                    failures.extend(failure);
                }
            }
        }
        if copied.is_empty() {
            return (folds, failures);
        }
        let passed = self.barrier(&copied, stop).await;
        let mut ends = futures::stream::iter(copied)
            .map(|pair| self.last(pair, &passed, stop))
            .buffered(jobs);
        while let Some((fold, failure)) = ends.next().await {
            folds.push(fold);
            failures.extend(failure);
        }
        (folds, failures)
    }

    /// Sweeps, plans, copies. Its session is in no transaction afterwards: none of ours may hold a snapshot at the barrier.
    async fn first(self, pair: &'a Pair, stop: &CancellationToken) -> First<'a> {
        let copy = async |session: &Session| self.copy(session, pair).await;
        match self.in_session(None, stop, copy).await {
            Ok((First::Copied(mut copied), session)) => {
                copied.session = self.keeps_sessions.then(|| Box::new(session));
                First::Copied(copied)
            }
            Ok((ended, _)) => ended,
            Err(error) => {
                let (fold, failure) = ended(pair, error);
                First::Ended(fold, failure)
            }
        }
    }

    async fn copy(self, session: &Session, pair: &'a Pair) -> Result<First<'a>> {
        let Some(mut plan) = plan(session, pair, self.target, self.today).await? else {
            return Ok(First::Ended(untouched(pair, Standing::Nothing), None));
        };
        let left = warehouse::sweep(session, place(pair), &mut plan.shape, self.folding()).await?;
        self.warn(&left);
        self.remind(pair, &plan);
        if let Some(why) = plan.obstacle().or_else(|| held(&plan, &left)) {
            return Ok(First::Ended(
                plan.end(pair, Standing::NotYet(why), &left),
                None,
            ));
        }
        let Some(moving) = plan.moving.take() else {
            return Ok(First::Ended(plan.end(pair, Standing::Nothing, &left), None));
        };
        let what = if moving.is_unfold() {
            "unfolding"
        } else {
            "folding"
        };
        self.stage(pair, &format!("{what} {} days", moving.days.len()));
        let at = place(pair);
        if !moving.is_unfold() {
            let hidden = warehouse::hide(session, at, &mut plan.shape, self.folding()).await;
            match hidden {
                Err(error) if error.sqlstate() == Some("55P03") => {
                    let standing = Standing::NotYet(self.readers());
                    return Ok(First::Ended(plan.end(pair, standing, &left), None));
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
        Ok(First::Copied(Copied {
            pair,
            shape,
            moving,
            years,
            session: None,
        }))
    }

    async fn barrier(self, copied: &[Copied<'_>], stop: &CancellationToken) -> Result<Barrier> {
        for copied in copied {
            self.stage(copied.pair, "waiting for readers that began earlier");
        }
        let timeout = self.settings.load.barrier_timeout;
        let owner = &self.settings.warehouse.owner_role;
        warehouse::barrier(self.access, owner, timeout, stop).await
    }

    /// Reveals and sweeps, when the barrier was passed.
    async fn last(
        self,
        mut copied: Copied<'a>,
        passed: &Result<Barrier>,
        stop: &CancellationToken,
    ) -> (PairFold, Option<Failure>) {
        let pair = copied.pair;
        let result = match passed {
            Ok(Barrier::Passed) => {
                let session = copied.session.take().map(|session| *session);
                let reveal = async |session: &Session| self.reveal(session, &mut copied).await;
                let revealed = self.in_session(session, stop, reveal).await;
                revealed.map(|(revealed, _)| revealed)
            }
            Ok(Barrier::NotYet) => Ok((Standing::NotYet(self.readers()), Ok(Vec::new()))),
            Ok(Barrier::Interrupted) => Err(interrupted()),
            Err(error) => Err(Error::new(error.kind(), error.to_string()).at("barrier")),
        };
        let (standing, left, failure) = match result {
            Ok((standing, Ok(left))) => (standing, left, None),
            // Readers see the days where they belong; what is hidden is the next run's.
            Ok((standing, Err(error))) => (standing, Vec::new(), Some(failure(pair, error))),
            Err(error) => {
                let (fold, failure) = ended(pair, error);
                (fold.standing, Vec::new(), failure)
            }
        };
        let fold = PairFold {
            from_line: Some(copied.moving.from_line),
            to_line: Some(copied.moving.to_line),
            years: copied.years,
            left: left.into_iter().map(|left| left.relation).collect(),
            ..untouched(pair, standing)
        };
        (fold, failure)
    }

    /// How the reveal ended and, when days moved, the sweep and ANALYZE after it.
    async fn reveal(
        self,
        session: &Session,
        copied: &mut Copied<'_>,
    ) -> Result<(Standing, Result<Vec<Left>>)> {
        let (at, shape) = (place(copied.pair), &mut copied.shape);
        self.stage(copied.pair, "revealing");
        let revealed = warehouse::reveal(session, at, shape, &copied.moving, self.folding()).await;
        match revealed {
            // Readers held the view all the time.
            Err(error) if error.sqlstate() == Some("55P03") => {
                return Ok((Standing::NotYet(self.readers()), Ok(Vec::new())));
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
        self.warn(swept.as_deref().unwrap_or_default());
        Ok((
            Standing::Moved,
            swept.and_then(|left| analyzed.map(|()| left)),
        ))
    }

    /// Runs `work` in `session`, or one of its own, and ends that cleanly when the run is stopped.
    async fn in_session<T>(
        self,
        session: Option<Session>,
        stop: &CancellationToken,
        work: impl AsyncFnOnce(&Session) -> Result<T>,
    ) -> Result<(T, Session)> {
        if stop.is_cancelled() {
            return Err(interrupted());
        }
        let session = match session {
            Some(session) if !session.is_closed() => session,
            _ => {
                let owner = &self.settings.warehouse.owner_role;
                warehouse::open_session(self.access, owner).await?
            }
        };
        let result = tokio::select! {
            result = work(&session) => result,
            () = stop.cancelled() => Err(interrupted()),
        };
        match result {
            Ok(done) => Ok((done, session)),
            Err(error) => {
                // Nobody knows what it is doing; when the server does not answer, it finds out by itself.
                let _ = tokio::time::timeout(Duration::from_secs(5), session.abort()).await;
                Err(error)
            }
        }
    }

    fn folding(&self) -> Folding<'a> {
        let load = &self.settings.load;
        Folding {
            access: self.access,
            owner: &self.settings.warehouse.owner_role,
            run: self.run,
            jobs: self.jobs_a_pair,
            reader: &self.settings.warehouse.reader_role,
            lock_timeout: load.lock_timeout,
            patience: load.barrier_timeout,
        }
    }

    fn readers(&self) -> String {
        format!(
            "readers that began earlier were still there after {} s; `pg_stat_activity` shows them",
            self.settings.load.barrier_timeout.as_secs_f64()
        )
    }

    fn stage(&self, pair: &Pair, what: &str) {
        self.observer.event(&Event::Stage {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            what: what.to_owned(),
        });
    }

    fn remind(&self, pair: &Pair, plan: &Plan) {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        for year in plan.unfinished() {
            self.observer.event(&Event::Warning(format!(
                "{tenant}/{template}: a rebuild of {year} was interrupted; readers have the old rows until \
                 `dayhaul rebuild --tenant {tenant} --template {template} --year {year}` ends it"
            )));
        }
    }

    /// A table that a reader holds goes by itself; one that cannot be dropped for another reason is a person's.
    fn warn(&self, left: &[Left]) {
        for left in left.iter().filter(|left| !left.is_held()) {
            self.observer.event(&Event::Warning(format!(
                "the hidden table `{}` could not be dropped: {}",
                left.relation, left.error
            )));
        }
    }
}

/// An unfold needs the names of the day tables that an earlier fold could not drop yet.
fn held(plan: &Plan, left: &[Left]) -> Option<String> {
    let moving = plan.moving.as_ref().filter(|moving| moving.is_unfold())?;
    let day = moving
        .days
        .keys()
        .find(|day| plan.shape.days.contains(day))?;
    let relation = left.first().map_or("", |left| &left.relation);
    Some(format!(
        "the former table of {day} is still held by a reader (`{relation}`)"
    ))
}

fn ended(pair: &Pair, error: Error) -> (PairFold, Option<Failure>) {
    let standing = match error.kind() {
        Kind::Interrupted => Standing::NotTried,
        _ => Standing::Failed,
    };
    (untouched(pair, standing), Some(failure(pair, error)))
}

impl Plan {
    fn end(&self, pair: &Pair, standing: Standing, left: &[Left]) -> PairFold {
        PairFold {
            from_line: Some(self.shape.fold_line),
            to_line: Some(self.line),
            left: left.iter().map(|left| left.relation.clone()).collect(),
            ..untouched(pair, standing)
        }
    }
}
