//! Tests decoder and encoder against each other, with values that PostgreSQL never sends.

use super::{Decoder, Encoder};
use crate::error::{Kind, Result};
use crate::schema::{Column, LandAs, PgType};
use arrow_array::{Array, RecordBatch};
use bytes::BytesMut;
use proptest::prelude::*;

fn column(ty: &str, land: Option<LandAs>) -> Column {
    Column {
        name: "c".into(),
        ty: PgType::parse(ty).unwrap(),
        round: false,
        land,
        mask: None,
    }
}

/// A tuple of one column.
fn tuple(field: Option<&[u8]>) -> Vec<u8> {
    let mut tuple = vec![0, 1];
    let len = field.map_or(-1, |f| i32::try_from(f.len()).unwrap());
    tuple.extend_from_slice(&len.to_be_bytes());
    tuple.extend_from_slice(field.unwrap_or_default());
    tuple
}

fn decode(column: &Column, fields: &[Option<&[u8]>]) -> Result<RecordBatch> {
    let mut decoder = Decoder::new(std::slice::from_ref(column))?;
    for field in fields {
        decoder.push(&tuple(*field))?;
    }
    decoder.finish()
}

fn encode(column: &Column, batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    let mut encoder = Encoder::new(std::slice::from_ref(column))?;
    encoder.encode(batch, &mut out, |_| {})?;
    Ok(out.to_vec())
}

#[track_caller]
fn comes_back(column: &Column, fields: &[Option<&[u8]>]) {
    let batch = decode(column, fields).unwrap();
    let tuples: Vec<u8> = fields.iter().flat_map(|f| tuple(*f)).collect();
    assert_eq!(encode(column, &batch).unwrap(), tuples, "{}", column.ty);
}

#[test]
fn every_bit_of_a_float_comes_back_the_payload_of_nan_too() {
    for bits in [0x7ff8_0000_0000_0001, 0xfff0_dead_beef_0001, 1 << 63, 1u64] {
        comes_back(
            &column("double precision", None),
            &[Some(&bits.to_be_bytes()), None],
        );
    }
    for bits in [0x7fc0_0001, 0xffa0_beef, 1 << 31, 1u32] {
        comes_back(&column("real", None), &[None, Some(&bits.to_be_bytes())]);
    }
}

#[test]
fn text_that_is_not_utf8_is_an_error_also_where_two_halves_make_a_character() {
    let text = column("text", None);
    for fields in [
        &[Some(&b"\xff"[..])][..],
        &[Some(&b"\xc3"[..]), Some(b"\xa9")],
    ] {
        let error = decode(&text, fields).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert_eq!(error.message(), "column `c`: a text is not valid UTF-8");
    }
    comes_back(&text, &[Some("é".as_bytes()), Some(b""), None]);
}

