//! Days that are in the warehouse, landed from there: no source is asked.

use super::{DayFiles, Lake, landing_as_today};
use crate::catalog::ledger::objects::Ledger;
use crate::catalog::ledger::staged;
use crate::catalog::ledger::units::{self, Entry, LoadedDay, Recorded};
use crate::copy::{Intake, Tally};
use crate::engine::report::window_outcome::{Fault, Hauled, Refreshed, landing, target};
use crate::engine::schedule::watchdog::{Meter, unless_stalled};
use crate::engine::window::load::SEND_BYTES;
use crate::engine::window::template_versions::versions;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::template::Template;
use crate::unit::{Day, Window};
use crate::warehouse::{Destination, Place, begin_reading, read_back_sql};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is landed from the warehouse, and how.
pub struct FromWarehouse<'a> {
    pub place: Place<'a>,
    pub entry: Entry<'a>,
    pub lake: Lake<'a>,
    pub window: Window,
    pub destination: Destination,
    /// Days that are landed are landed again.
    pub rewrite: bool,
    pub stall_timeout: Duration,
}

/// Consecutive days of one table and one version of the template.
struct Run {
    relation: String,
    version: String,
    window: Window,
    tallies: Vec<Tally>,
}

impl FromWarehouse<'_> {
    /// Lands the window. After an error the session is in an unknown state.
    pub async fn run(
        &self,
        to: &Session,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Hauled, Fault> {
        let meter = Meter::default();
        let progress = |rows, bytes| {
            meter.moved();
            moved(rows, bytes);
        };
        unless_stalled(&meter, self.stall_timeout, self.land(to, progress)).await
    }

    async fn land(&self, to: &Session, mut moved: impl FnMut(u64, u64)) -> Result<Hauled, Fault> {
        let recorded = self.recorded(to).await.map_err(target)?;
        // An earlier try may have come so far.
        let (there, recorded): (BTreeMap<Day, Recorded>, BTreeMap<Day, Recorded>) = recorded
            .into_iter()
            .partition(|(day, recorded)| !self.rewrite && self.is_landed(*day, recorded));
        let mut days: Vec<Refreshed> = there
            .into_iter()
            .map(|(day, recorded)| landed(day, recorded.tally, recorded.relation.as_deref()))
            .collect();
        let current = self.place.template;
        let used: BTreeSet<&str> = recorded.values().map(|r| r.version.as_str()).collect();
        let known = versions(to, current, &used).await.map_err(target)?;
        to.batch("COMMIT").await.map_err(target)?;
        let templates: BTreeMap<String, Template> = known
            .into_iter()
            .map(|(version, template)| (version, landing_as_today(template, current)))
            .collect();
        for run in runs(&recorded)? {
            let template = templates.get(&run.version).ok_or_else(|| {
                let what = format!(
                    "version `{}` of the template is not in the catalog",
                    run.version
                );
                Error::new(Kind::Data, what)
            })?;
            let mut files = DayFiles::new(self.lake, template, run.window.days())?;
            if let Err(fault) = self
                .run_of(&run, template, &mut files, to, &mut moved)
                .await
            {
                files.abort().await;
                return Err(fault);
            }
            let done = run.window.days().zip(&run.tallies);
            days.extend(done.map(|(day, tally)| landed(day, *tally, Some(&run.relation))));
        }
        Ok(Hauled::Refreshed(days))
    }

    /// Reads a run of days into files and publishes them.
    async fn run_of(
        &self,
        run: &Run,
        template: &Template,
        files: &mut DayFiles<'_>,
        to: &Session,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<(), Fault> {
        begin_reading(to).await.map_err(target)?;
        let found = self.read(run, template, files, to, &mut moved).await?;
        to.batch("COMMIT").await.map_err(target)?;
        for ((day, found), expected) in run.window.days().zip(&found).zip(&run.tallies) {
            if found != expected {
                return Err(differs(day, &run.relation, found, expected).into());
            }
        }
        files
            .finish(found.into_iter().enumerate(), || moved(0, 0))
            .await
            .map_err(landing)?;
        files.publish(to, &self.entry, self.ledger()).await
    }

    async fn read(
        &self,
        run: &Run,
        template: &Template,
        files: &mut DayFiles<'_>,
        to: &Session,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Vec<Tally>, Fault> {
        let place = |e: Error| target(gone_meanwhile(e.at(format!("table `{}`", run.relation))));
        let (schema, table) = run.relation.split_once('.').unwrap_or_default();
        let sql = read_back_sql(schema, table, template, run.window);
        let mut rows = to.copy_out(&sql).await.map_err(place)?;
        let mut intake = Intake::new(&template.columns, template.time_index(), run.window);
        let (mut seen, mut bytes) = (0, 0);
        while let Some(chunk) = rows.next().await {
            intake
                .push(&chunk.map_err(place)?, |day, tuple| {
                    seen += 1;
                    bytes += tuple.len();
                    files.push(day, tuple);
                })
                .map_err(place)?;
            intake.discard();
            files.settle().await.map_err(landing)?;
            if bytes >= SEND_BYTES {
                moved(std::mem::take(&mut seen), std::mem::take(&mut bytes) as u64);
            }
        }
        moved(seen, bytes as u64);
        Ok(intake.finish().map_err(place)?.to_vec())
    }

    fn ledger(&self) -> Ledger {
        match self.destination {
            Destination::Staging(_) => Ledger::Staged,
            _ => Ledger::Units,
        }
    }

    /// What the ledger has of the window's days. Leaves its transaction open.
    async fn recorded(&self, to: &Session) -> Result<BTreeMap<Day, Recorded>> {
        begin_reading(to).await?;
        let mut recorded = match self.ledger() {
            Ledger::Units => {
                units::recorded(
                    to,
                    self.entry.tenant,
                    self.entry.template,
                    Some(self.window),
                )
                .await?
            }
            Ledger::Staged => self.staged(to).await?,
        };
        recorded.retain(|day, recorded| self.window.contains(*day) && recorded.loaded);
        Ok(recorded)
    }

    fn is_landed(&self, day: Day, recorded: &Recorded) -> bool {
        let known = self.lake.landed.get(day);
        known.is_some_and(|known| known.object.digest == recorded.tally.digest)
    }

    async fn staged(&self, to: &Session) -> Result<BTreeMap<Day, Recorded>> {
        let staged = staged::days(to, self.entry.tenant, self.entry.template).await?;
        let days = staged.into_iter().flat_map(|(relation, days)| {
            days.into_iter().map(move |(day, tally)| {
                let recorded = Recorded {
                    loaded: true,
                    tally,
                    version: self.entry.version.to_owned(),
                    relation: Some(relation.clone()),
                    there: true,
                    object: None,
                };
                (day, recorded)
            })
        });
        Ok(days.collect())
    }
}

fn landed(day: Day, tally: Tally, relation: Option<&str>) -> Refreshed {
    Refreshed::Landed(LoadedDay {
        day,
        tally,
        relation: relation.unwrap_or_default().to_owned(),
    })
}

fn runs(recorded: &BTreeMap<Day, Recorded>) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for (day, recorded) in recorded {
        let relation = recorded.relation.as_deref().filter(|_| recorded.there);
        let Some(relation) = relation else {
            let named = recorded.relation.as_deref().unwrap_or("no table");
            return Err(Error::new(
                Kind::Data,
                format!("the ledger names `{named}`, which is gone"),
            )
            .with_hint("load the day again: `dayhaul backfill --reload`")
            .on_day(*day));
        };
        match runs.last_mut() {
            Some(run)
                if run.window.to == *day
                    && run.relation == relation
                    && run.version == recorded.version =>
            {
                run.window.to = day.next();
                run.tallies.push(recorded.tally);
            }
            _ => runs.push(Run {
                relation: relation.to_owned(),
                version: recorded.version.clone(),
                window: Window::single(*day),
                tallies: vec![recorded.tally],
            }),
        }
    }
    Ok(runs)
}

fn differs(day: Day, relation: &str, found: &Tally, expected: &Tally) -> Error {
    let what = if found.rows == expected.rows {
        format!("`{relation}` does not hold the rows that the ledger knows")
    } else {
        format!(
            "`{relation}` holds {} rows where the ledger says {}",
            found.rows, expected.rows
        )
    };
    Error::new(Kind::Data, what)
        .with_hint("somebody changed the warehouse: `dayhaul verify --repair` says and mends what")
        .on_day(day)
}

/// A table that the ledger named a moment ago and that is gone was folded or revealed meanwhile: the next try asks anew.
fn gone_meanwhile(error: Error) -> Error {
    let gone = error.sqlstate() == Some("42P01");
    if gone {
        error.with_transient(true)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(relation: &str, version: &str, there: bool) -> Recorded {
        Recorded {
            loaded: true,
            tally: Tally::default(),
            version: version.to_owned(),
            relation: Some(relation.to_owned()),
            there,
            object: None,
        }
    }

    #[test]
    fn days_are_read_together_while_table_and_version_are_the_same() {
        let days = [
            (1, "a.x", "v"),
            (2, "a.x", "v"),
            (3, "a.y", "v"),
            (4, "a.y", "w"),
            (6, "a.y", "w"),
        ];
        let days = days.map(|(n, relation, version)| {
            (Day::from_pg_days(n), recorded(relation, version, true))
        });
        let runs = runs(&days.into()).unwrap();
        let lengths: Vec<usize> = runs.iter().map(|run| run.window.len()).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
    }

    #[test]
    fn a_table_that_is_gone_is_named_with_its_day() {
        let day = Day::from_pg_days(1);
        let error = runs(&[(day, recorded("a.x", "v", false))].into())
            .err()
            .unwrap();
        assert_eq!(error.day(), Some(day));
        assert!(error.to_string().contains("`a.x`"), "{error}");
    }
}
