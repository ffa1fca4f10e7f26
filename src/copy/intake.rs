//! Receives one window's rows: checks them, counts and hashes them, and assigns each to its day.

use super::digest::Digest;
use super::frame::Framer;
use super::rules::{RowFault, Rules};
use crate::error::{Error, Kind, Result};
use crate::schema::Column;
use crate::unit::{Day, Window};
use bytes::Bytes;

/// The rows received for one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub rows: u64,
    /// Bytes of tuples.
    pub bytes: u64,
    pub digest: Digest,
}

impl Tally {
    pub fn add(&mut self, tuple: &[u8]) {
        self.rows += 1;
        self.bytes += tuple.len() as u64;
        self.digest.add(tuple);
    }
}

/// Rows outside the window.
#[derive(Debug, Default)]
struct Strays {
    rows: u64,
    first: Option<Day>,
    null_times: u64,
    infinite_times: u64,
}

/// Receives one window's COPY stream, in chunks split anywhere.
pub struct Intake {
    framer: Framer,
    rules: Rules,
    columns: Vec<String>,
    time_column: String,
    window: Window,
    days: Vec<Tally>,
    strays: Strays,
}

impl Intake {
    /// `time_column` is the position of the time column in `columns`.
    pub fn new(columns: &[Column], time_column: usize, window: Window) -> Intake {
        Intake {
            framer: Framer::new(columns.len()),
            rules: Rules::new(columns, time_column),
            columns: columns.iter().map(|c| c.name.clone()).collect(),
            time_column: columns
                .get(time_column)
                .map_or_else(String::new, |c| c.name.clone()),
            window,
            days: vec![Tally::default(); window.len()],
            strays: Strays::default(),
        }
    }

    /// Also refuses values that servers of these versions (as `server_version_num`) read differently.
    #[must_use]
    pub fn between(mut self, columns: &[Column], source: u32, warehouse: u32) -> Intake {
        self.rules.between(columns, source, warehouse);
        self
    }

    /// Receives a chunk. Calls `each` with every tuple that it completes, and the index of the tuple's day in the window.
    ///
    /// Rows outside the window are counted and not passed on; [`Intake::finish`] reports them.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the stream is not a binary COPY of these columns; [`Kind::Data`], with the day, when a value
    /// does not fit its column.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(usize, &[u8])) -> Result<()> {
        self.framer.feed(chunk);
        while let Some(mut tuple) = self.framer.next_tuple()? {
            let day = match self.rules.day(&tuple) {
                Ok(day) => day,
                Err(RowFault::NullTime) => {
                    self.strays.null_times += 1;
                    continue;
                }
                Err(RowFault::InfiniteTime) => {
                    self.strays.infinite_times += 1;
                    continue;
                }
                Err(fault) => return Err(fault_error(fault, &self.columns, None)),
            };
            if !self.window.contains(day) {
                self.strays.rows += 1;
                self.strays.first = Some(self.strays.first.map_or(day, |first| first.min(day)));
                continue;
            }
            self.rules
                .apply(&mut tuple)
                .map_err(|fault| fault_error(fault, &self.columns, Some(day)))?;
            let index = usize::try_from(day.pg_days() - self.window.from.pg_days()).unwrap_or(0);
            self.days[index].add(tuple.bytes);
            each(index, tuple.bytes);
        }
        Ok(())
    }

    /// Bytes that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.framer.complete()
    }

    /// Whether a row outside the window was received. If so, nothing of this stream may be published.
    pub fn has_strays(&self) -> bool {
        self.strays.rows + self.strays.null_times + self.strays.infinite_times > 0
    }

    /// The tuples since the last call, one after another.
    pub fn take(&mut self) -> Bytes {
        self.framer.take()
    }

    /// Drops the tuples since the last call, which `each` has already seen.
    pub fn discard(&mut self) {
        self.framer.discard();
    }

    /// The tallies of the window's days, in order.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the trailer is missing; [`Kind::Data`] when rows outside the window were received, with their
    /// number and first day.
    pub fn finish(&self) -> Result<&[Tally]> {
        self.framer.finish()?;
        let strays = &self.strays;
        let time = format!("time column `{}`", self.time_column);
        let rows = |n: u64| format!("{n} row{}", if n == 1 { "" } else { "s" });
        if strays.null_times > 0 {
            return Err(Error::new(
                Kind::Data,
                format!("{} with a null in {time}", rows(strays.null_times)),
            )
            .with_hint("filter them out in the template's query, or set a time there"));
        }
        if strays.infinite_times > 0 {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "{} with an infinite time in {time}",
                    rows(strays.infinite_times)
                ),
            )
            .with_hint("filter them out in the template's query"));
        }
        if let Some(first) = strays.first {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "{} outside {}, the first on {first}",
                    rows(strays.rows),
                    self.window
                ),
            )
            .with_hint("the query must return only rows with {from} <= time column < {to}"));
        }
        Ok(&self.days)
    }
}

