//! A loopback proxy that adds latency and does not limit throughput.
//!
//! It adds half of the round trip in each direction. Bytes are read as they arrive and forwarded when they are due, so up to
//! `IN_FLIGHT` chunks of 64 KiB are in flight at once.

use crate::error::{Error, Kind, Result};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

const CHUNK: usize = 64 * 1024;
/// Chunks in flight: 32 MiB, more than a loopback moves in half of any realistic round trip.
const IN_FLIGHT: usize = 512;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct LatencyProxy {
    port: u16,
    task: JoinHandle<()>,
}

impl LatencyProxy {
    /// Forwards to 127.0.0.1:`to`, with the given round trip added.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(to: u16, round_trip: Duration) -> Result<LatencyProxy> {
        let failed = |e| {
            Error::new(Kind::Io, "failed to open a port for the proxy on 127.0.0.1").with_source(e)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let half = round_trip / 2;
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, to, half));
            }
        });
        Ok(LatencyProxy { port, task })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for LatencyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, to: u16, half: Duration) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else {
        return;
    };
    // Without it, small messages would wait for acknowledgements on top of the delay.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The end of either direction closes its other side, as without a proxy.
    tokio::join!(
        delay(from_client, to_server, half),
        delay(from_server, to_client, half)
    );
}

async fn delay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, half: Duration) {
    let (sender, mut waiting) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let read = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            match from.read_buf(&mut chunk).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
            if sender.send((Instant::now() + half, chunk)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = waiting.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_trip_is_delayed_and_throughput_is_not() {
        let echo = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = echo.accept().await.unwrap();
            let (mut read, mut write) = socket.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let proxy = LatencyProxy::start(port, Duration::from_millis(40))
            .await
            .unwrap();
        let socket = TcpStream::connect(("127.0.0.1", proxy.port()))
            .await
            .unwrap();
        let (mut read, mut write) = socket.into_split();
        let started = Instant::now();
        let mut byte = [0];
        write.write_all(b"x").await.unwrap();
        read.read_exact(&mut byte).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(40));
        // 16 MiB in 256 chunks: delaying one chunk after another would take ten seconds.
        let started = Instant::now();
        let data = vec![7; 16 << 20];
        let send = tokio::spawn(async move { write.write_all(&data).await.map(|()| write) });
        let mut back = vec![0; 16 << 20];
        read.read_exact(&mut back).await.unwrap();
        send.await.unwrap().unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "{started:?}");
    }
}
