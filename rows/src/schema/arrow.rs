//! How a column lands: PostgreSQL types as Arrow types, without loss. A type that would lose something is refused.
//!
//! | PostgreSQL | Arrow | Parquet's logical type |
//! |---|---|---|
//! | boolean | Boolean | |
//! | smallint, integer, bigint | Int16, Int32, Int64 | INT |
//! | real, double precision | Float32, Float64 | |
//! | numeric(p,s), p ≤ 38 | Decimal128(p,s) | DECIMAL |
//! | numeric(p,s), p ≤ 76 | Decimal256(p,s) | DECIMAL |
//! | numeric | as the column declares: `land = "decimal(p,s)"`, `"text"`, `"double"` | DECIMAL, STRING, none |
//! | text, varchar, name | Utf8 | STRING |
//! | bytea | Binary | |
//! | date | Date32 | DATE |
//! | time | Time64(µs) | TIME |
//! | timestamp | Timestamp(µs) | TIMESTAMP, local |
//! | timestamptz | Timestamp(µs, "UTC") | TIMESTAMP, UTC |
//! | interval | Struct{months: Int32, days: Int32, microseconds: Int64} | |
//! | uuid | FixedSizeBinary(16), extension `arrow.uuid` | UUID |
//! | json, jsonb | Utf8, extension `arrow.json` | JSON |
//! | inet, cidr | Utf8, as PostgreSQL prints it | STRING |
//! | one-dimensional array of these | List, item nullable | LIST |
//!
//! Every column is nullable. An interval has three parts because none can be computed from another: a month has no fixed
//! number of days, nor a day a fixed number of hours. Parquet's own INTERVAL has only milliseconds, and Spark cannot read
//! it.
//!
//! Not supported: timetz, macaddr, macaddr8, numeric(p,s) with p > 76. They are refused with a cast to use instead.

use super::column::Column;
use super::land_as::{DECIMAL256_DIGITS, LandAs};
use super::pg_type::{Modifier, PgType, Scalar};
use crate::error::{Error, Kind, Result};
use arrow_schema::extension::{Json, Uuid};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// Maximum digits of a Decimal128.
pub const DECIMAL128_DIGITS: u8 = 38;

/// The field name of a list's values. It is Parquet's standard name, which every engine knows.
const LIST_ITEM: &str = "element";

/// Why a column cannot land, and what to write instead.
struct Refusal {
    why: String,
    instead: String,
}

/// The Arrow schema of a template's columns, in their order.
///
/// # Errors
/// [`Kind::Refused`], with every column that cannot land and what to write for the first of them.
pub fn arrow_schema(columns: &[Column]) -> Result<SchemaRef> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut refused = Vec::new();
    for column in columns {
        match field(column) {
            Ok(field) => fields.push(field),
            Err(refusal) => refused.push((column, refusal)),
        }
    }
    let Some((_, first)) = refused.first() else {
        return Ok(Arc::new(Schema::new(fields)));
    };
    let all: Vec<String> = refused
        .iter()
        .map(|(column, refusal)| format!("`{}` ({})", column.name, refusal.why))
        .collect();
    let columns = if all.len() == 1 { "column" } else { "columns" };
    Err(Error::new(
        Kind::Refused,
        format!("{columns} {} cannot land as Parquet", all.join(", ")),
    )
    .with_hint(first.instead.clone()))
}

/// Whether the landed columns keep everything, so that restored rows have the original digest.
///
/// False when a numeric without precision lands as decimal or double, which loses trailing zeros.
pub fn is_exact(columns: &[Column]) -> bool {
    columns.iter().all(|column| {
        !(is_unbounded(column.ty)
            && matches!(column.land, Some(LandAs::Decimal { .. } | LandAs::Double)))
    })
}

/// Whether a type is numeric without precision, or an array of it. Only such a column has `land`.
pub fn is_unbounded(ty: PgType) -> bool {
    ty.scalar == Scalar::Numeric && ty.modifier == Modifier::None
}

fn field(column: &Column) -> Result<Field, Refusal> {
    let item = scalar(&column.name, column)?;
    if column.ty.array {
        let list = DataType::List(Arc::new(item.with_name(LIST_ITEM)));
        Ok(Field::new(&column.name, list, true))
    } else {
        Ok(item)
    }
}

/// The field of a column, or of the items of one that holds arrays.
fn scalar(name: &str, column: &Column) -> Result<Field, Refusal> {
    let plain = |ty| Ok(Field::new(name, ty, true));
    match column.ty.scalar {
        Scalar::Bool => plain(DataType::Boolean),
        Scalar::Int2 => plain(DataType::Int16),
        Scalar::Int4 => plain(DataType::Int32),
        Scalar::Int8 => plain(DataType::Int64),
        Scalar::Float4 => plain(DataType::Float32),
        Scalar::Float8 => plain(DataType::Float64),
        Scalar::Numeric => plain(numeric(column)?),
        Scalar::Text | Scalar::Varchar | Scalar::Name | Scalar::Inet | Scalar::Cidr => {
            plain(DataType::Utf8)
        }
        Scalar::Bytea => plain(DataType::Binary),
        Scalar::Date => plain(DataType::Date32),
        Scalar::Time => plain(DataType::Time64(TimeUnit::Microsecond)),
        Scalar::Timestamp => plain(DataType::Timestamp(TimeUnit::Microsecond, None)),
        Scalar::Timestamptz => plain(DataType::Timestamp(
            TimeUnit::Microsecond,
            Some("UTC".into()),
        )),
        Scalar::Interval => plain(DataType::Struct(interval_fields())),
        Scalar::Uuid => {
            Ok(Field::new(name, DataType::FixedSizeBinary(16), true).with_extension_type(Uuid))
        }
        Scalar::Json | Scalar::Jsonb => {
            Ok(Field::new(name, DataType::Utf8, true).with_extension_type(Json::default()))
        }
        Scalar::Timetz | Scalar::Macaddr | Scalar::Macaddr8 => {
            let array = if column.ty.array { "[]" } else { "" };
            Err(Refusal {
                why: column.ty.to_string(),
                instead: format!(
                    "cast it in the query (`{name}::text{array} AS {name}`) and declare `text{array}`"
                ),
            })
        }
    }
}

