//! Runs one scenario: entrants take turns, their rows are checked, and measurements are kept.

use super::environment::{Environment, Monitors};
use super::fingerprint::{Fingerprint, compare, source_fingerprint};
use super::meter::{Measurement, ServerMeter};
use super::result::{EntrantResult, EntrantState, ScenarioResult};
use super::sandbox::Sandbox;
use super::scenario::{Entrant, EntrantRole, ExpectedRows, RatioBasis, SandboxChoice, Scenario};
use crate::error::{At, Error, Kind, Result};
use crate::report::failure::why;
use std::collections::{BTreeMap, HashMap};

/// Receives the progress of a bench.
pub trait BenchObserver: Send + Sync {
    /// A message for people.
    fn message(&self, text: &str);
}

/// Why a try has no figure.
enum NoFigure {
    /// The contestant cannot take part here.
    LeftOut(String),
    /// The contestant failed.
    Failed(Error),
    /// The contestant's rows differ from those at the source.
    Differs(Error),
}

impl From<Error> for NoFigure {
    fn from(error: Error) -> NoFigure {
        NoFigure::Failed(error)
    }
}

/// Runs a scenario `repeat` times. Failures of a contestant, or of the whole scenario, are part of the result.
///
/// # Errors
/// The work was interrupted, or a server no longer responds.
pub async fn run_scenario(
    scenario: &Scenario,
    environment: &Environment,
    repeat: u32,
    observer: &dyn BenchObserver,
) -> Result<ScenarioResult> {
    let mut run = ScenarioRun {
        scenario,
        environment,
        observer,
        repeat,
        monitors: environment.servers.monitor().await?,
        shared: None,
        expected: HashMap::new(),
        results: scenario.entrants.iter().map(unmeasured).collect(),
    };
    let error = match run.all_turns().await {
        Ok(()) => None,
        Err(error) if error.kind() == Kind::Interrupted => return Err(error),
        Err(error) => Some(why(&error)),
    };
    if let Some(sandbox) = run.shared.take() {
        environment.remove(&sandbox).await?;
    }
    let mut result = ScenarioResult {
        name: scenario.name.to_owned(),
        title: scenario.title.clone(),
        question: scenario.question.clone(),
        per_unit: scenario.compare == RatioBasis::SecondsPerUnit,
        error,
        entrants: run.results,
    };
    let roles: Vec<EntrantRole> = scenario.entrants.iter().map(|e| e.role).collect();
    result.compare(scenario.compare, scenario.also, &roles);
    Ok(result)
}

struct ScenarioRun<'a> {
    scenario: &'a Scenario,
    environment: &'a Environment,
    observer: &'a dyn BenchObserver,
    repeat: u32,
    monitors: Monitors,
    shared: Option<Sandbox>,
    /// The fingerprints that outputs must have, by the entrants' share or group.
    expected: HashMap<String, Fingerprint>,
    results: Vec<EntrantResult>,
}

fn unmeasured(entrant: &Entrant) -> EntrantResult {
    EntrantResult {
        contestant: entrant.contestant.name().to_owned(),
        title: entrant.title(),
        group: entrant.group.clone(),
        baseline: false,
        limit: false,
        state: EntrantState::Measured,
        error: None,
        units: entrant.units(),
        rows: None,
        digest: None,
        median: None,
        min: None,
        max: None,
        ratio: None,
        limit_ratio: None,
        also: BTreeMap::new(),
        script: String::new(),
        tries: Vec::new(),
    }
}

