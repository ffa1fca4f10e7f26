//! A year whose windows are through is built and revealed.

use super::worker::LoadWorker;
use crate::catalog::ledger::units::{self, LoadedDay};
use crate::copy::Tally;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::next_step::NextStep;
use crate::engine::schedule::queue::{Job, PairIndex};
use crate::engine::schedule::task::Task;
use crate::error::{Error, Kind, Result};
use crate::unit::{Day, Window};
use crate::warehouse;
use std::collections::BTreeSet;
use std::sync::Arc;

impl LoadWorker {
    /// One try to build and reveal a year.
    pub async fn build_year(&mut self, job: &Job<Task>, year: i32) -> NextStep<Task> {
        let Err(error) = self.build(job.pair, year).await else {
            return NextStep::Done {
                bytes: 0,
                more: Vec::new(),
            };
        };
        self.sessions.end().await;
        if error.sqlstate() == Some("23505")
            && self.set_duplicates_aside(job.pair, year, &error).await
        {
            return NextStep::Again(job.task.clone());
        }
        if error.is_transient() {
            NextStep::Retry(error)
        } else {
            NextStep::Failed(error)
        }
    }

    /// After rows of a staged year violated its unique index: fails the days that hold such rows, and returns whether there
    /// are any. A year that is to replace another keeps all of its days.
    async fn set_duplicates_aside(&mut self, pair: PairIndex, year: i32, error: &Error) -> bool {
        let run = Arc::clone(&self.run);
        let pair_of = &run.pairs[pair];
        if pair_of.state.shape.lock().await.rebuilding.contains(&year) {
            return false;
        }
        let entry = run.entry(pair, 1);
        let aside = async {
            let session = self.warehouse().await?;
            let build = run.year_build();
            let days =
                warehouse::set_duplicates_aside(session, pair_of.place(), year, build).await?;
            units::fail(session, &entry, days.iter().copied(), error.message()).await?;
            Ok::<_, Error>(days)
        };
        let days = match aside.await {
            Ok(days) if days.is_empty() => return false,
            Ok(days) => days,
            Err(error) => {
                tracing::warn!(%error, "failed to set days with duplicate rows aside");
                return false;
            }
        };
        let failed = days.iter().copied();
        let failed = failed.filter(|day| pair_of.days.requested.contains(day));
        run.outcomes
            .report_days(&pair_of.pair, failed, Outcome::Failed, 1);
        let mut reported =
            Error::new(error.kind(), error.message()).at(format!("building year {year}"));
        if let Some(code) = error.sqlstate() {
            reported = reported.with_sqlstate(code, false);
        }
        if let Some(hint) = error.hint() {
            reported = reported.with_hint(hint);
        }
        let windows = Window::runs(days.iter().copied());
        run.outcomes
            .add_failure(&pair_of.pair, windows, reported, false);
        true
    }

    /// Reports the days of a year that was not revealed, except those that were reported before.
    pub fn year_failed(&self, pair: PairIndex, year: i32, error: Error) {
        let error = error.at(format!("building year {year}")).with_hint(
            "its rows are kept in the staging table; run the same command again to continue",
        );
        let pair = &self.run.pairs[pair];
        let days: BTreeSet<Day> = {
            let collected = self.run.outcomes.lock();
            let reported = collected.units.iter().map(|report| &report.unit);
            let reported: BTreeSet<Day> = reported
                .filter(|unit| {
                    unit.tenant == pair.pair.tenant.name && unit.template == pair.pair.template.name
                })
                .map(|unit| unit.day)
                .collect();
            let days = pair.days.load.iter().chain(pair.days.staged.keys());
            days.copied()
                .filter(|day| day.year() == year && !reported.contains(day))
                .collect()
        };
        let interrupted = error.kind() == Kind::Interrupted;
        let outcome = if interrupted {
            Outcome::NotTried
        } else {
            Outcome::Failed
        };
        let windows = Window::runs(days.iter().copied());
        let outcomes = &self.run.outcomes;
        outcomes.report_days(&pair.pair, days, outcome, 1);
        outcomes.add_failure(&pair.pair, windows, error, interrupted);
    }

    async fn build(&mut self, index: PairIndex, year: i32) -> Result<()> {
        let run = Arc::clone(&self.run);
        let pair = &run.pairs[index];
        let (tenant, template) = (&pair.pair.tenant, &pair.pair.template);
        let session = self.warehouse().await?;
        let build = run.year_build();
        let stage = |what: &str| {
            run.outcomes.event(&Event::Stage {
                tenant: tenant.name.clone(),
                template: template.name.clone(),
                what: format!("{year}: {what}"),
            });
        };
        let (place, shape) = (pair.place(), &pair.state.shape);
        let revealed = warehouse::build_year(session, place, shape, year, build, stage).await?;
        let relation = format!(
            "{}.{}",
            tenant.schema,
            warehouse::year_table(&template.name, year)
        );
        let days: Vec<LoadedDay> = revealed
            .into_iter()
            .filter(|(day, _): &(Day, Tally)| pair.days.requested.contains(day))
            .map(|(day, tally)| LoadedDay {
                day,
                tally,
                relation: relation.clone(),
            })
            .collect();
        // Readers see the year: what cannot be cleaned away behind it is not the year's failure.
        run.outcomes.report_revealed(index, pair, &days);
        let left = warehouse::drop_retired(
            session,
            place,
            run.context.run,
            build.warehouse.lock_timeout,
        )
        .await?;
        for left in left {
            run.outcomes.notes.add(left.warning());
        }
        Ok(())
    }
}
