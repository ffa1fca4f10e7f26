//! Columns: what a template can declare, and which source types convert to it without loss. No I/O.
//!
//! # Type support
//!
//! The supported types are those in [`Scalar`] and one-dimensional arrays of each. Their binary COPY representation is
//! the same on every server, so rows are forwarded without re-encoding and have the same digest on both sides. These are
//! refused with an alternative: `char(n)`, `bit(n)`, time types and intervals with precision or fields, numeric with a
//! negative scale, length or precision inside arrays, money, reg*, xml, composites, user types.

pub mod arrow;
mod column;
mod land_as;
mod mask;
mod pg_type;

pub use column::{Column, SourceColumn};
pub use land_as::{DECIMAL256_DIGITS, LandAs};
pub use mask::{HASH_DIGITS, Mask, Salt};
pub use pg_type::{Modifier, PgType, Scalar};
