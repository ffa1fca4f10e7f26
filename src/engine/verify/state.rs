//! What the workers of a verification share, and what they found.

use super::checked::{Checked, Verdict};
use super::plan::{VerifyPair, VerifyTask};
use super::request::Verify;
use crate::config::Settings;
use crate::engine::report::event::{Event, Failure, Observer, Outcome, UnitReport};
use crate::engine::schedule::pool::Pool;
use crate::engine::schedule::queue::{PairIndex, by_pair};
use crate::error::{Error, Kind};
use crate::landing::Landing;
use crate::pg::Access;
use crate::unit::{Day, Window};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all workers of a verification share.
pub struct VerifyState {
    pub settings: Settings,
    pub warehouse: Access,
    pub request: Verify,
    /// Where the files are, if they are compared.
    pub landing: Option<Landing>,
    pub pairs: Vec<VerifyPair>,
    pub pool: Arc<Pool<VerifyTask>>,
    pub observer: Arc<dyn Observer>,
    pub findings: Mutex<Findings>,
}

/// What was found so far.
#[derive(Default)]
pub struct Findings {
    pub units: Vec<Checked>,
    pub failures: Vec<Failure>,
    /// Seconds of work, summed over workers.
    pub seconds: BTreeMap<PairIndex, f64>,
}

impl VerifyState {
    pub fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add_checked(&self, pair: PairIndex, units: Vec<Checked>) {
        let (tenant, template) = self.pairs[pair].names();
        self.observer.event(&Event::Through {
            tenant: tenant.clone(),
            template: template.clone(),
            days: units.iter().map(|checked| checked.unit.day).collect(),
        });
        self.findings().units.extend(units);
    }

    /// Adds days that were not read.
    pub fn add_unread(&self, pair: PairIndex, days: impl Iterator<Item = Day>, verdict: Verdict) {
        for day in days {
            let unit = self.pairs[pair].checked(day, verdict);
            let report = UnitReport::new(unit.unit.clone(), Outcome::Failed);
            self.observer.event(&Event::Unit(report));
            self.findings().units.push(unit);
        }
    }

    pub fn add_failure(
        &self,
        pair: PairIndex,
        windows: Vec<Window>,
        error: Error,
        not_tried: bool,
    ) {
        let (tenant, template) = self.pairs[pair].names();
        self.findings().failures.push(Failure {
            tenant: tenant.clone(),
            template: Some(template.clone()),
            windows,
            error,
            not_tried,
        });
    }

    /// Adds windows that will not be read, and why.
    pub fn add_not_tried(&self, dropped: Vec<(PairIndex, Window)>, why: &str, kind: Kind) {
        for (pair, windows) in by_pair(dropped) {
            let days = windows.iter().flat_map(Window::days);
            self.add_unread(pair, days, Verdict::NotTried);
            self.add_failure(pair, windows, Error::new(kind, why), true);
        }
    }
}
