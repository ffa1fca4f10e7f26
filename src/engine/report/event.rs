//! What the engine reports to whoever watches. The engine prints nothing.

use crate::error::Error;
use crate::unit::{Day, TemplateName, TenantName, Unit, Window};
use std::time::Duration;

/// How a unit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The ledger had it already.
    Skipped,
    /// It was compared with its source, which has the same rows: nothing was written.
    Unchanged,
    /// Its rows were in the warehouse already, and its file was written; or it has only a file, which is new.
    Landed,
    /// It was compared with its source, and what differed was written.
    Changed,
    /// It is new: its rows (maybe none) are in the warehouse and in the ledger.
    Loaded,
    /// It was tried and failed.
    Failed,
    /// It was not tried: the circuit was open, the pair was locked, or the run was interrupted.
    NotTried,
}

/// What a refresh changed in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Rows before.
    #[serde(rename = "rows_before")]
    pub before: u64,
    pub deleted: u64,
    pub inserted: u64,
}

impl Change {
    /// Two changes of one day as one.
    pub fn after(first: Option<Change>, second: Option<Change>) -> Option<Change> {
        match (first, second) {
            (Some(first), Some(second)) => Some(Change {
                before: first.before,
                deleted: first.deleted + second.deleted,
                inserted: first.inserted + second.inserted,
            }),
            (change, None) | (None, change) => change,
        }
    }
}

/// One unit's end.
#[derive(Debug, Clone)]
pub struct UnitReport {
    pub unit: Unit,
    pub outcome: Outcome,
    pub rows: u64,
    /// Bytes of binary tuples.
    pub bytes: u64,
    /// 32 hex digits.
    pub digest: Option<String>,
    /// `schema.table` that holds the rows.
    pub relation: Option<String>,
    pub tries: u32,
    /// With [`Outcome::Changed`].
    pub change: Option<Change>,
    /// The file that holds just these rows.
    pub object: Option<LandedIn>,
}

/// A unit's file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LandedIn {
    pub url: String,
    /// Of the file.
    pub bytes: u64,
    /// Whether this run wrote it.
    pub written: bool,
}

impl UnitReport {
    /// A unit without any further details.
    pub fn new(unit: Unit, outcome: Outcome) -> UnitReport {
        UnitReport {
            unit,
            outcome,
            rows: 0,
            bytes: 0,
            digest: None,
            relation: None,
            tries: 0,
            change: None,
            object: None,
        }
    }
}

/// Why units failed or were not tried: one cause, all the units of a pair that share it.
#[derive(Debug)]
pub struct Failure {
    pub tenant: TenantName,
    /// `None` when the tenant as a whole failed (cannot be reached).
    pub template: Option<TemplateName>,
    /// Days that share the cause, in order; may be empty when it is not about days.
    pub windows: Vec<Window>,
    pub error: Error,
    /// The cause kept them from being tried at all.
    pub not_tried: bool,
}

#[derive(Debug)]
pub enum Event {
    /// The work is known: `units` to load, `skipped` in the ledger already.
    Planned { units: usize, skipped: usize },
    /// A pair has `now` units to work on, not `before` as was planned.
    Replanned { before: usize, now: usize },
    /// A worker began a window. `slot` is the worker, from 0.
    WindowStarted {
        slot: usize,
        tenant: TenantName,
        template: TemplateName,
        window: Window,
    },
    /// Rows that passed since the last such event of this slot.
    Moved { slot: usize, rows: u64, bytes: u64 },
    /// The window ended, successfully or not; a retry starts it again.
    WindowEnded { slot: usize },
    /// The rows of units are in the warehouse: seen at once or, in a year that is being built, when it is revealed.
    Through {
        tenant: TenantName,
        template: TemplateName,
        days: Vec<Day>,
    },
    /// A unit ended.
    Unit(UnitReport),
    /// A window is tried again after `wait`.
    Retry {
        tenant: TenantName,
        template: TemplateName,
        window: Window,
        attempt: u32,
        wait: Duration,
        error: String,
    },
    /// A long step that is not a window: indexes, checks, the reveal of a year.
    Stage {
        tenant: TenantName,
        template: TemplateName,
        what: String,
    },
    /// Needs a person's attention, but is not a failure.
    Warning(String),
}

/// Watches a run. Called from many tasks: must be quick, must not block.
pub trait Observer: Send + Sync {
    fn event(&self, event: &Event);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
}
