//! Finding tuples in a stream that may be split anywhere.

use crate::error::{Error, Kind, Result};
use bytes::{Bytes, BytesMut};

/// The header of a binary COPY stream: signature, no flags, no extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The trailer: a field count of -1.
pub const TRAILER: [u8; 2] = [0xff, 0xff];

const SIGNATURE: usize = 11;

/// Where one field of a tuple lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field {
    /// Offset of the first byte from the start of the tuple.
    start: usize,
    /// `None` for null.
    len: Option<usize>,
}

/// One complete tuple, field count included.
pub(super) struct Tuple<'a> {
    pub bytes: &'a mut [u8],
    fields: &'a [Field],
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
enum State {
    Header,
    Tuples,
    Ended,
}

/// Cuts a stream into tuples. Complete tuples stay in the buffer, contiguous, until [`Framer::take`] removes them.
pub(super) struct Framer {
    buffer: BytesMut,
    /// End of the last complete tuple in `buffer`.
    complete: usize,
    state: State,
    /// One entry a column, overwritten by each tuple.
    fields: Vec<Field>,
}

impl Framer {
    pub fn new(columns: usize) -> Framer {
        Framer {
            buffer: BytesMut::new(),
            complete: 0,
            state: State::Header,
            fields: vec![Field::default(); columns],
        }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next complete tuple; `None` when the rest of it has not arrived, or the trailer has.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the bytes are no binary COPY stream of so many columns.
    pub fn next_tuple(&mut self) -> Result<Option<Tuple<'_>>> {
        if self.state == State::Header && !self.skip_header()? {
            return Ok(None);
        }
        let rest = &self.buffer[self.complete..];
        if self.state == State::Ended {
            return if rest.is_empty() {
                Ok(None)
            } else {
                Err(protocol("data behind the trailer"))
            };
        }
        let Some(count) = rest.first_chunk::<2>() else {
            return Ok(None);
        };
        if *count == TRAILER {
            if rest.len() > TRAILER.len() {
                return Err(protocol("data behind the trailer"));
            }
            // The trailer is ours to write again: it does not stay among the tuples.
            self.buffer.truncate(self.complete);
            self.state = State::Ended;
            return Ok(None);
        }
        let count = i16::from_be_bytes(*count);
        if usize::try_from(count) != Ok(self.fields.len()) {
            return Err(protocol(format!(
                "a tuple of {count} fields where {} were asked for",
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
                Ok(len) => Field {
                    start: at,
                    len: Some(len),
                },
                Err(_) if len == -1 => Field {
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

    /// The complete tuples, one behind another.
    pub fn take(&mut self) -> Bytes {
        let taken = self.buffer.split_to(self.complete).freeze();
        self.complete = 0;
        taken
    }

    /// Forgets the complete tuples and keeps their memory.
    pub fn discard(&mut self) {
        if self.complete == self.buffer.len() {
            self.buffer.clear();
        } else {
            drop(self.buffer.split_to(self.complete));
        }
        self.complete = 0;
    }

    /// # Errors
    /// [`Kind::Protocol`] unless the trailer has come.
    pub fn finish(&self) -> Result<()> {
        if self.state == State::Ended {
            Ok(())
        } else {
            // What cuts a stream short is a lost connection: worth another try.
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
                "COPY header flags {flags:#x} are not known"
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
        self.state = State::Tuples;
        Ok(true)
    }
}

fn protocol(what: impl Into<String>) -> Error {
    Error::new(Kind::Protocol, what)
}
