//! The one transaction that brings days up to date: what the source no longer has is deleted, what the warehouse lacks is
//! copied in.
//!
//! # Rows that moved
//!
//! A row whose time moved leaves one day and comes into another. No reader may see it in neither, so both days are written
//! in one transaction, from one snapshot of the source: if a new row's key is in a day beyond the window, that day is taken
//! along. If a key vanishes and no day of the window has it, another window may: such days wait until the pair's other days
//! are through, and are then refreshed together. A key that nobody has then is looked for at the source, on all other days
//! that are loaded ([`super::moved_rows`]).

use super::context::{RefreshContext, WindowLoad, same_count};
use super::day_buffer::DayBuffer;
use super::landing::DayFiles;
use crate::catalog::ledger::units::LoadedDay;
use crate::copy::{Tally, Tid};
use crate::engine::report::event::{Change, Outcome};
use crate::engine::window::outcome::{DayResult, DoneDays, WindowOutcome};
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::load::difference::{
    Keys, Vanished, days_of_keys, delete_rows, finish_difference,
};
use crate::warehouse::{self, Destination};
use std::collections::BTreeSet;

/// A day of the window whose rows are not those of the ledger.
pub struct ChangedDay {
    pub day: Day,
    pub destination: Destination,
    /// What the source gives.
    pub tally: Tally,
    /// What the ledger has; `None` when the day was never loaded.
    pub before: Option<Tally>,
    /// The source's rows: all of them, or those that the warehouse lacks once they were matched.
    pub rows: DayBuffer,
}

/// A changed day after its rows were matched with those of the warehouse: `day.rows` are the new ones.
pub struct MatchedDay {
    pub day: ChangedDay,
    /// Places of the rows that the source no longer has.
    pub gone: Vec<Tid>,
    pub inserted: u64,
}

impl WindowLoad<'_> {
    /// The one transaction, unless rows moved to or from where it does not look.
    pub async fn apply(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        matched: Vec<MatchedDay>,
        context: &RefreshContext<'_>,
    ) -> Result<WindowOutcome> {
        let Some(mut keys) = Keys::new(self.place) else {
            return self.write(files, to, matched).await;
        };
        for m in &matched {
            m.day.rows.each(|tuple| keys.push(tuple));
        }
        let vanished = self.vanished(to, &matched, &keys).await?;
        let changed: BTreeSet<Day> = matched.iter().map(|m| m.day.day).collect();
        if context.may_wait && !vanished.is_empty() {
            to.batch("ROLLBACK").await?;
            return Ok(WindowOutcome::Done(DoneDays {
                days: Vec::new(),
                keys_checked: true,
                waiting: changed,
            }));
        }
        let with = context.with.iter().flat_map(|part| part.window.days());
        let fetched: BTreeSet<Day> = self.window.days().chain(with).collect();
        let up_to_date = &fetched | &context.done_separately;
        let mut elsewhere = days_of_keys(to, self.place, &keys).await?;
        elsewhere.retain(|day| !changed.contains(day));
        if context.refresh.separate {
            elsewhere.retain(|day| !context.done_separately.contains(day));
        }
        if let Some(day) = elsewhere.intersection(&up_to_date).next() {
            return Err(self.key_on_two_days(*day));
        }
        if !vanished.is_empty() {
            let moved = self.days_they_moved_to(from, to, &vanished, &up_to_date);
            elsewhere.append(&mut moved.await?);
        }
        if !elsewhere.is_empty() {
            to.batch("ROLLBACK").await?;
            let mut refresh = context.refresh.clone();
            refresh.with.append(&mut elsewhere);
            return Ok(WindowOutcome::RefreshAs(refresh));
        }
        self.write(files, to, matched).await
    }

    /// Keys of rows that the source no longer has, without those of new rows.
    async fn vanished(
        &self,
        to: &Session,
        matched: &[MatchedDay],
        keys: &Keys,
    ) -> Result<Vanished> {
        let mut vanished = Vanished::like(keys);
        for m in matched.iter().filter(|m| !m.gone.is_empty()) {
            let (destination, day) = (m.day.destination, m.day.day);
            let added = vanished.add(to, self.place, destination, day, &m.gone, keys);
            added.await?;
        }
        Ok(vanished)
    }

    /// The key of a new row is on `day`, too, which is as the source has it.
    fn key_on_two_days(&self, day: Day) -> Error {
        let unique = self.place.template.unique.join(", ");
        let message = format!("a row with the same `{unique}` is on {day}, too");
        Error::new(Kind::Data, message).with_hint(
            "the columns that the template declares `unique` must be unique across all days: correct the rows at the source, \
             or the template; `dayhaul verify` shows whether the source has both",
        )
    }

    /// All deletes before all inserts, so that a row may move between the days.
    async fn write(
        &self,
        files: &mut Option<DayFiles<'_>>,
        to: &Session,
        matched: Vec<MatchedDay>,
    ) -> Result<WindowOutcome> {
        for m in &matched {
            delete_rows(to, self.place, m.day.destination, m.day.day, &m.gone).await?;
        }
        let mut results = Vec::with_capacity(matched.len());
        let mut days: Vec<LoadedDay> = Vec::with_capacity(matched.len());
        let mut new_tables = BTreeSet::new();
        for m in matched {
            let ChangedDay {
                day, destination, ..
            } = m.day;
            if m.inserted > 0 {
                let mut table = warehouse::copy_into(to, self.place, destination, day).await?;
                for piece in m.day.rows.into_pieces() {
                    table.send(piece).await?;
                }
                same_count(m.inserted, table.finish().await?)?;
            }
            let loaded = self.loaded_day(day, m.day.tally);
            days.push(loaded.clone());
            results.push(match m.day.before {
                None => {
                    if destination == Destination::DayTable {
                        new_tables.insert(day);
                    }
                    DayResult::new(loaded, Outcome::Loaded)
                }
                Some(before) => DayResult::changed(
                    loaded,
                    Change {
                        before: before.rows,
                        deleted: m.gone.len() as u64,
                        inserted: m.inserted,
                    },
                ),
            });
        }
        finish_difference(to, self.place, &self.entry, &days, &new_tables).await?;
        self.publish(to, files).await?;
        Ok(WindowOutcome::compared(results))
    }
}
