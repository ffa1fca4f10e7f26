//! Files become their units' objects.

use super::day_files::{Aside, DayFiles};
use crate::catalog::ledger::objects::{self, Ledger, Object};
use crate::catalog::ledger::units::{Entry, LoadedDay};
use crate::catalog::runs::lease;
use crate::engine::report::window_outcome::{Fault, landing, target};
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::Day;
use futures::StreamExt;
use std::collections::BTreeMap;

/// Files published at once: an object store takes its time for each.
const PUBLISHED_AT_ONCE: usize = 8;

/// A commit that need not reach the disk: were it lost, the files would be landed once more.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off";

impl DayFiles<'_> {
    /// Publishes the files whose rows the warehouse has committed, and writes into the ledger where they are. A day that
    /// another worker has changed since is left to that one.
    ///
    /// # Errors
    /// A file that cannot be published; what was published before it is in the ledger. The warehouse's.
    pub async fn publish(
        &mut self,
        to: &Session,
        entry: &Entry<'_>,
        ledger: Ledger,
    ) -> Result<(), Fault> {
        if self.finished.is_empty() {
            return Ok(());
        }
        to.batch(BEGIN).await.map_err(target)?;
        lease::check(to, entry.run, entry.tenant, entry.template)
            .await
            .map_err(target)?;
        let held = objects::hold(to, entry, ledger, self.finished.iter().map(|a| a.day))
            .await
            .map_err(target)?;
        let (objects, failed) = self.publish_all(&held).await;
        objects::record(to, entry, ledger, &objects)
            .await
            .map_err(target)?;
        if ledger == Ledger::Units {
            let days = objects.iter().map(|(day, _)| *day);
            objects::keep_attempts(to, entry, days)
                .await
                .map_err(target)?;
        }
        to.batch("COMMIT").await.map_err(target)?;
        self.landed.written(&objects);
        match failed {
            None => Ok(()),
            Some(error) => Err(landing(without_file(error))),
        }
    }

    /// Publishes files that stand alone, and writes their days into the ledger.
    ///
    /// # Errors
    /// As [`DayFiles::publish`].
    pub async fn publish_alone(&mut self, to: &Session, entry: &Entry<'_>) -> Result<(), Fault> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let days: Vec<Day> = self.finished.iter().map(|aside| aside.day).collect();
        // Whatever ends us between the new file and its line in the ledger, that line must not speak of the old one.
        to.batch("BEGIN").await.map_err(target)?;
        lease::check(to, entry.run, entry.tenant, entry.template)
            .await
            .map_err(target)?;
        objects::withdraw(to, entry, days).await.map_err(target)?;
        to.batch("COMMIT").await.map_err(target)?;

        to.batch("BEGIN").await.map_err(target)?;
        lease::check(to, entry.run, entry.tenant, entry.template)
            .await
            .map_err(target)?;
        let loaded: Vec<LoadedDay> = self.finished.iter().map(without_table).collect();
        let held = loaded
            .iter()
            .map(|l| (l.day, Some(l.tally.digest)))
            .collect();
        let (objects, failed) = self.publish_all(&held).await;
        let published = |l: &LoadedDay| objects.iter().any(|(day, _)| *day == l.day);
        let there: Vec<LoadedDay> = loaded.into_iter().filter(published).collect();
        objects::record_alone(to, entry, &there, &objects)
            .await
            .map_err(target)?;
        to.batch("COMMIT").await.map_err(target)?;
        self.landed.written(&objects);
        match failed {
            None => Ok(()),
            Some(error) => Err(landing(error)),
        }
    }

    /// Publishes the files whose digest is the one that is `held`, and gives the first error beside those that are out.
    async fn publish_all(
        &mut self,
        held: &BTreeMap<Day, Option<crate::copy::Digest>>,
    ) -> (Vec<(Day, Object)>, Option<Error>) {
        let finished = std::mem::take(&mut self.finished);
        let mut outcomes = futures::stream::iter(finished)
            .map(|aside| async {
                if held.get(&aside.day) == Some(&Some(aside.tally.digest)) {
                    Some((aside.day, publish(aside).await))
                } else {
                    aside.file.abort().await;
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

async fn publish(Aside { tally, file, .. }: Aside) -> Result<Object> {
    let published = file.publish().await?;
    Ok(Object {
        url: published.url,
        bytes: published.bytes,
        digest: tally.digest,
    })
}

fn without_table(aside: &Aside) -> LoadedDay {
    LoadedDay {
        day: aside.day,
        tally: aside.tally,
        relation: String::new(),
    }
}

fn without_file(error: Error) -> Error {
    let error = error.at("the rows are in the warehouse, their file is not published");
    match error.hint() {
        Some(_) => error,
        None => error.with_hint("the next run that lands writes it, from the warehouse"),
    }
}
