//! Days as Parquet files: what is published is whole, what is not is not there, and other engines read it.

mod bad;
mod folder;
mod readers;
#[cfg(feature = "s3")]
mod s3;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Decimal256Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, SchemaRef};
use dayhaul::copy::Tally;
use dayhaul::landing::{LandedObject, Landing, Origin, Writer, WriterOptions};
use dayhaul::schema::arrow::arrow_schema;
use dayhaul::schema::{Column, PgType};
use dayhaul::unit::{SchemaName, TemplateName, TenantName};
use std::path::Path;
use std::sync::Arc;

/// A column of every type that lands.
const COLUMNS: &[(&str, &str)] = &[
    ("id", "bigint"),
    ("small", "smallint"),
    ("count", "integer"),
    ("open", "boolean"),
    ("ratio", "real"),
    ("weight", "double precision"),
    ("price", "numeric(10,2)"),
    ("amount", "numeric(30,6)"),
    ("huge", "numeric(50,10)"),
    ("store", "text"),
    ("note", "text"),
    ("raw", "bytea"),
    ("day", "date"),
    ("at_time", "time"),
    ("seen", "timestamp"),
    ("logged_time", "timestamptz"),
    ("took", "interval"),
    ("key", "uuid"),
    ("doc", "jsonb"),
    ("address", "inet"),
    ("flags", "text[]"),
    ("sizes", "integer[]"),
];

fn columns() -> Vec<Column> {
    let column = |(name, ty): &(&str, &str)| Column {
        name: (*name).to_owned(),
        ty: PgType::parse(ty).unwrap(),
        round: false,
        land: None,
        mask: None,
    };
    COLUMNS.iter().map(column).collect()
}

fn schema() -> SchemaRef {
    arrow_schema(&columns()).unwrap()
}

fn origin(schema: &str, day: &str) -> Origin {
    Origin {
        tenant: TenantName::parse(&schema.replace('_', "-")).unwrap(),
        schema: SchemaName::parse(schema).unwrap(),
        template: TemplateName::parse("orders").unwrap(),
        template_source: "/* all of it */ SELECT 1".into(),
        types: COLUMNS
            .iter()
            .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
            .collect(),
        version: "0123456789abcdef".repeat(2),
        day: day.parse().unwrap(),
    }
}

