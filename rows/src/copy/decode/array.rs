//! One-dimensional arrays → lists.
//!
//! # Layout
//!
//! `array_send` and `array_recv` in PostgreSQL's `src/backend/utils/adt/arrayfuncs.c`; all integers big-endian:
//!
//! ```text
//!  0        4        8        12       16       20
//! ┌────────┬────────┬────────┬────────┬────────┬───────┬─────────┬───────┬─
//! │ndim    │has_null│element │size    │lower   │length │bytes    │length │ …      a null item has the length -1
//! │(1)     │(0 or 1)│OID     │        │bound(1)│       │         │       │
//! └────────┴────────┴────────┴────────┴────────┴───────┴─────────┴───────┴─
//!                            └─ for each dimension ─┘
//!
//! {}           ndim 0: twelve bytes, has_null 0
//! {1,NULL}     1  1  23  2  1   4 0001   -1
//! ```
//!
//! A list has one dimension and the lower bound 1. Other arrays cannot be landed.

use super::column_builder::ColumnBuilder;
use super::fault::DecodeFault;
use crate::schema::Scalar;
use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;
use std::sync::Arc;

/// Lists whose items another builder takes.
pub(super) struct Lists {
    item: FieldRef,
    oid: u32,
    items: Box<dyn ColumnBuilder>,
    /// One more than there are lists.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Lists {
    pub fn builder(
        item: &FieldRef,
        scalar: Scalar,
        items: Box<dyn ColumnBuilder>,
    ) -> Box<dyn ColumnBuilder> {
        Box::new(Lists {
            item: item.clone(),
            oid: scalar.oid(),
            items,
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        })
    }

    /// Appends an array's items; returns their number.
    fn items(&mut self, field: &[u8]) -> Result<i32, DecodeFault> {
        let (header, rest) = field
            .split_first_chunk::<12>()
            .ok_or(DecodeFault::Malformed)?;
        let part = |bytes: &[u8], i: usize| {
            i32::from_be_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]])
        };
        let (dimensions, has_null) = (part(header, 0), part(header, 4));
        if part(header, 8).cast_unsigned() != self.oid {
            return Err(DecodeFault::Malformed);
        }
        match dimensions {
            0 if has_null == 0 && rest.is_empty() => return Ok(0),
            1 => {}
            2..=6 => return Err(DecodeFault::Dimensions),
            _ => return Err(DecodeFault::Malformed),
        }
        let (shape, mut rest) = rest
            .split_first_chunk::<8>()
            .ok_or(DecodeFault::Malformed)?;
        let (size, lower_bound) = (part(shape, 0), part(shape, 4));
        if lower_bound != 1 {
            return Err(DecodeFault::LowerBound);
        }
        let mut nulls = 0;
        for _ in 0..size {
            let (length, behind) = rest
                .split_first_chunk::<4>()
                .ok_or(DecodeFault::Malformed)?;
            let (item, behind) = match i32::from_be_bytes(*length) {
                -1 => {
                    nulls = 1;
                    (None, behind)
                }
                length => {
                    let length = usize::try_from(length).map_err(|_| DecodeFault::Malformed)?;
                    let (item, behind) = behind
                        .split_at_checked(length)
                        .ok_or(DecodeFault::Malformed)?;
                    (Some(item), behind)
                }
            };
            self.items.push(item)?;
            rest = behind;
        }
        // The intake has corrected the flag where PostgreSQL left it set.
        if size < 1 || nulls != has_null || !rest.is_empty() {
            return Err(DecodeFault::Malformed);
        }
        Ok(size)
    }
}

impl ColumnBuilder for Lists {
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault> {
        let size = match field {
            Some(field) => self.items(field)?,
            None => 0,
        };
        self.nulls.append(field.is_some());
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets
            .push(end.checked_add(size).ok_or(DecodeFault::BatchFull)?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.items.bytes() + size_of_val(self.offsets.as_slice()) + self.offsets.len() / 8
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeFault> {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let items = self.items.finish()?;
        let list = ListArray::new(self.item.clone(), offsets, items, self.nulls.finish());
        Ok(Arc::new(list))
    }
}
