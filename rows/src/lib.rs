//! What every row passes through, and the words for it: the binary COPY format, column types, days, units, errors.
//!
//! A crate of its own, so that it alone is compiled for speed and all around it for a short build. `dayhaul` shows its
//! modules as its own; `ARCHITECTURE.md` draws them among the others.

pub mod copy;
pub mod day;
pub mod error;
#[cfg(test)]
mod fuzz;
mod params;
pub mod schema;
pub mod unit;
