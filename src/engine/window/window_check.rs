//! Does a window of several days give each day the rows that it has alone?
//!
//! A query that groups, limits or numbers rows of several days together does not: what a day gets then depends on the days
//! that happened to be fetched with it. Before a pair's first load a few of its days are fetched as one window and one by
//! one, in one snapshot of the source, and compared by count and digest. Nothing is written.
//!
//! # Memory usage
//!
//! A tally for each day: rows are counted, digested and dropped.

use super::drain::{RowSink, drain};
use crate::catalog::Pair;
use crate::catalog::registry::windows::Windows;
use crate::config::Settings;
use crate::copy::{Intake, Tally};
use crate::engine::report::progress::WindowProgress;
use crate::engine::schedule::retry;
use crate::engine::schedule::sessions::Sessions;
use crate::error::{Error, Kind, Result};
use crate::pg::{Access, Session};
use crate::template::{copy_out_sql, has_rows_sql};
use crate::unit::{Day, TemplateName, Window};
use std::ops::ControlFlow;
use std::time::Duration;

/// A comparison that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Days before the last two with rows that are compared with them, if they are small.
const DAYS_BEFORE: i32 = 2;

/// A longer window is not compared day by day: nearly all of its days are empty.
const SHORT_WINDOW: usize = 7;

/// Two days may together have so many times the bytes of a window that is held in memory.
const LARGE: usize = 4;

/// What comparing a window with its days came to.
#[derive(Debug)]
pub enum WindowCheck {
    /// Recorded for the pair.
    Found(Windows),
    /// A day has other rows alone: why nothing may be loaded so.
    Differs(Error),
    /// Fewer than two days have rows: there is nothing to compare yet.
    NothingToCompare,
    /// It could not be found out; this run fetches days one by one.
    Unknown(Error),
}

/// Compares a window of `days` with its days, in the session of `sessions` with the source.
///
/// # Errors
/// The source cannot be reached.
pub async fn check_windows(
    pair: &Pair,
    sessions: &mut Sessions,
    access: &Access,
    days: Window,
    settings: &Settings,
) -> Result<WindowCheck> {
    let comparison = Comparison {
        pair,
        access,
        settings,
    };
    let patience = PATIENCE.min(settings.load.stall_timeout);
    let compared = tokio::time::timeout(patience, comparison.compare(sessions, days)).await;
    match compared {
        // The transaction is still open.
        Ok(Ok(Compared::Same(_) | Compared::Differs(..) | Compared::Nothing)) => {
            sessions.roll_back_source().await;
        }
        _ => sessions.abort_source().await,
    }
    match compared {
        Ok(Ok(Compared::Differs(window, day))) => {
            Ok(WindowCheck::Differs(comparison.refusal(window, day)))
        }
        Ok(Ok(Compared::Same(window))) => Ok(WindowCheck::Found(Windows::Proved(Some(window)))),
        Ok(Ok(Compared::TooLarge)) => Ok(WindowCheck::Found(Windows::ByDay)),
        Ok(Ok(Compared::Nothing)) => Ok(WindowCheck::NothingToCompare),
        Ok(Err(error)) if error.kind() == Kind::Connect => Err(error),
        // If it is about a day's rows, the load of that day reports it.
        Ok(Err(error)) => Ok(WindowCheck::Unknown(error)),
        Err(_) => Ok(WindowCheck::Unknown(Error::new(
            Kind::Stalled,
            format!("it takes longer than {} s", patience.as_secs()),
        ))),
    }
}

enum Compared {
    Same(Window),
    Differs(Window, Day),
    TooLarge,
    Nothing,
}

/// The latest day with rows.
enum Latest {
    Day(Day),
    None,
    /// The window has rows, but neither of its halves, of which one begins with the day.
    OnlyTogether(Window, Day),
}

struct Comparison<'a> {
    pair: &'a Pair,
    access: &'a Access,
    settings: &'a Settings,
}

