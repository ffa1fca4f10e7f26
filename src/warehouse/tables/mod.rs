//! Year, day and staging tables: where days live, names, SQL, indexes, short transactions, the snapshot barrier.

pub mod barrier;
pub mod definitions;
pub mod dependents;
pub mod indexes;
pub mod left;
pub mod obstacles;
pub mod orphans;
pub mod prepare;
pub mod replication;
pub mod shape;
pub mod transaction;
pub mod user_settings;
