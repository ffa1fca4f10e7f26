//! The ledger: units, days that are staged, and Parquet objects.

pub mod objects;
pub mod rows;
pub mod staged;
pub mod units;
