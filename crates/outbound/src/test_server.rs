//! A scripted HTTP/1.1 receiver on loopback: it records requests and answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with each request.
#[derive(Clone)]
pub(crate) enum Script {
    /// Answers and keeps the connection.
    Answer(Vec<u8>),
    /// Sends these bytes, then nothing more, keeping the connection open.
    Stall(Vec<u8>),
    /// Sends these bytes, then closes.
    Close(Vec<u8>),
}

impl Script {
    pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n");
        Self::Answer([head.as_bytes(), body].concat())
    }
}

/// What the server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) requests: Vec<String>,
    /// All bytes that came, whole requests or not.
    pub(crate) bytes: usize,
    pub(crate) closed: usize,
}

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl TestServer {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        tokio::spawn(accept(listener, script, Arc::clone(&seen)));
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen<T>(&self, read: impl Fn(&Seen) -> T) -> T {
        read(&self.seen.lock().expect("not poisoned"))
    }

    /// Waits until the server has seen what is asked for.
    pub(crate) async fn until(&self, holds: impl Fn(&Seen) -> bool) {
        while !self.seen(&holds) {
            tokio::task::yield_now().await;
        }
    }
}

async fn accept(listener: TcpListener, script: Script, seen: Arc<Mutex<Seen>>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.lock().expect("not poisoned").connections += 1;
        tokio::spawn(serve(stream, script.clone(), Arc::clone(&seen)));
    }
}

async fn serve(mut stream: TcpStream, script: Script, seen: Arc<Mutex<Seen>>) {
    while let Some(request) = read_request(&mut stream, &seen).await {
        seen.lock().expect("not poisoned").requests.push(request);
        if !play(&mut stream, &script).await {
            break;
        }
    }
    seen.lock().expect("not poisoned").closed += 1;
}

/// Whether the connection goes on.
async fn play(stream: &mut (impl AsyncWrite + Unpin), script: &Script) -> bool {
    let (Script::Answer(bytes) | Script::Stall(bytes) | Script::Close(bytes)) = script;
    let written = stream.write_all(bytes).await.is_ok();
    match script {
        Script::Answer(_) => written,
        Script::Stall(_) => std::future::pending().await,
        Script::Close(_) => false,
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), seen: &Mutex<Seen>) -> Option<String> {
    let mut got = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        seen.lock().expect("not poisoned").bytes += read;
        got.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&got).into_owned();
        if is_whole(&text) {
            return Some(text);
        }
    }
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}
