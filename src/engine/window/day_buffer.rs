//! One day's rows, held until their turn comes.

use crate::copy::tuples;
use bytes::{Bytes, BytesMut};

/// Bytes of a day's buffer before it is set aside whole.
const DAY_BUFFER_BYTES: usize = 64 << 10;

/// The tuples of one day, in pieces.
#[derive(Default)]
pub struct DayBuffer {
    full: Vec<Bytes>,
    open: BytesMut,
}

impl DayBuffer {
    pub fn push(&mut self, tuple: &[u8]) {
        self.open.extend_from_slice(tuple);
        if self.open.len() >= DAY_BUFFER_BYTES {
            self.full.push(self.open.split().freeze());
        }
    }

    pub fn each(&self, mut each: impl FnMut(&[u8])) {
        for piece in self.pieces() {
            tuples(piece).for_each(&mut each);
        }
    }

    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.full
            .iter()
            .map(|piece| &piece[..])
            .chain([&self.open[..]])
    }

    pub fn into_pieces(self) -> impl Iterator<Item = Bytes> {
        let open = (!self.open.is_empty()).then(|| self.open.freeze());
        self.full.into_iter().chain(open)
    }
}
