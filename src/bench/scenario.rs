//! What is contested: each scenario names its entrants and what they share.

mod backfill;
mod fold;
mod growth;
mod readers;
mod refresh;

use super::contestant::Contestant;
use super::ground::{Change, Ground, Work};
use super::lane::Lane;
use super::meter::Try;
use crate::unit::Window;

/// A contest of its own, with its own table and chart.
pub struct Scenario {
    pub name: &'static str,
    pub title: String,
    /// What is asked, and of which state of the warehouse.
    pub question: String,
    /// What ratios are taken of.
    pub compare: Compare,
    /// What is compared beside wall time.
    pub also: &'static [Also],
    /// Rows that appear at the source after the entrants are prepared.
    pub change: Option<Change>,
    /// A lane that all entrants use, and how it comes to be; else each try has its own.
    pub shared: Option<Shared>,
    /// In the order of the tables.
    pub entrants: Vec<Entrant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Wall time.
    Seconds,
    /// Wall time per unit of work: entrants have more or less of it.
    SecondsPerUnit,
}

/// Something else that has its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Also {
    Wal,
    Locks,
}

impl Also {
    /// As `bench.json` names it.
    pub fn key(self) -> &'static str {
        match self {
            Also::Wal => "wal_bytes",
            Also::Locks => "locks",
        }
    }

    pub fn of(self, one: &Try) -> Option<f64> {
        // Bytes and locks of any bench are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        match self {
            Also::Wal => one.wal_bytes.map(|n| n as f64),
            Also::Locks => one.more.get("locks").copied(),
        }
    }
}

pub struct Shared {
    pub tenants: u16,
    pub window: Window,
    pub set_up: for<'a> fn(&'a Lane) -> Work<'a, ()>,
}

/// A contestant, and its share of a scenario.
pub struct Entrant {
    pub contestant: Box<dyn Contestant>,
    /// Entrants of one group are compared with each other; the name stands above them.
    pub group: String,
    /// Instead of the contestant's own title.
    pub label: Option<String>,
    pub tenants: u16,
    pub window: Window,
    pub role: Role,
    pub evidence: Proof,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What others' ratios are to; the first of its group that has a figure.
    Baseline,
    Contestant,
    /// What ratios to the limit are to.
    Limit,
}

/// What an entrant's output must equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The rows at the sources.
    Sources,
    /// What the others of its group found.
    Group,
}

impl Entrant {
    fn new(contestant: impl Contestant + 'static, role: Role, window: Window) -> Entrant {
        Entrant {
            contestant: Box::new(contestant),
            group: String::new(),
            label: None,
            tenants: 1,
            window,
            role,
            evidence: Proof::Sources,
        }
    }

    /// As tables name it.
    pub fn title(&self) -> String {
        let own = || self.contestant.title();
        self.label.clone().unwrap_or_else(own)
    }

    /// Units of work: days of tenants.
    pub fn units(&self) -> u64 {
        self.window.len() as u64 * u64::from(self.tenants)
    }
}

type Maker = fn(&Ground) -> Scenario;

/// Name, purpose, maker, and whether it changes rows or needs tenants that only made-up ones offer.
pub const SCENARIOS: [(&str, &str, Maker, bool); 9] = [
    (
        "backfill",
        "the first load of a period",
        backfill::first,
        false,
    ),
    (
        "backfill-years",
        "the same, until closed days stand in yearly tables",
        backfill::years,
        false,
    ),
    (
        "refresh",
        "a nightly refresh of 14 days where nothing changed",
        refresh::unchanged,
        false,
    ),
    (
        "refresh-late",
        "the same with one late row in one of the days",
        refresh::late,
        true,
    ),
    (
        "hourly",
        "a refresh of a day that grew by 4 %: wall time and WAL",
        refresh::hourly,
        true,
    ),
    (
        "fold",
        "day relations become yearly tables",
        fold::all,
        false,
    ),
    (
        "readers",
        "five queries of readers over all tenants: time, planning, locks",
        readers::all,
        true,
    ),
    (
        "growth-days",
        "what a day costs in a period twelve times as long",
        growth::days,
        false,
    ),
    (
        "growth-tenants",
        "what a tenant costs beside ten others",
        growth::tenants,
        true,
    ),
];
