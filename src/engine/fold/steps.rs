//! The steps of a fold, within a run that holds the pairs' locks: that of `fold` itself, or of another command.

use super::copy::{Copied, CopyOutcome};
use super::outcome::untouched;
use super::pairs_fold::{PairsFold, Steps};
use super::plan::{days_to_move, due};
use crate::catalog::Pair;
use crate::engine::locks::lock_holder::LockHolder;
use crate::engine::report::event::{Event, Failure};
use crate::engine::report::fold::{PairFold, Standing};
use crate::error::Result;
use crate::pg::Session;
use crate::warehouse::{self, Barrier};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

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
    folds.sort_by(|a, b| (&a.tenant, &a.template).cmp(&(&b.tenant, &b.template)));
    (folds, failures)
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

    async fn barrier(self, copied: &[Copied<'_>], stop: &CancellationToken) -> Result<Barrier> {
        for copied in copied {
            self.stage(copied.pair, "waiting for readers that began earlier");
        }
        let timeout = self.steps.settings.load.barrier_timeout;
        let owner = &self.steps.settings.warehouse.owner_role;
        warehouse::barrier(self.steps.access, owner, timeout, stop).await
    }
}
