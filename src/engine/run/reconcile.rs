//! The account of a run: what it reports is in the ledger, and no unit ends without a word.

use super::{Run, interrupted};
use crate::catalog::ledger::objects::{self, Standing};
use crate::engine::locks::lock_holder::Keeper;
use crate::engine::report::event::{Event, Failure, Outcome, UnitReport};
use crate::error::{Error, Kind, Result};
use crate::unit::{Day, TemplateName, TenantName, Unit, Window};
use std::collections::{BTreeMap, BTreeSet};

impl Run<'_> {
    /// Looks whether the ledger has what was reported as loaded. Loads commit without waiting for the disk: a warehouse
    /// that crashed in the meantime may have lost the last of them, rows and ledger together.
    pub async fn check_ledger(&mut self, keeper: &Keeper) -> Result<()> {
        let mut lost: BTreeMap<(TenantName, TemplateName), BTreeSet<Day>> = BTreeMap::new();
        for (tenant, template) in self.all.keys() {
            let of_pair = |u: &&UnitReport| {
                matches!(
                    u.outcome,
                    Outcome::Loaded | Outcome::Changed | Outcome::Landed
                ) && u.unit.tenant == *tenant
                    && u.unit.template == *template
            };
            let said: Vec<&UnitReport> = self.outcomes.units.iter().filter(of_pair).collect();
            if said.is_empty() {
                continue;
            }
            let found = objects::units(keeper.session(), tenant, template).await?;
            let missing: BTreeSet<Day> = said
                .iter()
                .filter(|u| !is_as_said(u, found.get(&u.unit.day)))
                .map(|u| u.unit.day)
                .collect();
            if !missing.is_empty() {
                lost.insert((tenant.clone(), template.clone()), missing);
            }
        }
        for ((tenant, template), days) in lost {
            for unit in &mut self.outcomes.units {
                let named = unit.unit.tenant == tenant && unit.unit.template == template;
                if named && days.contains(&unit.unit.day) {
                    unit.outcome = Outcome::Failed;
                }
            }
            self.outcomes.failures.push(Failure {
                tenant,
                template: Some(template),
                windows: days.into_iter().map(Window::single).collect(),
                error: Error::new(
                    Kind::Connect,
                    "loaded, but lost again: the warehouse crashed before it reached the disk",
                )
                .with_hint("run the same command again: it loads what is missing"),
                not_tried: false,
            });
        }
        Ok(())
    }

    /// No unit may end without a word: one that nobody reported was not tried.
    pub fn account_for_all(&mut self) {
        let reported: BTreeSet<Unit> = self.outcomes.units.iter().map(|u| u.unit.clone()).collect();
        for ((tenant, template), days) in &self.all {
            let mut silent = BTreeSet::new();
            for &day in days {
                let unit = Unit {
                    tenant: tenant.clone(),
                    template: template.clone(),
                    day,
                };
                if reported.contains(&unit) {
                    continue;
                }
                silent.insert(day);
                let report = UnitReport::new(unit, Outcome::NotTried);
                self.observer.event(&Event::Unit(report.clone()));
                self.outcomes.units.push(report);
            }
            let explained =
                self.outcomes.failures.iter().any(|f| {
                    f.tenant == *tenant && f.template.as_ref().is_none_or(|t| t == template)
                });
            if !silent.is_empty() && !explained {
                let error = if self.cancel.is_cancelled() {
                    interrupted()
                } else {
                    Error::new(Kind::Bug, "these days were lost sight of")
                        .with_hint("run the same command again: it loads what is missing")
                };
                self.outcomes.failures.push(Failure {
                    tenant: tenant.clone(),
                    template: Some(template.clone()),
                    windows: Window::runs(silent),
                    error,
                    not_tried: true,
                });
            }
        }
    }
}

/// Whether the ledger has what a unit was reported with: its rows, and the file that was written of them.
fn is_as_said(unit: &UnitReport, found: Option<&Standing>) -> bool {
    let Some(found) = found else { return false };
    let written = unit.object.as_ref().is_some_and(|object| object.written);
    let object = found.object.as_ref().map(|o| o.digest.to_string());
    let rows = found.digest.map(|digest| digest.to_string());
    // A day without a table is as it should be when its file is.
    let rows_are = unit.relation.is_none() || (found.loaded && rows == unit.digest);
    rows_are && (!written || object == unit.digest)
}
