//! A real S3 API: moto, started by the tests on loopback.

use crate::support::python::{python, script};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A server that ends with this process, which holds its standard input.
struct Server {
    _child: Child,
    address: SocketAddr,
    /// What it said after its port.
    said: Vec<String>,
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
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        let port = words.next().expect("a port");
        Some(Server {
            _child: child,
            address: format!("127.0.0.1:{port}").parse().unwrap(),
            said: words.collect(),
        })
    }
}

/// The server of all tests; `None` where it is not installed. It takes requests from anybody.
pub fn server() -> Option<SocketAddr> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let started = SERVER.get_or_init(|| Server::start(&[]));
    started.as_ref().map(|server| server.address)
}

/// A server with one bucket, which looks at every signature.
pub struct Strict {
    pub address: SocketAddr,
    pub bucket: &'static str,
    pub key: String,
    pub secret: String,
}

/// The server that looks at signatures; `None` where it is not installed.
pub fn strict() -> Option<Strict> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let bucket = "guarded";
    let started = SERVER.get_or_init(|| Server::start(&["--strict", bucket]));
    started.as_ref().map(|server| Strict {
        address: server.address,
        bucket,
        key: server.said[0].clone(),
        secret: server.said[1].clone(),
    })
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
