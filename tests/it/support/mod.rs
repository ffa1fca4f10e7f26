//! What the tests stand on: a server, worlds on it, and things that look on or get in the way.

pub mod digests;
pub mod earlier_catalog;
pub mod events;
pub mod imports;
pub mod killer;
pub mod lake;
pub mod landed_files;
pub mod locale;
pub mod login;
#[cfg(feature = "s3")]
pub mod proxy;
pub mod python;
pub mod random;
pub mod random_ledger;
pub mod readers;
pub mod row_counter;
#[cfg(feature = "s3")]
pub mod s3_server;
pub mod server;
pub mod sessions;
pub mod shared;
pub mod switch;
#[allow(dead_code)] // until every command has its tests
pub mod world;
