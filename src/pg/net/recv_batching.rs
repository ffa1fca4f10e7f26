//! Lets the data of a COPY OUT gather in the kernel before it is looked at.
//!
//! The server sends 8 KiB at a time. Where rows come as fast as they are taken, each such piece would wake us, and be taken
//! alone: measured, two thirds of all our context switches. So while a COPY runs the socket counts as readable only when
//! [`ENOUGH`] is there (`SO_RCVLOWAT`, socket(7)), or, since the last byte is not announced, after [`PATIENCE`].

use super::server_errors::Heard;
use crate::os::set_receive_low_water;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes worth waking up for.
const ENOUGH: i32 = 64 * 1024;

/// Whether a change of `SO_RCVLOWAT` takes effect at once for data already received (`tcp_set_rcvlowat` of Linux).
const CAN: bool = cfg!(target_os = "linux");

/// How long less than [`ENOUGH`] may lie.
const PATIENCE: Duration = Duration::from_millis(2);

/// How one socket is read.
#[derive(Debug)]
pub struct Gather {
    heard: Arc<Heard>,
    /// Only [`ENOUGH`] makes the socket readable.
    holds: bool,
    /// Since the socket was found empty.
    waits: bool,
    timer: Pin<Box<Sleep>>,
}

impl Gather {
    pub fn new(heard: Arc<Heard>) -> Gather {
        Gather {
            heard,
            holds: false,
            waits: false,
            timer: Box::pin(sleep(PATIENCE)),
        }
    }

    pub fn poll_read(
        &mut self,
        mut stream: Pin<&mut TcpStream>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let copies = self.heard.copies();
        if !copies && self.holds {
            self.hold(&stream, false)?;
        }
        match stream.as_mut().poll_read(cx, buf)? {
            Poll::Ready(()) => {
                self.waits = false;
                if CAN && copies && !self.holds {
                    self.hold(&stream, true)?;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.holds => {
                if !self.waits {
                    self.waits = true;
                    self.timer.as_mut().reset(Instant::now() + PATIENCE);
                }
                if self.timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.hold(&stream, false)?;
                stream.poll_read(cx, buf)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn hold(&mut self, stream: &TcpStream, hold: bool) -> io::Result<()> {
        (self.holds, self.waits) = (hold, false);
        let bytes = if hold { ENOUGH } else { 1 };
        set_receive_low_water(stream, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::net::message_tap::Wire;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    struct Gathering(TcpStream, Gather);

    impl AsyncRead for Gathering {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Gathering(stream, gather) = &mut *self;
            gather.poll_read(Pin::new(stream), cx, buf)
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn less_than_enough_comes_too_and_so_does_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        let (client, mut server) = (client.unwrap(), server.unwrap().0);
        let heard = Arc::new(Heard::default());
        let gathering = Gathering(client, Gather::new(heard.clone()));
        let mut wire = Wire::new(gathering, heard.clone());

        server.write_all(b"H\0\0\0\x07\x01\0\0").await.unwrap();
        let mut seen = [0; 8];
        wire.read_exact(&mut seen).await.unwrap();
        assert!(heard.copies());

        let body = vec![b'x'; 100_000];
        let row = [&b"d"[..], &100_004_u32.to_be_bytes(), &body].concat();
        for piece in row.chunks(9_999) {
            server.write_all(piece).await.unwrap();
            let mut seen = vec![0; piece.len()];
            wire.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, piece);
        }
        assert!(wire.stream().1.holds || !CAN);

        server.write_all(b"c\0\0\0\x04").await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        wire.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"c\0\0\0\x04");
        assert!(!heard.copies());
    }
}
