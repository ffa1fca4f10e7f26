//! PostgreSQL's binary COPY format, without I/O: framing, checks, digest, routing by day, and conversion to and from Arrow.
//!
//! # Layout
//!
//! All integers are big-endian (PostgreSQL manual, "COPY", section "Binary Format").
//!
//! ```text
//! stream   header, tuple*, trailer
//! header   "PGCOPY\n\xff\r\n\0"  flags:i32 (0)  extension_length:i32  extension
//! tuple    field_count:i16  field*
//! field    length:i32 (-1 = null)  bytes[length]
//! trailer  -1:i16
//! ```
//!
//! The content of a field is drawn where it is read: NUMERIC in `numeric.rs`; arrays, times, intervals and addresses in
//! `decode/`.
//!
//! An [`Intake`] receives the rows of a [`Window`](crate::unit::Window) in chunks split anywhere. It passes on the same
//! tuples, byte for byte except for two corrections in place (the display scale of `numeric(p,s)`, the null flag of arrays)
//! that PostgreSQL itself would make when it stores them.
//!
//! For landing, a [`Decoder`] converts tuples to Arrow columns. An [`Encoder`] converts them back, byte for byte.
//!
//! # Memory usage
//!
//! An [`Intake`] holds the tuples that have not been taken, and one incomplete tuple.

mod decode;
mod digest;
mod encode;
mod epoch;
mod fault;
mod fields;
mod frame;
#[cfg(test)]
mod fuzz;
mod intake;
mod numeric;
#[cfg(test)]
mod roundtrip;
mod row_location;
mod rules;
mod strays;
mod tally;

pub use decode::Decoder;
pub use digest::{Digest, tuple_hash};
pub use encode::Encoder;
pub use fields::fields;
pub use frame::{HEADER, TRAILER};
pub use intake::Intake;
pub use row_location::{LocatedRows, Tid, tuples};
pub use tally::Tally;

/// Bytes of tuples collected before they are sent on or reported: large enough that neither side wakes up for little.
pub const SEND_BYTES: usize = 128 << 10;
