//! The ledger: units, days that are staged, Parquet objects, and what the server sums up of them.

pub mod day_ranges;
pub mod due;
pub mod objects;
pub mod rows;
pub mod staged;
pub mod summary;
pub mod units;
