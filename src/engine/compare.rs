//! A refresh of one window: pull it, compare each day's count and digest with the ledger, and write only what differs.
//!
//! Days that are equal write nothing. The others are brought up in one transaction: their rows are read back with their
//! places and matched by hash; what the source no longer has is deleted, what the warehouse does not have is copied in.
//!
//! # Memory usage
//!
//! The window's rows up to the budget, or those of a single larger day that are new; and
//! [`MATCH_BYTES_PER_ROW`] for each row of one day. Beyond the budget a day is replaced: DELETE + COPY, streaming.

use super::day_buffer::DayBuffer;
use super::event::Change;
use super::haul::{Haul, SEND_BYTES, same_count, unless_failed};
use super::hauled::{Fault, Hauled, Refreshed, landing, source, target};
use super::land::DayFiles;
use crate::catalog::ledger::{self, LoadedDay};
use crate::copy::{Tally, tuple_hash, tuples};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse;
use crate::warehouse::difference::{
    Keys, MATCH_BYTES_PER_ROW, Standing, begin_difference, days_of_keys, delete_rows,
    finish_difference, standing,
};
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};

/// A day of the window whose rows are not as the ledger has them.
struct ChangedDay {
    day: Day,
    /// What the source gives.
    tally: Tally,
    /// What the ledger has; `None` when the day was never loaded.
    before: Option<Tally>,
    /// The source's rows: all of them, or those that the warehouse lacks once they were matched.
    rows: DayBuffer,
}

/// The rows that matched nothing, and the places of those that nothing matched.
struct Matched {
    day: ChangedDay,
    gone: Vec<crate::copy::Tid>,
    inserted: u64,
}

