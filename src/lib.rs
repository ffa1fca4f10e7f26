//! Dayhaul hauls each tenant's day from its own PostgreSQL database into one PostgreSQL warehouse with binary COPY.
//!
//! `ARCHITECTURE.md` shows the modules and which may import which.

pub use dayhaul_rows::{copy, day, error, schema, unit};

pub mod bench;
pub mod catalog;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod engine;
#[cfg(test)]
#[path = "../rows/src/fuzz.rs"]
mod fuzz;
pub mod landing;
pub mod laptop;
pub mod nearest;
#[allow(unsafe_code)] // the only room that may
pub mod os;
pub mod pg;
pub mod probe;
pub mod report;
pub mod sql;
pub mod template;
pub mod warehouse;