fn fault_error(fault: RowFault, columns: &[String], day: Option<Day>) -> Error {
    let (column, what, hint) = match fault {
        RowFault::TooLong { column } => (
            column,
            "a value is longer than the column allows",
            "declare a greater length or `text`, or shorten the value in the query",
        ),
        RowFault::TooManyDecimals { column } => (
            column,
            "a value has more decimal places than the column's scale",
            "declare a greater scale, or set `round = true` for the column",
        ),
        RowFault::InfiniteInterval { column } => (
            column,
            "an interval at its limit, which is infinite for PostgreSQL 17 and newer and finite for older versions",
            "replace it in the query, for example with `CASE WHEN isfinite(c) THEN c END`",
        ),
        RowFault::Malformed { column } => (
            column,
            "a value's bytes do not match the column's type",
            "compare the column's type in the template with the source",
        ),
        RowFault::NullTime | RowFault::InfiniteTime => (0, "no time", ""),
    };
    let name = columns.get(column).map_or("?", String::as_str);
    let error = Error::new(Kind::Data, format!("column `{name}`: {what}")).with_hint(hint);
    match day {
        Some(day) => error.on_day(day),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{HEADER, TRAILER};
    use super::*;
    use crate::schema::PgType;
    use crate::unit::DAY_MICROS;
    use proptest::prelude::*;

    fn columns() -> Vec<Column> {
        [("at", "timestamptz"), ("note", "varchar(5)")]
            .map(|(name, ty)| Column {
                name: name.into(),
                ty: PgType::parse(ty).unwrap(),
                round: false,
                land: None,
                mask: None,
            })
            .to_vec()
    }

    fn window() -> Window {
        Window::new(Day::from_pg_days(10), Day::from_pg_days(13))
    }

    #[test]
    fn an_interval_that_the_two_servers_read_differently_is_refused() {
        let bytes = |micros: i64, days: i32, months: i32| {
            let mut value = micros.to_be_bytes().to_vec();
            value.extend_from_slice(&days.to_be_bytes());
            value.extend_from_slice(&months.to_be_bytes());
            value
        };
        let array = |elements: &[Option<Vec<u8>>]| {
            let count = i32::try_from(elements.len()).unwrap();
            let head = [
                1,
                i32::from(elements.iter().any(Option::is_none)),
                1186,
                count,
                1,
            ];
            let mut value: Vec<u8> = head.iter().flat_map(|n| n.to_be_bytes()).collect();
            for element in elements {
                let len = element
                    .as_ref()
                    .map_or(-1, |e| i32::try_from(e.len()).unwrap());
                value.extend_from_slice(&len.to_be_bytes());
                value.extend_from_slice(element.as_deref().unwrap_or_default());
            }
            value
        };
        let infinite = bytes(i64::MAX, i32::MAX, i32::MAX);
        let minus = bytes(i64::MIN, i32::MIN, i32::MIN);
        let finite = bytes(i64::MAX, i32::MAX, i32::MAX - 1);
        let cases = [
            ("interval", infinite.clone(), true),
            ("interval", minus.clone(), true),
            ("interval", finite.clone(), false),
            (
                "interval[]",
                array(&[Some(finite.clone()), None, Some(minus)]),
                true,
            ),
            ("interval[]", array(&[Some(finite), None]), false),
            // The same bytes in another type are nobody's business.
            ("uuid", infinite, false),
        ];
        for (ty, value, differs) in cases {
            let mut columns = columns();
            columns[1].ty = PgType::parse(ty).unwrap();
            for (source, warehouse) in [
                (150_018, 180_004),
                (180_004, 169_999),
                (170_000, 180_000),
                (120_000, 160_014),
            ] {
                let mut row = vec![0, 2, 0, 0, 0, 8];
                row.extend_from_slice(&(10 * DAY_MICROS).to_be_bytes());
                row.extend_from_slice(&i32::try_from(value.len()).unwrap().to_be_bytes());
                row.extend_from_slice(&value);
                let mut intake =
                    Intake::new(&columns, 0, window()).between(&columns, source, warehouse);
                let result = intake.push(&[HEADER.as_slice(), &row].concat(), |_, _| {});
                let mixed = (source >= 170_000) != (warehouse >= 170_000);
                assert_eq!(
                    result.is_err(),
                    differs && mixed,
                    "{ty} from {source} to {warehouse}"
                );
            }
        }
    }

    fn tuple(micros: Option<i64>, note: Option<&str>) -> Vec<u8> {
        let mut t = vec![0, 2];
        match micros {
            Some(m) => {
                t.extend_from_slice(&[0, 0, 0, 8]);
                t.extend_from_slice(&m.to_be_bytes());
            }
            None => t.extend_from_slice(&[0xff; 4]),
        }
        match note {
            Some(n) => {
                t.extend_from_slice(&u32::try_from(n.len()).unwrap().to_be_bytes());
                t.extend_from_slice(n.as_bytes());
            }
            None => t.extend_from_slice(&[0xff; 4]),
        }
        t
    }

    fn stream(tuples: &[Vec<u8>]) -> Vec<u8> {
        [&HEADER[..], &tuples.concat(), &TRAILER].concat()
    }

    fn intake() -> Intake {
        Intake::new(&columns(), 0, window())
    }

    #[test]
    fn golden_bytes_of_header_tuple_and_trailer() {
        // What `COPY (SELECT '2000-01-11 00:00:00+00'::timestamptz, 'ab'::varchar) TO STDOUT (FORMAT binary)` sends.
        let golden = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\
            \0\x02\0\0\0\x08\0\0\0\xc9\x2a\x69\xc0\0\0\0\0\x02ab\
            \xff\xff";
        assert_eq!(stream(&[tuple(Some(10 * DAY_MICROS), Some("ab"))]), golden);
        let mut intake = intake();
        intake.push(golden, |_, _| {}).unwrap();
        let tallies = intake.finish().unwrap();
        assert_eq!((tallies[0].rows, tallies[0].bytes), (1, 20));
        assert_eq!(intake.take()[..], golden[19..39]);
    }

    #[test]
    fn a_stream_without_its_trailer_is_an_error_worth_a_retry() {
        let whole = stream(&[tuple(Some(10 * DAY_MICROS), None)]);
        for cut in 0..whole.len() {
            let mut intake = intake();
            intake.push(&whole[..cut], |_, _| {}).unwrap();
            assert!(intake.finish().unwrap_err().is_transient(), "cut at {cut}");
        }
    }

    #[test]
    fn rows_outside_the_window_are_counted_and_the_first_day_named() {
        let mut intake = intake();
        let rows = [15, 9, 14, 11].map(|d| tuple(Some(d * DAY_MICROS), None));
        intake.push(&stream(&rows), |_, _| {}).unwrap();
        assert!(intake.has_strays());
        let error = intake.finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 rows outside 2000-01-11 … 2000-01-13, the first on 2000-01-10"
        );
    }

    #[test]
    fn null_and_infinite_times_are_counted() {
        for (time, what) in [
            (None, "null"),
            (Some(i64::MAX), "infinite"),
            (Some(i64::MIN), "infinite"),
        ] {
            let mut intake = intake();
            intake
                .push(&stream(&[tuple(time, None)]), |_, _| {})
                .unwrap();
            let error = intake.finish().unwrap_err().to_string();
            assert!(
                error.starts_with("1 row with") && error.contains(what),
                "{error}"
            );
        }
    }

    #[test]
    fn a_value_too_long_names_column_and_day_but_not_the_value() {
        let mut intake = intake();
        let rows = [tuple(Some(11 * DAY_MICROS), Some("secret"))];
        let error = intake.push(&stream(&rows), |_, _| {}).unwrap_err();
        assert_eq!(error.day(), Some(Day::from_pg_days(11)));
        assert!(error.to_string().contains("`note`"));
        assert!(!format!("{error:?}").contains("secret"));
    }

    #[test]
    fn garbage_is_an_error_not_a_panic() {
        for garbage in [
            &b"PGCOPX"[..],
            b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0",
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03",
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\xff\xff\xff\xfe",
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff\0",
        ] {
            let error = intake().push(garbage, |_, _| {}).unwrap_err();
            assert_eq!(error.kind(), Kind::Protocol);
        }
    }

    proptest! {
        /// Any split of the stream into chunks gives the same tuples, the same routing and the same digests.
        #[test]
        fn any_split_gives_the_same_tuples_and_digest(
            rows in prop::collection::vec((10i64..13, 0i64..DAY_MICROS, prop::option::of("[a-zé]{0,5}")), 0..30),
            cuts in prop::collection::vec(1usize..40, 0..200),
        ) {
            let tuples: Vec<_> = rows
                .iter()
                .map(|(day, micros, note)| tuple(Some(day * DAY_MICROS + micros), note.as_deref()))
                .collect();
            let whole = stream(&tuples);
            let mut expected = [Tally::default(); 3];
            for ((day, _, _), tuple) in rows.iter().zip(&tuples) {
                expected[usize::try_from(day - 10).unwrap()].add(tuple);
            }
            let mut intake = intake();
            let (mut rest, mut taken, mut routed) = (&whole[..], Vec::new(), Vec::new());
            for (i, cut) in cuts.iter().chain(std::iter::repeat(&usize::MAX)).enumerate() {
                let (chunk, behind) = rest.split_at((*cut).min(rest.len()));
                intake.push(chunk, |index, tuple| routed.push((index, tuple.to_vec()))).unwrap();
                if i % 3 == 0 {
                    taken.extend_from_slice(&intake.take());
                }
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            taken.extend_from_slice(&intake.take());
            prop_assert_eq!(intake.finish().unwrap(), &expected[..]);
            prop_assert_eq!(taken, tuples.concat());
            let days: Vec<_> = rows.iter().map(|(day, _, _)| usize::try_from(day - 10).unwrap()).collect();
            prop_assert_eq!(routed, days.into_iter().zip(tuples).collect::<Vec<_>>());
        }
    }
}
