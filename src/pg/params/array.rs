//! An array parameter whose elements are binary already.

use bytes::{BufMut, BytesMut};
use postgres_types::{IsNull, ToSql, Type, to_sql_checked};
use std::error::Error;

/// A one-dimensional array of binary values, as they came in a COPY stream. The statement's cast (`$1::bigint[]`) sets
/// which type they are.
#[derive(Debug, Clone, Default)]
pub struct RawArray {
    elements: BytesMut,
    count: i32,
    has_null: bool,
    element_oid: u32,
}

impl RawArray {
    /// An empty array of elements of this type (`pg_type.oid`).
    pub fn new(element_oid: u32) -> RawArray {
        RawArray {
            element_oid,
            ..RawArray::default()
        }
    }

    pub fn push(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                // A value came out of a COPY field, whose length is an i32.
                self.elements
                    .put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
                self.elements.put_slice(value);
            }
            None => {
                self.elements.put_i32(-1);
                self.has_null = true;
            }
        }
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl ToSql for RawArray {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(i32::from(!self.is_empty()));
        out.put_i32(i32::from(self.has_null));
        out.put_u32(self.element_oid);
        if !self.is_empty() {
            out.put_i32(self.count);
            out.put_i32(1);
            out.put_slice(&self.elements);
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
