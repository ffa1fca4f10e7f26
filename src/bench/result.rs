//! The results of a bench, as `bench.json` stores them: `dayhaul.bench/1`.

use super::machine::{Machine, ServerInfo};
use super::meter::Measurement;
use super::scenario::{EntrantRole, ExtraMetric, RatioBasis};
use crate::error::exit;
use serde::Serialize;
use std::collections::BTreeMap;

/// The scenarios of one invocation.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    pub schema: &'static str,
    /// `done`, or `failed` when the baseline or a contestant that took part has no figure.
    pub outcome: &'static str,
    pub exit_code: u8,
    /// RFC 3339.
    pub started_at: String,
    pub seconds: f64,
    /// Where the bench ran, for people.
    pub place: String,
    pub machine: Machine,
    pub servers: ServerPair,
    pub data: Dataset,
    pub jobs: usize,
    pub repeat: u32,
    /// Round trip that the proxy in front of the sources adds; null without a proxy.
    pub latency_ms: Option<u64>,
    pub scenarios: Vec<ScenarioResult>,
}

#[derive(Debug, Serialize)]
pub struct ServerPair {
    pub sources: ServerInfo,
    pub warehouse: ServerInfo,
}

/// What was loaded.
#[derive(Debug, Serialize)]
pub struct Dataset {
    pub template: String,
    pub columns: usize,
    pub indexes: usize,
    /// First and last day.
    pub from: String,
    pub to: String,
    pub days: usize,
    /// Of an ordinary day; null where the rows are not generated.
    pub rows_per_day: Option<u64>,
    pub tenants: u16,
}

/// The result of a scenario.
#[derive(Debug, Serialize)]
pub struct ScenarioResult {
    pub name: String,
    pub title: String,
    pub question: String,
    /// Ratios compare wall time per tenant and day, not wall time.
    pub per_unit: bool,
    /// Why nothing was measured.
    pub error: Option<String>,
    pub entrants: Vec<EntrantResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntrantState {
    Measured,
    /// The contestant failed.
    Failed,
    /// Its rows differ from those at the source.
    Differs,
    /// It cannot take part here.
    LeftOut,
}

/// A median, and its ratio to the baseline's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ComparedMedian {
    pub median: f64,
    pub ratio: Option<f64>,
}

/// The result of one entrant.
#[derive(Debug, Serialize)]
pub struct EntrantResult {
    pub contestant: String,
    pub title: String,
    /// Entrants of one group are compared with each other; empty where there is only one group.
    pub group: String,
    /// The denominator of `ratio`.
    pub baseline: bool,
    /// The denominator of `limit_ratio`.
    pub limit: bool,
    pub state: EntrantState,
    pub error: Option<String>,
    /// Days of tenants.
    pub units: u64,
    pub rows: Option<u64>,
    pub digest: Option<String>,
    /// Wall time.
    pub median: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// This median divided by the baseline's, and by the limit's.
    pub ratio: Option<f64>,
    pub limit_ratio: Option<f64>,
    /// The same for the scenario's other metrics.
    pub also: BTreeMap<ExtraMetric, ComparedMedian>,
    /// The statements or commands that were run and timed.
    pub script: String,
    pub tries: Vec<Measurement>,
}

impl EntrantResult {
    /// The median over the tries that have a value.
    pub fn median_of(&self, of: impl Fn(&Measurement) -> Option<f64>) -> Option<f64> {
        median(self.tries.iter().filter_map(of).collect())
    }

    /// Computes median, least and most from the tries.
    pub fn summarize(&mut self) {
        if !self.is_measured() || self.tries.is_empty() {
            return;
        }
        let seconds = || self.tries.iter().map(|t| t.seconds);
        let (min, max) = (seconds().reduce(f64::min), seconds().reduce(f64::max));
        self.median = median(seconds().collect());
        (self.min, self.max) = (min, max);
        self.rows = self.tries.first().map(|t| t.rows);
        self.digest = self.tries.first().map(|t| t.digest.clone());
    }

    pub fn is_measured(&self) -> bool {
        self.state == EntrantState::Measured
    }

    /// Wall time per unit of work.
    pub fn per_unit(&self, seconds: f64) -> f64 {
        // Days of tenants are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let units = self.units.max(1) as f64;
        seconds / units
    }

    fn figure(&self, compare: RatioBasis) -> Option<f64> {
        match compare {
            RatioBasis::Seconds => self.median,
            RatioBasis::SecondsPerUnit => self.median.map(|median| self.per_unit(median)),
        }
    }
}

impl ScenarioResult {
    /// Computes the ratios within each group.
    pub fn compare(&mut self, compare: RatioBasis, also: &[ExtraMetric], roles: &[EntrantRole]) {
        for (entrant, role) in self.entrants.iter_mut().zip(roles) {
            entrant.summarize();
            entrant.baseline = *role == EntrantRole::Baseline;
            entrant.limit = *role == EntrantRole::Limit;
        }
        let of = |entrants: &[EntrantResult], group: &str, is: fn(&EntrantResult) -> bool| {
            let mut group = entrants.iter().filter(|e| e.group == group && is(e));
            group.find_map(|e| e.figure(compare))
        };
        for i in 0..self.entrants.len() {
            let (entrant, all) = (&self.entrants[i], &self.entrants);
            let figure = entrant.figure(compare);
            let ratio = |to: Option<f64>| Some(figure? / to.filter(|to| *to > 0.0)?);
            let to_baseline = ratio(of(all, &entrant.group, |e| e.baseline));
            let to_limit = ratio(of(all, &entrant.group, |e| e.limit));
            self.entrants[i].ratio = to_baseline;
            self.entrants[i].limit_ratio = to_limit;
        }
        also.iter().for_each(|also| self.compare_also(*also));
    }

