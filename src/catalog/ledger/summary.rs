//! The days of pairs, counted and put together to ranges by the server: an answer has one row for each pair, however many
//! units the ledger has.
//!
//! # Memory usage
//!
//! Each pair's ranges. The server sorts 40 bytes for each unit, within its `work_mem`.

use super::day_ranges::{
    ASKED, AskedColumns, AskedPair, LANDED, RANGES, SETTLED, bounds, overdue, windows,
};
use crate::error::Result;
use crate::pg::{Row, Session};
use crate::unit::{Day, Window};

/// Which units count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// All, or those of a window. A day that failed, or that is in its file alone, is not missing.
    All(Option<Window>),
    /// Days that are expected and in the warehouse.
    LoadedAndExpected,
}

/// The days of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaySummary {
    /// Days in the warehouse.
    pub loaded: u64,
    /// Days with a file that holds the rows of the ledger.
    pub landed: u64,
    /// Days whose latest try failed, and that are nowhere.
    pub failed: u64,
    /// Days with rows that are not settled.
    pub unsettled: u64,
    /// Of the days in the warehouse.
    pub rows: u64,
    pub last_loaded: Option<Day>,
    pub failed_days: Vec<Window>,
    /// Expected days that are not there.
    pub missing_days: Vec<Window>,
    /// Unsettled days that a daily `sync` would have compared again by now.
    pub overdue_days: Vec<Window>,
}

impl DaySummary {
    /// The number of missing days.
    pub fn missing(&self) -> usize {
        self.missing_days.iter().map(Window::len).sum()
    }
}

/// The days that should be there by `today`: from a pair's first day on, of `days` if there is a selection.
pub fn expected_days(first: Option<Day>, days: Option<Window>, today: Day) -> Option<Window> {
    let first = first?;
    let from = days.map_or(first, |days| days.from.max(first));
    let to = days.map_or(today, |days| days.to.min(today));
    (from < to).then(|| Window::new(from, to))
}

/// SQL: `$1` to `$5` are the pairs, `$6` is the date, `$7` and `$8` are the window, `$9`: only loaded days that are expected.
///
/// OFFSET 0: each unit is cut down to what counts before the units are sorted by pair.
fn summary_sql(wh: &str) -> String {
    let overdue = overdue("$6::date");
    format!(
        "WITH asked AS (SELECT * FROM {ASKED}), \
         units AS (SELECT a.n, u.day, u.rows, u.state = 'loaded' AS loaded, u.state = 'failed' AS failed, \
                {LANDED} AS landed, {SETTLED} AS settled, {overdue} AS overdue \
             FROM asked a JOIN {wh}.unit u ON u.tenant = a.tenant AND u.template = a.template \
             WHERE u.day >= coalesce($7::date, '-infinity') AND u.day < coalesce($8::date, 'infinity') \
               AND (NOT $9::boolean OR u.state = 'loaded' AND u.day >= a.from_day AND u.day < a.to_day) OFFSET 0), \
         counted AS (SELECT u.n, count(*) FILTER (WHERE u.loaded) AS loaded, \
                count(*) FILTER (WHERE u.landed) AS landed, count(*) FILTER (WHERE u.failed) AS failed, \
                count(*) FILTER (WHERE NOT u.failed AND NOT u.settled) AS unsettled, \
                sum(u.rows) FILTER (WHERE u.loaded) AS rows, max(u.day) FILTER (WHERE u.loaded) AS last_loaded, \
                {RANGES} FILTER (WHERE u.failed) AS failed_days, \
                {RANGES} FILTER (WHERE u.loaded OR u.failed OR u.landed) AS days_there, \
                {RANGES} FILTER (WHERE NOT u.failed AND u.overdue) AS overdue_days \
             FROM units u GROUP BY u.n) \
         SELECT coalesce(c.loaded, 0), coalesce(c.landed, 0), coalesce(c.failed, 0), coalesce(c.unsettled, 0), \
                coalesce(c.rows, 0)::bigint, c.last_loaded, {}, {}, {} \
         FROM asked a LEFT JOIN counted c ON c.n = a.n ORDER BY a.n",
        bounds("c.failed_days"),
        bounds("datemultirange(daterange(a.from_day, a.to_day)) - coalesce(c.days_there, '{}')"),
        bounds("c.overdue_days"),
    )
}

/// Sums up the days of pairs, in their order.
///
/// # Errors
/// The warehouse's.
pub async fn of_pairs(
    session: &Session,
    pairs: &[AskedPair<'_>],
    units: Units,
    today: Day,
) -> Result<Vec<DaySummary>> {
    let (window, only_loaded) = match units {
        Units::All(window) => (window, false),
        Units::LoadedAndExpected => (None, true),
    };
    let columns = AskedColumns::of(pairs);
    let (from, to) = (window.map(|days| days.from), window.map(|days| days.to));
    let rows = session
        .query(
            &summary_sql(session.catalog()),
            &columns.params(&[&today, &from, &to, &only_loaded]),
        )
        .await?;
    let summary = |row: &Row| {
        let count = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
        DaySummary {
            loaded: count(0),
            landed: count(1),
            failed: count(2),
            unsettled: count(3),
            rows: count(4),
            last_loaded: row.get(5),
            failed_days: windows(row, 6),
            missing_days: windows(row, 7),
            overdue_days: windows(row, 8),
        }
    };
    Ok(rows.iter().map(summary).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_the_first_and_from_today_on_are_not_expected() {
        let day = Day::from_pg_days;
        let year = Window::new(day(0), day(366));
        let expected = |first, today| expected_days(Some(day(first)), Some(year), day(today));
        assert_eq!(expected(-10, 1000), Some(year));
        assert_eq!(expected(30, 40), Some(Window::new(day(30), day(40))));
        assert_eq!(expected(400, 1000), None);
        assert_eq!(expected(40, 40), None);
        assert_eq!(expected_days(None, Some(year), day(40)), None);
        let all = expected_days(Some(day(5)), None, day(9));
        assert_eq!(all, Some(Window::new(day(5), day(9))));
    }
}
