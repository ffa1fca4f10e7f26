//! Rows into the warehouse: a window's transaction, a day's difference, the build of a year.

pub mod copy_in;
pub mod difference;
pub mod duplicates;
pub mod held_keys;
pub mod rebuild;
pub mod refused;
pub mod shared_keys;
pub mod staging;