impl Comparison<'_> {
    async fn compare(&self, sessions: &mut Sessions, days: Window) -> Result<Compared> {
        let session = self.begin(sessions).await?;
        let last = match self.latest_day(session, days).await? {
            Latest::Day(day) => day,
            Latest::None => return Ok(Compared::Nothing),
            Latest::OnlyTogether(window, day) => return Ok(Compared::Differs(window, day)),
        };
        if last == days.from {
            return Ok(Compared::Nothing);
        }
        let before = Window::new(days.from, last);
        let other = match self.latest_day(session, before).await? {
            Latest::Day(day) => day,
            Latest::None => return Ok(Compared::Nothing),
            Latest::OnlyTogether(window, day) => return Ok(Compared::Differs(window, day)),
        };
        session.batch("COMMIT").await?;
        let narrow = Window::new(other, last.next());
        let wide = Window::new(other.plus(-DAYS_BEFORE).max(days.from), last.next());
        let budget = self.settings.load.window_bytes;
        for (window, most) in [(wide, budget), (narrow, budget.saturating_mul(LARGE))] {
            let session = self.begin(sessions).await?;
            if let Some(tallies) = self.tallies(session, window, most).await? {
                return self.compare_parts(session, window, &tallies, most).await;
            }
            // In the middle of a COPY.
            sessions.abort_source().await;
        }
        Ok(Compared::TooLarge)
    }

    /// Compares the tallies of a window's days with those that they have alone. `session` still has the snapshot of the
    /// window.
    async fn compare_parts(
        &self,
        session: &Session,
        window: Window,
        whole: &[Tally],
        most: usize,
    ) -> Result<Compared> {
        let mut whole = window.days().zip(whole);
        for part in parts(window) {
            let Some(tallies) = self.tallies(session, part, most).await? else {
                return Ok(Compared::TooLarge);
            };
            let alone = part.days().zip(&tallies);
            // The part first: when it ends, nothing of the window may be taken.
            for ((_, alone), (day, together)) in alone.zip(whole.by_ref()) {
                if together != alone {
                    return Ok(Compared::Differs(window, day));
                }
            }
        }
        Ok(Compared::Same(window))
    }

    /// Begins a transaction whose queries all see the source at one moment.
    async fn begin<'s>(&self, sessions: &'s mut Sessions) -> Result<&'s Session> {
        retry::a_few_times(async || sessions.source(self.access).await.map(|_| ())).await?;
        let session = sessions.source(self.access).await?;
        let tenant = &self.pair.tenant;
        let transaction = tenant.transaction(self.settings.load.statement_timeout);
        transaction.begin(session).await?;
        Ok(session)
    }

    fn query(&self, window: Window) -> Result<String> {
        self.pair.template.bind(&self.pair.tenant.bindings(window))
    }

    /// The latest of `days` that has rows. Windows grow backwards until one has a row, and are halved from there.
    async fn latest_day(&self, session: &Session, days: Window) -> Result<Latest> {
        let (mut to, mut length) = (days.to, 1);
        let mut hit = loop {
            if to <= days.from {
                return Ok(Latest::None);
            }
            let window = Window::new(to.plus(-length).max(days.from), to);
            if self.has_rows(session, window).await? {
                break window;
            }
            (to, length) = (window.from, length.saturating_mul(2));
        };
        while let Some((early, late)) = hit.halves() {
            hit = if self.has_rows(session, late).await? {
                late
            } else if self.has_rows(session, early).await? {
                early
            } else {
                // Neither half has rows, but both together do: `HAVING count(*) > 100`.
                return Ok(Latest::OnlyTogether(hit, early.from));
            };
        }
        Ok(Latest::Day(hit.from))
    }

    async fn has_rows(&self, session: &Session, window: Window) -> Result<bool> {
        let sql = has_rows_sql(&self.query(window)?);
        let rows = session.simple(&sql).await?;
        Ok(rows.value(0, 0) == Some("t"))
    }

    /// Count and digest of each day of a window; `None` when it has more than `most` bytes.
    async fn tallies(
        &self,
        session: &Session,
        window: Window,
        most: usize,
    ) -> Result<Option<Vec<Tally>>> {
        let template = &self.pair.template;
        let sql = copy_out_sql(template, &self.query(window)?, self.settings.masks.as_ref());
        let rows = session.copy_out(&sql).await?;
        let mut intake = Intake::new(&template.columns, template.time_index(), window);
        let progress = WindowProgress::silent();
        drain(rows, &mut intake, &progress, &mut UpTo(most)).await
    }

    fn refusal(&self, window: Window, day: Day) -> Error {
        let (tenant, template) = (&self.pair.tenant.name, &self.pair.template.name);
        Error::refused(format!(
            "{day} has other rows alone than in the window {window}: the query's result depends on the window, or differs \
             from pull to pull (`random()`, an aggregate or LIMIT without ORDER BY)"
        ))
        .with_hint(ways_out(
            template,
            &format!(
                "run `dayhaul tenant enable {tenant} --template {template} --assume-window-safe`"
            ),
        ))
    }
}

/// What to do about a query whose result depends on the window; `vouch` accepts it.
pub fn ways_out(template: &TemplateName, vouch: &str) -> String {
    format!(
        "write `windows = \"day\"` in the comment of template `{template}`, or use {{day}}, or add the day to its grouping, \
         and run `dayhaul template load` again; if the difference is meant, {vouch}"
    )
}

/// A short window's days; of a long one its first day, its last, and all between them together.
fn parts(window: Window) -> Vec<Window> {
    if window.len() <= SHORT_WINDOW {
        return window.days().map(Window::single).collect();
    }
    let (first, last) = (
        Window::single(window.from),
        Window::single(window.to.plus(-1)),
    );
    vec![first, Window::new(first.to, last.from), last]
}

/// Ends a stream that has more bytes.
struct UpTo(usize);

impl RowSink for UpTo {
    fn row(&mut self, _day: usize, _tuple: &[u8]) {}

    async fn settle(&mut self, bytes: usize) -> Result<ControlFlow<()>> {
        Ok(if bytes > self.0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_window_are_all_of_it() {
        for days in 2..40 {
            let first = Day::from_pg_days(0);
            let window = Window::new(first, first.plus(days));
            let of_parts: Vec<Day> = parts(window).iter().flat_map(Window::days).collect();
            assert_eq!(of_parts, window.days().collect::<Vec<_>>());
            assert!(parts(window).len() <= SHORT_WINDOW);
        }
    }
}
