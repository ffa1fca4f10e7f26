//! Writes the fields of one column from its Arrow array.

use super::fault::EncodeFault;
use super::field::{put_bytes, put_null, put_sized};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, ByteArrayType, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, GenericByteArray, ListArray, PrimitiveArray};
use arrow_array::{BooleanArray, FixedSizeBinaryArray};
use arrow_buffer::NullBuffer;
use bytes::BytesMut;

/// Writes the fields of one column, row by row.
pub(super) trait ColumnEncoder {
    /// Appends the row's field: length and bytes.
    fn put(&mut self, row: usize, out: &mut BytesMut) -> Result<(), EncodeFault>;
}

/// An array whose values `put` writes.
struct Values<'a, A, F> {
    array: &'a A,
    nulls: Option<&'a NullBuffer>,
    put: F,
}

impl<A, F> ColumnEncoder for Values<'_, A, F>
where
    F: FnMut(&A, usize, &mut BytesMut) -> Result<(), EncodeFault>,
{
    fn put(&mut self, row: usize, out: &mut BytesMut) -> Result<(), EncodeFault> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            put_null(out);
            return Ok(());
        }
        (self.put)(self.array, row, out)
    }
}

fn values<'a, A: Array, F>(array: &'a A, put: F) -> Box<dyn ColumnEncoder + 'a>
where
    F: FnMut(&A, usize, &mut BytesMut) -> Result<(), EncodeFault> + 'a,
{
    Box::new(Values {
        array,
        nulls: array.nulls(),
        put,
    })
}

/// Values of fixed width. `None` when the array has another type.
pub(super) fn primitive<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    mut put: impl FnMut(T::Native, &mut BytesMut) -> Result<(), EncodeFault> + 'a,
) -> Option<Box<dyn ColumnEncoder + 'a>> {
    let array = array.as_primitive_opt::<T>()?;
    Some(values(array, move |array: &PrimitiveArray<T>, row, out| {
        put(array.value(row), out)
    }))
}

/// Values of variable length. `None` when the array has another type.
pub(super) fn bytes<'a, T: ByteArrayType<Offset = i32>>(
    array: &'a ArrayRef,
    mut put: impl FnMut(&T::Native, &mut BytesMut) -> Result<(), EncodeFault> + 'a,
) -> Option<Box<dyn ColumnEncoder + 'a>> {
    let array = array.as_bytes_opt::<T>()?;
    Some(values(
        array,
        move |array: &GenericByteArray<T>, row, out| put(array.value(row), out),
    ))
}

pub(super) fn bools(array: &ArrayRef) -> Option<Box<dyn ColumnEncoder + '_>> {
    let array = array.as_boolean_opt()?;
    Some(values(array, |array: &BooleanArray, row, out| {
        out.extend_from_slice(&[0, 0, 0, 1, array.value(row).into()]);
        Ok(())
    }))
}

pub(super) fn uuids(array: &ArrayRef) -> Option<Box<dyn ColumnEncoder + '_>> {
    let array = array.as_fixed_size_binary_opt()?;
    Some(values(array, |array: &FixedSizeBinaryArray, row, out| {
        put_bytes(out, array.value(row))
    }))
}

/// Months, days and microseconds, which PostgreSQL sends in reverse order.
pub(super) fn intervals(array: &ArrayRef) -> Option<Box<dyn ColumnEncoder + '_>> {
    let array = array.as_struct_opt()?;
    let [months, days, micros] = array.columns() else {
        return None;
    };
    let months = months.as_primitive_opt::<Int32Type>()?;
    let days = days.as_primitive_opt::<Int32Type>()?;
    let micros = micros.as_primitive_opt::<Int64Type>()?;
    Some(values(array, move |_, row, out: &mut BytesMut| {
        let mut field = [0; 20];
        field[..4].copy_from_slice(&16i32.to_be_bytes());
        field[4..12].copy_from_slice(&micros.value(row).to_be_bytes());
        field[12..16].copy_from_slice(&days.value(row).to_be_bytes());
        field[16..].copy_from_slice(&months.value(row).to_be_bytes());
        out.extend_from_slice(&field);
        Ok(())
    }))
}

/// Lists; `items` makes the encoder of their items, whose type is `oid`.
pub(super) fn lists<'a>(
    array: &'a ArrayRef,
    oid: u32,
    items: impl FnOnce(&'a ArrayRef) -> Option<Box<dyn ColumnEncoder + 'a>>,
) -> Option<Box<dyn ColumnEncoder + 'a>> {
    let array = array.as_list_opt::<i32>()?;
    let mut items = items(array.values())?;
    Some(values(array, move |array: &ListArray, row, out| {
        let ends = array.value_offsets();
        let (start, end) = (ends[row] as usize, ends[row + 1] as usize);
        put_sized(out, |out| {
            let nulls = array.values().nulls();
            let has_null = nulls.is_some_and(|n| (start..end).any(|i| n.is_null(i)));
            let dimensions = i32::from(start < end);
            for part in [dimensions, has_null.into()] {
                out.extend_from_slice(&part.to_be_bytes());
            }
            out.extend_from_slice(&oid.to_be_bytes());
            if start < end {
                let size = ends[row + 1] - ends[row];
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(&1i32.to_be_bytes());
            }
            (start..end).try_for_each(|item| items.put(item, out))
        })
    }))
}
