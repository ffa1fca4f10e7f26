//! The stream under a connection, listening for the server's errors.
//!
//! The driver hands an error to whoever waits for it. In a COPY IN no one waits until the end, and when the server ends
//! the connection the error is never read; so the stream itself remembers the last error that passed.
//!
//! And of a COPY OUT it reads much at once, and joins the data, of which the server makes a message a row, to few messages: the
//! driver reads 8 KiB at a time, and its work is by the message.
//!
//! ```text
//! message: kind u8 │ length u32 (itself included, kind not) │ body        kind 'E': (field u8 │ text │ 0)… 0
//! ```

use super::server_errors::{Heard, ServerError};
use bytes::BytesMut;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// The listener's position in the stream of messages.
#[derive(Debug)]
enum At {
    /// In the five bytes before a body; those seen so far.
    Head(BytesMut),
    /// In a body of no interest; bytes to go.
    Skip(usize),
    /// In an error's body; what is there, and bytes to go.
    Error(BytesMut, usize),
}

/// Longer errors quote something huge, and are left to the driver.
const LONGEST_ERROR: usize = 256 * 1024;

#[derive(Debug)]
struct Listener {
    at: At,
    heard: Arc<Heard>,
}

impl Listener {
    fn new(heard: Arc<Heard>) -> Listener {
        let at = At::Head(BytesMut::new());
        Listener { at, heard }
    }

    /// Looks through what was read, and joins the CopyData messages that lie whole in it and follow one another. Returns
    /// how many bytes it is now.
    fn listen(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        // Where the message begins that the next CopyData can be joined to.
        let mut open: Option<usize> = None;
        while from < bytes.len() {
            if let At::Head(seen) = &self.at
                && seen.is_empty()
                && let Some(body) = whole_copy_data(&bytes[from..])
            {
                match open {
                    Some(head) => {
                        bytes.copy_within(from + HEAD..from + HEAD + body, to);
                        to += body;
                        set_length(&mut bytes[head..], to - head);
                    }
                    None => {
                        bytes.copy_within(from..from + HEAD + body, to);
                        open = Some(to);
                        to += HEAD + body;
                    }
                }
                from += HEAD + body;
                continue;
            }
            open = None;
            let n = self.step(&bytes[from..]);
            bytes.copy_within(from..from + n, to);
            (from, to) = (from + n, to + n);
        }
        to
    }

    /// Takes some of the bytes, at least one; returns how many.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match &mut self.at {
            At::Skip(left) => {
                let n = bytes.len().min(*left);
                *left -= n;
                if *left == 0 {
                    self.at = At::Head(BytesMut::new());
                }
                n
            }
            At::Error(body, left) => {
                let n = bytes.len().min(*left);
                body.extend_from_slice(&bytes[..n]);
                *left -= n;
                if *left == 0 {
                    self.heard.note(ServerError::read(body));
                    self.at = At::Head(BytesMut::new());
                }
                n
            }
            At::Head(seen) => {
                let n = bytes.len().min(HEAD - seen.len());
                seen.extend_from_slice(&bytes[..n]);
                if let Some([kind, length @ ..]) = seen.first_chunk::<HEAD>() {
                    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                    // CopyOutResponse begins it; whatever else is no row, notice or parameter ends it.
                    match kind {
                        b'H' => self.heard.set_copies(true),
                        b'd' | b'N' | b'S' | b'A' => {}
                        _ => self.heard.set_copies(false),
                    }
                    self.at = match (*kind, length.saturating_sub(4)) {
                        (_, 0) => At::Head(BytesMut::new()),
                        (b'E', left) if left <= LONGEST_ERROR => At::Error(BytesMut::new(), left),
                        (_, left) => At::Skip(left),
                    };
                }
                n
            }
        }
    }
}

/// Bytes of a message's kind and length.
const HEAD: usize = 5;

/// The length of the body of the CopyData message that `bytes` begin with, when they hold it whole.
fn whole_copy_data(bytes: &[u8]) -> Option<usize> {
    let [b'd', length @ ..] = bytes.first_chunk::<HEAD>()? else {
        return None;
    };
    let body = usize::try_from(u32::from_be_bytes(*length))
        .ok()?
        .checked_sub(4)?;
    (bytes.len() - HEAD >= body).then_some(body)
}

/// Writes the length of a message of so many bytes.
fn set_length(message: &mut [u8], bytes: usize) {
    // What one read gave: far below four gigabytes.
    let length = u32::try_from(bytes - 1).unwrap_or(u32::MAX);
    message[1..HEAD].copy_from_slice(&length.to_be_bytes());
}

/// A stream that listens. Wraps what the protocol's messages go over: the socket, or the TLS stream on it.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    listener: Listener,
    /// What was read of a COPY OUT, and how much of it the driver has not taken yet.
    read: Box<[u8]>,
    left: Range<usize>,
}

impl<S> Wire<S> {
    pub fn new(stream: S, heard: Arc<Heard>) -> Wire<S> {
        Wire {
            stream,
            listener: Listener::new(heard),
            read: Box::default(),
            left: 0..0,
        }
    }
}

