//! A real S3 API: moto, started by the tests on loopback.

use crate::support::python::{python, script};
use crate::support::shared::{keep, shared};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A server that ends with the process that holds its standard input.
struct Server {
    _child: Child,
    /// Its port, and what else it said.
    said: String,
}

impl Server {
    /// `None` where it is not installed.
    fn start(args: &[&str]) -> Option<Server> {
        let python = python(&["moto.server", "flask"])?;
        let mut child = Command::new(python)
            .arg(script("s3_server.py"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        Some(Server {
            _child: child,
            said,
        })
    }

    /// For all tests of the run; nothing is said where it is not installed.
    fn keep(args: &[&str]) {
        keep(|_| {
            let server = Server::start(args);
            let said = server.as_ref().map(|server| server.said.clone());
            (server, said.unwrap_or_default())
        });
    }
}

const BUCKET: &str = "guarded";

#[test]
#[ignore = "not a test: keeps the S3 server of all tests"]
fn keeper_of_the_s3_server() {
    Server::keep(&[]);
}

#[test]
#[ignore = "not a test: keeps the S3 server that looks at signatures"]
fn keeper_of_the_strict_s3_server() {
    Server::keep(&["--strict", BUCKET]);
}

/// What the server of that name said of itself: its address, and the words after its port.
fn said(name: &str, keeper: &str) -> Option<(SocketAddr, Vec<String>)> {
    // Asked here, too: a test that is skipped says so itself.
    python(&["moto.server", "flask"])?;
    let text = shared(name, keeper);
    let mut words = text.split_whitespace().map(str::to_owned);
    let address = format!("127.0.0.1:{}", words.next()?).parse().unwrap();
    Some((address, words.collect()))
}

/// The server of all tests; `None` where it is not installed. It takes requests from anybody.
pub fn server() -> Option<SocketAddr> {
    static SERVER: OnceLock<Option<SocketAddr>> = OnceLock::new();
    *SERVER.get_or_init(|| {
        said("s3", "support::s3_server::keeper_of_the_s3_server").map(|(address, _)| address)
    })
}

/// A server with one bucket, which looks at every signature.
#[derive(Clone)]
pub struct Strict {
    pub address: SocketAddr,
    pub bucket: &'static str,
    pub key: String,
    pub secret: String,
}

/// The server that looks at signatures; `None` where it is not installed.
pub fn strict() -> Option<Strict> {
    static SERVER: OnceLock<Option<Strict>> = OnceLock::new();
    let started = SERVER.get_or_init(|| {
        let keeper = "support::s3_server::keeper_of_the_strict_s3_server";
        let (address, words) = said("s3-strict", keeper)?;
        let [key, secret] = words.try_into().unwrap();
        Some(Strict {
            address,
            bucket: BUCKET,
            key,
            secret,
        })
    });
    started.clone()
}

/// What the server, unless it is strict, takes for a signature.
const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=ANYBODY/20240101/us-east-1/s3/aws4_request, \
    SignedHeaders=host, Signature=0\r\n";

/// A request that nobody signed; the body of the answer.
pub fn ask(server: SocketAddr, request: &str) -> String {
    ask_with(server, request, "", "")
}

/// The same with further headers, each ended by a line break of its own, and a body.
pub fn ask_with(server: SocketAddr, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    let length = body.len();
    let asked = format!(
        "{request} HTTP/1.0\r\nHost: {server}\r\nContent-Length: {length}\r\n{SIGNED}{headers}\r\n{body}"
    );
    stream.write_all(asked.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// What a client finds its way to the server by.
pub fn variables(endpoint: SocketAddr) -> Vec<(String, String)> {
    variables_of(endpoint, "AKIATEST", "hunter2")
}

/// The same with credentials of one's own.
pub fn variables_of(endpoint: SocketAddr, key: &str, secret: &str) -> Vec<(String, String)> {
    [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &format!("http://{endpoint}")),
        ("AWS_ALLOW_HTTP", "true"),
    ]
    .map(|(n, v)| (n.to_owned(), v.to_owned()))
    .to_vec()
}

pub fn keys(server: SocketAddr, bucket: &str) -> Vec<String> {
    let listed = ask(server, &format!("GET /{bucket}?list-type=2"));
    texts(&listed, "Key").collect()
}

pub fn unfinished_uploads(server: SocketAddr, bucket: &str) -> usize {
    ask(server, &format!("GET /{bucket}?uploads"))
        .matches("<Upload>")
        .count()
}

/// The texts of all elements of this name.
pub fn texts(xml: &str, element: &str) -> impl Iterator<Item = String> {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let texts: Vec<String> = xml
        .split(&begin)
        .skip(1)
        .map(|rest| rest.split(&end).next().unwrap().to_owned())
        .collect();
    texts.into_iter()
}
