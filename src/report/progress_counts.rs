//! How far a run is, counted from its events. Pure.

use crate::engine::report::done_units::DoneUnits;
use crate::engine::report::event::{Event, Outcome};
use crate::report::numbers::{bytes, count, counted, seconds};
use crate::report::throughput::{Throughput, Transferred};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The counts so far.
pub struct ProgressCounts {
    started: Instant,
    pub units: u64,
    done: DoneUnits,
    failed: u64,
    /// Everything that was transferred, including windows that failed later.
    transferred: Transferred,
    throughput: Throughput,
    slots: BTreeMap<usize, Slot>,
}

/// A window that is running.
struct Slot {
    what: String,
    since: Instant,
    rows: u64,
    bytes: u64,
}

impl ProgressCounts {
    pub fn new() -> ProgressCounts {
        ProgressCounts {
            started: Instant::now(),
            units: 0,
            done: DoneUnits::default(),
            failed: 0,
            transferred: Transferred::default(),
            throughput: Throughput::default(),
            slots: BTreeMap::new(),
        }
    }

    pub fn count(&mut self, event: &Event) {
        self.done.add(event);
        match event {
            Event::Planned { units, .. } => {
                self.units = *units as u64;
                self.started = Instant::now();
                // The start of the first measurement.
                self.throughput.sample(self.started, Transferred::default());
            }
            Event::Replanned { before, now } => {
                self.units = self.units.saturating_sub(*before as u64) + *now as u64;
            }
            Event::WindowStarted {
                slot,
                tenant,
                template,
                window,
            } => {
                let what = format!("{tenant}/{template} {window}");
                self.slots.insert(
                    *slot,
                    Slot {
                        what,
                        since: Instant::now(),
                        rows: 0,
                        bytes: 0,
                    },
                );
            }
            Event::Moved { slot, rows, bytes } => {
                self.transferred.rows += rows;
                self.transferred.bytes += bytes;
                if let Some(slot) = self.slots.get_mut(slot) {
                    slot.rows += rows;
                    slot.bytes += bytes;
                }
            }
            Event::WindowEnded { slot } => {
                self.slots.remove(slot);
            }
            Event::Unit(unit) => match unit.outcome {
                // Counted when the run was planned, or when its rows were written.
                Outcome::Skipped
                | Outcome::Unchanged
                | Outcome::Landed
                | Outcome::Changed
                | Outcome::Loaded => {}
                Outcome::Failed | Outcome::NotTried => self.failed += 1,
            },
            Event::Through { .. }
            | Event::Retry { .. }
            | Event::Stage { .. }
            | Event::Warning(_) => {}
        }
    }

    /// Units that the run is through with.
    pub fn done(&self) -> u64 {
        self.done.count()
    }

    /// The time left, once it can be estimated.
    fn left(&self, now: Instant) -> Option<Duration> {
        let todo = self.units.saturating_sub(self.done());
        let done = u32::try_from(self.done()).ok().filter(|n| *n > 0)?;
        let todo = u32::try_from(todo).ok()?;
        (now.duration_since(self.started) / done).checked_mul(todo)
    }

    /// `2 failed, about 40 s left, 50,400 rows, 12,300 rows/s, 3.2 MiB/s`: the least important is last, where a narrow terminal cuts.
    pub fn figures(&mut self, now: Instant) -> String {
        let per_second = self.throughput.sample(now, self.transferred);
        let mut parts = Vec::new();
        if self.failed > 0 {
            parts.push(format!("{} failed", count(self.failed)));
        }
        match self.left(now) {
            Some(left) if self.done() < self.units => {
                parts.push(format!("about {} left", whole_seconds(left)));
            }
            _ => {}
        }
        parts.push(counted(self.transferred.rows, "row"));
        parts.push(format!("{} rows/s", count(per_second.rows)));
        parts.push(format!("{}/s", bytes(per_second.bytes)));
        parts.join(", ")
    }

    /// `None` until the units are known.
    pub fn picture(&mut self, now: Instant) -> Option<Picture> {
        let text = |slot: &Slot| {
            format!(
                "{}  {}, {}, {}",
                slot.what,
                counted(slot.rows, "row"),
                bytes(slot.bytes),
                whole_seconds(now.duration_since(slot.since))
            )
        };
        (self.units > 0).then(|| Picture {
            units: self.units,
            done: self.done(),
            figures: self.figures(now),
            slots: self
                .slots
                .iter()
                .map(|(n, slot)| (*n, text(slot)))
                .collect(),
        })
    }
}

/// The content of the bars at one moment.
pub struct Picture {
    pub units: u64,
    pub done: u64,
    pub figures: String,
    pub slots: Vec<(usize, String)>,
}

fn whole_seconds(d: Duration) -> String {
    if d < Duration::from_secs(60) {
        format!("{} s", d.as_secs().max(1))
    } else {
        seconds(d.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::event::UnitReport;
    use crate::unit::{Day, TemplateName, TenantName, Unit, Window};

    fn unit(outcome: Outcome, day: i32) -> Event {
        let unit = Unit {
            tenant: TenantName::parse("acme").unwrap(),
            template: TemplateName::parse("flights").unwrap(),
            day: Day::from_pg_days(day),
        };
        Event::Unit(UnitReport {
            rows: 10,
            bytes: 100,
            tries: 1,
            ..UnitReport::new(unit, outcome)
        })
    }

    fn through(days: &[i32]) -> Event {
        Event::Through {
            tenant: TenantName::parse("acme").unwrap(),
            template: TemplateName::parse("flights").unwrap(),
            days: days.iter().copied().map(Day::from_pg_days).collect(),
        }
    }

    #[test]
    fn figures_follow_the_events() {
        let mut state = ProgressCounts::new();
        state.count(&Event::Planned {
            units: 4,
            skipped: 2,
        });
        state.count(&Event::WindowStarted {
            slot: 0,
            tenant: TenantName::parse("acme").unwrap(),
            template: TemplateName::parse("flights").unwrap(),
            window: Window::single(Day::from_pg_days(0)),
        });
        state.count(&Event::Moved {
            slot: 0,
            rows: 10,
            bytes: 100,
        });
        assert_eq!(state.slots[&0].rows, 10);
        state.count(&Event::WindowEnded { slot: 0 });
        state.count(&through(&[0]));
        state.count(&unit(Outcome::Loaded, 0));
        state.count(&unit(Outcome::Failed, 1));
        state.count(&unit(Outcome::Skipped, 2));
        assert_eq!(
            (state.done(), state.failed, state.transferred.rows),
            (2, 1, 10)
        );
        assert!(state.slots.is_empty());
        let now = state.started + Duration::from_secs(10);
        assert_eq!(state.left(now), Some(Duration::from_secs(10)));
        assert!(
            state
                .figures(now)
                .starts_with("1 failed, about 10 s left, 10 rows"),
            "{}",
            state.figures(now)
        );
    }
}
