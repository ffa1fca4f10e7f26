//! A fold of several pairs: what its steps share, and how they reach the warehouse and whoever watches.

use super::plan::FoldTarget;
use crate::catalog::Pair;
use crate::config::Settings;
use crate::engine::report::event::{Event, Observer};
use crate::engine::report::run_progress::RunProgress;
use crate::error::{Error, Result};
use crate::pg::{Access, Session};
use crate::warehouse::{self, Folding, Left, WarehouseContext};
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
pub struct PairsFold<'a> {
    pub steps: Steps<'a>,
    /// Sessions that copy the days of one pair.
    pub jobs_per_pair: usize,
    /// With few pairs each keeps its session, idle, during the barrier.
    pub keeps_sessions: bool,
}

impl<'a> PairsFold<'a> {
    /// Runs `work` in `session`, or in a new one, and ends that cleanly when the run is stopped.
    pub async fn in_session<T>(
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

    /// What the warehouse needs to fold a pair.
    pub fn folding(&self) -> Folding<'a> {
        let settings = self.steps.settings;
        Folding {
            warehouse: WarehouseContext::new(self.steps.access, settings),
            run: self.steps.run,
            jobs: self.jobs_per_pair,
            patience: settings.load.barrier_timeout,
        }
    }

    /// Why a pair has to wait: readers.
    pub fn readers(&self) -> String {
        format!(
            "readers that began earlier were still running after {} s; to see them, query `pg_stat_activity`",
            self.steps.settings.load.barrier_timeout.as_secs_f64()
        )
    }

    /// Shows what is being done for a pair.
    pub fn stage(&self, pair: &Pair, what: &str) {
        self.steps.observer.event(&Event::Stage {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            what: what.to_owned(),
        });
    }

    /// A later run drops tables that readers hold. Those that cannot be dropped for another reason need a person.
    pub fn warn_of_left(&self, left: &[Left]) {
        for left in left.iter().filter(|left| !left.is_held()) {
            self.steps.observer.event(&Event::Warning(left.warning()));
        }
    }
}
