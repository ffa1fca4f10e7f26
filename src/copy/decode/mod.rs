//! Binary COPY tuples → Arrow columns, the exact inverse of [`super::encode`].
//!
//! Each column has a sink of its own that appends a field's bytes to plain buffers, which become the Arrow array as they
//! are; no row costs an allocation. Text is checked to be UTF-8 over all values of a batch at once. What a type becomes
//! is listed in [`crate::schema::arrow`].
//!
//! What PostgreSQL would not have written is an error even where it could be read: for every column that lands exactly,
//! the encoder gives back the very bytes, and with them the digest.
//!
//! # Memory usage
//!
//! [`Decoder::bytes`] says what the rows since the last batch take; the buffers' room is up to twice that. A batch holds
//! at most 2 GiB of a column.

mod array;
mod bytes;
mod fault;
mod inet;
mod numeric;
mod numeric_text;
mod primitive;
mod time;

use crate::error::{Error, Kind, Result};
use crate::schema::arrow::arrow_schema;
use crate::schema::{Column, Modifier, Scalar};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use fault::Fault;
use numeric::Decimal;
use primitive::{Bools, Primitive, Uuids, exactly};

/// Takes one column's fields.
trait Sink: Send {
    /// Appends a value; `None` is null. After a fault the sink may hold part of it.
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), Fault>;

    /// Memory of what was appended.
    fn bytes(&self) -> usize;

    /// The values since the last call.
    fn finish(&mut self) -> Result<ArrayRef, Fault>;
}

/// Takes tuples one by one and gives them back as Arrow columns.
pub struct Decoder {
    schema: SchemaRef,
    sinks: Vec<Box<dyn Sink>>,
    rows: usize,
}

