//! A worker of a run, and its sessions.

use super::state::RunState;
use crate::engine::schedule::queue::PairIndex;
use crate::engine::schedule::sessions::Sessions;
use crate::error::Result;
use crate::pg::Session;
use std::sync::Arc;

/// A worker of a run.
pub struct LoadWorker {
    pub run: Arc<RunState>,
    /// Its number, from 0.
    pub slot: usize,
    pub sessions: Sessions,
}

impl LoadWorker {
    pub fn new(run: &Arc<RunState>, slot: usize) -> LoadWorker {
        LoadWorker {
            sessions: Sessions::durable(run.context.landing.is_some()),
            run: Arc::clone(run),
            slot,
        }
    }

    /// Opens both sessions if needed: (source of this pair's tenant, warehouse).
    pub async fn connect(&mut self, pair: PairIndex) -> Result<(&Session, &Session)> {
        let run = Arc::clone(&self.run);
        let pair = run.pair(pair);
        self.sessions.source(pair.tenant()?).await?;
        self.warehouse().await?;
        self.sessions.both()
    }

    pub async fn warehouse(&mut self) -> Result<&Session> {
        let context = &self.run.context;
        let owner = &context.settings.warehouse.owner_role;
        self.sessions.warehouse(&context.warehouse, owner).await
    }
}
