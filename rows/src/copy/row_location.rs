//! Rows read back from a table, each with its location (ctid).

use super::digest::tuple_hash;
use super::frame::Framer;
use crate::error::{Error, Kind, Result};

/// A row's location in its table: the six bytes of a `tid` (block:u32 offset:u16).
pub type Tid = [u8; 6];

/// Size of the last field of each tuple, the `ctid`: length and bytes.
const CTID_FIELD: usize = 4 + 6;

/// Reads `COPY (SELECT column…, ctid FROM …)`. The hash of a row does not include its ctid.
pub struct LocatedRows {
    framer: Framer,
    columns: i16,
}

impl LocatedRows {
    /// `columns` does not count the ctid.
    pub fn new(columns: usize) -> LocatedRows {
        LocatedRows {
            framer: Framer::new(columns + 1),
            columns: i16::try_from(columns).unwrap_or(i16::MAX),
        }
    }

    /// Receives a chunk. Calls `each` with the hash and location of every row that it completes.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the stream is not such a COPY.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(u128, Tid)) -> Result<()> {
        self.framer.feed(chunk);
        while let Some(tuple) = self.framer.next_tuple()? {
            let bytes = tuple.bytes;
            let tid = bytes.last_chunk::<6>().copied();
            let (Some(tid), Some(end)) = (tid, bytes.len().checked_sub(CTID_FIELD)) else {
                return Err(Error::new(Kind::Protocol, "a row has no ctid"));
            };
            bytes[..2].copy_from_slice(&self.columns.to_be_bytes());
            each(tuple_hash(&bytes[..end]), tid);
        }
        self.framer.discard();
        Ok(())
    }

    /// # Errors
    /// [`Kind::Protocol`] unless the trailer has arrived.
    pub fn finish(&self) -> Result<()> {
        self.framer.finish()
    }
}

/// Splits consecutive tuples, as [`super::Intake`] passes them on.
pub fn tuples(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (tuple, behind) = rest.split_at_checked(end_of_tuple(rest)?)?;
        rest = behind;
        Some(tuple)
    })
}

/// Where the tuple at the start of `bytes` ends.
fn end_of_tuple(bytes: &[u8]) -> Option<usize> {
    let count = i16::from_be_bytes(*bytes.first_chunk::<2>()?);
    (0..count).try_fold(2, |at, _| {
        let len = i32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?);
        // A null has the length -1.
        Some(at + 4 + usize::try_from(len).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{HEADER, TRAILER};
    use super::*;

    #[test]
    fn the_hash_of_a_row_does_not_include_its_ctid() {
        let plain = b"\0\x01\0\0\0\x02ab";
        let located = b"\0\x02\0\0\0\x02ab\0\0\0\x06\0\0\0\x07\0\x03";
        let stream = [&HEADER[..], located, &TRAILER].concat();
        let mut rows = LocatedRows::new(1);
        let mut seen = Vec::new();
        rows.push(&stream, |hash, tid| seen.push((hash, tid)))
            .unwrap();
        rows.finish().unwrap();
        assert_eq!(seen, [(tuple_hash(plain), [0, 0, 0, 7, 0, 3])]);
    }

    #[test]
    fn consecutive_tuples_are_split() {
        let two = b"\0\x02\0\0\0\x01a\xff\xff\xff\xff\0\x02\xff\xff\xff\xff\0\0\0\0";
        let cut: Vec<_> = tuples(two).collect();
        assert_eq!(cut, [&two[..11], &two[11..]]);
    }
}
