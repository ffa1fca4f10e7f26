//! Repair: drops tables that nobody owns, and loads units that differ from their sources.

use super::checked::Checked;
use crate::catalog::{Pair, warehouse_access};
use crate::config::Settings;
use crate::engine::locks::held_pairs::HeldPairs;
use crate::engine::report::event::Observer;
use crate::engine::report::run::RunReport;
use crate::engine::run::request::{DaysByPair, Request};
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::Result;
use crate::unit::Day;
use crate::warehouse::{self, Left, OddView, Orphan, open_session};
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

/// Adds the pairs of tables that are dropped, without days: their own tables and views can be made now.
pub fn with_orphans(mut days: DaysByPair, orphans: &[Orphan]) -> DaysByPair {
    for orphan in orphans.iter().filter(|orphan| orphan.is_droppable()) {
        let names = (orphan.tenant.clone(), orphan.template.clone());
        days.entry(names).or_default();
    }
    days
}

/// Drops tables of ours that the catalog does not know, and gives those back that could not be dropped. What holds rows that
/// somebody may have read is not tried.
///
/// # Errors
/// The warehouse's.
pub async fn drop_orphans(settings: &Settings, orphans: &[Orphan]) -> Result<Vec<Left>> {
    let access = warehouse_access(settings).await?;
    let session = open_session(&access, &settings.warehouse.owner_role).await?;
    warehouse::drop_orphans(&session, orphans, settings.load.lock_timeout).await
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
        held: HeldPairs::REPORT,
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
