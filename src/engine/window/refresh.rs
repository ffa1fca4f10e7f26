//! A refresh of one window: fetch it, compare each day's count and digest with the ledger, and write only what differs.
//!
//! Days that are equal write nothing. Of the others the rows are read back with their places and matched by hash; then the
//! difference is applied ([`super::apply_difference`]).
//!
//! # Memory usage
//!
//! The rows of the window and of the days that are taken along up to the budget, or those of a single larger day that are
//! new; and [`MATCH_BYTES_PER_ROW`] for each row of one day. Beyond the budget a day is replaced: DELETE + COPY, streaming.

use super::apply_difference::{ChangedDay, MatchedDay};
use super::context::{RefreshContext, WindowLoad, abort_unless_done};
use super::day_buffer::DayBuffer;
use super::drain::{RowSink, drain};
use super::fetch::FetchedDay;
use super::landing::DayFiles;
use crate::catalog::ledger::rows::{self, Ledger};
use crate::catalog::ledger::units::{CheckedDay, LoadedDay};
use crate::copy::{tuple_hash, tuples};
use crate::engine::report::event::{Change, Outcome};
use crate::engine::window::outcome::{DayResult, DoneDays, WindowOutcome};
use crate::error::{At, Error, Result, Side};
use crate::pg::Session;
use crate::unit::Day;
use crate::warehouse::load::difference::{
    MATCH_BYTES_PER_ROW, StoredRows, begin_difference, standing,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The window's days, compared with the ledger.
#[derive(Default)]
struct Compared {
    unchanged: Vec<LoadedDay>,
    changed: Vec<ChangedDay>,
    /// The rows of a changed day are not held.
    overflowed: bool,
}

/// Rows of a large day: those that the warehouse lacks are held, up to a budget.
struct NewRows<'s, 'f> {
    files: &'s mut Option<DayFiles<'f>>,
    standing: StoredRows,
    new: DayBuffer,
    held: usize,
    inserted: u64,
    budget: usize,
}

impl RowSink for NewRows<'_, '_> {
    fn row(&mut self, day: usize, tuple: &[u8]) {
        if let Some(files) = self.files {
            files.push(day, tuple);
        }
        if !self.standing.take(tuple_hash(tuple)) {
            self.new.push(tuple);
            self.held += tuple.len();
            self.inserted += 1;
        }
    }

    async fn settle(&mut self, bytes: usize) -> Result<ControlFlow<()>> {
        if let Some(files) = self.files {
            let _ = RowSink::settle(files, bytes).await?;
        }
        Ok(if self.held > self.budget {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

impl WindowLoad<'_> {
    /// Refreshes the window, and the days that go with it. After an error both sessions are in an unknown state.
    pub async fn refresh(
        &self,
        from: &Session,
        to: &Session,
        context: &RefreshContext<'_>,
    ) -> Result<WindowOutcome> {
        let parts: Vec<WindowLoad<'_>> =
            std::iter::once(self).chain(context.with).copied().collect();
        let known = async {
            let mut known = BTreeMap::new();
            for part in &parts {
                known.append(&mut part.ledger(to).await?);
            }
            Ok::<_, Error>(known)
        };
        let (known, fetched) = tokio::join!(known, self.fetch_all(from, &parts));
        let (known, fetched) = (known?, fetched?);
        let Some(fetched) = fetched else {
            return Ok(WindowOutcome::TooLarge);
        };
        let compared = self.compare(&known, fetched);
        let unchanged = self.unchanged(to, compared.unchanged).await?;
        let changed = compared.changed;
        if changed.is_empty() {
            return Ok(WindowOutcome::compared(unchanged));
        }
        let outcome = if compared.overflowed || changed.iter().any(|day| self.beyond_budget(day)) {
            if self.window.len() > 1 || parts.len() > 1 {
                return Ok(WindowOutcome::TooLarge);
            }
            self.refresh_large_day(from, to, &changed[0], context)
                .await?
        } else {
            let mut files = self.files_of(changed.iter().map(|day| day.day))?;
            let written = self.write_buffered(&mut files, from, to, changed, context);
            let written = written.await;
            abort_unless_done(files, written).await?
        };
        Ok(match outcome {
            WindowOutcome::Done(done) => WindowOutcome::Done(DoneDays {
                days: unchanged.into_iter().chain(done.days).collect(),
                ..done
            }),
            other => other,
        })
    }

    fn compare(&self, known: &BTreeMap<Day, LoadedDay>, fetched: Vec<FetchedDay>) -> Compared {
        let mut compared = Compared::default();
        for fetched in fetched {
            let before = known.get(&fetched.day);
            match before {
                Some(loaded) if loaded.tally == fetched.tally && !self.reload => {
                    compared.unchanged.push(loaded.clone());
                }
                _ => {
                    compared.overflowed |= fetched.rows.is_none();
                    compared.changed.push(ChangedDay {
                        day: fetched.day,
                        destination: fetched.destination,
                        tally: fetched.tally,
                        before: before.map(|loaded| loaded.tally),
                        rows: fetched.rows.unwrap_or_default(),
                    });
                }
            }
        }
        compared
    }

    /// Writes into the ledger that days were compared and found equal.
    async fn unchanged(&self, to: &Session, days: Vec<LoadedDay>) -> Result<Vec<DayResult>> {
        if !days.is_empty() {
            let entry = &self.entry;
            let checked = days.iter().map(|loaded| CheckedDay {
                tenant: entry.tenant.clone(),
                template: entry.template.clone(),
                version: entry.version.to_owned(),
                day: loaded.day,
            });
            self.checked.add(to, entry.run, checked).await?;
        }
        let results = days.into_iter().map(|loaded| DayResult {
            lacks_file: !self.is_landed(&loaded),
            ..DayResult::new(loaded, Outcome::Unchanged)
        });
        Ok(results.collect())
    }

    /// Whether the rows that a day was found to have are in its file, or need not be in one.
    fn is_landed(&self, loaded: &LoadedDay) -> bool {
        self.lake.is_none_or(|lake| {
            let known = lake.landed.get(loaded.day);
            known.is_some_and(|known| known.object.digest == loaded.tally.digest)
        })
    }

    async fn ledger(&self, to: &Session) -> Result<BTreeMap<Day, LoadedDay>> {
        let days = rows::found(to, &self.entry, Ledger::Units, self.window).await?;
        Ok(days
            .into_iter()
            .map(|loaded| (loaded.day, loaded))
            .collect())
    }

    fn beyond_budget(&self, day: &ChangedDay) -> bool {
        let rows = day.before.map_or(0, |tally| tally.rows);
        rows.saturating_mul(MATCH_BYTES_PER_ROW) > self.budget() as u64
    }

    /// Writes the difference of days whose rows are buffered. `files` are theirs, in their order.
    async fn write_buffered(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        changed: Vec<ChangedDay>,
        context: &RefreshContext<'_>,
    ) -> Result<WindowOutcome> {
        if let Some(files) = files {
            for (index, day) in changed.iter().enumerate() {
                files.take_day(index, &day.rows).await.on(Side::Landing)?;
            }
            let tallies = changed.iter().map(|day| day.tally).enumerate();
            files.finish(tallies, || {}).await.on(Side::Landing)?;
        }
        begin_difference(to, &self.entry).await?;
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
            matched.push(MatchedDay {
                day,
                gone: standing.gone(),
                inserted,
            });
        }
        self.apply(files, from, to, matched, context).await
    }

    /// A day whose rows do not fit the budget is fetched a second time, and only what is new is held.
    async fn refresh_large_day(
        &self,
        from: &Session,
        to: &Session,
        changed: &ChangedDay,
        context: &RefreshContext<'_>,
    ) -> Result<WindowOutcome> {
        if self.beyond_budget(changed) {
            return self.replace(from, to).await;
        }
        let mut files = self.files()?;
        let applied = self.apply_large_day(&mut files, from, to, changed, context);
        let applied = applied.await;
        abort_unless_done(files, applied).await
    }

    async fn apply_large_day(
        &self,
        files: &mut Option<DayFiles<'_>>,
        from: &Session,
        to: &Session,
        changed: &ChangedDay,
        context: &RefreshContext<'_>,
    ) -> Result<WindowOutcome> {
        begin_difference(to, &self.entry).await?;
        let standing = self.standing(to, changed).await?;
        let rows = self.copy_out(from).await?;
        let mut sink = NewRows {
            files,
            standing,
            new: DayBuffer::default(),
            held: 0,
            inserted: 0,
            budget: self.budget(),
        };
        let mut intake = self.intake(from);
        let drained = drain(rows, &mut intake, self.progress, &mut sink).await?;
        let Some(tallies) = drained else {
            to.batch("ROLLBACK").await?;
            let mut refresh = context.refresh.clone();
            refresh.replace = true;
            return Ok(WindowOutcome::RefreshAs(refresh));
        };
        let NewRows {
            files,
            standing,
            new,
            inserted,
            ..
        } = sink;
        let tally = tallies[0];
        from.batch("COMMIT").await?;
        if let Some(files) = files {
            let finished = files.finish([(0, tally)], || self.progress.alive());
            finished.await.on(Side::Landing)?;
        }
        let matched = MatchedDay {
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
        self.apply(files, from, to, vec![matched], context).await
    }

    /// DELETE + COPY, streaming, in one transaction.
    pub async fn replace(&self, from: &Session, to: &Session) -> Result<WindowOutcome> {
        let known = self.ledger(to).await?;
        let outcome = self.stream(from, to, true).await?;
        let WindowOutcome::Done(done) = outcome else {
            return Ok(outcome);
        };
        let results = done.days.into_iter().map(|DayResult { loaded, .. }| {
            let Some(before) = known.get(&loaded.day).map(|l| l.tally.rows) else {
                return DayResult::new(loaded, Outcome::Loaded);
            };
            let change = Change {
                before,
                deleted: before,
                inserted: loaded.tally.rows,
            };
            DayResult::changed(loaded, change)
        });
        Ok(WindowOutcome::Done(DoneDays {
            days: results.collect(),
            keys_checked: false,
            waiting: done.waiting,
        }))
    }

    async fn standing(&self, to: &Session, day: &ChangedDay) -> Result<StoredRows> {
        standing(to, self.place, day.destination, day.day).await
    }
}
