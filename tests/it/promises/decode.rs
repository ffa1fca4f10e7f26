//! Rows → Arrow → rows: PostgreSQL says what the values are, and takes back the very bytes.

use crate::support::random::Random;
use crate::support::server::{Database, block_on, connect};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use bytes::BytesMut;
use dayhaul::copy::{Decoder, Encoder, HEADER, Intake, TRAILER};
use dayhaul::error::Result;
use dayhaul::schema::arrow::is_exact;
use dayhaul::schema::{Column, LandAs, PgType};
use dayhaul::unit::{Day, Window};
use futures::TryStreamExt;
use std::fmt::Write;

/// A type, how it lands, values for it as SQL, and what PostgreSQL says of a value `e` in the words of [`said`].
struct Kind {
    ty: &'static str,
    land: Option<&'static str>,
    value: fn(&mut Random) -> String,
    says: &'static str,
}

const PLAIN: &str = "e::text";
const HEX: &str = "encode(convert_to(format('%s', e), 'UTF8'), 'hex')";
const MICROS: &str = "(extract(epoch FROM e) * 1000000)::bigint::text";

const fn kind(ty: &'static str, value: fn(&mut Random) -> String, says: &'static str) -> Kind {
    Kind {
        ty,
        land: None,
        value,
        says,
    }
}

const fn lands(land: &'static str, value: fn(&mut Random) -> String, says: &'static str) -> Kind {
    Kind {
        ty: "numeric",
        land: Some(land),
        value,
        says,
    }
}

const KINDS: &[Kind] = &[
    kind("boolean", |r| pick(r, &["true", "false"]).into(), PLAIN),
    kind("smallint", |r| format!("({})", r.next() as i16), PLAIN),
    kind("integer", |r| format!("({})", r.next() as i32), PLAIN),
    kind(
        "bigint",
        |r| format!("'{}'::bigint", r.next() as i64),
        PLAIN,
    ),
    kind("real", real, "encode(float4send(e), 'hex')"),
    kind("double precision", double, "encode(float8send(e), 'hex')"),
    kind("numeric(1,0)", |r| number(r, 1, 0), PLAIN),
    kind("numeric(5,2)", |r| number(r, 3, 2), PLAIN),
    kind("numeric(10,3)", |r| number(r, 7, 3), PLAIN),
    kind("numeric(18,4)", |r| number(r, 14, 4), PLAIN),
    kind("numeric(19,0)", |r| number(r, 19, 0), PLAIN),
    kind("numeric(30,11)", |r| number(r, 19, 11), PLAIN),
    kind("numeric(38,10)", |r| number(r, 28, 10), PLAIN),
    kind("numeric(38,38)", |r| number(r, 0, 38), PLAIN),
    kind("numeric(39,1)", |r| number(r, 38, 1), PLAIN),
    kind("numeric(76,20)", |r| number(r, 56, 20), PLAIN),
    kind("numeric(76,76)", |r| number(r, 0, 76), PLAIN),
    lands("text", any_number, HEX),
    lands(
        "decimal(20,6)",
        |r| zeros_behind(number(r, 14, 6), r),
        "e::numeric(20,6)::text",
    ),
    lands(
        "decimal(76,30)",
        |r| zeros_behind(number(r, 46, 30), r),
        "e::numeric(76,30)::text",
    ),
    lands(
        "double",
        |r| number(r, 25, 25),
        "encode(float8send(e::float8), 'hex')",
    ),
    lands(
        "double",
        |r| format!("('{}e{}')::numeric", number(r, 3, 9), r.next() % 250),
        "encode(float8send(e::float8), 'hex')",
    ),
    kind("text", |r| quoted(&characters(r, 40)), HEX),
    kind("varchar", |r| quoted(&characters(r, 5)), HEX),
    kind("varchar(20)", |r| quoted(&characters(r, 20)), HEX),
    kind("name", |r| quoted(&characters(r, 15)), HEX),
    kind("bytea", bytea, "encode(e, 'hex')"),
    kind(
        "date",
        |r| {
            format!(
                "date '2000-01-01' + ({})",
                between(r, -2_451_000, 2_145_031_000)
            )
        },
        "(e - date '1970-01-01')::text",
    ),
    kind(
        "date",
        |r| format!("date '2000-01-01' + ({})", between(r, -20_000, 20_000)),
        "(e - date '1970-01-01')::text",
    ),
    kind(
        "time",
        |r| {
            format!(
                "time '0:00' + interval '{} microseconds'",
                r.next() % 86_400_000_000
            )
        },
        MICROS,
    ),
    kind(
        "timestamp",
        |r| format!("timestamp '2000-01-01' + {}", micros(r)),
        MICROS,
    ),
    kind(
        "timestamptz",
        |r| format!("timestamptz '2000-01-01 00:00+00' + {}", micros(r)),
        MICROS,
    ),
    kind(
        "interval",
        interval,
        "(extract(year FROM e) * 12 + extract(month FROM e) || '/' || extract(day FROM e) || '/' || \
        trunc(extract(hour FROM e) * 3600000000 + extract(minute FROM e) * 60000000 + extract(microseconds FROM e)))",
    ),
    kind(
        "uuid",
        |r| format!("'{:016x}{:016x}'::uuid", r.next(), r.next()),
        "replace(e::text, '-', '')",
    ),
    kind("json", json, HEX),
    kind("jsonb", json, HEX),
    kind("inet", inet, HEX),
    kind("cidr", |r| format!("network({}::inet)", inet(r)), HEX),
];

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[(random.next() % from.len() as u64) as usize]
}

