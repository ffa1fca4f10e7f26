//! Dayhaul hauls each tenant's day from its own PostgreSQL database into one PostgreSQL warehouse with binary COPY.
//!
//! `ARCHITECTURE.md` shows the modules and which may import which.

pub mod bench;
pub mod catalog;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod copy;
pub mod day;
pub mod demo;
pub mod engine;
pub mod error;
#[cfg(test)]
mod fuzz;
pub mod landing;
pub mod laptop;
pub mod nearest;
#[allow(unsafe_code)] // the only room that may
pub mod os;
pub mod pg;
pub mod probe;
pub mod report;
pub mod schema;
pub mod sql;
pub mod template;
pub mod unit;
pub mod warehouse;
