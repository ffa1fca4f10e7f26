//! A UTC day, and a window of consecutive days. Below [`crate::error`], since an error can name the day that caused it.

use chrono::{Datelike, NaiveDate};
use std::fmt;
use std::str::FromStr;

/// One UTC calendar date, counted in days since 2000-01-01 (PostgreSQL's epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// Microseconds of one UTC day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Days between 0001-01-01 (day 1 of the proleptic Gregorian calendar) and 2000-01-01.
const EPOCH_FROM_CE: i32 = 730_120;

impl Day {
    pub fn from_pg_days(days: i32) -> Day {
        Day(days)
    }

    /// Days since 2000-01-01.
    pub fn pg_days(self) -> i32 {
        self.0
    }

    /// The day that contains a timestamp, in microseconds since 2000-01-01 00:00 UTC.
    pub fn of_micros(micros: i64) -> Day {
        // i64 microseconds span ±106,751,991 days: fits an i32.
        #[allow(clippy::cast_possible_truncation)]
        Day(micros.div_euclid(DAY_MICROS) as i32)
    }

    /// Midnight at the start of the day, in microseconds since 2000-01-01 00:00 UTC.
    pub fn micros(self) -> i64 {
        i64::from(self.0) * DAY_MICROS
    }

    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Day> {
        NaiveDate::from_ymd_opt(year, month, day).map(Day::from)
    }

    pub fn first_of_year(year: i32) -> Day {
        Day::from(NaiveDate::from_yo_opt(year, 1).unwrap_or(NaiveDate::MIN))
    }

    /// Today in UTC, by this machine's clock.
    pub fn today() -> Day {
        Day::from(chrono::Utc::now().date_naive())
    }

    pub fn date(self) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(self.0 + EPOCH_FROM_CE).unwrap_or(NaiveDate::MAX)
    }

    pub fn year(self) -> i32 {
        self.date().year()
    }

    #[must_use]
    pub fn next(self) -> Day {
        Day(self.0 + 1)
    }

    #[must_use]
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }

    /// The suffix of a day table's name: `2024_01_15`.
    pub fn suffix(self) -> String {
        self.date().format("%Y_%m_%d").to_string()
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Day {
        Day(date.num_days_from_ce() - EPOCH_FROM_CE)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date().format("%Y-%m-%d"))
    }
}

impl FromStr for Day {
    type Err = ParseDayError;

    /// `YYYY-MM-DD`, years 1 to 9999.
    fn from_str(s: &str) -> Result<Day, ParseDayError> {
        let wrong = || ParseDayError(s.to_owned());
        if s.len() != 10 {
            return Err(wrong());
        }
        let date = NaiveDate::parse_from_str(s, "%Y-%m-%d").map_err(|_| wrong())?;
        if date.year() < 1 {
            return Err(wrong());
        }
        Ok(Day::from(date))
    }
}

/// The text that is not a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseDayError(String);

impl fmt::Display for ParseDayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a day: write it as YYYY-MM-DD", self.0)
    }
}

impl std::error::Error for ParseDayError {}

/// Consecutive days, `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    pub from: Day,
    /// The first day that is *not* in the window.
    pub to: Day,
}

impl Window {
    pub fn new(from: Day, to: Day) -> Window {
        debug_assert!(from < to, "a window has at least one day");
        Window { from, to }
    }

    pub fn single(day: Day) -> Window {
        Window::new(day, day.next())
    }

    pub fn contains(&self, day: Day) -> bool {
        self.from <= day && day < self.to
    }

