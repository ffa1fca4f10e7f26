//! What is fixed for a whole run.

use super::request::{Options, Request};
use crate::config::Settings;
use crate::engine::report::event::Observer;
use crate::engine::window::landing::To;
use crate::landing::Landing;
use crate::pg::Access;
use crate::warehouse::WarehouseContext;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is fixed for a whole run.
pub struct RunContext {
    pub settings: Settings,
    /// How to reach the warehouse.
    pub warehouse: Access,
    /// As `server_version_num`.
    pub warehouse_version: u32,
    /// Its id in `_wh.run`.
    pub run: i64,
    pub request: Request,
    pub options: Options,
    /// Where files go, when any do.
    pub landing: Option<Landing>,
    pub observer: Arc<dyn Observer>,
    /// Cancelled when the user, or another host, asks the run to end.
    pub cancel: CancellationToken,
}

impl RunContext {
    /// What every piece of work in the warehouse needs.
    pub fn warehouse_context(&self) -> WarehouseContext<'_> {
        WarehouseContext::new(&self.warehouse, &self.settings)
    }

    /// Whether rows come into the warehouse: not when days go into files alone, or are in the warehouse already.
    pub fn changes_tables(&self) -> bool {
        self.options.to != To::Parquet && !matches!(self.request, Request::Land { .. })
    }

    /// Whether many days are loaded for the first time: their day tables are left to autovacuum.
    pub fn loads_new_days(&self) -> bool {
        matches!(self.request, Request::Backfill { .. } | Request::Restore(_))
    }
}
