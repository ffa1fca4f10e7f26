//! A network that fails: a proxy on loopback that breaks a connection, once or whenever one object is asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When the connection is broken.
#[derive(Debug, Clone, Copy)]
pub enum Break {
    /// So many bytes of one connection have gone to the server.
    AfterSending(usize),
    /// So many bytes of one connection have come back.
    AfterReceiving(usize),
    /// A request that holds this text has gone to the server, which has answered it: the answer is lost.
    AnswerTo(&'static str),
    /// Every answer to a request that holds this text breaks off in its middle.
    EveryAnswerTo(&'static str),
}

pub struct Proxy {
    pub address: SocketAddr,
    broken: Arc<AtomicUsize>,
}

struct Rule {
    when: Break,
    broken: Arc<AtomicUsize>,
}

impl Rule {
    /// Whether this is the one time.
    fn breaks(&self) -> bool {
        self.broken
            .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }
}

impl Proxy {
    /// Stands before `server` until the process ends.
    pub fn before(server: SocketAddr, when: Break) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let broken = Arc::new(AtomicUsize::new(0));
        let rule = Arc::new(Rule {
            when,
            broken: Arc::clone(&broken),
        });
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(server).unwrap();
                serve(client, server, &rule);
            }
        });
        Proxy { address, broken }
    }

    pub fn has_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst) > 0
    }
}

/// Whether the next answer is lost.
type Muted = Arc<AtomicUsize>;

fn serve(client: TcpStream, server: TcpStream, rule: &Arc<Rule>) {
    let muted = Muted::default();
    let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (rule_up, rule_down) = (Arc::clone(rule), Arc::clone(rule));
    let (muted_up, muted_down) = (Arc::clone(&muted), muted);
    std::thread::spawn(move || {
        let mut sent = 0;
        pump(up.0, up.1, |bytes| {
            sent += bytes.len();
            let told = |text: &str| String::from_utf8_lossy(bytes).contains(text);
            match rule_up.when {
                Break::AfterSending(n) => return (sent > n && rule_up.breaks()).then_some(0),
                Break::AnswerTo(text) if told(text) && rule_up.breaks() => {
                    muted_up.store(1, Ordering::SeqCst);
                }
                Break::EveryAnswerTo(text) => {
                    muted_up.store(usize::from(told(text)), Ordering::SeqCst);
                }
                Break::AnswerTo(_) | Break::AfterReceiving(_) => {}
            }
            None
        });
    });
    std::thread::spawn(move || {
        let mut received = 0;
        pump(server, client, |bytes| {
            received += bytes.len();
            let muted = muted_down.load(Ordering::SeqCst) > 0;
            match rule_down.when {
                Break::AfterReceiving(n) => (received > n && rule_down.breaks()).then_some(0),
                Break::AnswerTo(_) => muted.then_some(0),
                // The head of the answer passes.
                Break::EveryAnswerTo(_) if muted && !bytes.ends_with(b"\r\n\r\n") => {
                    rule_down.breaks();
                    Some(bytes.len() - 1)
                }
                Break::EveryAnswerTo(_) | Break::AfterSending(_) => None,
            }
        });
    });
}

/// Copies until one side ends, or `breaks` says after how many of the bytes at hand it breaks off.
fn pump(mut from: TcpStream, mut to: TcpStream, mut breaks: impl FnMut(&[u8]) -> Option<usize>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let off = breaks(&buffer[..n]);
        if to.write_all(&buffer[..off.unwrap_or(n)]).is_err() || off.is_some() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
