//! What a restore brought back that is not exactly what the snapshot, or the source, had.

use crate::unit::{Day, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What is to be said about the file of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileRemark {
    /// It was written after the snapshot, and has other rows.
    pub newer: bool,
    /// It holds rounded values.
    pub rounded: bool,
}

/// The restored days with remarks, by pair. Shared by all workers.
#[derive(Debug, Default)]
pub struct Remarks {
    pairs: Mutex<BTreeMap<String, PairRemarks>>,
}

#[derive(Debug, Default)]
struct PairRemarks {
    newer: BTreeSet<Day>,
    rounded: BTreeSet<Day>,
}

impl Remarks {
    /// A day was restored and committed.
    pub fn add(&self, pair: &str, day: Day, remark: FileRemark) {
        if remark == FileRemark::default() {
            return;
        }
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let days = pairs.entry(pair.to_owned()).or_default();
        if remark.newer {
            days.newer.insert(day);
        }
        if remark.rounded {
            days.rounded.insert(day);
        }
    }

    /// Numbers of days: newer than the snapshot, and with rounded values.
    pub fn totals(&self) -> (usize, usize) {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |of: fn(&PairRemarks) -> usize| pairs.values().map(of).sum();
        (sum(|days| days.newer.len()), sum(|days| days.rounded.len()))
    }

    /// One sentence for each pair and kind. `snapshot` is its id.
    pub fn notes(&self, snapshot: &str) -> Vec<String> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = Vec::new();
        for (pair, days) in &*pairs {
            if !days.newer.is_empty() {
                notes.push(format!(
                    "{pair}: {} newer than snapshot {snapshot}, because later runs wrote their files: {}",
                    are(&days.newer),
                    list(&days.newer)
                ));
            }
            if !days.rounded.is_empty() {
                notes.push(format!(
                    "{pair}: {} restored with rounded values, because a column lands as `double`: {}",
                    are(&days.rounded),
                    list(&days.rounded)
                ));
            }
        }
        notes
    }
}

fn are(days: &BTreeSet<Day>) -> String {
    match days.len() {
        1 => "1 day is".to_owned(),
        n => format!("{n} days are"),
    }
}

fn list(days: &BTreeSet<Day>) -> String {
    let runs = Window::runs(days.iter().copied());
    let runs: Vec<String> = runs.iter().map(Window::to_string).collect();
    runs.join(", ")
}
