//! Finds the first and the last day with rows by asking a few times "is there a row in this window?", never by min and max
//! over the whole join.

use crate::error::Result;
use crate::unit::{Day, Window};

/// The first and the last day with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    pub first: Day,
    pub last: Day,
}

/// The search does not go back beyond this year.
const OLDEST_YEAR: i32 = 1970;

/// The first day of the search.
pub fn oldest() -> Day {
    Day::first_of_year(OLDEST_YEAR)
}

/// For queries that take windows of many days: exact, up to `today`. Windows grow from today backwards until one has a row,
/// and are halved from there. The first day is then found by halving the time before, so that most windows are empty,
/// which is fast with an index.
///
/// # Errors
/// Those of `has_rows`.
pub async fn by_windows(
    today: Day,
    has_rows: &mut impl AsyncFnMut(Window) -> Result<bool>,
) -> Result<Option<DayRange>> {
    let floor = oldest();
    let mut to = today.next();
    let mut days = 1;
    let mut hit = loop {
        if to <= floor {
            return Ok(None);
        }
        let window = Window::new(to.plus(-days).max(floor), to);
        if has_rows(window).await? {
            break window;
        }
        (to, days) = (window.from, days * 2);
    };
    while let Some((early, late)) = hit.halves() {
        hit = if has_rows(late).await? { late } else { early };
    }
    let last = hit.from;
    let mut before = Window::new(floor, last.next());
    while let Some((early, late)) = before.halves() {
        before = if has_rows(early).await? { early } else { late };
    }
    Ok(Some(DayRange {
        first: before.from,
        last,
    }))
}

/// A day without rows may be a closed Sunday: only this many empty days in a row count as empty.
const NEIGHBOURS: i32 = 3;

/// How far back the last day is searched, in days; doubled from 1, so 13 steps.
const REACH: i32 = 1 << 12;

/// For queries that take one day at a time: approximate, for tenants without gaps of more than a few days.
///
/// # Errors
/// Those of `has_rows`.
pub async fn by_days(
    today: Day,
    has_rows: &mut impl AsyncFnMut(Window) -> Result<bool>,
) -> Result<Option<DayRange>> {
    let mut empty = today.next();
    let mut full = None;
    let mut back = 0;
    while full.is_none() && back <= REACH {
        let day = today.plus(-back);
        if any_near(day, has_rows).await? {
            full = Some(day);
        } else {
            empty = day;
        }
        back = (back * 2).max(1);
    }
    let Some(mut last) = full else {
        return Ok(None);
    };
    let known = last;
    while last.next() < empty {
        let middle = last.plus((empty.pg_days() - last.pg_days()) / 2);
        if any_near(middle, has_rows).await? {
            last = middle;
        } else {
            empty = middle;
        }
    }
    let (mut first, mut step) = (known, 1);
    let floor = oldest();
    let mut empty = loop {
        let day = known.plus(-step);
        if day <= floor || !any_near(day, has_rows).await? {
            break day.max(floor);
        }
        (first, step) = (day, step * 2);
    };
    while empty.next() < first {
        let middle = first.plus((empty.pg_days() - first.pg_days()) / 2);
        if any_near(middle, has_rows).await? {
            first = middle;
        } else {
            empty = middle;
        }
    }
    Ok(Some(DayRange { first, last }))
}

/// Whether the day, or one of the few before it, has rows.
async fn any_near(
    day: Day,
    has_rows: &mut impl AsyncFnMut(Window) -> Result<bool>,
) -> Result<bool> {
    for back in 0..NEIGHBOURS {
        if has_rows(Window::single(day.plus(-back))).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    async fn find(days: &BTreeSet<Day>, one_day: bool) -> (Option<DayRange>, usize) {
        let mut probes = 0;
        let mut has_rows = async |window: Window| {
            probes += 1;
            assert!(!one_day || window.len() == 1);
            Ok(days.iter().any(|d| window.contains(*d)))
        };
        let today = day("2024-06-30");
        let found = if one_day {
            by_days(today, &mut has_rows).await
        } else {
            by_windows(today, &mut has_rows).await
        };
        (found.unwrap(), probes)
    }

    #[tokio::test]
    async fn windows_find_the_first_and_last_day_whatever_lies_between() {
        for (first, last) in [
            ("2024-06-30", "2024-06-30"),
            ("2013-01-01", "2014-01-01"),
            ("1999-12-31", "2024-06-29"),
            ("1970-01-01", "1970-01-01"),
        ] {
            let days = BTreeSet::from([day(first), day(last)]);
            let (found, probes) = find(&days, false).await;
            let (first, last) = (day(first), day(last));
            assert_eq!(found, Some(DayRange { first, last }));
            assert!(probes < 50, "{probes}");
        }
        assert_eq!(find(&BTreeSet::new(), false).await.0, None);
    }

    #[tokio::test]
    async fn single_days_find_the_range_of_rows_without_long_gaps() {
        let first = day("2022-03-07");
        // Closed on weekends.
        let days: BTreeSet<Day> = (0..700)
            .filter(|n| n % 7 < 5)
            .map(|n| first.plus(n))
            .collect();
        let (found, probes) = find(&days, true).await;
        let DayRange {
            first: from,
            last: to,
        } = found.unwrap();
        let last = *days.last().unwrap();
        assert!(from >= first && from <= first.plus(NEIGHBOURS), "{from}");
        assert!(to >= last && to <= last.plus(NEIGHBOURS), "{to}");
        assert!(probes < 120, "{probes}");
        assert_eq!(find(&BTreeSet::new(), true).await.0, None);
    }
}
