//! A year whose windows are through is built and revealed.

use super::worker::LoadWorker;
use crate::catalog::ledger::units::{self, LoadedDay};
use crate::copy::Tally;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::schedule::decision::{Decision, decide, decide_finally};
use crate::engine::schedule::next_step::NextStep;
use crate::engine::schedule::queue::{FailureScope, Job, PairIndex};
use crate::engine::schedule::task::Task;
use crate::error::{Error, Kind, Result, Trouble};
use crate::unit::{Day, Window};
use crate::warehouse;
use std::collections::BTreeSet;
use std::sync::Arc;

impl LoadWorker {
    /// One try to build and reveal a year.
    pub async fn build_year(&mut self, job: &Job<Task>, tries: u32, year: i32) -> NextStep<Task> {
        let Err(error) = self.build(job.pair, year).await else {
            return NextStep::Done {
                bytes: 0,
                more: Vec::new(),
            };
        };
        self.sessions.end().await;
        if error.trouble() == Trouble::Row && self.set_bad_days_aside(job.pair, year, &error).await
        {
            return NextStep::Again(job.task.clone());
        }
        match decide(&error, 1, tries) {
            Decision::Retry | Decision::WaitForPlace => NextStep::Retry(error),
            _ => NextStep::Failed(error),
        }
    }

    /// After rows of a staged year were refused: fails the days that hold such rows, and returns whether there are any. A
    /// year that is to replace another keeps all of its days.
    async fn set_bad_days_aside(&mut self, pair: PairIndex, year: i32, error: &Error) -> bool {
        let run = Arc::clone(&self.run);
        let shape = &run.pair(pair).state.shape;
        if shape.lock().await.rebuilding.contains(&year) {
            return false;
        }
        let bad = match self.bad_days(pair, year, error).await {
            Ok(bad) => bad,
            Err(error) => {
                tracing::warn!(%error, "failed to set days with refused rows aside");
                return false;
            }
        };
        let any = !bad.is_empty();
        for (days, error) in bad {
            let pair = run.pair(pair);
            let failed = days.iter().copied();
            let failed = failed.filter(|day| pair.days.requested.contains(day));
            run.outcomes
                .report_days(&pair.pair, failed, Outcome::Failed, 1);
            let error = error.at(format!("building year {year}"));
            let windows = Window::runs(days);
            run.outcomes.add_failure(&pair.pair, windows, error, false);
        }
        any
    }

    /// Takes the days whose rows are refused out of the staging table, writes down that they failed, and gives them by
    /// cause.
    async fn bad_days(
        &mut self,
        pair: PairIndex,
        year: i32,
        error: &Error,
    ) -> Result<Vec<(BTreeSet<Day>, Error)>> {
        let run = Arc::clone(&self.run);
        let entry = run.entry(pair, 1);
        let place = run.pair(pair).place();
        let build = run.year_build();
        let most = run.context.settings.load.max_failures_per_tenant;
        let session = self.warehouse().await?;
        let mut bad = Vec::new();
        if error.sqlstate() == Some("23505") {
            let days = warehouse::set_duplicates_aside(session, place, year, build).await?;
            bad.push((days, same(error)));
        }
        if bad.iter().all(|(days, _)| days.is_empty()) {
            bad = warehouse::set_refused_aside(session, place, year, build, most).await?;
        }
        bad.retain(|(days, _)| !days.is_empty());
        for (days, error) in &bad {
            units::fail(session, &entry, days.iter().copied(), &error.to_string()).await?;
        }
        Ok(bad)
    }

    /// A year was not built for good: ledger, report, and what that means for others.
    pub async fn build_failed(
        &mut self,
        job: &Job<Task>,
        year: i32,
        tries: u32,
        error: Error,
    ) -> FailureScope {
        let scope = match decide_finally(&error) {
            Decision::EndRun => FailureScope::All,
            _ => FailureScope::Window,
        };
        let message = format!("building year {year}: {error}");
        let days = self.year_failed(job.pair, year, error);
        if scope != FailureScope::All {
            self.record_failure(job, days, tries, &message).await;
        }
        scope
    }

    /// Reports the days of a year that was not revealed, except those that were reported before. Gives the days.
    pub fn year_failed(&self, pair: PairIndex, year: i32, error: Error) -> BTreeSet<Day> {
        // What ended the run is not about the year.
        let error = match self.run.outcomes.lock().ended_early {
            true if error.kind() == Kind::Interrupted => error,
            _ => not_built(year, error),
        };
        let pair = self.run.pair(pair);
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
                .filter(|day| day.year() == year && *day < pair.state.fold_line)
                .filter(|day| !reported.contains(day))
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
        outcomes.report_days(&pair.pair, days.iter().copied(), outcome, 1);
        outcomes.add_failure(&pair.pair, windows, error, interrupted);
        days
    }

    async fn build(&mut self, index: PairIndex, year: i32) -> Result<()> {
        let run = Arc::clone(&self.run);
        let pair = run.pair(index);
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

fn not_built(year: i32, error: Error) -> Error {
    error
        .at(format!("building year {year}"))
        .and_hint("its rows are kept in the staging table; run the same command again to continue")
}

/// An error like another, which goes elsewhere.
fn same(error: &Error) -> Error {
    let mut same = Error::new(error.kind(), error.message()).with_trouble(error.trouble());
    if let Some(code) = error.sqlstate() {
        same = same.with_sqlstate(code, error.trouble());
    }
    if let Some(side) = error.side() {
        same = same.on(side);
    }
    match error.hint() {
        Some(hint) => same.with_hint(hint),
        None => same,
    }
}