/// Rows `from..to`: every seventh value is null, numbers are their row's, so that sums are known.
fn rows(from: usize, to: usize) -> RecordBatch {
    let schema = schema();
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(column, field)| values(field, column, from, to))
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Calls `set` with each row's number, or nothing.
fn each(column: usize, from: usize, to: usize, mut set: impl FnMut(Option<i64>)) {
    for row in from..to {
        let null = column > 0 && (row + column).is_multiple_of(7);
        set((!null).then_some(i64::try_from(row).unwrap()));
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // small numbers
fn values(field: &Field, column: usize, from: usize, to: usize) -> ArrayRef {
    macro_rules! made {
        ($builder:expr, |$n:ident| $value:expr) => {{
            let mut builder = $builder;
            each(column, from, to, |row| {
                builder.append_option(row.map(|$n| $value));
            });
            Arc::new(builder.finish())
        }};
    }
    match field.data_type() {
        DataType::Int16 => made!(Int16Builder::new(), |n| (n % 100) as i16),
        DataType::Int32 => made!(Int32Builder::new(), |n| (n % 1000) as i32),
        DataType::Int64 => made!(Int64Builder::new(), |n| n),
        DataType::Boolean => made!(BooleanBuilder::new(), |n| n % 2 == 0),
        DataType::Float32 => made!(Float32Builder::new(), |n| n as f32 / 4.0),
        DataType::Float64 => made!(Float64Builder::new(), |n| n as f64 / 8.0),
        DataType::Decimal128(p, s) => made!(
            Decimal128Builder::new()
                .with_precision_and_scale(*p, *s)
                .unwrap(),
            |n| i128::from(n % 10_000) * 7 - 1000
        ),
        DataType::Decimal256(p, s) => made!(
            Decimal256Builder::new()
                .with_precision_and_scale(*p, *s)
                .unwrap(),
            |n| i256::from_i128(i128::from(n) * 10_i128.pow(30) + 1)
        ),
        DataType::Utf8 if field.name() == "store" => {
            made!(StringBuilder::new(), |n| format!("Store {}", n % 12))
        }
        DataType::Utf8 if field.name() == "doc" => {
            made!(StringBuilder::new(), |n| format!("{{\"n\": {n}}}"))
        }
        DataType::Utf8 if field.name() == "address" => {
            made!(StringBuilder::new(), |n| format!("10.0.0.{}", n % 256))
        }
        DataType::Utf8 => made!(StringBuilder::new(), |n| noise(n)),
        DataType::Binary => made!(BinaryBuilder::new(), |n| n.to_be_bytes()),
        DataType::Date32 => made!(Date32Builder::new(), |_n| 19_782),
        DataType::Time64(_) => made!(Time64MicrosecondBuilder::new(), |n| n % 86_400_000_000),
        DataType::Timestamp(_, zone) => made!(
            TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()),
            |n| 1_709_164_800_000_000 + n * 1_000_001
        ),
        DataType::FixedSizeBinary(_) => {
            let mut builder = FixedSizeBinaryBuilder::new(16);
            each(column, from, to, |row| match row {
                Some(n) => builder.append_value((n as u128).to_be_bytes()).unwrap(),
                None => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        DataType::Struct(parts) => interval(parts, column, from, to),
        DataType::List(item) => list(item, column, from, to),
        other => panic!("no values of type {other}"),
    }
}

/// Text that does not compress: what makes a file large.
fn noise(n: i64) -> String {
    let hash = u64::try_from(n)
        .unwrap()
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{hash:016x}{:016x}",
        hash.rotate_left(31).wrapping_mul(0xff51_afd7_ed55_8ccd)
    )
}

#[allow(clippy::cast_possible_truncation)]
fn interval(parts: &arrow_schema::Fields, column: usize, from: usize, to: usize) -> ArrayRef {
    let mut builder = StructBuilder::from_fields(parts.clone(), to - from);
    each(column, from, to, |row| {
        let part = |n: i64| row.map(|row| row % n);
        builder
            .field_builder::<Int32Builder>(0)
            .unwrap()
            .append_option(part(12).map(|n| n as i32));
        builder
            .field_builder::<Int32Builder>(1)
            .unwrap()
            .append_option(part(28).map(|n| n as i32));
        builder
            .field_builder::<Int64Builder>(2)
            .unwrap()
            .append_option(part(1_000_000));
        builder.append(row.is_some());
    });
    let array: StructArray = builder.finish();
    Arc::new(array)
}

fn list(item: &Arc<Field>, column: usize, from: usize, to: usize) -> ArrayRef {
    let text = *item.data_type() == DataType::Utf8;
    let values: Box<dyn ArrayBuilder> = if text {
        Box::new(StringBuilder::new())
    } else {
        Box::new(Int32Builder::new())
    };
    let mut builder = ListBuilder::new(values).with_field(Arc::clone(item));
    each(column, from, to, |row| {
        let items = row.unwrap_or(0) % 3;
        for n in 0..items {
            let any = builder.values().as_any_mut();
            if text {
                let values = any.downcast_mut::<StringBuilder>().unwrap();
                values.append_option((n > 0).then(|| format!("flag {n}")));
            } else {
                let values = any.downcast_mut::<Int32Builder>().unwrap();
                values.append_value(i32::try_from(n).unwrap());
            }
        }
        builder.append(row.is_some());
    });
    Arc::new(builder.finish())
}

/// A tally that counted so many rows.
fn tally(rows: usize) -> Tally {
    let mut tally = Tally::default();
    (0..rows).for_each(|n| tally.add(&n.to_be_bytes()));
    tally
}

fn open(root: &Path) -> Landing {
    Landing::open(
        &format!("file://{}", root.display()),
        WriterOptions::default(),
    )
    .unwrap()
}

/// Writes `rows` rows in batches of a thousand; not finished.
async fn written(landing: &Landing, origin: Origin, rows_in_all: usize) -> Writer {
    let mut writer = landing.create(origin, schema()).await.unwrap();
    let mut from = 0;
    while from < rows_in_all {
        let to = rows_in_all.min(from + 1000);
        writer.write(&rows(from, to)).await.unwrap();
        from = to;
    }
    writer
}

async fn land(landing: &Landing, origin: Origin, rows: usize) -> LandedObject {
    let writer = written(landing, origin, rows).await;
    let finished = writer.finish(&tally(rows), None, 7).await.unwrap();
    finished.publish().await.unwrap()
}

/// Every file below a folder, by its path in it.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
