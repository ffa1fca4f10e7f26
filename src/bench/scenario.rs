//! What is measured: each scenario lists its entrants and what they share.

mod backfill;
pub mod choices;
mod fleet;
mod fold;
mod growth;
mod readers;
mod refresh;

use super::contestant::Contestant;
use super::environment::{LateRows, Work};
use super::meter::Measurement;
use super::sandbox::Sandbox;
use crate::unit::Window;
use serde::Serialize;

/// A comparison with its own table and chart.
pub struct Scenario {
    pub name: &'static str,
    pub title: String,
    /// What is measured, and which state the warehouse is in.
    pub question: String,
    pub compare: RatioBasis,
    /// What is compared in addition to wall time.
    pub also: &'static [ExtraMetric],
    /// A sandbox for the entrants that do not need their own.
    pub shared: Option<SharedSandbox>,
    /// In the order of the tables.
    pub entrants: Vec<Entrant>,
}

/// The figure that ratios are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatioBasis {
    /// Wall time.
    Seconds,
    /// Wall time per unit of work, for entrants with different amounts of work.
    SecondsPerUnit,
}

/// A cost other than wall time, by its name in `bench.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum ExtraMetric {
    #[serde(rename = "locks")]
    Locks,
    #[serde(rename = "source_connections")]
    SourceConnections,
    #[serde(rename = "source_statements")]
    SourceStatements,
    #[serde(rename = "wal_bytes")]
    Wal,
    #[serde(rename = "warehouse_connections")]
    WarehouseConnections,
    #[serde(rename = "warehouse_statements")]
    WarehouseStatements,
}

impl ExtraMetric {
    /// What clients ask of the servers.
    pub const CLIENTS: [ExtraMetric; 4] = [
        ExtraMetric::SourceConnections,
        ExtraMetric::WarehouseConnections,
        ExtraMetric::SourceStatements,
        ExtraMetric::WarehouseStatements,
    ];

    pub fn of(self, measurement: &Measurement) -> Option<f64> {
        let more = |name| measurement.more.get(name).copied();
        match self {
            // The bytes of any bench are far below 2^53.
            #[allow(clippy::cast_precision_loss)]
            ExtraMetric::Wal => measurement.wal_bytes.map(|n| n as f64),
            ExtraMetric::Locks => more("locks"),
            ExtraMetric::SourceConnections => more("source_connections"),
            ExtraMetric::SourceStatements => more("source_statements"),
            ExtraMetric::WarehouseConnections => more("warehouse_connections"),
            ExtraMetric::WarehouseStatements => more("warehouse_statements"),
        }
    }
}

pub struct SharedSandbox {
    pub tenants: u16,
    pub window: Window,
    pub set_up: for<'a> fn(&'a Sandbox) -> Work<'a, ()>,
}

/// A contestant, and its share of a scenario.
pub struct Entrant {
    pub contestant: Box<dyn Contestant>,
    /// Entrants of one group are compared with each other, below the group's name.
    pub group: String,
    /// Replaces the contestant's own title.
    pub label: Option<String>,
    pub tenants: u16,
    pub window: Window,
    pub role: EntrantRole,
    pub expected: ExpectedRows,
    pub place: SandboxChoice,
    /// Rows that are added to each tenant once the entrant is prepared, and removed after the try.
    pub late_rows: Option<LateRows>,
}

/// Where an entrant's tries happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxChoice {
    /// An empty one for each try.
    Own,
    /// The scenario's, narrowed to the entrant's window.
    Shared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntrantRole {
    /// The denominator of the others' ratios: the first of its group that has a figure.
    Baseline,
    Contestant,
    /// The denominator of the ratios to the limit.
    Limit,
}

/// What an entrant's output must equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRows {
    /// The rows at the sources.
    Sources,
    /// The output of the others in its group.
    Group,
}

impl Entrant {
    fn new(contestant: impl Contestant + 'static, role: EntrantRole, window: Window) -> Entrant {
        Entrant {
            contestant: Box::new(contestant),
            group: String::new(),
            label: None,
            tenants: 1,
            window,
            role,
            expected: ExpectedRows::Sources,
            place: SandboxChoice::Own,
            late_rows: None,
        }
    }

    /// The title in tables.
    pub fn title(&self) -> String {
        let own = || self.contestant.title();
        self.label.clone().unwrap_or_else(own)
    }

    /// Units of work: days of tenants.
    pub fn units(&self) -> u64 {
        self.window.len() as u64 * u64::from(self.tenants)
    }
}