fn between(random: &mut Random, least: i64, greatest: i64) -> i64 {
    let span = i128::from(greatest) - i128::from(least) + 1;
    (i128::from(least) + i128::from(random.next()) % span) as i64
}

fn real(r: &mut Random) -> String {
    let value = f32::from_bits(r.next() as u32);
    match pick(
        r,
        &[
            "random",
            "random",
            "random",
            "'-0'",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'1e-45'",
        ],
    ) {
        "random" if value.is_finite() => format!("'{value:e}'::real"),
        "random" => "0.1::real".into(),
        special => format!("{special}::real"),
    }
}

fn double(r: &mut Random) -> String {
    let value = f64::from_bits(r.next());
    match pick(
        r,
        &[
            "random",
            "random",
            "random",
            "'-0'",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'5e-324'",
        ],
    ) {
        "random" if value.is_finite() => format!("'{value:e}'::float8"),
        "random" => "0.1::float8".into(),
        special => format!("{special}::float8"),
    }
}

/// Digits that hold runs of zeros and of nines now and then, so that groups of zeros stand at either end.
fn digits(r: &mut Random, most: u64) -> String {
    let len = r.next() % (most + 1);
    let palette = pick(r, &["0123456789", "0000000001", "09", "9", "0"]).as_bytes();
    (0..len).map(|_| char::from(pick(r, palette))).collect()
}

