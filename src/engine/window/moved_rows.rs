//! Rows that are gone from the days at hand: their tenant is asked on which other days they stand now.
//!
//! A row that moved to a day which nobody refreshes would otherwise leave the warehouse without a word. What was really
//! deleted looks the same, so each refresh that deletes rows for good asks once, by the keys of those rows. Where the
//! source can look keys up in an index that takes milliseconds. Where it cannot, it would read every day that is loaded:
//! it is asked for no longer than [`PATIENCE`], and what could not be found out is said.

use super::load::{Haul, begin_source};
use crate::catalog::ledger::units;
use crate::engine::report::window_outcome::{Fault, source, target};
use crate::error::{Error, Result};
use crate::pg::{self, Session};
use crate::template::days_of_keys_sql;
use crate::unit::{Day, Window};
use crate::warehouse::load::difference::Vanished;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a source is asked where the rows of one window went.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a tenant is asked for other days than those at hand.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The template's query for a window.
    pub bind: &'a dyn Fn(Window) -> Result<String>,
    pub warn: &'a dyn Fn(String),
}

impl Haul<'_> {
    /// Loaded days, but for those `at_hand`, on which the source has rows with the vanished keys.
    pub async fn days_they_moved_to(
        &self,
        from: &Session,
        to: &Session,
        vanished: &Vanished,
        at_hand: &BTreeSet<Day>,
        asking: Asking<'_>,
    ) -> Result<BTreeSet<Day>, Fault> {
        let loaded = units::loaded_versions(to, self.entry.tenant, self.entry.template);
        let loaded = loaded.await.map_err(target)?.into_keys();
        let others: BTreeSet<Day> = loaded.filter(|day| !at_hand.contains(day)).collect();
        let mut days = BTreeSet::new();
        let asked = self.ask_for(from, &others, vanished, asking, &mut days);
        let left_open = match asked.await {
            Ok(left_open) => left_open,
            Err(error) if says_nothing_of_us(&error) => {
                from.batch("ROLLBACK").await.map_err(source)?;
                Some(error.to_string())
            }
            Err(error) => return Err(source(error)),
        };
        if let Some(why) = left_open {
            (asking.warn)(format!(
                "{}/{} {}: rows that are gone from the source ({}) may have moved to another day, which could not be found out \
                 ({why}); `dayhaul verify` finds days that lack rows",
                self.place.tenant, self.place.template.name, self.window, vanished.count
            ));
        }
        // A day that is not loaded brings its rows when it is.
        days.retain(|day| others.contains(day));
        Ok(days)
    }

    /// Adds to `found`; gives why it left off before all was asked.
    async fn ask_for(
        &self,
        from: &Session,
        days: &BTreeSet<Day>,
        vanished: &Vanished,
        asking: Asking<'_>,
        found: &mut BTreeSet<Day>,
    ) -> Result<Option<String>> {
        let template = self.place.template;
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            return Ok(None);
        };
        if vanished.is_cut() {
            return Ok(Some("they are too many to be asked for".into()));
        }
        let windows: Vec<Window> = match template.one_day_windows() {
            true => days.iter().rev().map(|day| Window::single(*day)).collect(),
            false => vec![Window::new(*first, last.next())],
        };
        // The watchdog must not take it for a COPY that stands still.
        let patience = PATIENCE
            .min(self.stall_timeout / 4)
            .min(self.statement_timeout);
        let begun = Instant::now();
        let mut rows = 0;
        from.batch(&begin_source(patience)).await?;
        for window in windows {
            if begun.elapsed() > patience {
                from.batch("COMMIT").await?;
                return Ok(Some(format!("not within {} s", patience.as_secs_f64())));
            }
            let query = (asking.bind)(window)?;
            let sql = days_of_keys_sql(template, &query, self.masks, &vanished.columns);
            let answer = from.simple(&sql).await?;
            for row in 0..answer.rows.len() {
                let value = |column| answer.value(row, column).unwrap_or_default();
                // What is no day of ours, such as infinity, is no day that is loaded.
                if let Ok(day) = value(0).parse() {
                    found.insert(day);
                    rows += value(1).parse().unwrap_or(1);
                }
            }
            if rows >= vanished.count {
                break;
            }
        }
        from.batch("COMMIT").await?;
        Ok(None)
    }
}

/// The statement took too long, stood in the way of a standby's recovery, or fails on rows of other days. The session goes
/// on.
fn says_nothing_of_us(error: &Error) -> bool {
    error.sqlstate() == Some("57014")
        || pg::sqlstate::is_recovery_conflict(error)
        || (error.sqlstate().is_some() && !error.is_transient())
}
