//! The refresh of a day whose rows do not fit the budget.

use super::compare::{ChangedDay, Matched};
use super::event::Change;
use super::haul::{
    DayBuffer, Fault, Haul, Hauled, RefreshHints, Refreshed, landing, source, target, unless_failed,
};
use super::land::DayFiles;
use crate::copy::tuple_hash;
use crate::pg::Session;
use crate::warehouse::difference::begin_difference;
use futures_util::StreamExt;

impl Haul<'_> {
    /// A day whose rows do not fit the budget is pulled a second time, and only what is new is held.
    pub(super) async fn refresh_large_day(
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
                .finish(&[tally], || moved(0, 0))
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
        self.write(files.as_mut_slice(), to, vec![matched], hints)
            .await
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
}