impl Decoder {
    /// # Errors
    /// [`Kind::Refused`] when a column cannot land: see [`arrow_schema`](fn@crate::schema::arrow::arrow_schema).
    pub fn new(columns: &[Column]) -> Result<Decoder> {
        let schema = arrow_schema(columns)?;
        let sinks = columns
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| sink(column, field.data_type()))
            .collect::<Result<_>>()?;
        Ok(Decoder {
            schema,
            sinks,
            rows: 0,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes one complete tuple, field count included, as an [`Intake`](super::Intake) passes it on.
    ///
    /// # Errors
    /// [`Kind::Data`], naming the column and not the day, when a value does not fit the Arrow type; [`Kind::Protocol`]
    /// when the bytes are no tuple of these columns. The rows since the last [`Decoder::finish`] are forgotten then.
    pub fn push(&mut self, tuple: &[u8]) -> Result<()> {
        match self.take(tuple) {
            Ok(()) => {
                self.rows += 1;
                Ok(())
            }
            Err(e) => {
                // A row that came in part only: the columns no longer stand side by side.
                self.rows = 0;
                for sink in &mut self.sinks {
                    let _ = sink.finish();
                }
                Err(e)
            }
        }
    }

    fn take(&mut self, tuple: &[u8]) -> Result<()> {
        let (count, mut rest) = tuple.split_first_chunk::<2>().ok_or_else(no_tuple)?;
        if usize::try_from(i16::from_be_bytes(*count)) != Ok(self.sinks.len()) {
            return Err(no_tuple());
        }
        for (column, sink) in self.sinks.iter_mut().enumerate() {
            let (len, behind) = rest.split_first_chunk::<4>().ok_or_else(no_tuple)?;
            let field = match i32::from_be_bytes(*len) {
                -1 => {
                    rest = behind;
                    None
                }
                len => {
                    let len = usize::try_from(len).map_err(|_| no_tuple())?;
                    let (field, behind) = behind.split_at_checked(len).ok_or_else(no_tuple)?;
                    rest = behind;
                    Some(field)
                }
            };
            sink.push(field)
                .map_err(|fault| fault.error(self.schema.field(column).name()))?;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(no_tuple())
        }
    }

    /// Rows since the last [`Decoder::finish`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Memory of the rows since the last [`Decoder::finish`], in bytes. Asks every column: not to be called for every
    /// row.
    pub fn bytes(&self) -> usize {
        self.sinks.iter().map(|sink| sink.bytes()).sum()
    }

    /// The rows since the last call; starts anew, with room for as many.
    ///
    /// # Errors
    /// [`Kind::Data`], naming the column, when a text is not valid UTF-8.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns = Vec::with_capacity(self.sinks.len());
        let mut first = None;
        for (sink, field) in self.sinks.iter_mut().zip(self.schema.fields()) {
            match sink.finish() {
                Ok(column) => columns.push(column),
                // All are finished, so that the columns stay side by side.
                Err(fault) => {
                    first.get_or_insert_with(|| fault.error(field.name()));
                }
            }
        }
        if let Some(error) = first {
            return Err(error);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|e| {
            Error::new(Kind::Bug, "decoded columns do not fit together").with_source(e)
        })
    }
}

#[cold]
fn no_tuple() -> Error {
    Error::new(
        Kind::Protocol,
        "the bytes are no tuple of the template's columns",
    )
}

/// The sink of a column that lands as `ty`.
fn sink(column: &Column, ty: &DataType) -> Result<Box<dyn Sink>> {
    match ty {
        DataType::List(item) if column.ty.array => {
            let items = scalar(column, item.data_type())?;
            Ok(array::Lists::sink(item, column.ty.scalar, items))
        }
        _ => scalar(column, ty),
    }
}

fn scalar(column: &Column, ty: &DataType) -> Result<Box<dyn Sink>> {
    let fixed = |scale: i8| Decimal {
        precision: 0,
        scale: scale.unsigned_abs(),
        declared: column.ty.modifier != Modifier::None,
    };
    Ok(match (column.ty.scalar, ty) {
        (Scalar::Bool, _) => Bools::sink(),
        (Scalar::Int2, _) => primitive::<Int16Type, _>(ty, |f| Ok(i16::from_be_bytes(exactly(f)?))),
        (Scalar::Int4, _) => primitive::<Int32Type, _>(ty, |f| Ok(i32::from_be_bytes(exactly(f)?))),
        (Scalar::Int8, _) => primitive::<Int64Type, _>(ty, |f| Ok(i64::from_be_bytes(exactly(f)?))),
        (Scalar::Float4, _) => {
            primitive::<Float32Type, _>(ty, |f| Ok(f32::from_be_bytes(exactly(f)?)))
        }
        (Scalar::Float8, _) => {
            primitive::<Float64Type, _>(ty, |f| Ok(f64::from_be_bytes(exactly(f)?)))
        }
        (Scalar::Numeric, DataType::Decimal128(precision, scale)) => {
            let decimal = Decimal {
                precision: *precision,
                ..fixed(*scale)
            };
            numeric::decimal128(ty, decimal)
        }
        (Scalar::Numeric, DataType::Decimal256(precision, scale)) => {
            let decimal = Decimal {
                precision: *precision,
                ..fixed(*scale)
            };
            numeric::decimal256(ty, decimal)
        }
        (Scalar::Numeric, DataType::Float64) => numeric::double(ty),
        (Scalar::Numeric, _) => bytes::text(numeric_text::print),
        (Scalar::Text | Scalar::Varchar | Scalar::Name | Scalar::Json, _) => {
            bytes::text(bytes::as_they_are)
        }
        (Scalar::Jsonb, _) => bytes::text(bytes::jsonb),
        (Scalar::Bytea, _) => bytes::binary(),
        (Scalar::Date, _) => primitive::<Date32Type, _>(ty, time::date),
        (Scalar::Time, _) => primitive::<Time64MicrosecondType, _>(ty, time::time),
        (Scalar::Timestamp | Scalar::Timestamptz, _) => {
            primitive::<TimestampMicrosecondType, _>(ty, time::timestamp)
        }
        (Scalar::Interval, _) => time::Intervals::sink(),
        (Scalar::Uuid, _) => Uuids::sink(),
        (Scalar::Inet, _) => bytes::text(inet::inet),
        (Scalar::Cidr, _) => bytes::text(inet::cidr),
        (Scalar::Timetz | Scalar::Macaddr | Scalar::Macaddr8, _) => {
            return Err(Error::new(
                Kind::Bug,
                format!("no decoder for `{}`", column.ty),
            ));
        }
    })
}

fn primitive<T: ArrowPrimitiveType, F>(ty: &DataType, read: F) -> Box<dyn Sink>
where
    F: FnMut(&[u8]) -> Result<T::Native, Fault> + Send + 'static,
{
    Primitive::<T, F>::sink(ty, read)
}
