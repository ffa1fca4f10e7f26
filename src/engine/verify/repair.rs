//! Brings up units that differ.

use super::Checked;
use crate::catalog::Pair;
use crate::config::Settings;
use crate::engine::report::event::{Observer, RunReport};
use crate::engine::run::request::{Ask, DaysByPair};
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::Result;
use crate::unit::Day;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The days that a repair may mend, by pair.
pub fn mendable(units: &[Checked]) -> DaysByPair {
    let mut days = DaysByPair::new();
    for Checked { unit, .. } in units.iter().filter(|u| u.is_mendable()) {
        let pair = (unit.tenant.clone(), unit.template.clone());
        days.entry(pair).or_default().insert(unit.day);
    }
    days
}

/// Brings `days` up from their sources, with the current version of their template, in one run: by the difference to what
/// really stands in the warehouse. The ledger is not asked whether that is needed: where a row of the warehouse was changed,
/// ledger and source agree. Tables that are gone are made anew, with all their days.
///
/// # Errors
/// As [`run`].
pub async fn repair(
    settings: &Settings,
    pairs: Vec<Pair>,
    days: DaysByPair,
    today: Day,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<RunReport> {
    let options = Options {
        wait: false,
        today,
        to: To::configured(settings),
    };
    run(
        settings,
        pairs,
        Ask::Repair { days },
        options,
        observer,
        cancel,
    )
    .await
}
