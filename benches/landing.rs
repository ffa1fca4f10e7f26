//! A day as Parquet, in rows per second: `cargo bench --bench landing`.
//!
//! `encode` is the cost while a window is loaded, `land` the cost of a whole day, and `read` the cost of a restore.

mod foodlogstats;

use arrow_array::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dayhaul::copy::Tally;
use dayhaul::landing::{Landing, Origin, Writer, WriterOptions};
use dayhaul::template::Template;
use dayhaul::unit::{SchemaName, TemplateName, TenantName};
use std::hint::black_box;
use tokio::runtime::{Builder, Runtime};

/// Rows of a day, and of a batch.
const ROWS: usize = 20 * BATCH;
const BATCH: usize = 8192;

fn origin() -> Origin {
    let source = include_str!("../templates/foodlogstats.sql");
    let template = Template::parse(TemplateName::parse("foodlogstats").unwrap(), source).unwrap();
    let tenant = TenantName::parse("acme").unwrap();
    let schema = SchemaName::parse("acme").unwrap();
    Origin::new(&tenant, &schema, &template, foodlogstats::first_day())
}

fn tally() -> Tally {
    Tally {
        rows: ROWS as u64,
        ..Tally::default()
    }
}

async fn encoded(landing: &Landing, batches: &[RecordBatch]) -> Writer {
    let schema = batches[0].schema();
    let mut writer = landing.create(origin(), schema).await.unwrap();
    for batch in batches {
        writer.write(batch).await.unwrap();
    }
    writer
}

async fn land(landing: &Landing, batches: &[RecordBatch]) -> u64 {
    let writer = encoded(landing, batches).await;
    let finished = writer.finish(&tally(), None, 1).await.unwrap();
    finished.publish().await.unwrap().bytes
}

async fn read(landing: &Landing) -> usize {
    let file = landing
        .open_file(&origin().object())
        .await
        .unwrap()
        .unwrap();
    file.batches().unwrap().map(|b| b.unwrap().num_rows()).sum()
}

fn landing(c: &mut Criterion) {
    let rows = foodlogstats::batch(ROWS);
    let batches: Vec<RecordBatch> = (0..ROWS)
        .step_by(BATCH)
        .map(|from| rows.slice(from, BATCH))
        .collect();
    let root = tempfile::tempdir().unwrap();
    let url = format!("file://{}", root.path().display());
    let landing = Landing::open(&url, WriterOptions::default()).unwrap();
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let bytes = runtime.block_on(land(&landing, &batches));
    println!("{:.1} bytes of Parquet per row", bytes as f64 / ROWS as f64);

    let mut group = c.benchmark_group("parquet");
    group.sample_size(20);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("encode", |b| {
        b.iter(|| drop(black_box(runtime.block_on(encoded(&landing, &batches)))));
    });
    group.bench_function("land", |b| {
        b.iter(|| black_box(runtime.block_on(land(&landing, &batches))));
    });
    group.bench_function("read", |b| {
        b.iter(|| black_box(runtime.block_on(read(&landing))));
    });
    group.finish();
}

criterion_group!(benches, landing);
criterion_main!(benches);
