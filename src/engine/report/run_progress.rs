//! How far a run is, for other sessions: counted from its events, and written down with each heartbeat.

use super::event::{Event, Observer, Outcome};
use crate::catalog::runs::run::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the units of a run.
#[derive(Debug, Default)]
pub struct RunProgress {
    planned: AtomicU64,
    done: AtomicU64,
}

impl RunProgress {
    /// There are more units to do.
    pub fn plan(&self, units: usize) {
        self.planned.fetch_add(units as u64, Ordering::Relaxed);
    }

    /// The run is through with units.
    pub fn done(&self, units: usize) {
        self.done.fetch_add(units as u64, Ordering::Relaxed);
    }

    /// `None` while no unit is known. A unit that is done again counts once at most.
    pub fn now(&self) -> Option<Progress> {
        let planned = self.planned.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(planned);
        (planned > 0).then_some(Progress { planned, done })
    }

    fn count(&self, event: &Event) {
        match event {
            Event::Planned { units, .. } => self.plan(*units),
            Event::Through { units } => self.done(*units),
            Event::Unit(unit) if matches!(unit.outcome, Outcome::Failed | Outcome::NotTried) => {
                self.done(1);
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
    use super::super::event::{Silent, UnitReport};
    use super::*;
    use crate::unit::{Day, TemplateName, TenantName, Unit};

    fn unit(outcome: Outcome) -> Event {
        let unit = Unit {
            tenant: TenantName::parse("acme").unwrap(),
            template: TemplateName::parse("flights").unwrap(),
            day: Day::from_pg_days(0),
        };
        Event::Unit(UnitReport::new(unit, outcome))
    }

    #[test]
    fn progress_follows_the_events() {
        let progress = Arc::new(RunProgress::default());
        let run = Counting::new(Arc::new(Silent), Arc::clone(&progress));
        let skipped = 7;
        assert_eq!(progress.now(), None);
        run.event(&Event::Planned { units: 4, skipped });
        run.event(&unit(Outcome::Skipped));
        assert_eq!(
            progress.now(),
            Some(Progress {
                planned: 4,
                done: 0
            })
        );
        run.event(&Event::Through { units: 2 });
        run.event(&unit(Outcome::Loaded));
        run.event(&unit(Outcome::Failed));
        let three = Progress {
            planned: 4,
            done: 3,
        };
        assert_eq!(progress.now(), Some(three));
        // Two days of a year that was through, and then could not be built.
        run.event(&unit(Outcome::Failed));
        run.event(&unit(Outcome::Failed));
        assert_eq!(progress.now(), Some(Progress { done: 4, ..three }));
    }
}
