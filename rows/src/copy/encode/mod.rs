//! Arrow columns → binary COPY tuples, the exact inverse of [`super::decode`].
//!
//! For every column that is landed exactly, the bytes are those that were decoded, so that restored rows have the digest of
//! the original ones. A numeric without precision that was landed as `decimal(p,s)` gets the display scale s; one that was
//! landed as `double` gets the decimal places of the shortest number that reads back as the same double.
//!
//! An array's null flag is set if and only if it contains a null.
//!
//! # Memory usage
//!
//! Only the bytes appended to the caller's buffer.

mod column_encoder;
mod fault;
mod field;
mod inet;
mod numeric;
mod numeric_text;

use super::epoch;
use crate::error::{Error, Kind, Result};
use crate::schema::arrow::arrow_schema;
use crate::schema::{Column, PgType, Scalar};
use arrow_array::types::{
    BinaryType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, Utf8Type,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::i256;
use arrow_schema::{DataType, SchemaRef};
use bytes::{BufMut, BytesMut};
use column_encoder::{ColumnEncoder, bools, bytes, intervals, lists, primitive, uuids};
use fault::EncodeFault;
use field::{put_bytes, put_f32, put_f64, put_i16, put_i32, put_i64, put_sized};
use numeric_text::put_printed;
use std::fmt::Write;

/// Converts Arrow columns back to tuples.
pub struct Encoder {
    schema: SchemaRef,
    types: Vec<PgType>,
    /// The field count that every tuple begins with.
    count: i16,
}

impl Encoder {
    /// # Errors
    /// [`Kind::Refused`] when a column cannot be landed: see [`arrow_schema`](fn@crate::schema::arrow::arrow_schema).
    pub fn new(columns: &[Column]) -> Result<Encoder> {
        Ok(Encoder {
            schema: arrow_schema(columns)?,
            types: columns.iter().map(|c| c.ty).collect(),
            count: i16::try_from(columns.len())
                .map_err(|_| Error::new(Kind::Refused, "too many columns for a table"))?,
        })
    }

    /// The schema that batches must have: names, types and order. Metadata and the names of list items are ignored.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends a tuple for each row, without header or trailer, and calls `each` with it.
    ///
    /// # Errors
    /// [`Kind::Data`], with the column, when the batch does not have the template's columns or a value does not fit the
    /// column's type. `out` may then end with an incomplete tuple.
    pub fn encode(
        &mut self,
        batch: &RecordBatch,
        out: &mut BytesMut,
        mut each: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut encoders = self.encoders(batch)?;
        for row in 0..batch.num_rows() {
            let start = out.len();
            out.put_i16(self.count);
            for (column, encoder) in encoders.iter_mut().enumerate() {
                encoder
                    .put(row, out)
                    .map_err(|fault| fault.error(self.schema.field(column).name()))?;
            }
            each(&out[start..]);
        }
        Ok(())
    }

    fn encoders<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Box<dyn ColumnEncoder + 'a>>> {
        let found = batch.schema_ref().fields();
        if found.len() != self.types.len() {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "the file has {} columns, but the template has {}",
                    found.len(),
                    self.types.len()
                ),
            ));
        }
        let expected = self.schema.fields().iter().zip(&self.types);
        let mut encoders = Vec::with_capacity(self.types.len());
        for ((expected, ty), (found, array)) in expected.zip(found.iter().zip(batch.columns())) {
            let name = expected.name();
            if found.name() != name {
                return Err(Error::new(
                    Kind::Data,
                    format!(
                        "the file has column `{}` in place of `{name}`",
                        found.name()
                    ),
                ));
            }
            let encoder = is_same_type(found.data_type(), expected.data_type())
                .then(|| encoder(*ty, expected.data_type(), array))
                .flatten();
            encoders.push(encoder.ok_or_else(|| {
                let found = found.data_type();
                Error::new(
                    Kind::Data,
                    format!(
                        "column `{name}`: the file has {found}, but `{ty}` is not landed as that type"
                    ),
                )
            })?);
        }
        Ok(encoders)
    }
}

/// Whether two types are the same. Names of list items, metadata and nullability are ignored.
fn is_same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => is_same_type(a.data_type(), b.data_type()),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    a.name() == b.name() && is_same_type(a.data_type(), b.data_type())
                })
        }
        _ => a == b,
    }
}

