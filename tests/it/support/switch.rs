//! The network between the program and a server, which can be cut, stalled, refused, or cut in the middle of a message.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the network does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Open = 0,
    /// Nothing passes, in either direction.
    Stalled = 1,
    /// Connections end as soon as they are made.
    Refused = 2,
    /// Half of the next message passes, then its connection ends.
    Halved = 3,
}

#[derive(Clone)]
pub struct Switch {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    /// Messages that clients have sent.
    sent: Arc<AtomicUsize>,
    /// The network stalls before this message.
    hold: Arc<AtomicUsize>,
    held: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Switch {
    /// Stands before a server's port until the process ends.
    pub fn before(port: u16) -> Switch {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let switch = Switch {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
            sent: Arc::default(),
            hold: Arc::new(AtomicUsize::new(usize::MAX)),
            held: Arc::default(),
            open: Arc::default(),
        };
        let accepting = switch.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.state() == State::Refused {
                    continue;
                }
                // The server may be down.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                accepting.join(&client, &server);
            }
        });
        switch
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
    }

    /// Stalls before the message of this number, counted from now.
    pub fn hold_at(&self, message: usize) {
        self.sent.store(0, Ordering::SeqCst);
        self.held.store(false, Ordering::SeqCst);
        self.hold.store(message, Ordering::SeqCst);
    }

    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    /// Messages since [`Switch::hold_at`].
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Ends all connections.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn state(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            1 => State::Stalled,
            2 => State::Refused,
            3 => State::Halved,
            _ => State::Open,
        }
    }

    fn join(&self, client: &TcpStream, server: &TcpStream) {
        let mut open = self.open.lock().unwrap();
        open.retain(|stream| stream.peer_addr().is_ok());
        for (from, to, asks) in [(client, server, true), (server, client, false)] {
            open.push(from.try_clone().unwrap());
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let switch = self.clone();
            std::thread::spawn(move || switch.pump(from, to, asks));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, asks: bool) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if asks
                && self.sent.fetch_add(1, Ordering::SeqCst) + 1 == self.hold.load(Ordering::SeqCst)
            {
                self.set(State::Stalled);
                self.held.store(true, Ordering::SeqCst);
            }
            while self.state() == State::Stalled {
                std::thread::sleep(Duration::from_millis(5));
            }
            let half = self
                .state
                .compare_exchange(State::Halved as u8, 0, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
            let passes = if half { n / 2 } else { n };
            if to.write_all(&buffer[..passes]).is_err() || half {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
