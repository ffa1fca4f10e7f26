//! Repair: loads units that differ from their sources.

use super::checked::Checked;
use crate::catalog::Pair;
use crate::config::Settings;
use crate::engine::report::event::Observer;
use crate::engine::report::run::RunReport;
use crate::engine::run::request::{DaysByPair, Request};
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::Result;
use crate::unit::Day;
use crate::warehouse::OddView;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The days that a repair may fix, by pair.
pub fn repairable(units: &[Checked]) -> DaysByPair {
    let mut days = DaysByPair::new();
    for Checked { unit, .. } in units.iter().filter(|u| u.is_repairable()) {
        let pair = (unit.tenant.clone(), unit.template.clone());
        days.entry(pair).or_default().insert(unit.day);
    }
    days
}

/// Adds pairs whose views are to be made anew, without days. A public view is made with any pair of its template.
pub fn with_views(mut days: DaysByPair, views: &[OddView], pairs: &[Pair]) -> DaysByPair {
    for odd in views.iter().filter(|odd| odd.wrong.is_repairable()) {
        let concerned = pairs.iter().find(|pair| {
            let tenant = odd.tenant.as_ref();
            pair.template.name == odd.template && tenant.is_none_or(|t| *t == pair.tenant.name)
        });
        if let Some(pair) = concerned {
            let names = (pair.tenant.name.clone(), pair.template.name.clone());
            days.entry(names).or_default();
        }
    }
    days
}

/// Brings `days` up to date from their sources in one run, with the current version of their template. Only the difference
/// to the rows in the warehouse is written. The ledger does not decide whether that is needed: where somebody changed a row
/// in the warehouse, ledger and source agree. Tables that no longer exist are recreated with all their days.
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
        Request::Repair { days },
        options,
        observer,
        cancel,
    )
    .await
}
