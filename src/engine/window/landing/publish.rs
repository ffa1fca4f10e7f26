//! Publishes complete files, and records them in the ledger.

use super::day_files::{CompleteFile, DayFiles};
use crate::catalog::ledger::objects::{self, Ledger, Object};
use crate::catalog::ledger::units::{Entry, LoadedDay};
use crate::catalog::runs::lease;
use crate::copy::Digest;
use crate::error::{Error, Result, Side};
use crate::pg::Session;
use crate::unit::Day;
use futures::StreamExt;
use std::collections::BTreeMap;

/// Files published at once: an object store is slow for each.
const PUBLISHED_AT_ONCE: usize = 8;

/// A commit that need not reach the disk: if it is lost, the files are landed once more.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off";

impl DayFiles<'_> {
    /// Publishes the files whose rows the warehouse has committed, and records them in the ledger. A day that another worker
    /// has changed since is left to that worker.
    ///
    /// # Errors
    /// A file that cannot be published, with those before it published and recorded; errors of the warehouse.
    pub async fn publish(&mut self, to: &Session, entry: &Entry<'_>, ledger: Ledger) -> Result<()> {
        if self.finished.is_empty() {
            return Ok(());
        }
        to.batch(BEGIN).await?;
        lease::check(to, entry.run, entry.tenant, entry.template).await?;
        let held = objects::hold(to, entry, ledger, self.finished.iter().map(|a| a.day)).await?;
        let (objects, failed) = self.publish_all(&held).await;
        objects::record(to, entry, ledger, &objects).await?;
        if ledger == Ledger::Units {
            let days = objects.iter().map(|(day, _)| *day);
            objects::keep_attempts(to, entry, days).await?;
        }
        to.batch("COMMIT").await?;
        self.lake.landed.written(&objects);
        match failed {
            None => Ok(()),
            Some(error) => Err(without_file(error).on(Side::Landing)),
        }
    }

    /// Publishes files of days that are not in the warehouse, and records these days in the ledger.
    ///
    /// # Errors
    /// As [`DayFiles::publish`].
    pub async fn publish_alone(&mut self, to: &Session, entry: &Entry<'_>) -> Result<()> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let days: Vec<Day> = self.finished.iter().map(|complete| complete.day).collect();
        // If the run ends between the new file and its line in the ledger, that line must not describe the old file.
        to.batch("BEGIN").await?;
        lease::check(to, entry.run, entry.tenant, entry.template).await?;
        objects::withdraw(to, entry, days).await?;
        to.batch("COMMIT").await?;

        to.batch("BEGIN").await?;
        lease::check(to, entry.run, entry.tenant, entry.template).await?;
        let loaded: Vec<LoadedDay> = self.finished.iter().map(without_table).collect();
        let held = loaded
            .iter()
            .map(|l| (l.day, Some(l.tally.digest)))
            .collect();
        let (objects, failed) = self.publish_all(&held).await;
        let published = |l: &LoadedDay| objects.iter().any(|(day, _)| *day == l.day);
        let there: Vec<LoadedDay> = loaded.into_iter().filter(published).collect();
        objects::record_alone(to, entry, &there, &objects).await?;
        to.batch("COMMIT").await?;
        self.lake.landed.written(&objects);
        match failed {
            None => Ok(()),
            Some(error) => Err(error.on(Side::Landing)),
        }
    }

    /// Publishes the files whose digest is still the one in `held`. Returns the published files and the first error.
    async fn publish_all(
        &mut self,
        held: &BTreeMap<Day, Option<Digest>>,
    ) -> (Vec<(Day, Object)>, Option<Error>) {
        let finished = std::mem::take(&mut self.finished);
        let mut outcomes = futures::stream::iter(finished)
            .map(|complete| async {
                if held.get(&complete.day) == Some(&Some(complete.tally.digest)) {
                    Some((complete.day, publish(complete).await))
                } else {
                    complete.file.abort().await;
                    None
                }
            })
            .buffered(PUBLISHED_AT_ONCE);
        let mut objects = Vec::new();
        let mut failed = None;
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                None => {}
                Some((day, Ok(object))) => objects.push((day, object)),
                Some((day, Err(error))) => {
                    failed.get_or_insert_with(|| error.on_day(day));
                }
            }
        }
        (objects, failed)
    }
}

async fn publish(complete: CompleteFile) -> Result<Object> {
    let published = complete.file.publish().await?;
    Ok(Object {
        rounded: Some(complete.rounded),
        url: published.url,
        bytes: published.bytes,
        digest: complete.tally.digest,
    })
}

fn without_table(complete: &CompleteFile) -> LoadedDay {
    LoadedDay {
        day: complete.day,
        tally: complete.tally,
        relation: String::new(),
    }
}

fn without_file(error: Error) -> Error {
    let error = error.at("the rows are in the warehouse, but their file is not published");
    if error.hint().is_some() {
        return error;
    }
    error.with_hint("the next run that lands writes it from the warehouse")
}
