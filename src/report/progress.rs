//! Progress on standard error: bars on a terminal, a line every few seconds elsewhere.
//!
//! Events only count; a separate thread draws, so that workers never wait for a terminal.

use crate::engine::report::event::{Event, Observer};
use crate::report::numbers::{count, counted, duration};
use crate::report::progress_counts::ProgressCounts;
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

/// The bars on the terminal, if there are any; other output must move them out of the way first.
static SHOWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes to standard error with the bars out of the way.
pub fn aside<R>(write: impl FnOnce() -> R) -> R {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Observes a run and shows its progress. Ends with [`Progress::finish`], or when it is dropped.
pub struct Progress {
    style: Style,
    /// What is done to units: `load`.
    verb: &'static str,
    state: Arc<Mutex<ProgressCounts>>,
    bars: MultiProgress,
    drawing: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Progress {
    /// `verb` is what is done to units.
    pub fn new(style: Style, verb: &'static str) -> Progress {
        let state = Arc::new(Mutex::new(ProgressCounts::new()));
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
            verb,
            state,
            bars,
            drawing: Mutex::new(drawing),
        }
    }

    /// Ends it and removes the bars. Results are printed after this.
    pub fn finish(&self) {
        let drawing = self
            .drawing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((stop, thread)) = drawing {
            drop(stop);
            // A thread that panicked has nothing more to show.
            let _ = thread.join();
        }
        let _ = self.bars.clear();
        if self.style == Style::Bars {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Prints a line, above the bars.
    fn print_line(&self, text: &str) {
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
        lock(&self.state).count(event);
        match event {
            Event::Planned { units, skipped } if self.style == Style::Lines => {
                let mut text = format!("{} to {}", counted(*units as u64, "unit"), self.verb);
                if *skipped > 0 {
                    text += &format!(", {} already in the ledger", count(*skipped as u64));
                }
                self.print_line(&text);
            }
            Event::Retry {
                tenant,
                template,
                window,
                attempt,
                wait,
                error,
            } => self.print_line(&format!(
                "{tenant}/{template} {window}: attempt {attempt} failed ({error}); retrying in {}",
                duration(*wait)
            )),
            Event::Stage {
                tenant,
                template,
                what,
            } if self.style != Style::Silent => {
                self.print_line(&format!("{tenant}/{template}: {what}"));
            }
            Event::Warning(text) => self.print_line(&format!("warning: {text}")),
            _ => {}
        }
    }
}

fn lock(state: &Mutex<ProgressCounts>) -> MutexGuard<'_, ProgressCounts> {
    // Counters remain usable after a panic in another thread.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn write_lines(state: &Mutex<ProgressCounts>, stopped: &mpsc::Receiver<()>) {
    while stopped.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
        let text = {
            let mut state = lock(state);
            if state.units == 0 {
                continue;
            }
            let figures = state.figures(Instant::now());
            format!(
                "{}/{}, {figures}",
                count(state.done()),
                counted(state.units, "unit")
            )
        };
        line(&text);
    }
}

fn draw_bars(state: &Mutex<ProgressCounts>, bars: &MultiProgress, stopped: &mpsc::Receiver<()>) {
    let plain = |template| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let total = bars.add(ProgressBar::new(0));
    total.set_style(plain("{bar:16} {pos}/{len} units, {wide_msg}"));
    let mut slots: BTreeMap<usize, ProgressBar> = BTreeMap::new();
    while stopped.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
        // The terminal may be slow: do not hold the lock while writing to it.
        let Some(picture) = lock(state).picture(Instant::now()) else {
            continue;
        };
        total.set_length(picture.units);
        total.set_position(picture.done);
        total.set_message(picture.figures);
        slots.retain(|slot, bar| {
            let running = picture.slots.iter().any(|(s, _)| s == slot);
            if !running {
                bars.remove(bar);
            }
            running
        });
        for (slot, text) in picture.slots {
            // Below the total, in the order of the slots.
            let line = 1 + slots.range(..slot).count();
            let bar = slots.entry(slot).or_insert_with(|| {
                let bar = bars.insert(line, ProgressBar::new_spinner());
                bar.set_style(plain("  {wide_msg}"));
                bar
            });
            bar.set_message(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finishing_twice_and_dropping_ends_quietly() {
        for style in [Style::Bars, Style::Lines, Style::Silent] {
            let progress = Progress::new(style, "load");
            progress.event(&Event::Planned {
                units: 1,
                skipped: 0,
            });
            progress.finish();
            progress.finish();
        }
    }
}