    /// The number of days.
    pub fn len(&self) -> usize {
        usize::try_from(self.to.0 - self.from.0).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn days(&self) -> impl Iterator<Item = Day> + use<> {
        (self.from.0..self.to.0).map(Day)
    }

    /// Groups days, in ascending order, into windows of consecutive days.
    pub fn runs(days: impl IntoIterator<Item = Day>) -> Vec<Window> {
        let mut runs: Vec<Window> = Vec::new();
        for day in days {
            match runs.last_mut() {
                Some(run) if run.to == day => run.to = day.next(),
                _ => runs.push(Window::single(day)),
            }
        }
        runs
    }

    /// Splits the window into the days before `day`, `day` itself, and the days after it.
    pub fn around(&self, day: Day) -> Vec<Window> {
        let mut pieces = Vec::with_capacity(3);
        if self.from < day {
            pieces.push(Window::new(self.from, day));
        }
        pieces.push(Window::single(day));
        if day.next() < self.to {
            pieces.push(Window::new(day.next(), self.to));
        }
        pieces
    }

    /// Both halves; the first is never shorter. `None` for a single day.
    pub fn halves(&self) -> Option<(Window, Window)> {
        let n = i32::try_from(self.len()).unwrap_or(i32::MAX);
        if n < 2 {
            return None;
        }
        let middle = self.from.plus((n + 1) / 2);
        Some((Window::new(self.from, middle), Window::new(middle, self.to)))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len() == 1 {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{} … {}", self.from, self.to.plus(-1))
        }
    }
}

/// A part of a day's time, `[from, to)`, in microseconds since 2000-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    pub from: i64,
    pub to: i64,
}

impl TimeRange {
    /// A day in so many ranges of about the same length, each of whole seconds.
    pub fn of_day(day: Day, ranges: usize) -> Vec<TimeRange> {
        const SECOND: i64 = 1_000_000;
        let ranges = i64::try_from(ranges).unwrap_or(1).max(1);
        let border = |n| day.micros() + DAY_MICROS / SECOND * n / ranges * SECOND;
        (0..ranges)
            .map(|n| TimeRange {
                from: border(n),
                to: border(n + 1),
            })
            .collect()
    }

    pub fn contains(self, micros: i64) -> bool {
        self.from <= micros && micros < self.to
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} … {}", moment(self.from), moment(self.to))
    }
}

/// `2024-01-15 06:00:00`, in UTC; without the fraction of a second.
pub fn moment(micros: i64) -> String {
    let seconds = micros.rem_euclid(DAY_MICROS) / 1_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let day = Day::of_micros(micros);
    format!("{day} {hours:02}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_from_2000_and_back() {
        let day: Day = "2000-01-01".parse().unwrap();
        assert_eq!(day.pg_days(), 0);
        let day: Day = "2024-02-29".parse().unwrap();
        assert_eq!(day.to_string(), "2024-02-29");
        assert_eq!(Day::of_micros(day.micros()), day);
        assert_eq!(Day::of_micros(day.micros() - 1), day.plus(-1));
        assert_eq!(day.suffix(), "2024_02_29");
        assert_eq!(Day::first_of_year(2024).to_string(), "2024-01-01");
    }

    #[test]
    fn a_day_is_refused_unless_it_is_written_whole() {
        for wrong in [
            "2024-2-29",
            "2023-02-29",
            "yesterday",
            "",
            "0000-01-01",
            "2024/01/01",
        ] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_form_runs_that_break_at_gaps() {
        let runs = Window::runs([1, 2, 4].map(Day));
        assert_eq!(runs, [Window::new(Day(1), Day(3)), Window::single(Day(4))]);
    }

    #[test]
    fn the_ranges_of_a_day_are_all_of_it() {
        let day: Day = "2024-02-29".parse().unwrap();
        for n in 1..50 {
            let ranges = TimeRange::of_day(day, n);
            assert_eq!(ranges.len(), n);
            assert_eq!(ranges[0].from, day.micros());
            assert_eq!(ranges[n - 1].to, day.next().micros());
            assert!(ranges.windows(2).all(|two| two[0].to == two[1].from));
            assert!(ranges.iter().all(|range| range.from % 1_000_000 == 0));
        }
        let seventh = TimeRange::of_day(day, 7)[6];
        assert_eq!(
            seventh.to_string(),
            "2024-02-29 20:34:17 … 2024-03-01 00:00:00"
        );
        assert!(seventh.contains(seventh.from) && !seventh.contains(seventh.to));
    }

    #[test]
    fn a_window_splits_into_halves_that_cover_it() {
        let window = Window::new(Day(0), Day(5));
        let (a, b) = window.halves().unwrap();
        assert_eq!((a.len(), b.len()), (3, 2));
        assert_eq!((a.from, a.to, b.to), (window.from, b.from, window.to));
        assert!(Window::single(Day(3)).halves().is_none());
    }
}
