//! Values of any length: text, json, bytea, and what lands as text.

use super::Sink;
use super::fault::Fault;
use arrow_array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow_array::{ArrayRef, GenericByteArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use std::marker::PhantomData;
use std::sync::Arc;

/// Values that `append` writes behind one another; for text, UTF-8 is checked over all of them at once.
pub(super) struct Bytes<T, F> {
    values: Vec<u8>,
    /// One more than there are values.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    append: F,
    ty: PhantomData<T>,
}

/// A column of text that `append` renders of a field's bytes.
pub(super) fn text<F>(append: F) -> Box<dyn Sink>
where
    F: FnMut(&[u8], &mut Vec<u8>) -> Result<(), Fault> + Send + 'static,
{
    Box::new(Bytes::<Utf8Type, F>::new(append))
}

/// A column of the fields' own bytes.
pub(super) fn binary() -> Box<dyn Sink> {
    Box::new(Bytes::<BinaryType, _>::new(as_they_are))
}

/// text, varchar, name, json, bytea: the bytes (`textsend` in `src/backend/utils/adt/varlena.c`).
pub(super) fn as_they_are(field: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    out.extend_from_slice(field);
    Ok(())
}

/// jsonb: a version, which is 1, and the text (`jsonb_send` in `src/backend/utils/adt/jsonb.c`).
pub(super) fn jsonb(field: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match field {
        [1, text @ ..] => as_they_are(text, out),
        _ => Err(Fault::Malformed),
    }
}

impl<T, F> Bytes<T, F> {
    fn new(append: F) -> Bytes<T, F> {
        Bytes {
            values: Vec::new(),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            append,
            ty: PhantomData,
        }
    }
}

impl<T, F> Sink for Bytes<T, F>
where
    T: ByteArrayType<Offset = i32>,
    F: FnMut(&[u8], &mut Vec<u8>) -> Result<(), Fault> + Send,
{
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), Fault> {
        if let Some(bytes) = field {
            (self.append)(bytes, &mut self.values)?;
            self.nulls.append_non_null();
        } else {
            self.nulls.append_null();
        }
        let end = i32::try_from(self.values.len()).map_err(|_| Fault::BatchFull)?;
        self.offsets.push(end);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.len() + size_of_val(self.offsets.as_slice()) + self.offsets.len() / 8
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let room = Vec::with_capacity(self.values.len());
        let values = Buffer::from_vec(std::mem::replace(&mut self.values, room));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = GenericByteArray::<T>::try_new(offsets, values, self.nulls.finish());
        Ok(Arc::new(array.map_err(|_| Fault::NotUtf8)?))
    }
}
