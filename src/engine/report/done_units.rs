//! Which units a run is through with, each once: a staged day is through when its rows are written, and may fail later with
//! the year that it was staged for.

use super::event::{Event, Outcome};
use crate::unit::{Day, TemplateName, TenantName};
use std::collections::{BTreeMap, BTreeSet};

/// Counted from the events of a run.
#[derive(Debug, Default)]
pub struct DoneUnits {
    days: BTreeMap<(TenantName, TemplateName), BTreeSet<Day>>,
    count: u64,
}

impl DoneUnits {
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Skipped units are not among those that a run has to do; the others that went well were through before.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Through {
                tenant,
                template,
                days,
            } => self.insert(tenant, template, days),
            Event::Unit(report)
                if matches!(report.outcome, Outcome::Failed | Outcome::NotTried) =>
            {
                let unit = &report.unit;
                self.insert(&unit.tenant, &unit.template, &[unit.day]);
            }
            _ => {}
        }
    }

    fn insert(&mut self, tenant: &TenantName, template: &TemplateName, days: &[Day]) {
        let pair = (tenant.clone(), template.clone());
        let of_pair = self.days.entry(pair).or_default();
        for day in days {
            self.count += u64::from(of_pair.insert(*day));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::UnitReport;
    use super::*;
    use crate::unit::Unit;

    #[test]
    fn a_day_that_was_through_and_failed_later_counts_once() {
        let tenant = TenantName::parse("acme").unwrap();
        let template = TemplateName::parse("flights").unwrap();
        let through = |days: &[i32]| Event::Through {
            tenant: tenant.clone(),
            template: template.clone(),
            days: days.iter().copied().map(Day::from_pg_days).collect(),
        };
        let ended = |outcome, day| {
            let unit = Unit {
                tenant: tenant.clone(),
                template: template.clone(),
                day: Day::from_pg_days(day),
            };
            Event::Unit(UnitReport::new(unit, outcome))
        };
        let mut done = DoneUnits::default();
        done.add(&through(&[0, 1]));
        // Read again with a day that its rows moved to.
        done.add(&through(&[1]));
        done.add(&ended(Outcome::Failed, 0));
        done.add(&ended(Outcome::NotTried, 1));
        done.add(&ended(Outcome::Skipped, 2));
        assert_eq!(done.count(), 2);
        done.add(&ended(Outcome::NotTried, 3));
        assert_eq!(done.count(), 3);
    }
}
