//! A refresh of one window: pull it, compare each day's count and digest with the ledger, and write only what differs.
//!
//! Days that are equal write nothing. Of the others the rows are read back with their places and matched by hash; then they
//! are brought up ([`super::apply_difference`]).
//!
//! # Memory usage
//!
//! The rows of the window and of the days that are taken along up to the budget, or those of a single larger day that are
//! new; and [`MATCH_BYTES_PER_ROW`] for each row of one day. Beyond the budget a day is replaced: DELETE + COPY, streaming.

use super::apply_difference::{ChangedDay, Matched};
use super::day_buffer::DayBuffer;
use super::fetch::Pulled;
use super::landing::DayFiles;
use super::load::{Haul, RefreshHints, unless_failed};
use crate::catalog::ledger::units::{self, LoadedDay};
use crate::copy::{tuple_hash, tuples};
use crate::engine::report::event::Change;
use crate::engine::report::window_outcome::{Fault, Hauled, Refreshed, landing, source, target};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::load::difference::{
    MATCH_BYTES_PER_ROW, Standing, begin_difference, standing,
};
use futures::StreamExt;
use std::collections::BTreeMap;

impl Haul<'_> {
    /// Refreshes the window, and the days that `hints` say are to go with it.
    pub async fn refresh(
        &self,
        from: &Session,
        to: &Session,
        hints: &RefreshHints<'_>,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let parts: Vec<Haul<'_>> = std::iter::once(self).chain(hints.with).copied().collect();
        let known = async {
            let mut known = BTreeMap::new();
            for part in &parts {
                known.append(&mut part.ledger(to).await?);
            }
            Ok::<_, Fault>(known)
        };
        let (known, pulled) = tokio::join!(known, self.pull_all(from, &parts, &mut moved));
        let (known, pulled) = (known?, pulled?);
        let Some(pulled) = pulled else {
            return Ok(Hauled::TooMuch);
        };
        let mut changed = Vec::new();
        let mut unchanged = Vec::new();
        let mut overflowed = false;
        for Pulled {
            day,
            destination,
            tally,
            rows,
        } in pulled
        {
            let before = known.get(&day);
            match before {
                Some(loaded) if loaded.tally == tally && !self.reload => {
                    unchanged.push(loaded.clone());
                }
                _ => {
                    overflowed |= rows.is_none();
                    changed.push(ChangedDay {
                        day,
                        destination,
                        tally,
                        before: before.map(|loaded| loaded.tally),
                        rows: rows.unwrap_or_default(),
                    });
                }
            }
        }
        if !unchanged.is_empty() {
            let days = unchanged.iter().map(|loaded| loaded.day);
            units::checked(to, &self.entry, days)
                .await
                .map_err(target)?;
        }
        let refreshed: Vec<Refreshed> = unchanged
            .into_iter()
            .map(|loaded| match self.is_landed(&loaded) {
                true => Refreshed::Unchanged(loaded),
                false => Refreshed::Unlanded(loaded),
            })
            .collect();
        if changed.is_empty() {
            return Ok(Hauled::Refreshed(refreshed));
        }
        let hauled = if overflowed || changed.iter().any(|day| self.beyond_budget(day)) {
            if self.window.len() > 1 || parts.len() > 1 {
                return Ok(Hauled::TooMuch);
            }
            self.refresh_large_day(from, to, &changed[0], hints, moved)
                .await?
        } else {
            let mut files = self.files_of(changed.iter().map(|day| day.day))?;
            let written = self
                .write_buffered(&mut files, from, to, changed, hints)
                .await;
            unless_failed(files, written).await?
        };
        Ok(match hauled {
            Hauled::Refreshed(days) => {
                Hauled::Refreshed(refreshed.into_iter().chain(days).collect())
            }
            Hauled::Waiting(_, waiting) => Hauled::Waiting(refreshed, waiting),
            other => other,
        })
    }

    /// Whether the rows that a day was found to have are in its file, or need not be in one.
    fn is_landed(&self, loaded: &LoadedDay) -> bool {
        self.lake.is_none_or(|lake| {
            let known = lake.landed.get(loaded.day);
            known.is_some_and(|known| known.object.digest == loaded.tally.digest)
        })
    }

    async fn ledger(&self, to: &Session) -> Result<BTreeMap<Day, LoadedDay>, Fault> {
        let days = units::found(to, &self.entry, self.window)
            .await
            .map_err(target)?;
        Ok(days
            .into_iter()
            .map(|loaded| (loaded.day, loaded))
            .collect())
    }

    fn beyond_budget(&self, day: &ChangedDay) -> bool {
        let standing = day.before.map_or(0, |tally| tally.rows);
        standing.saturating_mul(MATCH_BYTES_PER_ROW) > self.budget as u64
    }

    /// Writes the difference of days whose rows are buffered. `files` are theirs, in their order.
    async fn write_buffered(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        changed: Vec<ChangedDay>,
        hints: &RefreshHints<'_>,
    ) -> Result<Hauled, Fault> {
        if let Some(files) = files {
            for (index, day) in changed.iter().enumerate() {
                files.take_day(index, &day.rows).await.map_err(landing)?;
            }
            let tallies = changed.iter().map(|day| day.tally).enumerate();
            files.finish(tallies, || {}).await.map_err(landing)?;
        }
        begin_difference(to, &self.entry).await.map_err(target)?;
        let mut matched = Vec::with_capacity(changed.len());
        for mut day in changed {
            let mut standing = self.standing(to, &day).await?;
            let mut inserted = 0;
            let mut new = DayBuffer::default();
            for piece in std::mem::take(&mut day.rows).into_pieces() {
                for tuple in tuples(&piece) {
                    if !standing.take(tuple_hash(tuple)) {
                        new.push(tuple);
                        inserted += 1;
                    }
                }
            }
            day.rows = new;
            matched.push(Matched {
                day,
                gone: standing.gone(),
                inserted,
            });
        }
        self.bring_up(files, from, to, matched, hints).await
    }

    /// A day whose rows do not fit the budget is pulled a second time, and only what is new is held.
    async fn refresh_large_day(
        &self,
        from: &Session,
        to: &Session,
        changed: &ChangedDay,
        hints: &RefreshHints<'_>,
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        if self.beyond_budget(changed) {
            return self.replace(from, to, moved).await;
        }
        let mut files = self.files()?;
        let hauled = self
            .bring_up_large_day(&mut files, from, to, changed, hints, moved)
            .await;
        unless_failed(files, hauled).await
    }

    async fn bring_up_large_day(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        changed: &ChangedDay,
        hints: &RefreshHints<'_>,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        begin_difference(to, &self.entry).await.map_err(target)?;
        let mut standing = self.standing(to, changed).await?;
        let mut rows = self.copy_out(from).await?;
        let mut intake = self.intake();
        let (mut new, mut held, mut inserted, mut seen) = (DayBuffer::default(), 0, 0, 0);
        while let Some(chunk) = rows.next().await {
            let chunk = chunk.map_err(source)?;
            intake.push(&chunk, |day, tuple| {
                if let Some(files) = files {
                    files.push(day, tuple);
                }
                if !standing.take(tuple_hash(tuple)) {
                    new.push(tuple);
                    held += tuple.len();
                    inserted += 1;
                }
                seen += 1;
            })?;
            intake.discard();
            if let Some(files) = files {
                files.settle().await.map_err(landing)?;
            }
            if seen >= 1000 {
                moved(std::mem::take(&mut seen), 0);
            }
            if held > self.budget {
                break;
            }
        }
        if held > self.budget {
            to.batch("ROLLBACK").await.map_err(target)?;
            drop(rows);
            return Ok(Hauled::Replace);
        }
        let tally = intake.finish()?[0];
        from.batch("COMMIT").await.map_err(source)?;
        if let Some(files) = files {
            files
                .finish([(0, tally)], || moved(0, 0))
                .await
                .map_err(landing)?;
        }
        let matched = Matched {
            day: ChangedDay {
                day: changed.day,
                destination: changed.destination,
                tally,
                before: changed.before,
                rows: new,
            },
            gone: standing.gone(),
            inserted,
        };
        self.bring_up(files, from, to, vec![matched], hints).await
    }

    /// DELETE + COPY, streaming, in one transaction.
    pub async fn replace(
        &self,
        from: &Session,
        to: &Session,
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let known = self.ledger(to).await?;
        match self.stream(from, to, true, moved).await? {
            Hauled::Loaded(days) => Ok(Hauled::Refreshed(
                days.into_iter()
                    .map(|loaded| {
                        let Some(before) = known.get(&loaded.day).map(|l| l.tally.rows) else {
                            return Refreshed::New(loaded);
                        };
                        let change = Change {
                            before,
                            deleted: before,
                            inserted: loaded.tally.rows,
                        };
                        Refreshed::Changed(loaded, change)
                    })
                    .collect(),
            )),
            other => Ok(other),
        }
    }

    async fn standing(&self, to: &Session, day: &ChangedDay) -> Result<Standing, Fault> {
        standing(to, self.place, day.destination, day.day)
            .await
            .map_err(target)
    }
}
