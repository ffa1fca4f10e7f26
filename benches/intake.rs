//! Framing, checks, digest and routing by day, in bytes of COPY per second: `cargo bench --bench intake`.

mod foodlogstats;

use bytes::{BufMut, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dayhaul::copy::{Digest, HEADER, Intake, TRAILER};
use dayhaul::unit::Window;
use std::hint::black_box;

const ROWS: usize = 8192;

fn intake(c: &mut Criterion) {
    let columns = foodlogstats::columns();
    let time_column = foodlogstats::time_column();
    let from = foodlogstats::first_day();
    let window = Window::new(from, from.plus(foodlogstats::DAYS));
    let (bytes, ends) = foodlogstats::tuples(&foodlogstats::batch(ROWS));
    let mut stream = BytesMut::from(&HEADER[..]);
    stream.extend_from_slice(&bytes);
    stream.put_slice(&TRAILER);
    let mut group = c.benchmark_group("foodlogstats");
    group.throughput(Throughput::Bytes(bytes.len() as u64));

    group.bench_function("digest", |b| {
        b.iter_custom(|n| {
            foodlogstats::worked(n, || {
                let mut digest = Digest::default();
                let mut start = 0;
                for end in &ends {
                    digest.add(&bytes[start..*end]);
                    start = *end;
                }
                black_box(digest);
            })
        });
    });

    // A server sends one row per message; a socket returns many of them at once.
    let receive = |chunk: usize| {
        let mut intake = Intake::new(&columns, time_column, window);
        let mut rows = 0;
        for chunk in stream.chunks(chunk) {
            intake.push(chunk, |_, _| rows += 1).unwrap();
            if intake.waiting() > 128 << 10 {
                black_box(intake.take());
            }
        }
        assert_eq!(rows, ROWS);
        black_box(intake.finish().unwrap());
    };
    for (name, chunk) in [("a row", bytes.len() / ROWS), ("64 KiB", 64 << 10)] {
        group.bench_function(BenchmarkId::new("intake", name), |b| {
            b.iter_custom(|n| foodlogstats::worked(n, || receive(chunk)));
        });
    }
    group.finish();
}

criterion_group!(benches, intake);
criterion_main!(benches);