/// Bytes of a COPY OUT that are read at once. The driver asks for 8 KiB, and for the rest of its buffer when a part of a
/// row is left in it.
const READ: usize = 64 * 1024;

#[cfg(test)]
impl<S> Wire<S> {
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads much at once, and joins it.
    fn poll_rows(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            self.read = vec![0; READ].into_boxed_slice();
        }
        let mut buf = ReadBuf::new(&mut self.read);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.left = 0..self.listener.listen(buf.filled_mut());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left.is_empty() && !this.listener.heard.copies() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let left = this.listener.listen(&mut buf.filled_mut()[before..]);
            buf.set_filled(before + left);
            return Poll::Ready(Ok(()));
        }
        if this.left.is_empty() {
            ready!(this.poll_rows(cx))?;
        }
        let n = this.left.len().min(buf.remaining());
        buf.put_slice(&this.read[this.left.start..this.left.start + n]);
        this.left.start += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: TlsStream + Unpin> TlsStream for Wire<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Makes the TLS stream of a handshake one that listens.
pub struct Listening<T> {
    pub connect: T,
    pub heard: Arc<Heard>,
}

impl<S, T> TlsConnect<S> for Listening<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
    T::Stream: 'static,
    T::Error: 'static,
{
    type Stream = Wire<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Wire<T::Stream>, T::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let shaking = self.connect.connect(stream);
        Box::pin(async move { Ok(Wire::new(shaking.await?, self.heard)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn an_error_is_heard_however_the_stream_is_split() {
        let error = b"SFATAL\0VFATAL\0C57P01\0Mgoing down\0Wctx\0\0";
        let stream = [
            message(b'd', b"SFATAL\0C00000\0\0"),
            message(b'n', b""),
            message(b'E', error),
            message(b'Z', b"I"),
        ]
        .concat();
        for size in 1..stream.len() {
            let heard = Arc::new(Heard::default());
            let mut listener = Listener::new(heard.clone());
            for chunk in stream.chunks(size) {
                listener.listen(&mut chunk.to_vec());
            }
            let last = heard.last().unwrap();
            assert_eq!(
                (last.code.as_str(), last.message.as_str()),
                ("57P01", "going down")
            );
            assert!(last.is_last_word());
            heard.forget();
            assert_eq!(heard.last(), None);
        }
    }

    #[tokio::test]
    async fn much_is_read_at_once_and_given_however_little_is_asked_for() {
        let row = |i: usize| message(b'd', i.to_string().repeat(i % 300).as_bytes());
        let mut stream = message(b'H', b"\x01\0\0");
        let mut rows = Vec::new();
        for i in 0..2_000 {
            stream.extend(row(i));
            rows.extend_from_slice(&row(i)[HEAD..]);
        }
        stream.extend([message(b'c', b""), message(b'Z', b"I")].concat());
        for size in [1, 140, 8192, 200_000] {
            let mut wire = Wire::new(&stream[..], Arc::default());
            let (mut given, mut piece) = (Vec::new(), vec![0; size]);
            loop {
                match wire.read(&mut piece).await.unwrap() {
                    0 => break,
                    n => given.extend_from_slice(&piece[..n]),
                }
            }
            let (mut kinds, mut found, mut at) = (Vec::new(), Vec::new(), 0);
            while at < given.len() {
                let length = u32::from_be_bytes(given[at + 1..at + HEAD].try_into().unwrap());
                let end = at + 1 + usize::try_from(length).unwrap();
                kinds.push(given[at]);
                if given[at] == b'd' {
                    found.extend_from_slice(&given[at + HEAD..end]);
                }
                at = end;
            }
            assert_eq!(found, rows, "{size} bytes at a time");
            assert!(kinds.len() < 100, "{} messages", kinds.len());
            assert_eq!((kinds[0], &kinds[kinds.len() - 2..]), (b'H', &b"cZ"[..]));
        }
    }

    #[test]
    fn the_data_of_a_copy_is_joined_and_nothing_else_however_the_stream_is_split() {
        let stream = [
            message(b'H', b"\x01\0\0"),
            message(b'd', b"one"),
            message(b'd', b""),
            message(b'd', b"two"),
            message(b'N', b"notice"),
            message(b'd', b"three"),
            message(b'c', b""),
            message(b'd', b"four"),
            message(b'Z', b"I"),
        ]
        .concat();
        let joined = [
            message(b'H', b"\x01\0\0"),
            message(b'd', b"onetwo"),
            message(b'N', b"notice"),
            message(b'd', b"three"),
            message(b'c', b""),
            message(b'd', b"four"),
            message(b'Z', b"I"),
        ]
        .concat();
        for size in 1..=stream.len() {
            let mut listener = Listener::new(Arc::default());
            let mut passed = Vec::new();
            for chunk in stream.chunks(size) {
                let mut chunk = chunk.to_vec();
                let left = listener.listen(&mut chunk);
                passed.extend_from_slice(&chunk[..left]);
            }
            // Both again as one read, so that what one read did not hold whole is joined, too.
            let mut listener = Listener::new(Arc::default());
            let left = listener.listen(&mut passed);
            assert_eq!(passed[..left], joined, "in pieces of {size}");
        }
    }
}
