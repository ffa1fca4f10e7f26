//! The days of a sync: what is missing, what is not settled, the latest, and some of the settled ones.

use super::requested_days::RequestedDays;
use crate::catalog::Pair;
use crate::catalog::ledger::day_ranges::AskedPair;
use crate::catalog::ledger::due::{self, Due, DueDays, SettledDay, Turns};
use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::{Day, Window};

/// What a sync compares again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sync {
    /// Today and so many days before it; `None`: the template's lookback.
    pub lookback: Option<u32>,
    /// Of the settled days of so many days back, each is compared once in 30 nights.
    pub sweep_days: u32,
}

/// A row that comes later than the lookback is found within so many nights.
const SWEEP_NIGHTS: i64 = 30;

impl Sync {
    /// From the first to the last of the days that are compared in any case.
    ///
    /// # Errors
    /// The pair has no first day.
    fn latest(self, pair: &Pair, today: Day) -> Result<Window> {
        let first = first_day(pair, today)?;
        let lookback = self.lookback.unwrap_or(pair.template.lookback_days);
        // Today and yesterday are always refreshed; a lookback of 0 or 1 does not change that.
        let again = today.plus(-signed(lookback.max(1))).max(first);
        Ok(Window::new(again, today.next()))
    }

    /// The days before these; `None` when there are none.
    fn earlier(self, pair: &Pair, today: Day) -> Option<Window> {
        let (first, latest) = (pair.first_day?, self.latest(pair, today).ok()?);
        (first < latest.from).then(|| Window::new(first, latest.from))
    }
}

/// Asks the ledger what is due of pairs, in their order.
///
/// # Errors
/// The warehouse's.
pub async fn due_days(
    session: &Session,
    pairs: &[Pair],
    sync: Sync,
    to: To,
    today: Day,
) -> Result<Vec<DueDays>> {
    let asked = pairs.iter().map(|pair| AskedPair {
        tenant: &pair.tenant.name,
        template: &pair.template,
        days: sync.earlier(pair, today),
    });
    let due = Due {
        today,
        files_suffice: to == To::Parquet,
        needs_file: to.lands(),
        turns: Turns {
            since: today
                .plus(-signed(sync.sweep_days))
                .max(Day::first_of_year(1)),
            nights: SWEEP_NIGHTS,
        },
    };
    due::of_pairs(session, &asked.collect::<Vec<_>>(), due).await
}

/// The days of a pair. `due` is what the ledger says of it; `None`: it has no day of it.
///
/// # Errors
/// It has no first day.
pub fn sync_days(
    pair: &Pair,
    due: Option<&DueDays>,
    today: Day,
    sync: Sync,
) -> Result<RequestedDays> {
    let latest = sync.latest(pair, today)?;
    let nothing_there = || DueDays {
        load: sync.earlier(pair, today).into_iter().collect(),
        ..DueDays::default()
    };
    let due = due.cloned().unwrap_or_else(nothing_there);
    let days = |windows: &[Window]| windows.iter().flat_map(Window::days).collect();
    let mut requested = RequestedDays {
        load: days(&due.load),
        refresh: days(&due.refresh),
        land: days(&due.land),
        // A sync does not report days that it has nothing to do for.
        ..RequestedDays::default()
    };
    requested.refresh.extend(latest.days());
    requested.refresh.extend(sweep(&due.oldest, due.share));
    Ok(requested)
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
fn sweep(oldest: &[SettledDay], share: usize) -> Vec<Day> {
    let mut runs: Vec<&[SettledDay]> = oldest
        .chunk_by(|a, b| a.checked_on == b.checked_on && a.day.next() == b.day)
        .flat_map(|same| same.chunks(share.max(1)))
        .collect();
    let bytes = |run: &[SettledDay]| run.iter().map(|settled| settled.bytes).sum::<u64>();
    runs.sort_by_key(|run| (run[0].checked_on, bytes(run), run[0].day));
    let days = runs.into_iter().flatten().map(|settled| settled.day);
    days.take(share).collect()
}

fn signed(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}
