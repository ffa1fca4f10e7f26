//! Parameter types that the driver does not have.

pub mod array;
mod names;
pub mod raw;
