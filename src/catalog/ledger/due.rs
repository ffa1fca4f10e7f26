//! What a sync finds to do in the ledger, put together by the server: ranges of days, and the settled days whose turn it is.
//!
//! # Memory usage
//!
//! A pair's ranges; of the days that are compared again in turn, those that were compared on the same date as this night's.

use super::day_ranges::{ASKED, AskedColumns, AskedPair, LANDED, RANGES, SETTLED, bounds, windows};
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, Window};

/// What counts as done.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    pub today: Day,
    /// A day that is in its file alone is there.
    pub files_suffice: bool,
    /// A day that is in the warehouse needs a file, too.
    pub needs_file: bool,
    pub turns: Turns,
}

/// Settled days are compared again in turn.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// The first of them.
    pub since: Day,
    /// So many nights pass until each had its turn.
    pub nights: i64,
}

/// A settled day, whose turn may be tonight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettledDay {
    pub day: Day,
    pub checked_on: Day,
    /// Of its rows.
    pub bytes: u64,
}

/// What is due of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueDays {
    /// Days that are not there.
    pub load: Vec<Window>,
    /// Days that are there and not settled.
    pub refresh: Vec<Window>,
    /// Days that are settled and lack a file.
    pub land: Vec<Window>,
    /// How many settled days are to be compared tonight; those that were compared today already are taken off.
    pub share: usize,
    /// The settled days that were compared the longest ago, in order of days: at least the share, and all that were compared
    /// on the same date as the last of it.
    pub oldest: Vec<SettledDay>,
}

/// SQL: the unit is a day of pair `a` that is there; `$6`: its file suffices.
fn is_there() -> String {
    format!(
        "u.tenant = a.tenant AND u.template = a.template AND u.day >= a.from_day AND u.day < a.to_day \
         AND (u.state = 'loaded' OR u.state = 'landed' AND $6::boolean AND {LANDED})"
    )
}

/// SQL: it gets its file from the warehouse; `$7`: it needs one.
fn lacks_file() -> String {
    format!("(u.state = 'loaded' AND $7::boolean AND NOT {LANDED})")
}

/// OFFSET 0: each unit is cut down to what counts before the units are sorted by pair.
fn ranges_sql(wh: &str) -> String {
    format!(
        "WITH asked AS (SELECT * FROM {ASKED}), \
         units AS (SELECT a.n, u.day, {SETTLED} AS settled, {} AS lacks_file \
             FROM asked a JOIN {wh}.unit u ON {} OFFSET 0), \
         found AS (SELECT u.n, {RANGES} AS days_there, {RANGES} FILTER (WHERE NOT u.settled) AS refresh, \
                {RANGES} FILTER (WHERE u.settled AND u.lacks_file) AS land \
             FROM units u GROUP BY u.n) \
         SELECT {}, {}, {} FROM asked a LEFT JOIN found f ON f.n = a.n ORDER BY a.n",
        lacks_file(),
        is_there(),
        bounds("datemultirange(daterange(a.from_day, a.to_day)) - coalesce(f.days_there, '{}')"),
        bounds("f.refresh"),
        bounds("f.land"),
    )
}

/// SQL: `$8` is today, `$9` and `$10` are [`Turns`]. A day that could be settled only today is no part of the share.
fn oldest_sql(wh: &str) -> String {
    let settled = format!(
        "SELECT u.day, u.checked_on, u.bytes FROM {wh}.unit u WHERE {} AND {SETTLED} AND NOT {} \
         AND u.day >= $9::date AND u.day + 1 + a.lookback < $8::date",
        is_there(),
        lacks_file()
    );
    format!(
        "SELECT a.n, c.share, o.day, o.checked_on, o.bytes FROM {ASKED} \
         CROSS JOIN LATERAL (SELECT greatest((count(*) + $10::bigint - 1) / $10 \
             - count(*) FILTER (WHERE s.checked_on >= $8), 0) AS share FROM ({settled}) s) c \
         CROSS JOIN LATERAL (SELECT * FROM ({settled}) s WHERE s.checked_on < $8 \
             ORDER BY s.checked_on FETCH FIRST (c.share) ROWS WITH TIES) o \
         ORDER BY a.n, o.day"
    )
}

/// What is due of pairs, in their order.
///
/// # Errors
/// The warehouse's.
pub async fn of_pairs(
    session: &Session,
    pairs: &[AskedPair<'_>],
    due: Due,
) -> Result<Vec<DueDays>> {
    let (wh, columns) = (session.catalog(), AskedColumns::of(pairs));
    let (files_suffice, needs_file) = (&due.files_suffice, &due.needs_file);
    let rows = session
        .query(
            &ranges_sql(wh),
            &columns.params(&[files_suffice, needs_file]),
        )
        .await?;
    let mut found: Vec<DueDays> = rows
        .iter()
        .map(|row| DueDays {
            load: windows(row, 0),
            refresh: windows(row, 1),
            land: windows(row, 2),
            ..DueDays::default()
        })
        .collect();
    let Turns { since, nights } = due.turns;
    if since >= due.today {
        return Ok(found);
    }
    let rows = session
        .query(
            &oldest_sql(wh),
            &columns.params(&[files_suffice, needs_file, &due.today, &since, &nights]),
        )
        .await?;
    for row in &rows {
        let index = usize::try_from(row.get::<_, i64>(0) - 1).ok();
        if let Some(pair) = index.and_then(|index| found.get_mut(index)) {
            pair.share = usize::try_from(row.get::<_, i64>(1)).unwrap_or(0);
            pair.oldest.push(SettledDay {
                day: row.get(2),
                checked_on: row.get(3),
                bytes: u64::try_from(row.get::<_, i64>(4)).unwrap_or(0),
            });
        }
    }
    Ok(found)
}
