//! Binary COPY tuples → Arrow columns, the exact inverse of [`super::encode`].
//!
//! Each column has a builder that appends a field's bytes to plain buffers, which become the Arrow array without a copy; no
//! row needs an allocation. UTF-8 is validated over all values of a batch at once. [`crate::schema::arrow`] lists the Arrow
//! type of each PostgreSQL type.
//!
//! Bytes that PostgreSQL would not write are an error even if they could be read: for every column that is landed exactly,
//! the encoder must restore the same bytes and the same digest.
//!
//! # Memory usage
//!
//! [`Decoder::bytes`] is the size of the rows since the last batch; the buffers' capacity is up to twice that. A batch holds
//! at most 2 GiB of a column.

mod array;
mod bytes;
mod column_builder;
mod decimal;
mod double;
mod fault;
mod inet;
mod numeric_text;
mod primitive;
mod rounded;
mod time;

use crate::error::{Error, Kind, Result};
use crate::schema::arrow::arrow_schema;
use crate::schema::{Column, Modifier, Scalar};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use column_builder::ColumnBuilder;
use decimal::Decimal;
use fault::DecodeFault;
use primitive::{Bools, Primitive, Uuids, exactly};
use rounded::Rounded;

/// Collects tuples and returns them as Arrow columns.
pub struct Decoder {
    schema: SchemaRef,
    builders: Vec<Box<dyn ColumnBuilder>>,
    rows: usize,
    /// Counted by the builders.
    rounded: Rounded,
}

impl Decoder {
    /// # Errors
    /// [`Kind::Refused`] when a column cannot be landed: see [`arrow_schema`](fn@crate::schema::arrow::arrow_schema).
    pub fn new(columns: &[Column]) -> Result<Decoder> {
        let schema = arrow_schema(columns)?;
        let rounded = Rounded::default();
        let builders = columns
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| builder(column, field.data_type(), &rounded))
            .collect::<Result<_>>()?;
        Ok(Decoder {
            schema,
            builders,
            rows: 0,
            rounded,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends one complete tuple, including its field count, as an [`Intake`](super::Intake) passes it on.
    ///
    /// # Errors
    /// [`Kind::Data`], with the column but not the day, when a value does not fit the Arrow type; [`Kind::Protocol`] when the
    /// bytes are not a tuple of these columns. Both drop the rows since the last [`Decoder::finish`].
    pub fn push(&mut self, tuple: &[u8]) -> Result<()> {
        match self.take(tuple) {
            Ok(()) => {
                self.rows += 1;
                Ok(())
            }
            Err(e) => {
                // The row was appended only in part, so the columns have different lengths.
                self.rows = 0;
                for builder in &mut self.builders {
                    let _ = builder.finish();
                }
                Err(e)
            }
        }
    }

    fn take(&mut self, tuple: &[u8]) -> Result<()> {
        let (count, mut rest) = tuple.split_first_chunk::<2>().ok_or_else(not_a_tuple)?;
        if usize::try_from(i16::from_be_bytes(*count)) != Ok(self.builders.len()) {
            return Err(not_a_tuple());
        }
        for (column, builder) in self.builders.iter_mut().enumerate() {
            let (len, behind) = rest.split_first_chunk::<4>().ok_or_else(not_a_tuple)?;
            let field = match i32::from_be_bytes(*len) {
                -1 => {
                    rest = behind;
                    None
                }
                len => {
                    let len = usize::try_from(len).map_err(|_| not_a_tuple())?;
                    let (field, behind) = behind.split_at_checked(len).ok_or_else(not_a_tuple)?;
                    rest = behind;
                    Some(field)
                }
            };
            builder
                .push(field)
                .map_err(|fault| fault.error(self.schema.field(column).name()))?;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(not_a_tuple())
        }
    }

    /// Rows since the last [`Decoder::finish`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values since the last call that the columns hold only rounded. The display scale of a numeric is no part of its value.
    pub fn take_rounded(&mut self) -> u64 {
        self.rounded.take()
    }

    /// Memory of the rows since the last [`Decoder::finish`], in bytes. Visits every column, so do not call it for every
    /// row.
    pub fn bytes(&self) -> usize {
        self.builders.iter().map(|builder| builder.bytes()).sum()
    }

    /// Returns the rows since the last call, and reserves memory for as many.
    ///
    /// # Errors
    /// [`Kind::Data`], with the column, when a text is not valid UTF-8.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns = Vec::with_capacity(self.builders.len());
        let mut first = None;
        for (builder, field) in self.builders.iter_mut().zip(self.schema.fields()) {
            match builder.finish() {
                Ok(column) => columns.push(column),
                // The other columns are finished, too, so that all are empty afterwards.
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
            Error::new(Kind::Bug, "decoded columns have different lengths").with_source(e)
        })
    }
}

#[cold]
fn not_a_tuple() -> Error {
    Error::new(
        Kind::Protocol,
        "the bytes are not a tuple of the template's columns",
    )
}

/// The builder of a column that is landed as `ty`.
fn builder(column: &Column, ty: &DataType, rounded: &Rounded) -> Result<Box<dyn ColumnBuilder>> {
    match ty {
        DataType::List(item) if column.ty.array => {
            let items = scalar(column, item.data_type(), rounded)?;
            Ok(array::Lists::builder(item, column.ty.scalar, items))
        }
        _ => scalar(column, ty, rounded),
    }
}

fn scalar(column: &Column, ty: &DataType, rounded: &Rounded) -> Result<Box<dyn ColumnBuilder>> {
    let fixed = |scale: i8| Decimal {
        precision: 0,
        scale: scale.unsigned_abs(),
        declared: column.ty.modifier != Modifier::None,
    };
    Ok(match (column.ty.scalar, ty) {
        (Scalar::Bool, _) => Bools::builder(),
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
            decimal::decimal128(ty, decimal)
        }
        (Scalar::Numeric, DataType::Decimal256(precision, scale)) => {
            let decimal = Decimal {
                precision: *precision,
                ..fixed(*scale)
            };
            decimal::decimal256(ty, decimal)
        }
        (Scalar::Numeric, DataType::Float64) => double::double(ty, rounded.clone()),
        (Scalar::Numeric, _) => bytes::text(numeric_text::print),
        (Scalar::Text | Scalar::Varchar | Scalar::Name | Scalar::Json, _) => {
            bytes::text(bytes::unchanged)
        }
        (Scalar::Jsonb, _) => bytes::text(bytes::jsonb),
        (Scalar::Bytea, _) => bytes::binary(),
        (Scalar::Date, _) => primitive::<Date32Type, _>(ty, time::date),
        (Scalar::Time, _) => primitive::<Time64MicrosecondType, _>(ty, time::time),
        (Scalar::Timestamp | Scalar::Timestamptz, _) => {
            primitive::<TimestampMicrosecondType, _>(ty, time::timestamp)
        }
        (Scalar::Interval, _) => time::Intervals::builder(),
        (Scalar::Uuid, _) => Uuids::builder(),
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

fn primitive<T: ArrowPrimitiveType, F>(ty: &DataType, read: F) -> Box<dyn ColumnBuilder>
where
    F: FnMut(&[u8]) -> Result<T::Native, DecodeFault> + Send + 'static,
{
    Primitive::<T, F>::builder(ty, read)
}
