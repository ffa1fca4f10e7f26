//! Backfill: days that the ledger does not have come into the warehouse.

use super::ask::Ask;
use super::event::{Observer, RunReport};
use super::land::To;
use super::run::{Options, run};
use crate::catalog::Pair;
use crate::config::Settings;
use crate::error::Result;
use crate::unit::{Day, Window};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a backfill is asked for.
#[derive(Debug, Clone)]
pub struct Backfill {
    pub days: Window,
    /// Days that the ledger has are loaded anyway.
    pub reload: bool,
    /// Wait for pairs that another run holds.
    pub wait: bool,
    /// The day that open days are counted back from.
    pub today: Day,
}

/// Runs a backfill of `pairs` to its end. A unit's failure is in the report, not an error.
///
/// # Errors
/// The warehouse cannot be reached, or the run's end could not be committed.
pub async fn backfill(
    settings: &Settings,
    pairs: Vec<Pair>,
    asked: &Backfill,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<RunReport> {
    let ask = Ask::Backfill {
        days: asked.days,
        reload: asked.reload,
    };
    let options = Options {
        wait: asked.wait,
        today: asked.today,
        to: To::configured(settings),
    };
    run(settings, pairs, ask, options, observer, cancel).await
}
