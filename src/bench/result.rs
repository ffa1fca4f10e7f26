//! What came of it, as `bench.json` has it: `dayhaul.bench/1`.

use super::machine::{Machine, Server};
use super::meter::Try;
use super::scenario::{Also, Compare, Role};
use crate::error::exit;
use serde::Serialize;
use std::collections::BTreeMap;

/// All scenarios of one invocation.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    /// `done`, or `failed` when a contestant that takes part, or the baseline, has no figure.
    pub outcome: &'static str,
    pub exit_code: u8,
    /// RFC 3339.
    pub started_at: String,
    pub seconds: f64,
    /// Where it took place, in words.
    pub place: String,
    pub machine: Machine,
    pub servers: Servers,
    pub data: Data,
    pub jobs: usize,
    pub repeat: u32,
    /// Of the proxy before the sources; null without one.
    pub latency_ms: Option<u64>,
    pub scenarios: Vec<Scored>,
}

#[derive(Debug, Serialize)]
pub struct Servers {
    pub sources: Server,
    pub warehouse: Server,
}

/// What was hauled.
#[derive(Debug, Serialize)]
pub struct Data {
    pub template: String,
    pub columns: usize,
    pub indexes: usize,
    /// First and last day.
    pub from: String,
    pub to: String,
    pub days: usize,
    /// Of an ordinary day; null where the rows are a tenant's own.
    pub rows_per_day: Option<u64>,
    pub tenants: u16,
}

/// A scenario's outcome.
#[derive(Debug, Serialize)]
pub struct Scored {
    pub name: String,
    pub title: String,
    pub question: String,
    /// Ratios are of wall time per day of a tenant, not of wall time.
    pub per_unit: bool,
    /// Why nothing could be measured.
    pub error: Option<String>,
    pub entrants: Vec<Standing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Measured,
    /// It could not do it.
    Failed,
    /// It did something else: its rows are not those at the source.
    Differs,
    /// It cannot take part here.
    LeftOut,
}

/// A median, and its ratio to the baseline's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Compared {
    pub median: f64,
    pub ratio: Option<f64>,
}

/// How one entrant did.
#[derive(Debug, Serialize)]
pub struct Standing {
    pub contestant: String,
    pub title: String,
    /// Entrants of one group are compared with each other; empty where there is one group.
    pub group: String,
    /// What ratios are to.
    pub baseline: bool,
    pub limit: bool,
    pub state: State,
    pub error: Option<String>,
    /// Days of tenants.
    pub units: u64,
    pub rows: Option<u64>,
    pub digest: Option<String>,
    /// Wall time.
    pub median: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Of the medians: this one's to the baseline's, and to the limit's.
    pub ratio: Option<f64>,
    pub limit_ratio: Option<f64>,
    /// The same of what else the scenario compares, by its name in `tries`.
    pub also: BTreeMap<&'static str, Compared>,
    /// What exactly was run, and timed.
    pub script: String,
    pub tries: Vec<Try>,
}

impl Standing {
    /// The median over tries of what some of them know.
    pub fn median_of(&self, of: impl Fn(&Try) -> Option<f64>) -> Option<f64> {
        median(self.tries.iter().filter_map(of).collect())
    }

    /// Works out what follows from the tries; none of it without a figure.
    pub fn settle(&mut self) {
        if self.state != State::Measured || self.tries.is_empty() {
            return;
        }
        let seconds = || self.tries.iter().map(|t| t.seconds);
        let (min, max) = (seconds().reduce(f64::min), seconds().reduce(f64::max));
        self.median = median(seconds().collect());
        (self.min, self.max) = (min, max);
        self.rows = self.tries.first().map(|t| t.rows);
        self.digest = self.tries.first().map(|t| t.digest.clone());
    }

    /// Median wall time, or that of a unit.
    fn figure(&self, compare: Compare) -> Option<f64> {
        // Days are few.
        #[allow(clippy::cast_precision_loss)]
        let units = self.units.max(1) as f64;
        match compare {
            Compare::Seconds => self.median,
            Compare::SecondsPerUnit => self.median.map(|median| median / units),
        }
    }
}

impl Scored {
    /// Works out the ratios within each group.
    pub fn compare(&mut self, compare: Compare, also: &[Also], roles: &[Role]) {
        for (standing, role) in self.entrants.iter_mut().zip(roles) {
            standing.settle();
            standing.baseline = *role == Role::Baseline;
            standing.limit = *role == Role::Limit;
        }
        let of = |entrants: &[Standing], group: &str, is: fn(&Standing) -> bool| {
            let mut group = entrants.iter().filter(|e| e.group == group && is(e));
            group.find_map(|e| e.figure(compare))
        };
        for i in 0..self.entrants.len() {
            let (standing, all) = (&self.entrants[i], &self.entrants);
            let figure = standing.figure(compare);
            let ratio = |to: Option<f64>| Some(figure? / to.filter(|to| *to > 0.0)?);
            let to_baseline = ratio(of(all, &standing.group, |e| e.baseline));
            let to_limit = ratio(of(all, &standing.group, |e| e.limit));
            self.entrants[i].ratio = to_baseline;
            self.entrants[i].limit_ratio = to_limit;
        }
        also.iter().for_each(|also| self.compare_also(*also));
    }

