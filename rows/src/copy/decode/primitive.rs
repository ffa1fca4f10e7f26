//! Values of fixed width, and booleans.

use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, PrimitiveArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::DataType;
use std::sync::Arc;

/// Values that `read` makes from a field's bytes.
pub(super) struct Primitive<T: ArrowPrimitiveType, F> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    ty: DataType,
    read: F,
}

impl<T: ArrowPrimitiveType, F> Primitive<T, F>
where
    F: FnMut(&[u8]) -> Result<T::Native, DecodeFault> + Send + 'static,
{
    /// `ty` is T's type, or the same with another precision, scale or time zone.
    pub fn builder(ty: &DataType, read: F) -> Box<dyn ColumnBuilder> {
        Box::new(Primitive::<T, F> {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            ty: ty.clone(),
            read,
        })
    }
}

impl<T: ArrowPrimitiveType, F> ColumnBuilder for Primitive<T, F>
where
    F: FnMut(&[u8]) -> Result<T::Native, DecodeFault> + Send,
{
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault> {
        if let Some(bytes) = field {
            self.values.push((self.read)(bytes)?);
            self.nulls.append_non_null();
        } else {
            self.values.push(T::Native::default());
            self.nulls.append_null();
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice()) + self.values.len() / 8
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeFault> {
        let room = Vec::with_capacity(self.values.len());
        let values = ScalarBuffer::from(std::mem::replace(&mut self.values, room));
        let array = PrimitiveArray::<T>::new(values, self.nulls.finish());
        Ok(Arc::new(array.with_data_type(self.ty.clone())))
    }
}

/// The field's bytes, which must be exactly N.
pub(super) fn exactly<const N: usize>(field: &[u8]) -> Result<[u8; N], DecodeFault> {
    field.try_into().map_err(|_| DecodeFault::Malformed)
}

/// Booleans: one byte, 0 or 1 (`boolsend` in `src/backend/utils/adt/bool.c`).
pub(super) struct Bools {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Bools {
    pub fn builder() -> Box<dyn ColumnBuilder> {
        Box::new(Bools {
            values: BooleanBufferBuilder::new(0),
            nulls: NullBufferBuilder::new(0),
        })
    }
}

impl ColumnBuilder for Bools {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault> {
        match field {
            Some([value @ (0 | 1)]) => self.values.append(*value == 1),
            Some(_) => return Err(DecodeFault::Malformed),
            None => self.values.append(false),
        }
        self.nulls.append(field.is_some());
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.len() / 4
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeFault> {
        let values = self.values.finish();
        Ok(Arc::new(BooleanArray::new(values, self.nulls.finish())))
    }
}

/// UUIDs: their 16 bytes (`uuid_send` in `src/backend/utils/adt/uuid.c`).
pub(super) struct Uuids {
    values: Vec<u8>,
    nulls: NullBufferBuilder,
}

const UUID: usize = 16;

impl Uuids {
    pub fn builder() -> Box<dyn ColumnBuilder> {
        Box::new(Uuids {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        })
    }
}

impl ColumnBuilder for Uuids {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault> {
        let bytes: [u8; UUID] = field.map_or(Ok([0; UUID]), exactly)?;
        self.values.extend_from_slice(&bytes);
        self.nulls.append(field.is_some());
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.len() + self.values.len() / (8 * UUID)
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeFault> {
        let room = Vec::with_capacity(self.values.len());
        let values = Buffer::from_vec(std::mem::replace(&mut self.values, room));
        let array = FixedSizeBinaryArray::new(UUID as i32, values, self.nulls.finish());
        Ok(Arc::new(array))
    }
}