impl Haul<'_> {
    /// Refreshes the window. `followed` are days that were refreshed in this run because rows had moved out of them:
    /// they are not asked for again.
    pub(super) async fn refresh(
        &self,
        from: &Session,
        to: &Session,
        followed: &BTreeSet<Day>,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let (known, pulled) = tokio::join!(self.ledger(to), self.pull(from, &mut moved));
        let (known, pulled) = (known?, pulled?);
        let Some((days, buffers)) = pulled else {
            return Ok(Hauled::TooMuch);
        };
        let (mut changed, mut unchanged, mut unlanded) = (Vec::new(), Vec::new(), Vec::new());
        let mut overflowed = false;
        for ((day, tally), rows) in self.window.days().zip(days).zip(buffers) {
            let before = known.get(&day);
            match before {
                Some(loaded) if loaded.tally == tally && !self.reload => {
                    unchanged.push(loaded.clone());
                    if !self.is_landed(loaded) {
                        unlanded.push(day);
                    }
                }
                _ => {
                    overflowed |= rows.is_none();
                    changed.push(ChangedDay {
                        day,
                        tally,
                        before: before.map(|loaded| loaded.tally),
                        rows: rows.unwrap_or_default(),
                    });
                }
            }
        }
        if !unchanged.is_empty() {
            let days = unchanged.iter().map(|loaded| loaded.day);
            ledger::checked(to, &self.entry, days)
                .await
                .map_err(target)?;
        }
        let mut refreshed: Vec<Refreshed> = unchanged
            .into_iter()
            .filter(|loaded| !unlanded.contains(&loaded.day))
            .map(Refreshed::Unchanged)
            .collect();
        if changed.is_empty() {
            return Ok(Hauled::Refreshed {
                days: refreshed,
                unlanded,
            });
        }
        if overflowed || changed.iter().any(|day| self.beyond_budget(day)) {
            if self.window.len() > 1 {
                return Ok(Hauled::TooMuch);
            }
            return self
                .refresh_large_day(from, to, &changed[0], followed, moved)
                .await;
        }
        let mut files = self.files()?;
        let written = self.write_buffered(&mut files, to, changed, followed).await;
        let hauled = written.map(|written| match written {
            Ok(days) => {
                refreshed.extend(days);
                Hauled::Refreshed {
                    days: refreshed,
                    unlanded,
                }
            }
            Err(elsewhere) => Hauled::Elsewhere(elsewhere),
        });
        unless_failed(files, hauled).await
    }

    /// Whether the rows that a day was found to have are in its file, or need not be in one.
    fn is_landed(&self, loaded: &LoadedDay) -> bool {
        self.lake.is_none_or(|lake| {
            let known = lake.landed.get(loaded.day);
            known.is_some_and(|known| known.object.digest == loaded.tally.digest)
        })
    }

    async fn ledger(&self, to: &Session) -> Result<BTreeMap<Day, LoadedDay>, Fault> {
        let days = ledger::found(to, &self.entry, self.window)
            .await
            .map_err(target)?;
        Ok(days
            .into_iter()
            .map(|loaded| (loaded.day, loaded))
            .collect())
    }

    /// Pulls the window: tallies, and the rows of each day. `None` when several days exceed the budget; a single day that
    /// does is only counted and digested.
    #[allow(clippy::type_complexity)]
    pub(super) async fn pull(
        &self,
        from: &Session,
        moved: &mut impl FnMut(u64, u64),
    ) -> Result<Option<(Vec<Tally>, Vec<Option<DayBuffer>>)>, Fault> {
        let mut rows = self.copy_out(from).await?;
        let mut intake = self.intake();
        let mut buffers: Vec<Option<DayBuffer>> = self
            .window
            .days()
            .map(|_| Some(DayBuffer::default()))
            .collect();
        let (mut held, mut told, mut seen) = (0, 0, 0);
        while let Some(chunk) = rows.next().await {
            intake.push(&chunk.map_err(source)?, |day, tuple| {
                if let Some(buffer) = &mut buffers[day] {
                    buffer.push(tuple);
                }
                held += tuple.len();
                seen += 1;
            })?;
            intake.discard();
            if held > self.budget && buffers[0].is_some() {
                if self.window.len() > 1 {
                    return Ok(None);
                }
                buffers[0] = None;
            }
            if held - told >= SEND_BYTES {
                moved(std::mem::take(&mut seen), (held - told) as u64);
                told = held;
            }
        }
        let days = intake.finish()?.to_vec();
        moved(seen, (held - told) as u64);
        from.batch("COMMIT").await.map_err(source)?;
        Ok(Some((days, buffers)))
    }

    fn beyond_budget(&self, day: &ChangedDay) -> bool {
        let standing = day.before.map_or(0, |tally| tally.rows);
        standing.saturating_mul(MATCH_BYTES_PER_ROW) > self.budget as u64
    }

    /// Writes the difference of days whose rows are buffered. `Err`: rows moved here from these days, which must be
    /// refreshed before.
    async fn write_buffered(
        &self,
        files: &mut Option<DayFiles<'_>>,
        to: &Session,
        changed: Vec<ChangedDay>,
        followed: &BTreeSet<Day>,
    ) -> Result<Result<Vec<Refreshed>, BTreeSet<Day>>, Fault> {
        if let Some(files) = files {
            for day in &changed {
                let index = self.index(day.day);
                let taken = files.take_day(index, &day.rows, &day.tally).await;
                taken.map_err(landing)?;
            }
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
        self.write(files, to, matched, followed).await
    }

    fn index(&self, day: Day) -> usize {
        usize::try_from(day.pg_days() - self.window.from.pg_days()).unwrap_or(0)
    }

    /// A day whose rows do not fit the budget is pulled a second time, and only what is new is held.
    async fn refresh_large_day(
        &self,
        from: &Session,
        to: &Session,
        changed: &ChangedDay,
        followed: &BTreeSet<Day>,
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        if self.beyond_budget(changed) {
            return self.replace(from, to, moved).await;
        }
        let mut files = self.files()?;
        let hauled = self
            .bring_up_large_day(&mut files, from, to, changed, followed, moved)
            .await;
        unless_failed(files, hauled).await
    }

    async fn bring_up_large_day(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        changed: &ChangedDay,
        followed: &BTreeSet<Day>,
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
                .finish(&[tally], || moved(0, 0))
                .await
                .map_err(landing)?;
        }
        let matched = Matched {
            day: ChangedDay {
                day: changed.day,
                tally,
                before: changed.before,
                rows: new,
            },
            gone: standing.gone(),
            inserted,
        };
        Ok(
            match self.write(files, to, vec![matched], followed).await? {
                Ok(days) => Hauled::refreshed(days),
                Err(elsewhere) => Hauled::Elsewhere(elsewhere),
            },
        )
    }

    /// DELETE + COPY, streaming, in one transaction.
    pub(super) async fn replace(
        &self,
        from: &Session,
        to: &Session,
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let known = self.ledger(to).await?;
        match self.stream(from, to, true, moved).await? {
            Hauled::Loaded(days) => Ok(Hauled::refreshed(
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
        standing(to, self.place, self.destination, day.day)
            .await
            .map_err(target)
    }

    /// The one transaction: all deletes before all inserts, so that a row may move between the days of the window.
    async fn write(
        &self,
        files: &mut Option<DayFiles<'_>>,
        to: &Session,
        matched: Vec<Matched>,
        followed: &BTreeSet<Day>,
    ) -> Result<Result<Vec<Refreshed>, BTreeSet<Day>>, Fault> {
        let mut ours: BTreeSet<Day> = matched.iter().map(|m| m.day.day).collect();
        ours.extend(followed);
        if let Some(mut keys) = Keys::new(self.place) {
            for m in &matched {
                m.day.rows.each(|tuple| keys.push(tuple));
            }
            let elsewhere = days_of_keys(to, self.place, keys, &ours)
                .await
                .map_err(target)?;
            if !elsewhere.is_empty() {
                to.batch("ROLLBACK").await.map_err(target)?;
                return Ok(Err(elsewhere));
            }
        }
        for m in &matched {
            delete_rows(to, self.place, self.destination, m.day.day, &m.gone)
                .await
                .map_err(target)?;
        }
        let mut refreshed = Vec::with_capacity(matched.len());
        let mut days: Vec<LoadedDay> = Vec::with_capacity(matched.len());
        let mut new = BTreeSet::new();
        for m in matched {
            let day = m.day.day;
            if m.inserted > 0 {
                let mut table = warehouse::copy_into(to, self.place, self.destination, day)
                    .await
                    .map_err(target)?;
                for piece in m.day.rows.into_pieces() {
                    table.send(piece).await.map_err(target)?;
                }
                same_count(m.inserted, table.finish().await.map_err(target)?)?;
            }
            let loaded = self.loaded_day(day, m.day.tally);
            days.push(loaded.clone());
            refreshed.push(match m.day.before {
                None => {
                    new.insert(day);
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
        finish_difference(to, self.place, &self.entry, self.destination, &days, &new)
            .await
            .map_err(target)?;
        self.publish(to, files).await?;
        Ok(Ok(refreshed))
    }
}
