//! A worker's other job: a year whose windows are through is built and revealed.

use super::shared::lock;
use super::worker::Worker;
use crate::catalog::ledger::units::{self, LoadedDay};
use crate::copy::Tally;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::queue::PairIndex;
use crate::engine::schedule::retry;
use crate::error::{Error, Kind, Result};
use crate::unit::{Day, Window};
use crate::warehouse;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Worker {
    /// Builds and reveals a year whose windows are through.
    pub async fn year(&mut self, pair: PairIndex, year: i32) {
        let stop = self.shared.stop.clone();
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let mut waits = retry::of_window();
        let error = loop {
            let result = tokio::select! {
                biased;
                () = stop.cancelled() => Err(Error::new(Kind::Interrupted, lock(&self.shared.stopped).as_str())),
                result = self.build_year(pair, year) => result,
            };
            let Err(error) = result else { return };
            self.end_sessions().await;
            let replaces = ready.shape.lock().await.rebuilding.contains(&year);
            if error.sqlstate() == Some("23505")
                && !replaces
                && self.set_duplicates_aside(pair, year, &error).await
            {
                continue;
            }
            match waits.next() {
                Some(wait) if error.is_transient() => tokio::time::sleep(wait).await,
                _ => break error,
            }
        };
        let error = error.at(format!("building year {year}")).with_hint(
            "its rows are kept in the staging table; run the same command again to go on",
        );
        self.year_failed(pair, year, error).await;
    }

    /// After the unique index of a staged year met its match: fails the days that hold such rows. Whether there are any.
    async fn set_duplicates_aside(&mut self, pair: PairIndex, year: i32, error: &Error) -> bool {
        let shared = Arc::clone(&self.shared);
        let place = shared.pairs[pair].place();
        let entry = shared.entry(pair, 1);
        let aside = async {
            let session = self.warehouse().await.map_err(|fault| fault.error)?;
            let build = shared.year_build();
            let days = warehouse::set_duplicates_aside(session, place, year, build).await?;
            units::fail(session, &entry, days.iter().copied(), error.message()).await?;
            Ok::<_, Error>(days)
        };
        let days = match aside.await {
            Ok(days) => days,
            Err(error) => {
                tracing::warn!(%error, "days with duplicate rows could not be set aside");
                return false;
            }
        };
        if days.is_empty() {
            return false;
        }
        let asked = &shared.pairs[pair].asked;
        let asked = days.iter().copied().filter(|d| asked.contains(d));
        shared.report_days(pair, asked, Outcome::Failed, 1);
        let windows = Window::runs(days.iter().copied());
        let mut told =
            Error::new(error.kind(), error.message()).at(format!("building year {year}"));
        if let Some(code) = error.sqlstate() {
            told = told.with_sqlstate(code, false);
        }
        if let Some(hint) = error.hint() {
            told = told.with_hint(hint);
        }
        shared.add_failure(pair, windows, told, false);
        true
    }

    async fn year_failed(&mut self, pair: PairIndex, year: i32, error: Error) {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let days: Vec<Day> = {
            let reported = lock(&shared.outcomes);
            let done: BTreeSet<Day> = reported
                .units
                .iter()
                .filter(|u| {
                    u.unit.tenant == ready.tenant.name && u.unit.template == ready.template.name
                })
                .map(|u| u.unit.day)
                .collect();
            let mine = |day: &Day| day.year() == year && !done.contains(day);
            ready
                .load
                .iter()
                .chain(ready.staged.keys())
                .copied()
                .filter(mine)
                .collect()
        };
        let interrupted = error.kind() == Kind::Interrupted;
        let outcome = if interrupted {
            Outcome::NotTried
        } else {
            Outcome::Failed
        };
        let windows = Window::runs(days.iter().copied().collect::<BTreeSet<_>>());
        shared.report_days(pair, days, outcome, 1);
        shared.add_failure(pair, windows, error, interrupted);
    }

    async fn build_year(&mut self, pair: PairIndex, year: i32) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let session = self.warehouse().await.map_err(|fault| fault.error)?;
        let build = shared.year_build();
        let stage = |what: &str| {
            shared.observer.event(&Event::Stage {
                tenant: ready.tenant.name.clone(),
                template: ready.template.name.clone(),
                what: format!("{year}: {what}"),
            });
        };
        let revealed =
            warehouse::build_year(session, ready.place(), &ready.shape, year, build, stage).await?;
        let left =
            warehouse::drop_retired(session, ready.place(), shared.run, build.lock_timeout).await?;
        for table in left {
            shared.observer.event(&Event::Warning(format!(
                "`{}.{table}` is still read; the next run drops it",
                ready.tenant.schema
            )));
        }
        let relation = format!(
            "{}.{}",
            ready.tenant.schema,
            warehouse::year_table(&ready.template.name, year)
        );
        let days: Vec<LoadedDay> = revealed
            .into_iter()
            .filter(|(day, _): &(Day, Tally)| ready.asked.contains(day))
            .map(|(day, tally)| LoadedDay {
                day,
                tally,
                relation: relation.clone(),
            })
            .collect();
        shared.report_loaded(pair, &days, 1);
        Ok(())
    }
}
