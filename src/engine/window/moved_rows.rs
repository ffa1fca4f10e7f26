//! Rows that vanished from the days of a window: the tenant is asked on which other days they are now.
//!
//! A row that moved to a day which nobody refreshes would otherwise leave the warehouse silently. What was really deleted
//! looks the same, so each refresh that deletes rows for good asks once, by the keys of those rows. A source that can look
//! keys up in an index takes milliseconds. One that cannot would read every day that is loaded: it gets no longer than
//! `PATIENCE`, and what could not be found out is reported.

use super::context::WindowLoad;
use crate::catalog::ledger::units;
use crate::error::{Error, Result, Trouble};
use crate::pg::Session;
use crate::template::days_of_keys_sql;
use crate::unit::{Day, Window};
use crate::warehouse::load::difference::Vanished;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a source may search for the rows of one window.
const PATIENCE: Duration = Duration::from_secs(60);

impl WindowLoad<'_> {
    /// Loaded days, except those that are `up_to_date`, on which the source has rows with the vanished keys.
    pub async fn days_they_moved_to(
        &self,
        from: &Session,
        to: &Session,
        vanished: &Vanished,
        up_to_date: &BTreeSet<Day>,
    ) -> Result<BTreeSet<Day>> {
        let loaded = units::loaded_versions(to, self.entry.tenant, self.entry.template);
        let loaded = loaded.await?.into_keys();
        let others: BTreeSet<Day> = loaded.filter(|day| !up_to_date.contains(day)).collect();
        let mut days = BTreeSet::new();
        let search = self.search(from, &others, vanished, &mut days);
        let unfinished = match search.await {
            Ok(unfinished) => unfinished,
            Err(error) if leaves_session_usable(&error) => {
                from.batch("ROLLBACK").await?;
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        if let Some(why) = unfinished {
            self.notes.add(format!(
                "{}/{} {}: failed to find out whether rows that are gone from the source ({}) moved to another day: {why}; \
                 `dayhaul verify` finds days that lack rows",
                self.place.tenant, self.place.template.name, self.window, vanished.count
            ));
        }
        // A day that is not loaded brings its rows when it is.
        days.retain(|day| others.contains(day));
        Ok(days)
    }

    /// Adds to `found`; gives why it ended before every day was searched.
    async fn search(
        &self,
        from: &Session,
        days: &BTreeSet<Day>,
        vanished: &Vanished,
        found: &mut BTreeSet<Day>,
    ) -> Result<Option<String>> {
        let template = self.place.template;
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            return Ok(None);
        };
        if vanished.is_cut() {
            return Ok(Some("they are too many to search for".into()));
        }
        let windows: Vec<Window> = if self.pair.one_day_windows() {
            days.iter().rev().map(|day| Window::single(*day)).collect()
        } else {
            vec![Window::new(*first, last.next())]
        };
        let load = &self.settings.load;
        // The watchdog must not take it for a stalled COPY.
        let patience = PATIENCE
            .min(load.stall_timeout / 4)
            .min(load.statement_timeout);
        let begun = Instant::now();
        let mut rows = 0;
        self.pair.tenant.transaction(patience).begin(from).await?;
        for window in windows {
            if begun.elapsed() > patience {
                from.batch("COMMIT").await?;
                let limit = patience.as_secs_f64();
                return Ok(Some(format!("the search took longer than {limit} s")));
            }
            let query = self.query(window)?;
            let sql = days_of_keys_sql(
                template,
                &query,
                self.settings.masks.as_ref(),
                &vanished.columns,
            );
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

/// The statement took too long, conflicted with a standby's recovery, or fails on rows of other days. The session can be
/// used.
fn leaves_session_usable(error: &Error) -> bool {
    matches!(error.trouble(), Trouble::Cancelled | Trouble::Conflict)
        || (error.sqlstate().is_some() && !error.is_transient())
}
