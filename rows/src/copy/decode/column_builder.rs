//! The interface of all columns that are converted to Arrow.

use super::fault::DecodeFault;
use arrow_array::ArrayRef;

/// Collects one column's fields.
pub(super) trait ColumnBuilder: Send {
    /// Appends a value; `None` is null. After a fault, the builder may contain part of it.
    fn push(&mut self, field: Option<&[u8]>) -> Result<(), DecodeFault>;

    /// Memory of the appended values.
    fn bytes(&self) -> usize;

    /// The values since the last call.
    fn finish(&mut self) -> Result<ArrayRef, DecodeFault>;
}