fn numeric(column: &Column) -> Result<DataType, Refusal> {
    let name = &column.name;
    let decimal = |precision: u8, scale: i8| {
        if precision <= DECIMAL128_DIGITS {
            DataType::Decimal128(precision, scale)
        } else {
            DataType::Decimal256(precision, scale)
        }
    };
    match (column.ty.modifier, column.land) {
        (Modifier::Numeric { precision, scale }, _) => {
            match (u8::try_from(precision), i8::try_from(scale)) {
                (Ok(p), Ok(s)) if p <= DECIMAL256_DIGITS => Ok(decimal(p, s)),
                _ => Err(Refusal {
                    why: column.ty.to_string(),
                    instead: format!(
                        "a decimal has at most {DECIMAL256_DIGITS} digits: declare fewer, or write \
                         `{name} = {{ type = \"numeric\", land = \"text\" }}`"
                    ),
                }),
            }
        }
        (_, Some(LandAs::Decimal { precision, scale })) => Ok(decimal(precision, scale)),
        (_, Some(LandAs::Text)) => Ok(DataType::Utf8),
        (_, Some(LandAs::Double)) => Ok(DataType::Float64),
        (_, None) => Err(Refusal {
            why: format!("{} without precision", column.ty),
            instead: format!(
                "declare how it lands: `{name} = {{ type = \"{}\", land = \"decimal(20,6)\" }}`, or `land = \"text\"` \
                 (every digit), or `land = \"double\"` (the nearest double)",
                column.ty
            ),
        }),
    }
}

/// The parts of an interval, none of them null.
pub fn interval_fields() -> Fields {
    Fields::from(vec![
        Field::new("months", DataType::Int32, false),
        Field::new("days", DataType::Int32, false),
        Field::new("microseconds", DataType::Int64, false),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: &str, land: Option<&str>) -> Column {
        Column {
            name: "c".into(),
            ty: PgType::parse(ty).unwrap(),
            round: false,
            land: land.map(|l| LandAs::parse(l).unwrap()),
            mask: None,
        }
    }

    fn lands(ty: &str, land: Option<&str>) -> Result<DataType> {
        arrow_schema(&[column(ty, land)]).map(|s| s.field(0).data_type().clone())
    }

    #[test]
    fn decimals_have_the_width_that_their_precision_needs() {
        for (ty, land, expected) in [
            ("numeric(38,10)", None, DataType::Decimal128(38, 10)),
            ("numeric(39,39)", None, DataType::Decimal256(39, 39)),
            ("numeric(76,0)", None, DataType::Decimal256(76, 0)),
            (
                "numeric",
                Some("decimal(20,6)"),
                DataType::Decimal128(20, 6),
            ),
            (
                "numeric",
                Some("decimal( 40 )"),
                DataType::Decimal256(40, 0),
            ),
            ("numeric", Some("text"), DataType::Utf8),
            ("numeric", Some("double"), DataType::Float64),
        ] {
            assert_eq!(lands(ty, land).unwrap(), expected, "{ty} {land:?}");
        }
    }

    #[test]
    fn what_cannot_land_exactly_is_refused_with_what_to_write() {
        for (ty, instead) in [
            ("numeric", "land = \"decimal(20,6)\""),
            ("numeric[]", "type = \"numeric[]\", land"),
            ("numeric(77,0)", "land = \"text\""),
            ("numeric(1000,500)", "land = \"text\""),
            ("timetz", "`c::text AS c`"),
            ("macaddr[]", "`c::text[] AS c`"),
        ] {
            let error = lands(ty, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.message().contains("`c`"), "{error}");
            assert!(error.hint().unwrap().contains(instead), "{ty}: {error:?}");
        }
    }

    #[test]
    fn every_column_that_cannot_land_is_named_at_once() {
        let columns = [
            column("numeric", None),
            column("text", None),
            column("macaddr", None),
        ];
        let error = arrow_schema(&columns).unwrap_err();
        assert_eq!(
            error.message(),
            "columns `c` (numeric without precision), `c` (macaddr) cannot land as Parquet"
        );
    }

    #[test]
    fn uuid_and_json_carry_their_logical_type_also_within_arrays() {
        for (ty, extension) in [("uuid", "arrow.uuid"), ("jsonb", "arrow.json")] {
            let schema = arrow_schema(&[column(ty, None)]).unwrap();
            assert_eq!(schema.field(0).extension_type_name(), Some(extension));
            let schema = arrow_schema(&[column(&format!("{ty}[]"), None)]).unwrap();
            let DataType::List(item) = schema.field(0).data_type() else {
                panic!("{schema:?}")
            };
            assert_eq!(item.extension_type_name(), Some(extension));
            assert_eq!(schema.field(0).extension_type_name(), None);
        }
    }

    #[test]
    fn only_a_numeric_that_loses_its_zeros_is_inexact() {
        for (ty, land, exact) in [
            ("numeric(10,2)", None, true),
            ("numeric", Some("text"), true),
            ("numeric", Some("decimal(10,2)"), false),
            ("numeric[]", Some("double"), false),
            ("double precision", None, true),
        ] {
            assert_eq!(is_exact(&[column(ty, land)]), exact, "{ty} {land:?}");
        }
    }
}
