//! The days of a sync: what is missing, what is not settled, the latest, and some of the settled ones.

use super::requested_days::RequestedDays;
use crate::catalog::Pair;
use crate::catalog::ledger::objects::StoredUnit;
use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet};

/// What a sync compares again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sync {
    /// Today and so many days before it; `None`: the template's lookback.
    pub lookback: Option<u32>,
    /// Of the settled days of so many days back, each is compared once in 30 nights.
    pub sweep_days: u32,
}

/// A row that comes later than the lookback is found within so many nights.
const SWEEP_NIGHTS: usize = 30;

/// The days of a pair.
///
/// # Errors
/// It has no first day.
pub fn sync_days(
    pair: &Pair,
    known: &BTreeMap<Day, StoredUnit>,
    to: To,
    today: Day,
    sync: Sync,
) -> Result<RequestedDays> {
    let first = first_day(pair, today)?;
    let lookback = sync.lookback.unwrap_or(pair.template.lookback_days);
    // Today and yesterday are always refreshed; a lookback of 0 or 1 does not change that.
    let again = today.plus(-signed(lookback.max(1))).max(first);
    let mut days = RequestedDays::default();
    for day in Window::new(first, today.next()).days() {
        if day >= again {
            days.refresh.insert(day);
        } else {
            days.put(day, known.get(&day), to, &pair.template);
        }
    }
    // A sync does not report days that it has nothing to do for.
    let settled = std::mem::take(&mut days.skipped);
    // What is compared tonight because it can be settled tonight is no part of the share.
    let long_settled: BTreeSet<Day> = settled
        .into_iter()
        .filter(|day| pair.template.settles_on(*day) < today)
        .collect();
    days.refresh
        .extend(sweep(&long_settled, known, today, sync.sweep_days));
    Ok(days)
}

fn first_day(pair: &Pair, today: Day) -> Result<Day> {
    if let Some(first) = pair.first_day.filter(|first| *first <= today) {
        return Ok(first);
    }
    let (tenant, template) = (&pair.tenant.name, &pair.template.name);
    let why = match pair.first_day {
        None => "no start day is set for this tenant and template".to_owned(),
        Some(first) => format!("its first day, {first}, is after today, {today}"),
    };
    Err(Error::refused(why).with_hint(format!(
        "set it once with `dayhaul backfill --tenant {tenant} --template {template} --from D` or \
         `dayhaul tenant enable {tenant} --template {template} --from D`"
    )))
}

/// This night's share of the settled days: those whose latest comparison is the longest ago, and of these the run of days
/// with the fewest bytes.
fn sweep(
    settled: &BTreeSet<Day>,
    known: &BTreeMap<Day, StoredUnit>,
    today: Day,
    sweep_days: u32,
) -> Vec<Day> {
    let since = today.plus(-signed(sweep_days));
    let days = settled.range(since..).filter_map(|day| {
        let unit = known.get(day)?;
        Some((*day, unit.checked_on?, unit.bytes))
    });
    let (done, due): (Vec<_>, Vec<_>) = days.partition(|(_, checked_on, _)| *checked_on >= today);
    let share = (done.len() + due.len()).div_ceil(SWEEP_NIGHTS);
    // Several syncs a day do the work of one.
    let share = share.saturating_sub(done.len());
    let mut runs: Vec<&[(Day, Day, u64)]> = due
        .chunk_by(|a, b| a.1 == b.1 && a.0.next() == b.0)
        .flat_map(|same| same.chunks(share.max(1)))
        .collect();
    let bytes = |run: &[(Day, Day, u64)]| run.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
    runs.sort_by_key(|run| (run[0].1, bytes(run), run[0].0));
    let days = runs.into_iter().flatten().map(|(day, _, _)| *day);
    days.take(share).collect()
}

fn signed(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}