/// A number with at most so many digits before and behind the point.
fn number(r: &mut Random, whole: u64, decimals: u64) -> String {
    let sign = pick(r, &["", "-"]);
    format!("{sign}0{}.{}0", digits(r, whole), digits(r, decimals))
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

fn zeros_behind(number: String, r: &mut Random) -> String {
    let point = if number.contains('.') { "" } else { "." };
    format!("({number}{point}{}0)", "0".repeat((r.next() % 9) as usize))
}

/// Any numeric at all.
fn any_number(r: &mut Random) -> String {
    match r.next() % 10 {
        0 => pick(r, &["'NaN'", "'Infinity'", "'-Infinity'"]).into(),
        1 => pick(
            r,
            &[
                "'1e131071'",
                "'-9.9e130000'",
                "'1e-16383'",
                "0.00001000",
                "0.0000",
            ],
        )
        .into(),
        2 => format!("'{}e{}'", number(r, 5, 5), between(r, -200, 200)),
        _ => format!("'{}{}'::numeric", pick(r, &["", "-"]), {
            let (whole, decimals) = (digits(r, 40), digits(r, 40));
            format!("0{whole}.{decimals}0")
        }),
    }
}

fn characters(r: &mut Random, most: u64) -> String {
    let palette: Vec<char> = "aZ09 '\\\"\n\t|~{},é€ß\u{301}\u{1f600}\u{10ffff}"
        .chars()
        .collect();
    (0..r.next() % (most + 1))
        .map(|_| pick(r, &palette))
        .collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn bytea(r: &mut Random) -> String {
    let len = r.next() % 40;
    let hex: String = (0..len)
        .map(|_| format!("{:02x}", r.next() as u8))
        .collect();
    format!("'\\x{hex}'::bytea")
}

/// From 4713 BC to the end of what microseconds since 1970 count.
fn micros(r: &mut Random) -> String {
    let near = 1_000_000_000_000_000;
    let (least, greatest) = pick(
        r,
        &[
            (-near, near),
            (-211_800_000_000_000_000, i64::MAX - 946_684_800_000_000),
        ],
    );
    format!("interval '{} microseconds'", between(r, least, greatest))
}

fn interval(r: &mut Random) -> String {
    format!(
        "interval '{} months {} days {} microseconds'",
        r.next() as i16,
        r.next() as i32 / 2,
        between(r, -1_000_000_000_000_000, 1_000_000_000_000_000)
    )
}

fn json(r: &mut Random) -> String {
    let text = serde_json::Value::from(characters(r, 9)).to_string();
    let number = format!("{}.{}0", r.next() as i16, r.next() as u8);
    quoted(&format!("{{\"b\" : [{number}, null],  \"a\":{text}}}"))
}

fn inet(r: &mut Random) -> String {
    if r.next().is_multiple_of(2) {
        let octets: Vec<String> = (0..4).map(|_| (r.next() as u8).to_string()).collect();
        return format!(
            "'{}/{}'",
            octets.join("."),
            pick(r, &[0, 1, 8, 24, 31, 32, 32])
        );
    }
    let words: Vec<String> = (0..8)
        .map(|_| format!("{:x}", pick(r, &[0, 0, 0, 0, 1, 0xffff, 0xabc])))
        .collect();
    format!(
        "'{}/{}'",
        words.join(":"),
        pick(r, &[0, 1, 64, 127, 128, 128])
    )
}

/// What an Arrow value is, in the words that PostgreSQL is asked to use.
fn said(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => hex(&array.as_primitive::<Float32Type>().value(row).to_be_bytes()),
        DataType::Float64 => hex(&array.as_primitive::<Float64Type>().value(row).to_be_bytes()),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        DataType::Utf8 => hex(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time64(_) => array
            .as_primitive::<Time64MicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Timestamp(..) => array
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Struct(_) => {
            let parts: Vec<_> = array
                .as_struct()
                .columns()
                .iter()
                .map(|c| said(c, row).unwrap())
                .collect();
            parts.join("/")
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let said: Vec<_> = (0..items.len())
                .map(|i| said(&items, i).unwrap_or_else(|| "~".into()))
                .collect();
            format!("[{}]", said.join("|"))
        }
        other => panic!("{other}"),
    })
}

/// The column of a kind, or of arrays of it.
fn column(name: String, kind: &Kind, array: bool) -> Column {
    let ty = PgType::parse(kind.ty).unwrap();
    Column {
        name,
        ty: PgType { array, ..ty },
        round: false,
        land: kind.land.map(|land| LandAs::parse(land).unwrap()),
        mask: None,
    }
}

fn value(random: &mut Random, kind: &Kind, array: bool) -> String {
    if random.next().is_multiple_of(6) {
        return "null".into();
    }
    if !array {
        return format!("({})::{}", (kind.value)(random), kind.ty);
    }
    let len = random.next() % 4;
    let items: Vec<_> = (0..len).map(|_| value(random, kind, false)).collect();
    format!("ARRAY[{}]::{}[]", items.join(", "), kind.ty)
}

/// What to ask for a column.
fn question(name: &str, kind: &Kind, array: bool) -> String {
    let says = kind.says;
    let each = |e: &str| {
        format!("CASE WHEN {e} IS NOT NULL THEN (SELECT {says} FROM (SELECT {e} AS e) AS x) END")
    };
    if !array {
        return each(name);
    }
    format!(
        "CASE WHEN {name} IS NOT NULL THEN '[' || (SELECT coalesce(string_agg(coalesce({}, '~'), '|' ORDER BY u.i), '') \
         FROM unnest({name}) WITH ORDINALITY AS u(v, i)) || ']' END",
        each("u.v")
    )
}

fn copy_out(database: &Database, query: &str) -> Vec<u8> {
    block_on(async {
        let client = connect(&database.url()).await.expect("a connection");
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let rows = client.copy_out(&copy).await.expect(query);
        futures::pin_mut!(rows);
        let mut all = Vec::new();
        while let Some(chunk) = rows.try_next().await.expect(query) {
            all.extend_from_slice(&chunk);
        }
        all
    })
}

const DAY: &str = "2024-03-18";

/// Feeds a stream through the intake in chunks of any size; ends batches anywhere.
fn decode(columns: &[Column], stream: &[u8], random: &mut Random) -> Result<Vec<RecordBatch>> {
    let day: Day = DAY.parse().unwrap();
    let mut intake = Intake::new(columns, 0, Window::single(day));
    let mut decoder = Decoder::new(columns)?;
    let (mut batches, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let most = pick(random, &[1, 7, 100, 10_000]);
        let cut = 1 + (random.next() % most) as usize;
        let (chunk, behind) = rest.split_at(cut.min(rest.len()));
        rest = behind;
        let mut pushed = Ok(());
        intake.push(chunk, |_, tuple| {
            if pushed.is_ok() {
                pushed = decoder.push(tuple);
            }
        })?;
        pushed?;
        intake.discard();
        if random.next().is_multiple_of(50) {
            batches.push(decoder.finish()?);
        }
    }
    intake.finish()?;
    batches.push(decoder.finish()?);
    Ok(batches)
}

fn encode(columns: &[Column], batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = Encoder::new(columns).unwrap();
    let (mut out, mut each) = (BytesMut::new(), Vec::new());
    for batch in batches {
        encoder
            .encode(batch, &mut out, |tuple| each.extend_from_slice(tuple))
            .unwrap();
    }
    assert_eq!(out, each);
    out.to_vec()
}

fn stream(tuples: &[u8]) -> Vec<u8> {
    [&HEADER[..], tuples, &TRAILER].concat()
}

#[test]
fn every_value_lands_as_what_postgresql_says_it_is_and_comes_back_as_the_same_bytes() {
    const ROWS: usize = 400;
    let mut random = Random::new();
    let database = Database::create("decode");
    let at = kind("timestamptz", |_| format!("'{DAY} 12:00+00'"), MICROS);
    // Arrays carry no precision.
    let kinds: Vec<(&Kind, bool)> = KINDS
        .iter()
        .flat_map(|k| [(k, false), (k, true)])
        .filter(|(k, array)| !(*array && k.ty.ends_with(')')))
        .collect();
    let mut columns = vec![column("at".into(), &at, false)];
    columns.extend(
        kinds
            .iter()
            .enumerate()
            .map(|(i, (k, array))| column(format!("c{i}"), k, *array)),
    );
    let defined: Vec<_> = columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.ty))
        .collect();
    database.run(&format!("CREATE TABLE v (id int, {})", defined.join(", ")));
    for first in (0..ROWS).step_by(20) {
        let rows: Vec<_> = (first..first + 20)
            .map(|id| {
                let mut row = format!("({id}, '{DAY} 12:00+00'");
                for (kind, array) in &kinds {
                    let _ = write!(row, ", {}", value(&mut random, kind, *array));
                }
                row + ")"
            })
            .collect();
        database.run(&format!("INSERT INTO v VALUES {}", rows.join(", ")));
    }
    let names: Vec<_> = columns.iter().map(|c| c.name.clone()).collect();
    let list = names.join(", ");
    let out = copy_out(&database, &format!("SELECT {list} FROM v ORDER BY id"));
    let batches = decode(&columns, &out, &mut random).unwrap();

    // Each value.
    let asked: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(i, (k, array))| question(&format!("c{i}"), k, *array))
        .collect();
    let says = database.rows(&format!("SELECT {} FROM v ORDER BY id", asked.join(", ")));
    let rows = batches
        .iter()
        .flat_map(|b| (0..b.num_rows()).map(move |row| (b, row)));
    let mut seen = 0;
    for ((batch, row), says) in rows.zip(&says) {
        seen += 1;
        for (i, says) in says.iter().enumerate() {
            let (kind, array) = &kinds[i];
            assert_eq!(
                &said(batch.column(i + 1), row),
                says,
                "{} {:?} array: {array}",
                kind.ty,
                kind.land
            );
        }
    }
    assert_eq!(seen, ROWS);

    // The exact columns give back their bytes, one by one; then all together as far as a table is concerned.
    for (i, column) in columns.iter().enumerate().skip(1) {
        let pair = [columns[0].clone(), column.clone()];
        let parts: Vec<_> = batches
            .iter()
            .map(|b| b.project(&[0, i]).unwrap())
            .collect();
        let back = encode(&pair, &parts);
        let sent = copy_out(
            &database,
            &format!("SELECT at, {} FROM v ORDER BY id", column.name),
        );
        if is_exact(&pair) {
            assert!(stream(&back) == sent, "{} {:?}", column.ty, column.land);
        }
    }
    let back = encode(&columns, &batches);
    database.run(&format!(
        "CREATE TABLE w AS SELECT {list} FROM v WHERE false; ALTER TABLE w ADD n bigserial"
    ));
    let copied = database.copy_in(
        &format!("COPY w ({list}) FROM STDIN (FORMAT binary)"),
        stream(&back),
    );
    assert_eq!(copied, ROWS as u64);
    let again = copy_out(&database, &format!("SELECT {list} FROM w ORDER BY n"));
    assert!(again == stream(&back), "what was restored reads otherwise");
}

