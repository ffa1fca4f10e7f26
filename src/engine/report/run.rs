//! How a run ended.

use super::event::{Failure, LandedIn, UnitReport};
use super::fold::PairFold;
use crate::error::Error;
use crate::unit::{TemplateName, TenantName};
use std::time::Duration;

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// The run's id in `_wh.run`; `None` for a dry run.
    pub run: Option<i64>,
    pub units: Vec<UnitReport>,
    pub failures: Vec<Failure>,
    /// What a person should know about the data, each once.
    pub notes: Vec<String>,
    /// What a sync folded, or could not fold yet.
    pub folds: Vec<PairFold>,
    pub interrupted: bool,
    /// Who interrupted it by `dayhaul cancel`.
    pub cancelled_by: Option<String>,
    /// Pairs of the selection, and how many of them another run held.
    pub pairs: usize,
    pub locked_pairs: usize,
    /// Tenants of the selection, and how many of them could not be reached.
    pub tenants: usize,
    pub unreachable_tenants: usize,
    /// Seconds of work per (tenant, template), summed over workers.
    pub pair_seconds: Vec<(TenantName, TemplateName, f64)>,
    /// Why the catalog does not have how the run ended: what is reported was not compared with the ledger.
    pub not_recorded: Option<Error>,
    pub elapsed: Duration,
}

impl RunReport {
    /// The files that this run wrote.
    pub fn files(&self) -> impl Iterator<Item = &LandedIn> {
        written(&self.units)
    }
}

/// The files that were written of these units.
pub fn written(units: &[UnitReport]) -> impl Iterator<Item = &LandedIn> {
    let objects = units.iter().filter_map(|unit| unit.object.as_ref());
    objects.filter(|object| object.written)
}
