//! Year, day and staging tables: where days live, names, SQL, indexes, short transactions, the snapshot barrier.

pub mod barrier;
pub mod definitions;
pub mod indexes;
pub mod prepare;
pub mod shape;
pub mod transaction;
pub mod user_settings;