    fn compare_also(&mut self, also: ExtraMetric) {
        for i in 0..self.entrants.len() {
            let (entrant, all) = (&self.entrants[i], &self.entrants);
            let measured = |e: &&EntrantResult| e.is_measured();
            let median = |e: &EntrantResult| e.median_of(|measurement| also.of(measurement));
            let Some(own) = Some(entrant).filter(measured).and_then(median) else {
                continue;
            };
            let baseline = all
                .iter()
                .filter(measured)
                .find(|e| e.baseline && e.group == entrant.group)
                .and_then(median);
            let compared = ComparedMedian {
                median: own,
                ratio: baseline.filter(|to| *to > 0.0).map(|to| own / to),
            };
            self.entrants[i].also.insert(also, compared);
        }
    }

    /// Whether the baseline and every entrant that took part have a figure.
    pub fn is_complete(&self) -> bool {
        let complete =
            |e: &EntrantResult| e.is_measured() || e.state == EntrantState::LeftOut && !e.baseline;
        self.error.is_none()
            && self.entrants.iter().all(complete)
            && self.entrants.iter().any(EntrantResult::is_measured)
    }
}

impl BenchReport {
    /// Sets the outcome and the exit code from the scenarios.
    pub fn conclude(&mut self) {
        let complete = self.scenarios.iter().all(ScenarioResult::is_complete);
        (self.outcome, self.exit_code) = if complete {
            ("done", exit::OK)
        } else {
            ("failed", exit::FAILED)
        };
    }
}

fn median(mut all: Vec<f64>) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    match all.len() {
        0 => None,
        n if n % 2 == 1 => Some(all[middle]),
        _ => Some(f64::midpoint(all[middle - 1], all[middle])),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An entrant with these times. Without times, it failed.
    pub fn entrant(name: &str, seconds: &[f64]) -> EntrantResult {
        EntrantResult {
            contestant: name.into(),
            title: format!("{name}, in full"),
            group: String::new(),
            baseline: false,
            limit: false,
            state: match seconds {
                [] => EntrantState::Failed,
                _ => EntrantState::Measured,
            },
            error: seconds.is_empty().then(|| "it did not".into()),
            units: 2,
            rows: None,
            digest: None,
            median: None,
            min: None,
            max: None,
            ratio: None,
            limit_ratio: None,
            also: BTreeMap::new(),
            script: format!("-- {name}\nSELECT '<&>';\n"),
            tries: seconds
                .iter()
                .map(|seconds| Measurement {
                    seconds: *seconds,
                    rows: 10,
                    digest: "d".into(),
                    ..Measurement::default()
                })
                .collect(),
        }
    }

    pub fn results(entrants: Vec<EntrantResult>, roles: &[EntrantRole]) -> ScenarioResult {
        let mut results = ScenarioResult {
            name: "backfill".into(),
            title: "First backfill".into(),
            question: "How long?".into(),
            per_unit: false,
            error: None,
            entrants,
        };
        results.compare(RatioBasis::Seconds, &[], roles);
        results
    }

    #[test]
    fn ratios_are_of_medians_and_to_the_baseline_and_the_limit() {
        let results = results(
            vec![
                entrant("dblink", &[10.0, 8.0, 60.0]),
                entrant("dayhaul", &[4.0, 6.0]),
                entrant("limit", &[4.0]),
            ],
            &[
                EntrantRole::Baseline,
                EntrantRole::Contestant,
                EntrantRole::Limit,
            ],
        );
        let dayhaul = &results.entrants[1];
        assert_eq!(results.entrants[0].median, Some(10.0));
        assert_eq!((dayhaul.min, dayhaul.max), (Some(4.0), Some(6.0)));
        assert_eq!(dayhaul.ratio, Some(0.5));
        assert_eq!(dayhaul.limit_ratio, Some(1.25));
    }

    #[test]
    fn without_a_figure_there_is_no_ratio() {
        let mut liar = entrant("liar", &[1.0]);
        liar.state = EntrantState::Differs;
        let results = results(
            vec![entrant("dblink", &[]), liar, entrant("dayhaul", &[1.0])],
            &[
                EntrantRole::Baseline,
                EntrantRole::Contestant,
                EntrantRole::Contestant,
            ],
        );
        assert!(results.entrants.iter().all(|e| e.ratio.is_none()));
        assert_eq!(results.entrants[1].median, None);
        assert!(!results.is_complete());
    }

    #[test]
    fn who_cannot_take_part_is_missed_only_as_the_baseline() {
        let left_out = || EntrantResult {
            state: EntrantState::LeftOut,
            ..entrant("fdw", &[])
        };
        let both = |first, second| {
            results(
                vec![first, second],
                &[EntrantRole::Baseline, EntrantRole::Contestant],
            )
        };
        assert!(both(entrant("dblink", &[2.0]), left_out()).is_complete());
        assert!(!both(left_out(), entrant("dayhaul", &[1.0])).is_complete());
        assert!(!results(vec![left_out()], &[EntrantRole::Contestant]).is_complete());
    }
}
