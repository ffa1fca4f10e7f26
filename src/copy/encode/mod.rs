//! Arrow → binary COPY tuples.

use crate::error::{Error, Kind, Result};
use crate::schema::Column;
use crate::schema::arrow::arrow_schema;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::BytesMut;

/// Gives Arrow columns back as the tuples they were.
pub struct Encoder {
    schema: SchemaRef,
}

impl Encoder {
    /// # Errors
    /// [`Kind::Refused`] when a column cannot land: see [`arrow_schema`].
    pub fn new(columns: &[Column]) -> Result<Encoder> {
        Ok(Encoder {
            schema: arrow_schema(columns)?,
        })
    }

    /// The schema that batches must have.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends a tuple for each row, without header or trailer, and calls `each` with it.
    ///
    /// # Errors
    /// [`Kind::Data`], naming the column, when the batch is not of the template's columns or a value is none of the
    /// column's type.
    pub fn encode(
        &mut self,
        _batch: &RecordBatch,
        _out: &mut BytesMut,
        _each: impl FnMut(&[u8]),
    ) -> Result<()> {
        Err(Error::new(Kind::Bug, "not there yet"))
    }
}
