//! What the catalog keeps of how a run ended.

use super::context::RunContext;
use super::outcomes::{Collected, Outcomes};
use crate::engine::locks::lock_holder::{LockHolder, kept_failures};
use crate::engine::report::event::Outcome;
use crate::engine::report::run::written;
use serde_json::{Value, json};

/// What `_wh.run` keeps.
pub struct Ending {
    pub outcome: &'static str,
    pub totals: Value,
    pub failures: Value,
}

pub fn of(context: &RunContext, outcomes: &Outcomes, locks: &LockHolder) -> Ending {
    let collected = outcomes.lock();
    let held = context.options.held;
    let outcome = if locks.cancelled_by().is_some() {
        "cancelled"
    } else if context.cancel.is_cancelled() {
        "interrupted"
    } else if collected.failures.is_empty() || held.excuses(&collected.failures) {
        "done"
    } else {
        "failed"
    };
    Ending {
        outcome,
        totals: totals(&collected),
        failures: kept_failures(&collected.failures),
    }
}

fn totals(collected: &Collected) -> Value {
    let units = &collected.units;
    let count = |outcome| units.iter().filter(|u| u.outcome == outcome).count();
    json!({
        "loaded": count(Outcome::Loaded),
        "skipped": count(Outcome::Skipped),
        "unchanged": count(Outcome::Unchanged),
        "landed": count(Outcome::Landed),
        "changed": count(Outcome::Changed),
        "failed": count(Outcome::Failed),
        "not_tried": count(Outcome::NotTried),
        "rows": units.iter().map(|u| u.rows).sum::<u64>(),
        "bytes": units.iter().map(|u| u.bytes).sum::<u64>(),
        "files": written(units).count(),
        "file_bytes": written(units).map(|file| file.bytes).sum::<u64>(),
    })
}
