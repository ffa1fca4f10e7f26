//! The one transaction in which days are brought up: what the source no longer has is deleted, what the warehouse does not
//! have is copied in.
//!
//! # Rows that moved
//!
//! A row whose time moved leaves one day and comes into another. No reader may see it in neither, so both days are brought
//! up in one transaction, from one snapshot of the source: where a new row's key stands in a day beyond the window, that
//! day is taken along. Where a key vanishes and no day of the window has it, another window may: such days wait until the
//! pair's other days are through, and are then brought up together. A key that nobody has then is looked for at the
//! source, on all other days that are loaded ([`super::moved_rows`]).

use super::day_buffer::DayBuffer;
use super::landing::DayFiles;
use super::load::{Haul, RefreshHints, same_count};
use crate::catalog::ledger::units::LoadedDay;
use crate::copy::{Tally, Tid};
use crate::engine::report::event::Change;
use crate::engine::report::window_outcome::{Fault, Hauled, Refreshed, target};
use crate::error::{Error, Kind};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::load::difference::{
    Keys, Vanished, days_of_keys, delete_rows, finish_difference,
};
use crate::warehouse::{self, Destination};
use std::collections::BTreeSet;

/// A day of the window whose rows are not as the ledger has them.
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

/// The rows that matched nothing, and the places of those that nothing matched.
pub struct Matched {
    pub day: ChangedDay,
    pub gone: Vec<Tid>,
    pub inserted: u64,
}

impl Haul<'_> {
    /// The one transaction, unless rows moved to or from where it does not look.
    pub async fn bring_up(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        matched: Vec<Matched>,
        hints: &RefreshHints<'_>,
    ) -> Result<Hauled, Fault> {
        let Some(mut keys) = Keys::new(self.place) else {
            return self.write(files, to, matched).await;
        };
        for m in &matched {
            m.day.rows.each(|tuple| keys.push(tuple));
        }
        let vanished = self.vanished(to, &matched, &keys).await?;
        let changed: BTreeSet<Day> = matched.iter().map(|m| m.day.day).collect();
        if hints.patient && !vanished.is_empty() {
            to.batch("ROLLBACK").await.map_err(target)?;
            return Ok(Hauled::Waiting(Vec::new(), changed));
        }
        let with = hints.with.iter().flat_map(|haul| haul.window.days());
        let pulled: BTreeSet<Day> = self.window.days().chain(with).collect();
        let brought_up = &pulled | &hints.followed;
        let mut elsewhere = days_of_keys(to, self.place, &keys).await.map_err(target)?;
        elsewhere.retain(|day| !changed.contains(day));
        if hints.apart {
            elsewhere.retain(|day| !hints.followed.contains(day));
        }
        if let Some(day) = elsewhere.intersection(&brought_up).next() {
            return Err(self.stands_on_two_days(*day));
        }
        if !vanished.is_empty() {
            let moved = self.days_they_moved_to(from, to, &vanished, &brought_up, hints.asking);
            elsewhere.append(&mut moved.await?);
        }
        if !elsewhere.is_empty() {
            to.batch("ROLLBACK").await.map_err(target)?;
            return Ok(Hauled::Elsewhere(elsewhere));
        }
        self.write(files, to, matched).await
    }

    /// Keys of rows that are gone, and that no row has which is new.
    async fn vanished(
        &self,
        to: &Session,
        matched: &[Matched],
        keys: &Keys,
    ) -> Result<Vanished, Fault> {
        let mut vanished = Vanished::like(keys);
        for m in matched.iter().filter(|m| !m.gone.is_empty()) {
            let at = (m.day.destination, m.day.day);
            let added = vanished.add(to, self.place, at, &m.gone, keys);
            added.await.map_err(target)?;
        }
        Ok(vanished)
    }

    /// A key that came new stands on `day`, which is as the source has it.
    fn stands_on_two_days(&self, day: Day) -> Fault {
        let unique = self.place.template.unique.join(", ");
        let message = format!("a row with the same `{unique}` stands on {day}, too");
        Error::new(Kind::Data, message)
            .with_hint(
                "what the template calls `unique` must be so across all days: correct the rows at the source, or the template; \
                 `dayhaul verify` says whether the source has both",
            )
            .into()
    }

    /// All deletes before all inserts, so that a row may move between the days.
    async fn write(
        &self,
        files: &mut Option<DayFiles<'_>>,
        to: &Session,
        matched: Vec<Matched>,
    ) -> Result<Hauled, Fault> {
        for m in &matched {
            delete_rows(to, self.place, m.day.destination, m.day.day, &m.gone)
                .await
                .map_err(target)?;
        }
        let mut refreshed = Vec::with_capacity(matched.len());
        let mut days: Vec<LoadedDay> = Vec::with_capacity(matched.len());
        let mut new_tables = BTreeSet::new();
        for m in matched {
            let ChangedDay {
                day, destination, ..
            } = m.day;
            if m.inserted > 0 {
                let mut table = warehouse::copy_into(to, self.place, destination, day)
                    .await
                    .map_err(target)?;
                for piece in m.day.rows.into_pieces() {
                    table.send(piece).await.map_err(target)?;
                }
                same_count(m.inserted, table.finish().await.map_err(target)?)?;
            }
            let loaded = Haul {
                destination,
                ..*self
            }
            .loaded_day(day, m.day.tally);
            days.push(loaded.clone());
            refreshed.push(match m.day.before {
                None => {
                    if destination == Destination::DayTable {
                        new_tables.insert(day);
                    }
                    Refreshed::New(loaded)
                }
                Some(before) => Refreshed::Changed(
                    loaded,
                    Change {
                        before: before.rows,
                        deleted: m.gone.len() as u64,
                        inserted: m.inserted,
                    },
                ),
            });
        }
        finish_difference(to, self.place, &self.entry, &days, &new_tables)
            .await
            .map_err(target)?;
        self.publish(to, files).await?;
        Ok(Hauled::Refreshed(refreshed))
    }
}