#[test]
fn what_cannot_land_is_an_error_that_names_the_column_and_not_the_value() {
    let database = Database::create("decode_refuse");
    for (ty, land, value, expected) in [
        ("date", None, "'infinity'", "infinite"),
        ("date", None, "'-infinity'", "infinite"),
        ("timestamp", None, "'infinity'", "infinite"),
        ("timestamptz", None, "'-infinity'", "infinite"),
        (
            "timestamptz",
            None,
            "'294276-12-31 00:00+00'",
            "beyond the range",
        ),
        ("time", None, "'24:00'", "24:00:00"),
        ("numeric(5,2)", None, "'NaN'", "NaN"),
        ("numeric", Some("decimal(5,2)"), "'Infinity'", "infinite"),
        ("numeric", Some("decimal(5,2)"), "'1234.5'", "more digits"),
        (
            "numeric",
            Some("decimal(5,2)"),
            "'1.234'",
            "more decimal places",
        ),
        ("numeric", Some("decimal(76,0)"), "'1e76'", "more digits"),
        ("numeric", Some("double"), "'1e400'", "too large"),
        ("int[]", None, "'{{1,2},{3,4}}'", "more than one dimension"),
        ("int[]", None, "'[0:1]={1,2}'", "begin at 1"),
        ("timestamptz[]", None, "'{infinity}'", "infinite"),
        ("numeric[]", Some("decimal(5,2)"), "'{NaN}'", "NaN"),
    ] {
        let named = |name: &str, ty: &str, land: Option<&str>| Column {
            name: name.into(),
            ty: PgType::parse(ty).unwrap(),
            round: false,
            land: land.map(|l| LandAs::parse(l).unwrap()),
            mask: None,
        };
        let columns = [named("at", "date", None), named("the_one", ty, land)];
        let out = copy_out(
            &database,
            &format!("SELECT date '{DAY}' AS at, ({value})::{ty} AS the_one"),
        );
        let error = decode(&columns, &out, &mut Random::new()).unwrap_err();
        assert_eq!(error.kind(), dayhaul::error::Kind::Data);
        let message = error.to_string();
        assert!(
            message.contains("`the_one`") && message.contains(expected),
            "{ty} {value}: {message}"
        );
        assert!(
            !message.contains(value.trim_matches('\''))
                || expected.contains("24:00")
                || value == "'NaN'",
            "{message}"
        );
        assert!(error.hint().is_some());
    }
}
