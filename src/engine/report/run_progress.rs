//! How far a run is, for other sessions: counted from its events, and written down with each heartbeat.

use super::done_units::DoneUnits;
use super::event::{Event, Observer};
use crate::catalog::runs::run::Progress;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the units of a run.
#[derive(Debug, Default)]
pub struct RunProgress {
    planned: AtomicU64,
    /// Days that a fold is through with.
    moved: AtomicU64,
    done: Mutex<DoneUnits>,
}

impl RunProgress {
    /// There are more units to do.
    pub fn plan(&self, units: usize) {
        self.planned.fetch_add(units as u64, Ordering::Relaxed);
    }

    /// A fold is through with days.
    pub fn moved(&self, days: usize) {
        self.moved.fetch_add(days as u64, Ordering::Relaxed);
    }

    /// `None` while no unit is known. Days that a run takes along, because rows moved to them, are not planned.
    pub fn now(&self) -> Option<Progress> {
        let planned = self.planned.load(Ordering::Relaxed);
        let units = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let done = units.count() + self.moved.load(Ordering::Relaxed);
        (planned > 0).then_some(Progress {
            planned,
            done: done.min(planned),
        })
    }

    fn count(&self, event: &Event) {
        match event {
            Event::Planned { units, .. } => self.plan(*units),
            Event::Replanned { before, now } => {
                self.planned.fetch_add(*now as u64, Ordering::Relaxed);
                self.planned.fetch_sub(*before as u64, Ordering::Relaxed);
            }
            Event::Through { .. } | Event::Unit(_) => {
                let mut units = self.done.lock().unwrap_or_else(PoisonError::into_inner);
                units.add(event);
            }
            _ => {}
        }
    }
}

/// Counts what it passes on.
pub struct Counting {
    observer: Arc<dyn Observer>,
    progress: Arc<RunProgress>,
}

impl Counting {
    pub fn new(observer: Arc<dyn Observer>, progress: Arc<RunProgress>) -> Counting {
        Counting { observer, progress }
    }
}

impl Observer for Counting {
    fn event(&self, event: &Event) {
        self.progress.count(event);
        self.observer.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Outcome, Silent, UnitReport};
    use super::*;
    use crate::unit::{Day, TemplateName, TenantName, Unit};

    #[test]
    fn progress_follows_the_events() {
        let (tenant, template) = (
            TenantName::parse("acme").unwrap(),
            TemplateName::parse("flights").unwrap(),
        );
        let unit = |outcome, day| {
            let unit = Unit {
                tenant: tenant.clone(),
                template: template.clone(),
                day: Day::from_pg_days(day),
            };
            Event::Unit(UnitReport::new(unit, outcome))
        };
        let progress = Arc::new(RunProgress::default());
        let run = Counting::new(Arc::new(Silent), Arc::clone(&progress));
        let skipped = 7;
        assert_eq!(progress.now(), None);
        run.event(&Event::Planned { units: 4, skipped });
        run.event(&unit(Outcome::Skipped, 9));
        let planned = |done| Some(Progress { planned: 4, done });
        assert_eq!(progress.now(), planned(0));
        run.event(&Event::Through {
            tenant: tenant.clone(),
            template: template.clone(),
            days: vec![Day::from_pg_days(0), Day::from_pg_days(1)],
        });
        run.event(&unit(Outcome::Loaded, 0));
        run.event(&unit(Outcome::Failed, 2));
        assert_eq!(progress.now(), planned(3));
        progress.moved(1);
        assert_eq!(progress.now(), planned(4));
    }
}