#[test]
fn bytes_of_another_type_are_an_error_not_a_panic() {
    let cases: [(&str, &[&[u8]]); 14] = [
        ("boolean", &[b"", b"\x02", b"\0\0"]),
        ("smallint", &[b"\0", b"\0\0\0"]),
        ("bigint", &[b"\0\0\0\0"]),
        ("double precision", &[b"\0\0\0\0"]),
        (
            "numeric(5,2)",
            &[b"", b"\0\x01\0\0\0\0\0\0\x27\x10", b"\0\0\0\0\x12\x34\0\0"],
        ),
        ("date", &[b"\0\0", b"\x7f\xff\xff\xfe"]),
        ("time", &[b"\0\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"]),
        ("timestamp", &[b"\0\0\0\0"]),
        ("interval", &[b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]),
        ("uuid", &[b"\0\0\0\0"]),
        ("jsonb", &[b"", b"\x02{}"]),
        ("inet", &[b"\x02\x20\0\x04\x01\x02\x03"]),
        ("cidr", &[b"\x02\x20\0\x04\x01\x02\x03\x04"]),
        (
            "int[]",
            &[
                b"",
                b"\0\0\0\0\0\0\0\0\0\0\0\x14",
                b"\0\0\0\0\0\0\0\x01\0\0\0\x17",
                b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01",
                b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff",
                b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x01\0",
            ],
        ),
    ];
    for (ty, fields) in cases {
        for field in fields {
            let error = decode(&column(ty, None), &[Some(*field)]).unwrap_err();
            assert_eq!(error.kind(), Kind::Data, "{ty} {field:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_tuple_are_an_error_and_the_decoder_starts_again() {
    let text = column("text", None);
    let mut decoder = Decoder::new(std::slice::from_ref(&text)).unwrap();
    let whole = tuple(Some(b"ab"));
    for wrong in [
        &whole[..7],
        &whole[..4],
        b"",
        b"\0\x02\0\0\0\0\0\0\0\0",
        b"\0\x01\xff\xff\xff\xfe",
        b"\0\x01\0\0\0\0x",
    ] {
        decoder.push(&whole).unwrap();
        let error = decoder.push(wrong).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{wrong:?}");
        assert_eq!(decoder.rows(), 0);
    }
    decoder.push(&whole).unwrap();
    assert!(decoder.bytes() >= 2);
    assert_eq!(decoder.finish().unwrap().num_rows(), 1);
    assert_eq!(decoder.finish().unwrap().num_rows(), 0);
}

#[test]
fn a_batch_of_other_columns_is_refused_by_name() {
    let batch = decode(&column("integer", None), &[None]).unwrap();
    let message = |column: &Column| encode(column, &batch).unwrap_err().to_string();
    assert!(message(&column("bigint", None)).contains("column `c`: the file has Int32"));
    let other = Column {
        name: "d".into(),
        ..column("integer", None)
    };
    assert!(message(&other).contains("`c` in place of `d`"));
    let decimals = decode(&column("numeric(5,2)", None), &[None]).unwrap();
    assert!(encode(&column("numeric(5,3)", None), &decimals).is_err());
}

#[test]
fn a_slice_of_a_batch_encodes_as_its_rows() {
    for (ty, fields) in [
        ("text", [Some(&b"ab"[..]), None, Some(b"c")]),
        ("boolean", [Some(b"\x01"), None, Some(b"\0")]),
        (
            "text[]",
            [
                Some(b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x01a"),
                Some(b"\0\0\0\0\0\0\0\0\0\0\0\x19"),
                Some(b"\0\0\0\x01\0\0\0\x01\0\0\0\x19\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff"),
            ],
        ),
    ] {
        let column = column(ty, None);
        let batch = decode(&column, &fields).unwrap();
        assert_eq!(
            batch.column(0).null_count(),
            fields.iter().filter(|f| f.is_none()).count()
        );
        for (row, field) in fields.iter().enumerate() {
            let back = encode(&column, &batch.slice(row, 1)).unwrap();
            assert_eq!(back, tuple(*field), "{ty} {row}");
        }
    }
}

proptest! {
    /// Digits, display scale and decimal point determine a numeric.
    #[test]
    fn every_numeric_comes_back_as_text(
        groups in prop::collection::vec(0u16..10_000, 0..12),
        weight in -8i16..12,
        negative: bool,
        scale in 0u16..6,
    ) {
        let field = numeric(&groups, weight, negative, scale);
        comes_back(&column("numeric", Some(LandAs::Text)), &[Some(&field)]);
    }

    /// Any bytes are a value or an error.
    #[test]
    fn no_bytes_make_the_decoder_panic(
        field in prop::collection::vec(any::<u8>(), 0..64),
        kind in 0usize..12,
    ) {
        let types = ["numeric(76,2)", "numeric(20,3)", "int[]", "text[]", "inet", "cidr", "interval", "jsonb", "date",
            "timestamptz", "time", "uuid"];
        let column = column(types[kind], None);
        if let Ok(batch) = decode(&column, &[Some(&field)]) {
            prop_assert_eq!(encode(&column, &batch).unwrap(), tuple(Some(&field)));
        }
        let _ = decode(&self::column("numeric", Some(LandAs::Text)), &[Some(&field)]);
        let _ = decode(&self::column("numeric", Some(LandAs::Double)), &[Some(&field)]);
    }

    /// A value counts as rounded just when another comes back; zeros at its end are no part of it.
    #[test]
    fn a_rounded_value_is_counted(
        groups in prop::collection::vec(prop_oneof![Just(0u16), 0u16..10_000], 0..7),
        weight in -40i16..40,
        negative: bool,
        scale in 0u16..6,
    ) {
        let column = column("numeric", Some(LandAs::Double));
        let field = numeric(&groups, weight, negative, scale);
        let mut decoder = Decoder::new(std::slice::from_ref(&column)).unwrap();
        decoder.push(&tuple(Some(&field))).unwrap();
        let rounded = decoder.take_rounded();
        let back = encode(&column, &decoder.finish().unwrap()).unwrap();
        let value = |field: &[u8]| (field[..6].to_vec(), field[8..].to_vec());
        prop_assert_eq!(rounded == 0, value(&back[6..]) == value(&field), "{:?}", field);
        prop_assert_eq!(decoder.take_rounded(), 0);
    }

    /// The shortest decimal number of a double reads back as that double.
    #[test]
    fn a_double_that_landed_comes_back_as_itself(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite() && value != 0.0);
        let column = column("numeric", Some(LandAs::Double));
        let array = arrow_array::Float64Array::from(vec![value]);
        let schema = crate::schema::arrow::arrow_schema(std::slice::from_ref(&column)).unwrap();
        let batch = RecordBatch::try_new(schema, vec![std::sync::Arc::new(array)]).unwrap();
        let back = encode(&column, &batch).unwrap();
        prop_assert_eq!(decode(&column, &[Some(&back[6..])]).unwrap(), batch);
    }
}

/// A numeric as PostgreSQL stores it: no zero group at either end, and every digit shown.
fn numeric(groups: &[u16], weight: i16, negative: bool, more: u16) -> Vec<u8> {
    let leading = groups.iter().take_while(|g| **g == 0).count();
    let groups = &groups[leading..];
    let kept = groups
        .iter()
        .rposition(|g| *g != 0)
        .map_or(0, |last| last + 1);
    let groups = &groups[..kept];
    let weight = if kept == 0 { 0 } else { weight };
    let behind = (i32::try_from(kept).unwrap() - 1 - i32::from(weight)).max(0) * 4;
    let scale = u16::try_from(behind).unwrap() + more;
    let sign = if negative && kept > 0 { 0x4000 } else { 0 };
    let header = [
        u16::try_from(kept).unwrap(),
        weight.cast_unsigned(),
        sign,
        scale,
    ];
    header
        .iter()
        .chain(groups)
        .flat_map(|part| part.to_be_bytes())
        .collect()
}
