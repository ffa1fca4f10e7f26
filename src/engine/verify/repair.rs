//! Brings up units that differ.

use super::Checked;
use crate::catalog::Pair;
use crate::config::Settings;
use crate::engine::backfill::{Backfill, backfill};
use crate::engine::event::{Observer, RunReport};
use crate::error::Result;
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Loads the units that loading may mend from their sources, with the current version of their template. Each run of
/// days is a run of its own, for all pairs that need just these days.
///
/// The ledger is not asked whether that is needed: where a row of the warehouse was changed, ledger and source agree.
/// Days are replaced within one transaction, so readers see the old rows or the new.
///
/// # Errors
/// As [`backfill`].
pub async fn repair(
    settings: &Settings,
    pairs: &[Pair],
    units: &[Checked],
    today: Day,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Vec<RunReport>> {
    let mut reports = Vec::new();
    for (days, pairs) in by_days(pairs, units) {
        if cancel.is_cancelled() {
            break;
        }
        let asked = Backfill {
            days,
            reload: true,
            wait: false,
            today,
        };
        let report = backfill(settings, pairs, &asked, observer.clone(), cancel.clone()).await?;
        reports.push(report);
    }
    Ok(reports)
}

/// Runs of days to load, each with the pairs that need it.
fn by_days(pairs: &[Pair], units: &[Checked]) -> BTreeMap<Window, Vec<Pair>> {
    let mut work: BTreeMap<Window, Vec<Pair>> = BTreeMap::new();
    for pair in pairs {
        let days: BTreeSet<Day> = units
            .iter()
            .filter(|u| {
                u.unit.tenant == pair.tenant.name
                    && u.unit.template == pair.template.name
                    && u.is_mendable()
            })
            .map(|u| u.unit.day)
            .collect();
        for window in Window::runs(days) {
            work.entry(window).or_default().push(pair.clone());
        }
    }
    work
}
