//! Values of variable length: text, json, bytea, and types that are landed as text.

use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use arrow_array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow_array::{ArrayRef, GenericByteArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use std::marker::PhantomData;
use std::sync::Arc;

/// Values that `append` writes one after another. For text, UTF-8 is validated over all of them at once.
pub(super) struct ByteValues<T, F> {
    values: Vec<u8>,
    /// One more than there are values.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    append: F,
    ty: PhantomData<T>,
}

/// A column of text that `append` makes from a field's bytes.
pub(super) fn text<F>(append: F) -> Box<dyn ColumnBuilder>
where
    F: FnMut(&[u8], &mut Vec<u8>) -> Result<(), DecodeFault> + Send + 'static,
{
    Box::new(ByteValues::<Utf8Type, F>::new(append))
}

/// A column of the fields' bytes.
pub(super) fn binary() -> Box<dyn ColumnBuilder> {
    Box::new(ByteValues::<BinaryType, _>::new(unchanged))
}

/// text, varchar, name, json, bytea: the bytes (`textsend` in `src/backend/utils/adt/varlena.c`).
pub(super) fn unchanged(field: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    out.extend_from_slice(field);
    Ok(())
}

/// jsonb: the version 1, then the text (`jsonb_send` in `src/backend/utils/adt/jsonb.c`).
pub(super) fn jsonb(field: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    match field {
        [1, text @ ..] => unchanged(text, out),
        _ => Err(DecodeFault::Malformed),
    }
}

impl<T, F> ByteValues<T, F> {
    fn new(append: F) -> ByteValues<T, F> {
        ByteValues {
            values: Vec::new(),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            append,
            ty: PhantomData,
        }
    }
}

impl<T, F> ColumnBuilder for ByteValues<T, F>
where
    T: ByteArrayType<Offset = i32>,
    F: FnMut(&[u8], &mut Vec<u8>) -> Result<(), DecodeFault> + Send,
{
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault> {
        if let Some(bytes) = field {
            (self.append)(bytes, &mut self.values)?;
            self.nulls.append_non_null();
        } else {
            self.nulls.append_null();
        }
        let end = i32::try_from(self.values.len()).map_err(|_| DecodeFault::BatchFull)?;
        self.offsets.push(end);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.len() + size_of_val(self.offsets.as_slice()) + self.offsets.len() / 8
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeFault> {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let room = Vec::with_capacity(self.values.len());
        let values = Buffer::from_vec(std::mem::replace(&mut self.values, room));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = GenericByteArray::<T>::try_new(offsets, values, self.nulls.finish());
        Ok(Arc::new(array.map_err(|_| DecodeFault::NotUtf8)?))
    }
}
