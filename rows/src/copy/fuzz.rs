//! Streams and tuples that no PostgreSQL sends.

use super::{Decoder, Encoder, HEADER, Intake, TRAILER};
use crate::fuzz::fuzz;
use crate::schema::{Column, LandAs, PgType};
use crate::unit::{DAY_MICROS, Day, Window};
use bytes::BytesMut;

const TYPES: [&str; 38] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric(12,2)",
    "numeric",
    "text",
    "varchar",
    "varchar(3)",
    "name",
    "bytea",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "integer[]",
    "text[]",
    "boolean[]",
    "numeric[]",
    "timestamptz[]",
    "interval[]",
    "uuid[]",
    "date[]",
    "bytea[]",
    "double precision[]",
    "inet[]",
    "jsonb[]",
];

fn column(ty: &str) -> Column {
    let ty = PgType::parse(ty).unwrap_or_else(|e| panic!("{ty}: {e:?}"));
    Column {
        name: "c".into(),
        ty,
        round: false,
        land: ty
            .to_string()
            .starts_with("numeric")
            .then_some(LandAs::Text),
        mask: None,
    }
}

/// Fields of many types, as PostgreSQL writes them.
const FIELDS: [&[u8]; 14] = [
    b"\x01",
    b"\x00\x07",
    b"\x00\x00\x00\x2a",
    b"\x00\x02\x93\xc2\xa4\xd3\x00\x00",
    b"\x00\x02\x00\x00\x40\x00\x00\x02\x00\x0c\x0d\x48",
    b"\x00\x00\x00\x00\xc0\x00\x00\x00",
    "h\u{e9}llo".as_bytes(),
    b"\x00\x00\x00\x0c\xd5\x3e\x80\x00\x00\x00\x0e\x10",
    b"\x00\x00\x00\x00\x05\xf5\xe1\x00\x00\x00\x00\x03\x00\x00\x00\x02",
    b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
    b"\x01{\"a\": [1, null]}",
    b"\x02\x18\x00\x04\x0a\x00\x00\x00",
    b"\x03\x80\x00\x10\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
    b"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x17\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x2a\xff\xff\xff\xff",
];

fn tuple(fields: &[&[u8]]) -> Vec<u8> {
    let mut tuple = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
    for field in fields {
        tuple.extend_from_slice(&i32::try_from(field.len()).unwrap().to_be_bytes());
        tuple.extend_from_slice(field);
    }
    tuple
}

#[test]
fn any_stream_is_framed_or_refused() {
    let window = Window::new(Day::from_pg_days(10), Day::from_pg_days(13));
    let at = (11 * DAY_MICROS).to_be_bytes();
    let streams: Vec<Vec<u8>> = FIELDS
        .iter()
        .map(|field| {
            [
                HEADER.as_slice(),
                &tuple(&[&at, field]),
                &tuple(&[&at, field]),
                &TRAILER,
            ]
            .concat()
        })
        .collect();
    let samples: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    let columns: Vec<[Column; 2]> = TYPES
        .iter()
        .map(|ty| [column("timestamptz"), column(ty)])
        .collect();
    let mut turn = 0;
    fuzz("framing", &samples, |bytes| {
        turn += 1;
        let columns = &columns[turn % columns.len()];
        let mut intake = Intake::new(columns, 0, window).between(columns, 150_000, 180_000);
        // Split anywhere.
        let (head, tail) = bytes.split_at(turn % (bytes.len() + 1));
        for chunk in [head, tail] {
            if intake.push(chunk, |_, _| {}).is_err() {
                return;
            }
        }
        let _ = intake.finish();
        let _ = intake.take();
    });
}

#[test]
fn any_field_is_decoded_or_refused_and_what_is_decoded_can_be_encoded() {
    let tuples: Vec<Vec<u8>> = FIELDS.iter().map(|field| tuple(&[field])).collect();
    let samples: Vec<&[u8]> = tuples.iter().map(Vec::as_slice).collect();
    // Some types cannot land.
    let (columns, mut decoders): (Vec<Column>, Vec<Decoder>) = TYPES
        .iter()
        .filter_map(|ty| {
            let column = column(ty);
            let decoder = Decoder::new(std::slice::from_ref(&column)).ok()?;
            Some((column, decoder))
        })
        .unzip();
    assert!(columns.len() > 20, "{}", columns.len());
    let mut turn = 0;
    fuzz("decode and encode", &samples, |bytes| {
        turn += 1;
        let at = turn % columns.len();
        if decoders[at].push(bytes).is_err() {
            return;
        }
        let Ok(batch) = decoders[at].finish() else {
            return;
        };
        let mut out = BytesMut::new();
        let mut encoder = Encoder::new(std::slice::from_ref(&columns[at])).unwrap();
        let _ = encoder.encode(&batch, &mut out, |_| {});
    });
}
