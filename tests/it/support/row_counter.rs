//! A proxy on loopback that counts the rows which a PostgreSQL server answers with.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `DataRow` in the protocol.
const DATA_ROW: u8 = b'D';

pub struct RowCounter {
    port: u16,
    rows: Arc<AtomicUsize>,
}

impl RowCounter {
    /// Stands before the server on `port` until the process ends. Clients must not ask for TLS.
    pub fn before(port: u16) -> RowCounter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let rows = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rows);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                serve(client, server, &counted);
            }
        });
        RowCounter { port: own, rows }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that came so far: a client has read its rows when it has ended.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::SeqCst)
    }
}

fn serve(client: TcpStream, server: TcpStream, rows: &Arc<AtomicUsize>) {
    let (mut up, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let rows = Arc::clone(rows);
    std::thread::spawn(move || {
        let _ = count(&server, &client, &rows);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Passes messages on: a letter, a length that includes itself, and the body.
fn count(
    mut server: &TcpStream,
    mut client: &TcpStream,
    rows: &AtomicUsize,
) -> std::io::Result<()> {
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        server.read_exact(&mut body)?;
        if head[0] == DATA_ROW {
            rows.fetch_add(1, Ordering::SeqCst);
        }
        client.write_all(&head)?;
        client.write_all(&body)?;
    }
}
