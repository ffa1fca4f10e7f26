//! Cancelling a statement: a request on a separate connection.
//!
//! Source: PostgreSQL's protocol chapter, "Canceling Requests in Progress".

use super::route::Route;
use crate::error::{At, Error, Kind, Result};
use crate::pg::net::socket::Socket;
use crate::pg::sqlstate;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Cancels the statement a session is running.
pub struct Canceller {
    pub token: CancelToken,
    pub route: Arc<Route>,
}

impl Canceller {
    /// Sends the cancel request, encrypted if the session is, and waits until the server has done what it does about
    /// it: a statement that is sent afterwards is not cancelled. The one that was running, if one was, fails with
    /// SQLSTATE 57014; the server does not report whether one was.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn cancel(self) -> Result<()> {
        let limit = self.route.target.connect_timeout.unwrap_or(Duration::MAX);
        let place = || format!("cancelling at `{}`", self.route.host);
        match tokio::time::timeout(limit, self.send()).await {
            Ok(sent) => sent.at(place),
            Err(_) => Err(Error::new(Kind::Connect, "no answer")
                .with_transient(true)
                .at(place())),
        }
    }

    async fn send(&self) -> Result<()> {
        let route = &self.route;
        let lost = |e: io::Error| {
            Error::new(Kind::Connect, format!("cannot reach the server: {e}")).with_transient(true)
        };
        let mut socket = Socket::connect(&route.address, &route.target)
            .await
            .map_err(lost)?;
        let sent = match route.tls.clone() {
            None => {
                self.token
                    .cancel_query_raw(UntilClosed(socket), NoTls)
                    .await
            }
            Some(mut maker) => {
                if !route.target.tls.direct && !socket.ask_for_tls().await.map_err(lost)? {
                    return Err(crate::pg::net::tls::no_tls(&route.target));
                }
                let connect = <MakeRustlsConnect as MakeTlsConnect<UntilClosed>>::make_tls_connect(
                    &mut maker,
                    &route.host.name,
                )
                .unwrap_or_else(|never| match never {});
                self.token
                    .cancel_query_raw(UntilClosed(socket), connect)
                    .await
            }
        };
        sent.map_err(|e| sqlstate::error(&e))
    }
}

/// A socket whose shutdown waits for the other end to close it, as libpq does after a cancel request. The server sends
/// two signals, to the process and to its group, before it closes: the second would cancel the next statement.
struct UntilClosed(Socket);

impl AsyncRead for UntilClosed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for UntilClosed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 64];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf));
            // A reset is a close by a server that left TLS's goodbye unread.
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
