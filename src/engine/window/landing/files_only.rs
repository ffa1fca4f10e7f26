//! Days that go only into files: from the source, without a table.

use super::day_files::{DayFiles, Lake};
use crate::catalog::ledger::objects;
use crate::catalog::runs::lease;
use crate::copy::{Digest, SEND_BYTES, Tally};
use crate::engine::report::window_outcome::{Fault, Hauled, Refreshed, landing, source, target};
use crate::engine::window::fetch::Pulled;
use crate::engine::window::load::Haul;
use crate::error::Result;
use crate::pg::Session;
use crate::unit::Day;
use futures::StreamExt;

impl Haul<'_> {
    /// Writes the window into files. Files that hold the same rows already are left alone, unless the days are to be loaded
    /// again.
    pub async fn land_alone(
        &self,
        lake: Lake<'_>,
        from: &Session,
        to: &Session,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let there = |day| lake.landed.get(day).map(|known| known.object.digest);
        let known: Vec<Option<Digest>> = self.window.days().map(there).collect();
        if self.reload || known.iter().all(Option::is_none) {
            return self.stream_alone(lake, from, to, &known, moved).await;
        }
        let Some(pulled) = self.pull_all(from, &[*self], &mut moved).await? else {
            return Ok(Hauled::TooMuch);
        };
        if pulled[0].rows.is_none() && known[0] != Some(pulled[0].tally.digest) {
            // A single day did not fit into memory: it is fetched again.
            return self.stream_alone(lake, from, to, &known, moved).await;
        }
        let mut files = DayFiles::new(lake, self.place.template, self.window.days())?;
        let changed: Vec<(usize, &Pulled)> = pulled
            .iter()
            .enumerate()
            .filter(|(index, day)| known[*index] != Some(day.tally.digest))
            .collect();
        if let Err(error) = take_days(&mut files, &changed, &mut moved).await {
            files.abort().await;
            return Err(landing(error));
        }
        let tallies: Vec<Tally> = pulled.iter().map(|day| day.tally).collect();
        self.end_alone(files, to, &known, &tallies).await
    }

    async fn stream_alone(
        &self,
        lake: Lake<'_>,
        from: &Session,
        to: &Session,
        known: &[Option<Digest>],
        moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let mut files = DayFiles::new(lake, self.place.template, self.window.days())?;
        match self.stream_into(&mut files, from, moved).await {
            Ok(tallies) => self.end_alone(files, to, known, &tallies).await,
            Err(fault) => {
                files.abort().await;
                Err(fault)
            }
        }
    }

    async fn stream_into(
        &self,
        files: &mut DayFiles<'_>,
        from: &Session,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Vec<Tally>, Fault> {
        let mut rows = self.copy_out(from).await?;
        let mut intake = self.intake();
        let (mut seen, mut bytes) = (0, 0);
        while let Some(chunk) = rows.next().await {
            intake.push(&chunk.map_err(source)?, |day, tuple| {
                seen += 1;
                bytes += tuple.len();
                files.push(day, tuple);
            })?;
            intake.discard();
            files.settle().await.map_err(landing)?;
            if bytes >= SEND_BYTES {
                moved(std::mem::take(&mut seen), std::mem::take(&mut bytes) as u64);
            }
        }
        let tallies = intake.finish()?.to_vec();
        moved(seen, bytes as u64);
        from.batch("COMMIT").await.map_err(source)?;
        (self.pulled)();
        files
            .finish(tallies.iter().copied().enumerate(), || moved(0, 0))
            .await
            .map_err(landing)?;
        Ok(tallies)
    }

    async fn end_alone(
        &self,
        mut files: DayFiles<'_>,
        to: &Session,
        known: &[Option<Digest>],
        tallies: &[Tally],
    ) -> Result<Hauled, Fault> {
        let mut days = Vec::with_capacity(tallies.len());
        let mut unchanged: Vec<Day> = Vec::new();
        for ((day, tally), known) in self.window.days().zip(tallies).zip(known) {
            let mut landed = self.loaded_day(day, *tally);
            landed.relation.clear();
            days.push(match known {
                None => Refreshed::Landed(landed),
                Some(digest) if *digest == tally.digest && !self.reload => {
                    unchanged.push(day);
                    Refreshed::Unchanged(landed)
                }
                Some(_) => Refreshed::Rewritten(landed),
            });
        }
        if let Err(fault) = files.publish_alone(to, &self.entry).await {
            files.abort().await;
            return Err(fault);
        }
        if !unchanged.is_empty() {
            to.batch("BEGIN").await.map_err(target)?;
            lease::check(to, self.entry.run, self.entry.tenant, self.entry.template)
                .await
                .map_err(target)?;
            objects::checked(to, &self.entry, unchanged)
                .await
                .map_err(target)?;
            to.batch("COMMIT").await.map_err(target)?;
        }
        Ok(Hauled::Refreshed(days))
    }
}

/// Writes days that are held in memory into their files.
async fn take_days(
    files: &mut DayFiles<'_>,
    days: &[(usize, &Pulled)],
    moved: &mut impl FnMut(u64, u64),
) -> Result<()> {
    for (index, day) in days {
        if let Some(rows) = &day.rows {
            files.take_day(*index, rows).await?;
            moved(0, 0);
        }
    }
    let tallies = days.iter().map(|(index, day)| (*index, day.tally));
    files.finish(tallies, || moved(0, 0)).await
}
