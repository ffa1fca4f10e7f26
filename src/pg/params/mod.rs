//! Parameter types that the driver does not have.

pub mod array;
pub mod raw;
