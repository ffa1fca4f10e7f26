//! Sockets: name to addresses, TCP options, and the question whether the server speaks TLS.

use super::recv_batching::Gather;
use super::server_errors::Heard;
use crate::pg::conninfo::hosts::Host;
use crate::pg::conninfo::resolved::{Keepalives, Target};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Where one attempt connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// On this machine, or at the near end of a tunnel.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().is_loopback(),
            Address::Unix(_) => true,
        }
    }
}

/// The addresses of a host, in the order in which to try them.
///
/// # Errors
/// The name does not resolve.
pub async fn addresses(host: &Host) -> io::Result<Vec<Address>> {
    if host.is_unix() {
        let path = PathBuf::from(&host.name).join(format!(".s.PGSQL.{}", host.port));
        return Ok(vec![Address::Unix(path)]);
    }
    if let Some(ip) = host.address {
        return Ok(vec![Address::Tcp(SocketAddr::new(ip, host.port))]);
    }
    let found: Vec<Address> = tokio::net::lookup_host((host.name.as_str(), host.port))
        .await?
        .map(Address::Tcp)
        .collect();
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(found)
}

/// A connected socket of either sort.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream, Option<Gather>),
    Unix(UnixStream),
}

impl Socket {
    /// # Errors
    /// Nobody listens there, or the system refuses an option.
    pub async fn connect(address: &Address, target: &Target) -> io::Result<Socket> {
        match address {
            Address::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                if let Some(keepalives) = target.keepalives {
                    set_keepalives(&stream, keepalives)?;
                }
                if let Some(timeout) = target.tcp_user_timeout {
                    set_user_timeout(&stream, timeout)?;
                }
                Ok(Socket::Tcp(stream, None))
            }
        }
    }

    /// From now on the data of a COPY OUT may gather before it is read.
    pub fn gather(&mut self, heard: Arc<Heard>) {
        if let Socket::Tcp(_, gather) = self {
            *gather = Some(Gather::new(heard));
        }
    }

    /// Asks whether the server speaks TLS on this connection (SSLRequest).
    ///
    /// # Errors
    /// The connection fails, or the answer is neither yes nor no.
    pub async fn ask_for_tls(&mut self) -> io::Result<bool> {
        // Length 8, code 80877103: "SSLRequest" in the protocol chapter.
        self.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
        match self.read_u8().await? {
            b'S' => Ok(true),
            b'N' => Ok(false),
            // Before PostgreSQL 7 an error, today a program that is no PostgreSQL server.
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is not PostgreSQL's",
            )),
        }
    }
}

fn set_keepalives(stream: &TcpStream, keepalives: Keepalives) -> io::Result<()> {
    let mut set = TcpKeepalive::new();
    if let Some(idle) = keepalives.idle {
        set = set.with_time(idle);
    }
    if let Some(interval) = keepalives.interval {
        set = set.with_interval(interval);
    }
    if let Some(count) = keepalives.count {
        set = set.with_retries(count);
    }
    SockRef::from(stream).set_tcp_keepalive(&set)
}

#[cfg(target_os = "linux")]
fn set_user_timeout(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    // The kernel takes a signed number of milliseconds.
    let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
    SockRef::from(stream).set_tcp_user_timeout(Some(timeout.min(longest)))
}

#[cfg(not(target_os = "linux"))]
fn set_user_timeout(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

macro_rules! forward {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp($stream, _) => {
                let $stream = Pin::new($stream);
                $call
            }
            Socket::Unix($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Socket::Tcp(stream, Some(gather)) = &mut *self {
            return gather.poll_read(Pin::new(stream), cx, buf);
        }
        forward!(self, s => s.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, s => s.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, s => s.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, s => s.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, s => s.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Tcp(s, _) => s.is_write_vectored(),
            Socket::Unix(s) => s.is_write_vectored(),
        }
    }
}