/// The encoder of a column that was landed as `ty`; `None` when the array has another type.
fn encoder<'a>(
    pg: PgType,
    ty: &DataType,
    array: &'a ArrayRef,
) -> Option<Box<dyn ColumnEncoder + 'a>> {
    match ty {
        DataType::List(item) if pg.array => lists(array, pg.scalar.oid(), |items| {
            scalar(pg.scalar, item.data_type(), items)
        }),
        _ => scalar(pg.scalar, ty, array),
    }
}

fn scalar<'a>(
    pg: Scalar,
    ty: &DataType,
    array: &'a ArrayRef,
) -> Option<Box<dyn ColumnEncoder + 'a>> {
    match pg {
        Scalar::Bool => bools(array),
        Scalar::Int2 => primitive::<Int16Type>(array, |v, out| put_i16(out, v)),
        Scalar::Int4 => primitive::<Int32Type>(array, |v, out| put_i32(out, v)),
        Scalar::Int8 => primitive::<Int64Type>(array, |v, out| put_i64(out, v)),
        Scalar::Float4 => primitive::<Float32Type>(array, |v, out| put_f32(out, v)),
        Scalar::Float8 => primitive::<Float64Type>(array, |v, out| put_f64(out, v)),
        Scalar::Numeric => numeric(ty, array),
        Scalar::Text | Scalar::Varchar | Scalar::Name | Scalar::Json => {
            bytes::<Utf8Type>(array, |v, out| put_bytes(out, v.as_bytes()))
        }
        Scalar::Jsonb => bytes::<Utf8Type>(array, |v, out| {
            put_sized(out, |out| {
                out.put_u8(1);
                out.extend_from_slice(v.as_bytes());
                Ok(())
            })
        }),
        Scalar::Bytea => bytes::<BinaryType>(array, |v, out| put_bytes(out, v)),
        Scalar::Date => primitive::<Date32Type>(array, |v, out| {
            let days = v.checked_sub(epoch::DAYS).filter(|d| *d > i32::MIN);
            put_i32(out, days.ok_or(EncodeFault::OutOfRange)?)
        }),
        Scalar::Time => primitive::<Time64MicrosecondType>(array, |v, out| match v {
            0..epoch::DAY_MICROS => put_i64(out, v),
            _ => Err(EncodeFault::OutOfRange),
        }),
        Scalar::Timestamp | Scalar::Timestamptz => {
            primitive::<TimestampMicrosecondType>(array, |v, out| {
                let micros = v.checked_sub(epoch::MICROS).filter(|m| *m > i64::MIN);
                put_i64(out, micros.ok_or(EncodeFault::OutOfRange)?)
            })
        }
        Scalar::Interval => intervals(array),
        Scalar::Uuid => uuids(array),
        Scalar::Inet => bytes::<Utf8Type>(array, |v, out| inet::put_address(out, v, false)),
        Scalar::Cidr => bytes::<Utf8Type>(array, |v, out| inet::put_address(out, v, true)),
        Scalar::Timetz | Scalar::Macaddr | Scalar::Macaddr8 => None,
    }
}

fn numeric<'a>(ty: &DataType, array: &'a ArrayRef) -> Option<Box<dyn ColumnEncoder + 'a>> {
    match *ty {
        DataType::Decimal128(precision, scale) => {
            let limit = 10u128.pow(precision.into());
            primitive::<Decimal128Type>(array, move |v, out| {
                if v.unsigned_abs() >= limit {
                    return Err(EncodeFault::OutOfRange);
                }
                numeric::put_decimal128(out, v, scale.unsigned_abs());
                Ok(())
            })
        }
        DataType::Decimal256(precision, scale) => {
            let limit = i256::from_i128(10).wrapping_pow(precision.into());
            primitive::<Decimal256Type>(array, move |v, out| {
                if v >= limit || v <= limit.wrapping_neg() {
                    return Err(EncodeFault::OutOfRange);
                }
                numeric::put_decimal256(out, v, scale.unsigned_abs());
                Ok(())
            })
        }
        DataType::Float64 => {
            let mut scratch = String::new();
            primitive::<Float64Type>(array, move |v, out| {
                scratch.clear();
                // Writing to a String cannot fail. Rust prints the shortest number that reads back as the same double.
                let _ = match (v.is_infinite(), v.is_sign_negative()) {
                    (true, false) => write!(scratch, "Infinity"),
                    (true, true) => write!(scratch, "-Infinity"),
                    _ => write!(scratch, "{v}"),
                };
                put_printed(out, scratch.as_bytes())
            })
        }
        _ => bytes::<Utf8Type>(array, |v, out| put_printed(out, v.as_bytes())),
    }
}
