//! How far a run is, counted from its events. Pure.

use crate::engine::report::event::{Event, Outcome};
use crate::report::numbers::{bytes, count, counted, seconds};
use crate::report::rate::Rate;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What has been heard so far.
pub struct State {
    started: Instant,
    pub units: u64,
    pub done: u64,
    failed: u64,
    /// Everything that moved, also in windows that failed later.
    moved: (u64, u64),
    rate: Rate,
    slots: BTreeMap<usize, Slot>,
}

/// A window that is running.
struct Slot {
    what: String,
    since: Instant,
    rows: u64,
    bytes: u64,
}

impl State {
    pub fn new() -> State {
        State {
            started: Instant::now(),
            units: 0,
            done: 0,
            failed: 0,
            moved: (0, 0),
            rate: Rate::default(),
            slots: BTreeMap::new(),
        }
    }

    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Planned { units, .. } => {
                self.units = *units as u64;
                self.started = Instant::now();
                // What the first rate is measured from.
                self.rate.sample(self.started, 0, 0);
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
                self.moved.0 += rows;
                self.moved.1 += bytes;
                if let Some(slot) = self.slots.get_mut(slot) {
                    slot.rows += rows;
                    slot.bytes += bytes;
                }
            }
            Event::WindowEnded { slot } => {
                self.slots.remove(slot);
            }
            Event::Through { units } => self.done += *units as u64,
            Event::Unit(unit) => match unit.outcome {
                // Counted in the plan, and when its rows were through.
                Outcome::Skipped
                | Outcome::Unchanged
                | Outcome::Landed
                | Outcome::Changed
                | Outcome::Loaded => {}
                Outcome::Failed | Outcome::NotTried => {
                    self.done += 1;
                    self.failed += 1;
                }
            },
            Event::Retry { .. } | Event::Stage { .. } | Event::Warning(_) => {}
        }
    }

    /// Time left, once there is something to go by.
    fn left(&self, now: Instant) -> Option<Duration> {
        let todo = self.units.saturating_sub(self.done);
        let done = u32::try_from(self.done).ok().filter(|n| *n > 0)?;
        let todo = u32::try_from(todo).ok()?;
        (now.duration_since(self.started) / done).checked_mul(todo)
    }

    /// `2 failed, about 40 s left, 50,400 rows, 12,300 rows/s, 3.2 MiB/s`: what a narrow terminal cuts matters least.
    pub fn figures(&mut self, now: Instant) -> String {
        let (rows, size) = self.rate.sample(now, self.moved.0, self.moved.1);
        let mut parts = Vec::new();
        if self.failed > 0 {
            parts.push(format!("{} failed", count(self.failed)));
        }
        match self.left(now) {
            Some(left) if self.done < self.units => {
                parts.push(format!("about {} left", whole_seconds(left)));
            }
            _ => {}
        }
        parts.push(counted(self.moved.0, "row"));
        parts.push(format!("{} rows/s", count(rows)));
        parts.push(format!("{}/s", bytes(size)));
        parts.join(", ")
    }

    /// `None` until the work is known.
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
            done: self.done,
            figures: self.figures(now),
            slots: self
                .slots
                .iter()
                .map(|(n, slot)| (*n, text(slot)))
                .collect(),
        })
    }
}

/// What the bars show at one moment.
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

    fn unit(outcome: Outcome) -> Event {
        let unit = Unit {
            tenant: TenantName::parse("acme").unwrap(),
            template: TemplateName::parse("flights").unwrap(),
            day: Day::from_pg_days(0),
        };
        Event::Unit(UnitReport {
            rows: 10,
            bytes: 100,
            tries: 1,
            ..UnitReport::new(unit, outcome)
        })
    }

    #[test]
    fn figures_follow_the_events() {
        let mut state = State::new();
        state.hear(&Event::Planned {
            units: 4,
            skipped: 2,
        });
        state.hear(&Event::WindowStarted {
            slot: 0,
            tenant: TenantName::parse("acme").unwrap(),
            template: TemplateName::parse("flights").unwrap(),
            window: Window::single(Day::from_pg_days(0)),
        });
        state.hear(&Event::Moved {
            slot: 0,
            rows: 10,
            bytes: 100,
        });
        assert_eq!(state.slots[&0].rows, 10);
        state.hear(&Event::WindowEnded { slot: 0 });
        state.hear(&Event::Through { units: 1 });
        state.hear(&unit(Outcome::Loaded));
        state.hear(&unit(Outcome::Failed));
        state.hear(&unit(Outcome::Skipped));
        assert_eq!((state.done, state.failed, state.moved.0), (2, 1, 10));
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