impl ScenarioRun<'_> {
    async fn all_turns(&mut self) -> Result<()> {
        if let Some(shared) = &self.scenario.shared {
            self.observer.message(&format!(
                "{}: creating {} tenants × {} days",
                self.scenario.name,
                shared.tenants,
                shared.window.len()
            ));
            let sandbox = self
                .environment
                .sandbox(shared.tenants, shared.window)
                .await?;
            let done = (shared.set_up)(&sandbox).await;
            // Kept even after a failure, so that it is removed.
            self.shared = Some(sandbox);
            done?;
        }
        let entrants = self.scenario.entrants.len();
        for repetition in 0..self.repeat as usize {
            for turn in 0..entrants {
                // Each repetition begins with another entrant.
                let index = (repetition + turn) % entrants;
                if self.results[index].state == EntrantState::Measured {
                    self.turn(index, repetition).await?;
                }
            }
        }
        Ok(())
    }

    /// One try of one entrant. An entrant that fails is not tried again; the others continue.
    async fn turn(&mut self, index: usize, repetition: usize) -> Result<()> {
        let entrant = &self.scenario.entrants[index];
        let shared = self
            .shared
            .as_ref()
            .filter(|_| entrant.place == SandboxChoice::Shared);
        let sandbox = match shared {
            Some(shared) => Sandbox {
                window: entrant.window,
                ..shared.clone()
            },
            None => {
                let own = self.environment.sandbox(entrant.tenants, entrant.window);
                own.await?
            }
        };
        let is_own = shared.is_none();
        let outcome = self.attempt(index, &sandbox).await;
        if entrant.late_rows.is_some() {
            let servers = &self.environment.servers;
            servers.remove_late_rows(entrant.tenants).await?;
        }
        if is_own {
            self.environment.remove(&sandbox).await?;
        }
        self.record(index, repetition, outcome)
    }

    /// Keeps what a try gave, and reports it.
    fn record(
        &mut self,
        index: usize,
        repetition: usize,
        outcome: Result<Measurement, NoFigure>,
    ) -> Result<()> {
        let result = &mut self.results[index];
        let ended = match outcome {
            Ok(measurement) => {
                let ended = format!("{:.3} s", measurement.seconds);
                result.tries.push(measurement);
                ended
            }
            Err(NoFigure::Failed(error)) if error.kind() == Kind::Interrupted => return Err(error),
            Err(no_figure) => {
                let (state, why) = match no_figure {
                    NoFigure::LeftOut(why) => (EntrantState::LeftOut, why),
                    NoFigure::Failed(error) => (EntrantState::Failed, why(&error)),
                    NoFigure::Differs(error) => (EntrantState::Differs, why(&error)),
                };
                result.state = state;
                result.error = Some(why.clone());
                format!("no figure: {why}")
            }
        };
        let title = match result.group.as_str() {
            "" => result.title.clone(),
            group => format!("{}, {group}", result.title),
        };
        let (name, number, of) = (self.scenario.name, repetition + 1, self.repeat);
        self.observer
            .message(&format!("{name} {number}/{of}: {title}: {ended}"));
        Ok(())
    }

    async fn attempt(&mut self, index: usize, sandbox: &Sandbox) -> Result<Measurement, NoFigure> {
        let entrant = &self.scenario.entrants[index];
        let contestant = &entrant.contestant;
        if let Some(why) = contestant.left_out(sandbox) {
            return Err(NoFigure::LeftOut(why.to_owned()));
        }
        if let Some(name) = contestant.extension()
            && !sandbox.has_extension(name).await?
        {
            return Err(NoFigure::LeftOut(format!(
                "the warehouse has no extension `{name}`, and a bench does not create it there"
            )));
        }
        if self.results[index].script.is_empty() {
            self.results[index].script = contestant.script(sandbox)?;
        }
        contestant
            .prepare(sandbox)
            .await
            .at(|| "before the clock started".to_owned())?;
        if let Some(rows) = entrant.late_rows {
            let servers = &self.environment.servers;
            servers.add_late_rows(rows, entrant.tenants).await?;
        }
        self.environment.checkpoint(&self.monitors).await?;
        let meter = ServerMeter {
            monitors: &self.monitors,
            postmasters: self.environment.servers.postmasters(),
            is_private: self.environment.servers.is_private(),
        };
        let mut measured = meter.measure(contestant.run(sandbox)).await?;
        let found = contestant.output(sandbox).await?;
        let expected = self.expected(entrant, sandbox, &found).await?;
        compare(&found, &expected).map_err(NoFigure::Differs)?;
        measured.rows = found.rows;
        measured.digest = found.digest;
        Ok(measured)
    }

    /// The fingerprint that the entrant's output must have. The sources are read once for each share.
    async fn expected(
        &mut self,
        entrant: &Entrant,
        sandbox: &Sandbox,
        found: &Fingerprint,
    ) -> Result<Fingerprint> {
        let key = match entrant.expected {
            ExpectedRows::Group => entrant.group.clone(),
            ExpectedRows::Sources => format!(
                "{} {} {:?}",
                entrant.tenants, entrant.window, entrant.late_rows
            ),
        };
        if let Some(known) = self.expected.get(&key) {
            return Ok(known.clone());
        }
        let expected = match entrant.expected {
            ExpectedRows::Group => found.clone(),
            ExpectedRows::Sources => source_fingerprint(sandbox).await?,
        };
        self.expected.insert(key, expected.clone());
        Ok(expected)
    }
}
