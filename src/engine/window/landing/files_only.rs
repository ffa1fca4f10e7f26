//! Days that go only into files: from the source, without a table.

use super::day_files::{DayFiles, Lake};
use crate::catalog::ledger::objects;
use crate::catalog::runs::lease;
use crate::copy::{Digest, Tally};
use crate::engine::report::event::Outcome;
use crate::engine::report::progress::WindowProgress;
use crate::engine::window::context::WindowLoad;
use crate::engine::window::drain::drain;
use crate::engine::window::fetch::FetchedDay;
use crate::engine::window::outcome::{DayResult, WindowOutcome};
use crate::error::{At, Result, Side};
use crate::pg::Session;
use crate::unit::Day;

impl WindowLoad<'_> {
    /// Writes the window into files. Files that hold the same rows already are left alone, unless the days are to be loaded
    /// again.
    pub async fn land_alone(
        &self,
        lake: Lake<'_>,
        from: &Session,
        to: &Session,
    ) -> Result<WindowOutcome> {
        let there = |day| lake.landed.get(day).map(|known| known.object.digest);
        let known: Vec<Option<Digest>> = self.window.days().map(there).collect();
        if self.reload || known.iter().all(Option::is_none) {
            return self.stream_alone(lake, from, to, &known).await;
        }
        let Some(fetched) = self.fetch_all(from, &[*self]).await? else {
            return Ok(WindowOutcome::TooLarge);
        };
        if fetched[0].rows.is_none() && known[0] != Some(fetched[0].tally.digest) {
            // A single day did not fit into memory: it is fetched again.
            return self.stream_alone(lake, from, to, &known).await;
        }
        let mut files = DayFiles::new(lake, self.place.template, self.window.days())?;
        let changed: Vec<(usize, &FetchedDay)> = fetched
            .iter()
            .enumerate()
            .filter(|(index, day)| known[*index] != Some(day.tally.digest))
            .collect();
        if let Err(error) = take_days(&mut files, &changed, self.progress).await {
            files.abort().await;
            return Err(error.on(Side::Landing));
        }
        let tallies: Vec<Tally> = fetched.iter().map(|day| day.tally).collect();
        self.end_alone(files, to, &known, &tallies).await
    }

    async fn stream_alone(
        &self,
        lake: Lake<'_>,
        from: &Session,
        to: &Session,
        known: &[Option<Digest>],
    ) -> Result<WindowOutcome> {
        let mut files = DayFiles::new(lake, self.place.template, self.window.days())?;
        match self.stream_into(&mut files, from).await {
            Ok(tallies) => self.end_alone(files, to, known, &tallies).await,
            Err(error) => {
                files.abort().await;
                Err(error)
            }
        }
    }

    async fn stream_into(&self, files: &mut DayFiles<'_>, from: &Session) -> Result<Vec<Tally>> {
        let rows = self.copy_out(from).await?;
        let mut intake = self.intake(from);
        let drained = drain(rows, &mut intake, self.progress, files).await?;
        let tallies = drained.unwrap_or_default();
        self.source_is_done(from, &tallies).await?;
        files
            .finish(tallies.iter().copied().enumerate(), || {
                self.progress.alive();
            })
            .await
            .on(Side::Landing)?;
        Ok(tallies)
    }

    async fn end_alone(
        &self,
        mut files: DayFiles<'_>,
        to: &Session,
        known: &[Option<Digest>],
        tallies: &[Tally],
    ) -> Result<WindowOutcome> {
        let mut days = Vec::with_capacity(tallies.len());
        let mut unchanged: Vec<Day> = Vec::new();
        for ((day, tally), known) in self.window.days().zip(tallies).zip(known) {
            let mut landed = self.loaded_day(day, *tally);
            landed.relation.clear();
            let outcome = match known {
                None => Outcome::Landed,
                Some(digest) if *digest == tally.digest && !self.reload => {
                    unchanged.push(day);
                    Outcome::Unchanged
                }
                Some(_) => Outcome::Changed,
            };
            days.push(DayResult::new(landed, outcome));
        }
        if let Err(error) = files.publish_alone(to, &self.entry).await {
            files.abort().await;
            return Err(error);
        }
        if !unchanged.is_empty() {
            to.batch("BEGIN").await?;
            lease::check(to, self.entry.run, self.entry.tenant, self.entry.template).await?;
            objects::checked(to, &self.entry, unchanged).await?;
            to.batch("COMMIT").await?;
        }
        Ok(WindowOutcome::compared(days))
    }
}

/// Writes days that are held in memory into their files.
async fn take_days(
    files: &mut DayFiles<'_>,
    days: &[(usize, &FetchedDay)],
    progress: &WindowProgress<'_>,
) -> Result<()> {
    for (index, day) in days {
        if let Some(rows) = &day.rows {
            files.take_day(*index, rows).await?;
            progress.alive();
        }
    }
    let tallies = days.iter().map(|(index, day)| (*index, day.tally));
    files.finish(tallies, || progress.alive()).await
}
