//! Tuples → Arrow and back, in bytes of COPY per second: `cargo bench --bench codec`.

mod foodlogstats;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dayhaul::copy::{Decoder, Encoder};
use std::hint::black_box;

const ROWS: usize = 8192;

fn codec(c: &mut Criterion) {
    let columns = foodlogstats::columns();
    let batch = foodlogstats::batch(ROWS);
    let (bytes, ends) = foodlogstats::tuples(&batch);
    println!("{} bytes per row", bytes.len() / ROWS);
    let mut group = c.benchmark_group("foodlogstats");
    group.throughput(Throughput::Bytes(bytes.len() as u64));

    let mut decoder = Decoder::new(&columns).unwrap();
    let mut decode = || {
        let mut start = 0;
        for end in &ends {
            decoder.push(&bytes[start..*end]).unwrap();
            start = *end;
        }
        decoder.finish().unwrap()
    };
    let mut encoder = Encoder::new(&columns).unwrap();
    let mut encode = |out: &mut BytesMut| {
        out.clear();
        let mut rows = 0;
        encoder.encode(&batch, out, |_| rows += 1).unwrap();
        assert_eq!(rows, ROWS);
    };
    let mut out = BytesMut::new();
    encode(&mut out);
    assert_eq!((decode(), out), (batch.clone(), bytes.clone()));

    group.bench_function("decode", |b| {
        b.iter_custom(|n| {
            foodlogstats::worked(n, || {
                black_box(decode());
            })
        });
    });
    group.bench_function("encode", |b| {
        let mut out = BytesMut::new();
        b.iter_custom(|n| foodlogstats::worked(n, || encode(black_box(&mut out))));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
