//! Finds tuples in a stream that may be split anywhere.

use crate::error::{Error, Kind, Result};
use bytes::{Bytes, BytesMut};

/// The header of a binary COPY stream: signature, no flags, no extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The trailer: a field count of -1.
pub const TRAILER: [u8; 2] = [0xff, 0xff];

const SIGNATURE: usize = 11;

/// The position of a field in its tuple.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FieldSpan {
    /// Offset of the first byte from the start of the tuple.
    start: usize,
    /// `None` for null.
    len: Option<usize>,
}

/// One complete tuple, including its field count.
pub(super) struct Tuple<'a> {
    pub bytes: &'a mut [u8],
    fields: &'a [FieldSpan],
}

impl Tuple<'_> {
    /// The bytes of a field; `None` for null.
    pub fn field(&self, column: usize) -> Option<&[u8]> {
        let field = self.fields.get(column)?;
        self.bytes.get(field.start..field.start + field.len?)
    }

    pub fn field_mut(&mut self, column: usize) -> Option<&mut [u8]> {
        let field = self.fields.get(column)?;
        self.bytes.get_mut(field.start..field.start + field.len?)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamState {
    Header,
    Tuples,
    Ended,
}

/// Splits a stream into tuples. Complete tuples stay in the buffer, contiguous, until [`Framer::take`] removes them.
pub(super) struct Framer {
    buffer: BytesMut,
    /// End of the last complete tuple in `buffer`.
    complete: usize,
    state: StreamState,
    /// One entry per column, overwritten by each tuple.
    fields: Vec<FieldSpan>,
}

impl Framer {
    pub fn new(columns: usize) -> Framer {
        Framer {
            buffer: BytesMut::new(),
            complete: 0,
            state: StreamState::Header,
            fields: vec![FieldSpan::default(); columns],
        }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next complete tuple; `None` when the rest of it has not arrived, or when the trailer has.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the bytes are not a binary COPY stream with this number of columns.
    pub fn next_tuple(&mut self) -> Result<Option<Tuple<'_>>> {
        if self.state == StreamState::Header && !self.skip_header()? {
            return Ok(None);
        }
        let rest = &self.buffer[self.complete..];
        if self.state == StreamState::Ended {
            return if rest.is_empty() {
                Ok(None)
            } else {
                Err(protocol("data after the trailer"))
            };
        }
        let Some(count) = rest.first_chunk::<2>() else {
            return Ok(None);
        };
        if *count == TRAILER {
            if rest.len() > TRAILER.len() {
                return Err(protocol("data after the trailer"));
            }
            // Whoever sends the tuples on writes a trailer again, so this one is removed.
            self.buffer.truncate(self.complete);
            self.state = StreamState::Ended;
            return Ok(None);
        }
        let count = i16::from_be_bytes(*count);
        if usize::try_from(count) != Ok(self.fields.len()) {
            return Err(protocol(format!(
                "a tuple has {count} fields, but {} were requested",
                self.fields.len()
            )));
        }
        let mut at = 2;
        for field in &mut self.fields {
            let Some(len) = rest.get(at..).and_then(|r| r.first_chunk::<4>()) else {
                return Ok(None);
            };
            at += 4;
            let len = i32::from_be_bytes(*len);
            *field = match usize::try_from(len) {
                Ok(len) => FieldSpan {
                    start: at,
                    len: Some(len),
                },
                Err(_) if len == -1 => FieldSpan {
                    start: at,
                    len: None,
                },
                Err(_) => return Err(protocol(format!("a field of length {len}"))),
            };
            at += field.len.unwrap_or(0);
        }
        if at > rest.len() {
            return Ok(None);
        }
        let start = self.complete;
        self.complete += at;
        Ok(Some(Tuple {
            bytes: &mut self.buffer[start..self.complete],
            fields: &self.fields,
        }))
    }

    /// Bytes of complete tuples waiting to be taken.
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// The complete tuples, one after another.
    pub fn take(&mut self) -> Bytes {
        let taken = self.buffer.split_to(self.complete).freeze();
        self.complete = 0;
        taken
    }

    /// Drops the complete tuples and keeps the buffer.
    pub fn discard(&mut self) {
        if self.complete == self.buffer.len() {
            self.buffer.clear();
        } else {
            drop(self.buffer.split_to(self.complete));
        }
        self.complete = 0;
    }

    /// # Errors
    /// [`Kind::Protocol`] unless the trailer has arrived.
    pub fn finish(&self) -> Result<()> {
        if self.state == StreamState::Ended {
            Ok(())
        } else {
            // The usual cause is a lost connection, so a retry may succeed.
            Err(protocol("the COPY stream ended without its trailer").with_transient(true))
        }
    }

    fn skip_header(&mut self) -> Result<bool> {
        let seen = self.buffer.len().min(SIGNATURE);
        if self.buffer[..seen] != HEADER[..seen] {
            return Err(protocol("the stream does not begin with a COPY header"));
        }
        let Some(header) = self.buffer.first_chunk::<19>() else {
            return Ok(false);
        };
        let flags = i32::from_be_bytes([header[11], header[12], header[13], header[14]]);
        if flags != 0 {
            return Err(protocol(format!(
                "COPY header flags {flags:#x} are unknown"
            )));
        }
        let extension = i32::from_be_bytes([header[15], header[16], header[17], header[18]]);
        let Ok(extension) = usize::try_from(extension) else {
            return Err(protocol(
                "the COPY header's extension has a negative length",
            ));
        };
        if self.buffer.len() < HEADER.len() + extension {
            return Ok(false);
        }
        drop(self.buffer.split_to(HEADER.len() + extension));
        self.state = StreamState::Tuples;
        Ok(true)
    }
}

fn protocol(what: impl Into<String>) -> Error {
    Error::new(Kind::Protocol, what)
}
