//! PostgreSQL's binary COPY format, without I/O: framing, checks, digest, routing by day, to Arrow and back.
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
//!
//! ```
//!
//! What stands in a field is drawn where it is read: NUMERIC in `numeric.rs`; arrays, times, intervals and addresses in
//! `decode/`.
//!
//! A [`Window`](crate::unit::Window) of rows enters an [`Intake`] in chunks split anywhere. What leaves are the same
//! tuples, byte for byte but for two corrections in place (the display scale of `numeric(p,s)`, the null flag of
//! arrays) that PostgreSQL itself would make when it stores them.
//!
//! To land, tuples pass through a [`Decoder`], which makes Arrow columns of them; an [`Encoder`] gives them back, byte for
//! byte.
//!
//! # Memory usage
//!
//! An [`Intake`] holds the tuples that have not been taken yet, and one incomplete tuple.

mod decode;
mod digest;
mod encode;
mod epoch;
mod fields;
mod frame;
mod intake;
mod located;
mod numeric;
#[cfg(test)]
mod roundtrip;
mod rules;

pub use decode::Decoder;
pub use digest::{Digest, tuple_hash};
pub use encode::Encoder;
pub use fields::fields;
pub use frame::{HEADER, TRAILER};
pub use intake::{Intake, Tally};
pub use located::{LocatedRows, Tid, tuples};

/// Bytes of tuples collected before they are sent on or reported: large enough that neither side wakes up for little.
pub const SEND_BYTES: usize = 128 << 10;
