//! PostgreSQL's binary COPY format, without I/O: framing, checks, digest, routing by day.
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
//! numeric  ndigits:i16  weight:i16  sign:u16  dscale:u16  digit:i16[ndigits]     digits are base 10000
//! array    ndim:i32  has_null:i32  element_oid:u32  (size:i32 lower_bound:i32)[ndim]  field*
//! ```
//!
//! A [`Window`](crate::unit::Window) of rows enters an [`Intake`] in chunks split anywhere. What leaves are the same
//! tuples, byte for byte but for two corrections in place (the display scale of `numeric(p,s)`, the null flag of
//! arrays) that PostgreSQL itself would make when it stores them.
//!
//! # Memory usage
//!
//! An [`Intake`] holds the tuples that have not been taken yet, and one incomplete tuple.

mod decode;
mod digest;
mod encode;
mod fields;
mod frame;
mod intake;
mod located;
mod rules;

pub use decode::Decoder;
pub use digest::{Digest, tuple_hash};
pub use encode::Encoder;
pub use fields::fields;
pub use frame::{HEADER, TRAILER};
pub use intake::{Intake, Tally};
pub use located::{LocatedRows, Tid, tuples};
