//! Streams with good and bad rows, split anywhere.

use super::super::frame::{HEADER, TRAILER};
use super::*;
use crate::error::Kind;
use crate::schema::PgType;
use crate::unit::{DAY_MICROS, Day};
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

/// Microseconds, days, months.
fn interval(micros: i64, days: i32, months: i32) -> Vec<u8> {
    let mut value = micros.to_be_bytes().to_vec();
    value.extend_from_slice(&days.to_be_bytes());
    value.extend_from_slice(&months.to_be_bytes());
    value
}

/// An array of intervals with one dimension.
fn array(elements: &[Option<Vec<u8>>]) -> Vec<u8> {
    let count = i32::try_from(elements.len()).unwrap();
    let nulls = i32::from(elements.iter().any(Option::is_none));
    let head = [1, nulls, 1186, count, 1];
    let mut value: Vec<u8> = head.iter().flat_map(|n: &i32| n.to_be_bytes()).collect();
    for element in elements {
        let len = element
            .as_ref()
            .map_or(-1, |e| i32::try_from(e.len()).unwrap());
        value.extend_from_slice(&len.to_be_bytes());
        value.extend_from_slice(element.as_deref().unwrap_or_default());
    }
    value
}

#[test]
fn an_interval_that_the_two_servers_read_differently_is_refused() {
    let infinite = interval(i64::MAX, i32::MAX, i32::MAX);
    let minus = interval(i64::MIN, i32::MIN, i32::MIN);
    let finite = interval(i64::MAX, i32::MAX, i32::MAX - 1);
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
fn rows_of_the_day_outside_its_range_are_strays() {
    let day = Day::from_pg_days(10);
    let ranges = TimeRange::of_day(day, 4);
    let at = |micros| tuple(Some(day.micros() + micros), None);
    let quarter = DAY_MICROS / 4;
    let rows = [at(quarter), at(2 * quarter - 1)];
    let of_second = || Intake::new(&columns(), 0, Window::single(day)).within(ranges[1]);
    let mut intake = of_second();
    intake.push(&stream(&rows), |_, _| {}).unwrap();
    assert_eq!(intake.finish().unwrap()[0].rows, 2);
    let mut intake = of_second();
    let rows = [
        at(quarter - 1),
        at(2 * quarter),
        at(4 * quarter),
        at(quarter),
    ];
    intake.push(&stream(&rows), |_, _| {}).unwrap();
    assert_eq!(
        intake.finish().unwrap_err().to_string(),
        "3 rows outside 2000-01-11 06:00:00 … 2000-01-11 12:00:00, the first on 2000-01-11"
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