    fn compare_also(&mut self, also: Also) {
        for i in 0..self.entrants.len() {
            let (standing, all) = (&self.entrants[i], &self.entrants);
            let measured = |e: &&Standing| e.state == State::Measured;
            let median = |e: &Standing| e.median_of(|one| also.of(one));
            let Some(own) = Some(standing).filter(measured).and_then(median) else {
                continue;
            };
            let baseline = all
                .iter()
                .filter(measured)
                .find(|e| e.baseline && e.group == standing.group)
                .and_then(median);
            let compared = Compared {
                median: own,
                ratio: baseline.filter(|to| *to > 0.0).map(|to| own / to),
            };
            self.entrants[i].also.insert(also.key(), compared);
        }
    }

    /// Whether each entrant has a figure that could have one, the baseline among them.
    pub fn is_complete(&self) -> bool {
        let measured = |e: &Standing| e.state == State::Measured;
        let settled = |e: &Standing| measured(e) || e.state == State::LeftOut && !e.baseline;
        self.error.is_none()
            && self.entrants.iter().all(settled)
            && self.entrants.iter().any(measured)
    }
}

impl Report {
    /// The outcome that follows from the scenarios.
    pub fn conclude(&mut self) {
        let complete = self.scenarios.iter().all(Scored::is_complete);
        (self.outcome, self.exit_code) = match complete {
            true => ("done", exit::OK),
            false => ("failed", exit::FAILED),
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

    /// An entrant that took so long each time; one without times failed.
    pub fn standing(name: &str, seconds: &[f64]) -> Standing {
        Standing {
            contestant: name.into(),
            title: format!("{name}, in full"),
            group: String::new(),
            baseline: false,
            limit: false,
            state: match seconds {
                [] => State::Failed,
                _ => State::Measured,
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
                .map(|seconds| Try {
                    seconds: *seconds,
                    rows: 10,
                    digest: "d".into(),
                    ..Try::default()
                })
                .collect(),
        }
    }

    pub fn scored(entrants: Vec<Standing>, roles: &[Role]) -> Scored {
        let mut scored = Scored {
            name: "backfill".into(),
            title: "First backfill".into(),
            question: "How long?".into(),
            per_unit: false,
            error: None,
            entrants,
        };
        scored.compare(Compare::Seconds, &[], roles);
        scored
    }

    #[test]
    fn ratios_are_of_medians_and_to_the_baseline_and_the_limit() {
        let scored = scored(
            vec![
                standing("dblink", &[10.0, 8.0, 60.0]),
                standing("dayhaul", &[4.0, 6.0]),
                standing("limit", &[4.0]),
            ],
            &[Role::Baseline, Role::Contestant, Role::Limit],
        );
        let dayhaul = &scored.entrants[1];
        assert_eq!(scored.entrants[0].median, Some(10.0));
        assert_eq!((dayhaul.min, dayhaul.max), (Some(4.0), Some(6.0)));
        assert_eq!(dayhaul.ratio, Some(0.5));
        assert_eq!(dayhaul.limit_ratio, Some(1.25));
    }

    #[test]
    fn without_a_figure_there_is_no_ratio() {
        let mut liar = standing("liar", &[1.0]);
        liar.state = State::Differs;
        let scored = scored(
            vec![standing("dblink", &[]), liar, standing("dayhaul", &[1.0])],
            &[Role::Baseline, Role::Contestant, Role::Contestant],
        );
        assert!(scored.entrants.iter().all(|e| e.ratio.is_none()));
        assert_eq!(scored.entrants[1].median, None);
        assert!(!scored.is_complete());
    }

    #[test]
    fn who_cannot_take_part_is_missed_only_as_the_baseline() {
        let left_out = || Standing {
            state: State::LeftOut,
            ..standing("fdw", &[])
        };
        let both = |first, second| scored(vec![first, second], &[Role::Baseline, Role::Contestant]);
        assert!(both(standing("dblink", &[2.0]), left_out()).is_complete());
        assert!(!both(left_out(), standing("dayhaul", &[1.0])).is_complete());
        assert!(!scored(vec![left_out()], &[Role::Contestant]).is_complete());
    }
}
