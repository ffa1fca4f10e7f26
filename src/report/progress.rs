//! Progress on standard error: bars on a terminal, a line every few seconds elsewhere.
//!
//! Events only count; a thread of its own draws, so that workers never wait for a terminal.

use crate::engine::event::{Event, Observer, Outcome};
use crate::report::numbers::{bytes, count, counted, duration, seconds};
use crate::report::rate::Rate;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For a terminal.
    Bars,
    /// For a log.
    Lines,
    /// Not at all.
    Silent,
}

const REDRAW: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bars on the terminal, if there are any: whatever else goes there must make room first.
static SHOWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes to standard error while the bars stand aside.
pub fn aside<R>(write: impl FnOnce() -> R) -> R {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Watches a run and shows how far it is. Ends with [`Progress::finish`], or when it is dropped.
pub struct Progress {
    style: Style,
    state: Arc<Mutex<State>>,
    bars: MultiProgress,
    drawing: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

/// What has been heard so far.
struct State {
    started: Instant,
    units: u64,
    skipped: u64,
    done: u64,
    failed: u64,
    /// Of units that are loaded.
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

impl Progress {
    pub fn new(style: Style) -> Progress {
        let state = Arc::new(Mutex::new(State::new()));
        let bars = MultiProgress::with_draw_target(match style {
            Style::Bars => ProgressDrawTarget::stderr_with_hz(10),
            _ => ProgressDrawTarget::hidden(),
        });
        if style == Style::Bars {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bars.clone());
        }
        let drawing = (style != Style::Silent).then(|| {
            let (stop, stopped) = mpsc::channel();
            let (state, bars) = (Arc::clone(&state), bars.clone());
            let thread = std::thread::spawn(move || match style {
                Style::Bars => draw_bars(&state, &bars, &stopped),
                _ => write_lines(&state, &stopped),
            });
            (stop, thread)
        });
        Progress {
            style,
            state,
            bars,
            drawing: Mutex::new(drawing),
        }
    }

    /// Ends it: bars are cleared away. Results are printed after this.
    pub fn finish(&self) {
        let drawing = self
            .drawing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((stop, thread)) = drawing {
            drop(stop);
            // A drawing thread that panicked has nothing more to show.
            let _ = thread.join();
        }
        let _ = self.bars.clear();
        if self.style == Style::Bars {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// A line of its own, above the bars.
    fn say(&self, text: &str) {
        match self.style {
            Style::Bars => {
                let _ = self.bars.println(text);
            }
            Style::Lines => line(text),
            Style::Silent => tracing::warn!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        lock(&self.state).hear(event);
        match event {
            Event::Planned { units, skipped } if self.style == Style::Lines => self.say(&format!(
                "{} to load, {} in the ledger already",
                counted(*units as u64, "unit"),
                count(*skipped as u64)
            )),
            Event::Retry {
                tenant,
                template,
                window,
                attempt,
                wait,
                error,
            } => self.say(&format!(
                "{tenant}/{template} {window}: attempt {attempt} failed ({error}); again in {}",
                duration(*wait)
            )),
            Event::Stage {
                tenant,
                template,
                what,
            } if self.style != Style::Silent => {
                self.say(&format!("{tenant}/{template}: {what}"));
            }
            Event::Warning(text) => self.say(&format!("warning: {text}")),
            _ => {}
        }
    }
}

impl State {
    fn new() -> State {
        State {
            started: Instant::now(),
            units: 0,
            skipped: 0,
            done: 0,
            failed: 0,
            moved: (0, 0),
            rate: Rate::default(),
            slots: BTreeMap::new(),
        }
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Planned { units, skipped } => {
                (self.units, self.skipped) = (*units as u64, *skipped as u64);
                self.started = Instant::now();
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
                Outcome::Skipped | Outcome::Loaded => {}
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

    /// `50,400 rows, 12,300 rows/s, 3.2 MiB/s, 2 failed, about 40.0 s left`.
    fn figures(&mut self, now: Instant) -> String {
        let (rows, size) = self.rate.sample(now, self.moved.0, self.moved.1);
        let mut text = format!(
            "{}, {} rows/s, {}/s",
            counted(self.moved.0, "row"),
            count(rows),
            bytes(size)
        );
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", count(self.failed)));
        }
        match self.left(now) {
            Some(left) if self.done < self.units => {
                text.push_str(&format!(", about {} left", whole_seconds(left)));
            }
            _ => {}
        }
        text
    }
}

fn whole_seconds(d: Duration) -> String {
    if d < Duration::from_secs(60) {
        format!("{} s", d.as_secs().max(1))
    } else {
        seconds(d.as_secs_f64())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Counters stay usable whatever a panicking thread left.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn write_lines(state: &Mutex<State>, stopped: &mpsc::Receiver<()>) {
    while stopped.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
        let text = {
            let mut state = lock(state);
            if state.units == 0 {
                continue;
            }
            let figures = state.figures(Instant::now());
            format!(
                "{}/{}, {figures}",
                count(state.done),
                counted(state.units, "unit")
            )
        };
        line(&text);
    }
}

fn draw_bars(state: &Mutex<State>, bars: &MultiProgress, stopped: &mpsc::Receiver<()>) {
    let plain = |template| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let total = bars.add(ProgressBar::new(0));
    total.set_style(plain("{bar:24} {pos}/{len} units, {wide_msg}"));
    let mut slots: BTreeMap<usize, ProgressBar> = BTreeMap::new();
    loop {
        {
            let mut state = lock(state);
            let now = Instant::now();
            let figures = state.figures(now);
            total.set_length(state.units);
            total.set_position(state.done);
            total.set_message(figures);
            slots.retain(|slot, bar| {
                let running = state.slots.contains_key(slot);
                if !running {
                    bars.remove(bar);
                }
                running
            });
            for (slot, running) in &state.slots {
                let bar = slots.entry(*slot).or_insert_with(|| {
                    let bar = bars.add(ProgressBar::new_spinner());
                    bar.set_style(plain("  {wide_msg}"));
                    bar
                });
                bar.set_message(format!(
                    "{}  {}, {}, {}",
                    running.what,
                    counted(running.rows, "row"),
                    bytes(running.bytes),
                    whole_seconds(now.duration_since(running.since))
                ));
            }
        }
        if stopped.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::UnitReport;
    use crate::unit::{Day, TemplateName, TenantName, Unit, Window};

    fn unit(outcome: Outcome) -> Event {
        Event::Unit(UnitReport {
            unit: Unit {
                tenant: TenantName::parse("acme").unwrap(),
                template: TemplateName::parse("flights").unwrap(),
                day: Day::from_pg_days(0),
            },
            outcome,
            rows: 10,
            bytes: 100,
            digest: None,
            relation: None,
            tries: 1,
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
            state.figures(now).ends_with("1 failed, about 10 s left"),
            "{}",
            state.figures(now)
        );
    }

    #[test]
    fn finishing_twice_and_dropping_ends_quietly() {
        for style in [Style::Bars, Style::Lines, Style::Silent] {
            let progress = Progress::new(style);
            progress.event(&Event::Planned {
                units: 1,
                skipped: 0,
            });
            progress.finish();
            progress.finish();
        }
    }
}
