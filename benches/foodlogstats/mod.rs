//! Tuples of the template `foodlogstats`: 19 columns with realistic values.

#![allow(dead_code)] // No bench uses all of it.

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field};
use bytes::BytesMut;
use dayhaul::copy::Encoder;
use dayhaul::schema::Column;
use dayhaul::schema::arrow::arrow_schema;
use dayhaul::template::Template;
use dayhaul::unit::{DAY_MICROS, Day, TemplateName};
use std::sync::Arc;
use std::time::Duration;

/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH: i64 = 10_957 * DAY_MICROS;

const STORES: [&str; 6] = [
    "Northgate Dining Hall",
    "Café Orée",
    "Main Street Kitchen",
    "Riverside",
    "Campus Commons West",
    "Terminal 2",
];
const STATIONS: [&str; 5] = [
    "Grill, Salad Bar",
    "Pizza",
    "Dish Return",
    "Grill",
    "Bakery, Dessert, Grill",
];
const ITEMS: [&str; 8] = [
    "Roasted Chicken Thighs",
    "Jasmine Rice",
    "Crème brûlée",
    "House Salad with Vinaigrette",
    "Beef Chili",
    "Penne alla Vodka",
    "Tomato Soup",
    "Mashed Potatoes",
];
const CATEGORIES: [&str; 5] = ["Protein", "Grain", "Dessert", "Vegetable", "Soup"];
const REASONS: [&str; 4] = ["Overproduction", "Expired", "Plate waste", "Trim"];
const ACTIONS: [&str; 3] = ["Composted", "Donated", "Landfill"];
const REGIONS: [&str; 3] = ["Northeast", "Midwest", "Pacific Northwest"];

/// Number of days that the rows are distributed over.
pub const DAYS: i32 = 30;

pub fn first_day() -> Day {
    Day::from_ymd(2024, 3, 1).unwrap()
}

pub fn columns() -> Vec<Column> {
    template().columns
}

/// Position of the time column.
pub fn time_column() -> usize {
    template().time_index()
}

fn template() -> Template {
    let source = include_str!("../../templates/foodlogstats.sql");
    Template::parse(TemplateName::parse("foodlogstats").unwrap(), source).unwrap()
}

/// A generator of the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// The CPU time of this thread, so that figures do not depend on other load of the machine.
pub fn worked(iterations: u64, mut work: impl FnMut()) -> Duration {
    let before = cpu_time();
    for _ in 0..iterations {
        work();
    }
    cpu_time() - before
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The rows as columns.
pub fn batch(rows: usize) -> RecordBatch {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let [
        store,
        station,
        status,
        region,
        action,
        name,
        category,
        reason,
    ] = [
        (&STORES[..], 0),
        (&STATIONS, 15),
        (&["validated", "pending"], 5),
        (&REGIONS, 10),
        (&ACTIONS, 0),
        (&ITEMS, 0),
        (&CATEGORIES, 3),
        (&REASONS, 30),
    ]
    .map(|(values, null_percent)| texts(&mut random, rows, values, null_percent));
    let [quantity, average, weight, cost, price] = [
        Decimals::new(10, 3, 60_000, 0),
        Decimals::new(8, 3, 4_000, 60),
        Decimals::new(11, 3, 60_000, 2),
        Decimals::new(10, 4, 150_000, 5),
        Decimals::new(10, 2, 2_500, 5),
    ]
    .map(|decimals| decimals.generate(&mut random, rows));
    let target = (0..rows).map(|_| random.next(400) as f64 / 8.0);
    let target: ArrayRef = Arc::new(Float64Array::from_iter_values(target));
    let times = times(&mut random, rows);
    let flags = flags(&mut random, rows);
    let columns: Vec<ArrayRef> = vec![
        integers(rows, 71_234_567, 1, i64::MAX),
        store,
        station,
        status,
        region,
        integers(rows, 1, 1, 3),
        action,
        name,
        quantity,
        average,
        weight,
        category,
        cost,
        target,
        price,
        reason,
        integers(rows, 40, 7, 5),
        times,
        flags,
    ];
    let schema = arrow_schema(&self::columns()).unwrap();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn texts(random: &mut Random, rows: usize, from: &[&'static str], null_percent: u64) -> ArrayRef {
    let values = (0..rows).map(|_| {
        let value = from[random.next(from.len() as u64) as usize];
        (random.next(100) >= null_percent).then_some(value)
    });
    Arc::new(StringArray::from_iter(values))
}

/// A column of decimals.
struct Decimals {
    precision: u8,
    scale: i8,
    below: u64,
    zero_percent: u64,
}

impl Decimals {
    fn new(precision: u8, scale: i8, below: u64, zero_percent: u64) -> Decimals {
        Decimals {
            precision,
            scale,
            below,
            zero_percent,
        }
    }

    fn generate(self, random: &mut Random, rows: usize) -> ArrayRef {
        let values = (0..rows).map(|_| {
            if random.next(100) < self.zero_percent {
                0
            } else {
                i128::from(random.next(self.below))
            }
        });
        let array = Decimal128Array::from_iter_values(values);
        let array = array.with_precision_and_scale(self.precision, self.scale);
        Arc::new(array.unwrap())
    }
}

/// `first`, `first + step`, … and from `first` again after `count` values.
fn integers(rows: usize, first: i64, step: i64, count: i64) -> ArrayRef {
    let value = |i: i64| first + i % count * step;
    Arc::new(Int64Array::from_iter_values((0..rows as i64).map(value)))
}

/// Times in ascending order, spread over all days.
fn times(random: &mut Random, rows: usize) -> ArrayRef {
    let start = first_day().micros() + EPOCH;
    let span = i64::from(DAYS) * DAY_MICROS / rows as i64;
    let times = (0..rows as i64).map(|i| start + i * span + random.next(1_000_000) as i64);
    let times = TimestampMicrosecondArray::from_iter_values(times);
    Arc::new(times.with_timezone("UTC"))
}

fn flags(random: &mut Random, rows: usize) -> ArrayRef {
    let element = Field::new("element", DataType::Utf8, true);
    let mut flags = ListBuilder::new(StringBuilder::new()).with_field(element);
    for _ in 0..rows {
        for flag in ["photo", "manual weight"]
            .iter()
            .take(random.next(3) as usize)
        {
            flags.values().append_value(flag);
        }
        flags.append(random.next(10) > 0);
    }
    Arc::new(flags.finish())
}

/// The rows as tuples, and where each ends.
pub fn tuples(batch: &RecordBatch) -> (BytesMut, Vec<usize>) {
    let (mut out, mut ends) = (BytesMut::new(), Vec::new());
    let mut end = 0;
    let mut encoder = Encoder::new(&columns()).unwrap();
    encoder
        .encode(batch, &mut out, |tuple| {
            end += tuple.len();
            ends.push(end);
        })
        .unwrap();
    (out, ends)
}
