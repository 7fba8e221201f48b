//! A closed loop of HTTP/1.1 requests over keep-alive connections: each sends the next request when
//! the last was answered. Written on bare sockets, so that it takes little of the cores it shares.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Most bytes of one answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// What a run of load saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// Answers with the wanted status.
    pub(crate) accepted: u64,
    /// Other answers.
    pub(crate) other: u64,
    /// Latencies of accepted requests, microseconds.
    pub(crate) latencies_us: Vec<u32>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

impl Seen {
    /// Accepted requests a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency below which this part of the requests lie, milliseconds.
    pub(crate) fn quantile_ms(&mut self, part: f64) -> f64 {
        self.latencies_us.sort_unstable();
        let place = ((self.latencies_us.len() as f64 - 1.0) * part).max(0.0) as usize;
        self.latencies_us
            .get(place)
            .map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

/// What is posted, over and over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) address: &'a str,
    pub(crate) path: &'a str,
    /// Header lines besides the usual ones, each with its line end.
    pub(crate) headers: &'a str,
    pub(crate) body: &'a [u8],
    /// The status that is wanted.
    pub(crate) wanted: u16,
}

/// Posts over `connections` for `time`.
pub(crate) async fn run(post: Post<'_>, connections: usize, time: Duration) -> anyhow::Result<Seen> {
    let Post {
        address,
        path,
        headers,
        body,
        wanted,
    } = post;
    let request = request_with(address, path, headers, body);
    let end = Instant::now() + time;
    let next = move || (Instant::now() < end).then(|| Arc::clone(&request));
    send(address, wanted, next, connections).await
}

/// Sends each of these requests once, over `connections`.
pub(crate) async fn send_all(
    address: &str,
    requests: Arc<[Arc<[u8]>]>,
    connections: usize,
) -> anyhow::Result<Seen> {
    let sent = Arc::new(AtomicUsize::new(0));
    let next = move || requests.get(sent.fetch_add(1, Ordering::Relaxed)).map(Arc::clone);
    send(address, 202, next, connections).await
}

/// A POST of JSON.
pub(crate) fn request(address: &str, path: &str, body: &[u8]) -> Arc<[u8]> {
    request_with(address, path, "", body)
}

fn request_with(address: &str, path: &str, headers: &str, body: &[u8]) -> Arc<[u8]> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}

/// Sends what `next` gives over `connections`, until it gives nothing.
async fn send(
    address: &str,
    wanted: u16,
    next: impl Fn() -> Option<Arc<[u8]>> + Clone + Send + 'static,
    connections: usize,
) -> anyhow::Result<Seen> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(connection(wanted, address.to_owned(), next.clone()));
    }
    let mut seen = Seen::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        seen.accepted += one.accepted;
        seen.other += one.other;
        seen.latencies_us.extend(one.latencies_us);
    }
    seen.elapsed = started.elapsed();
    Ok(seen)
}

async fn connection(
    wanted: u16,
    address: String,
    next: impl Fn() -> Option<Arc<[u8]>>,
) -> anyhow::Result<Seen> {
    let mut stream = TcpStream::connect(&address)
        .await
        .with_context(|| format!("can't connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (mut seen, mut buffer) = (Seen::default(), vec![0; ANSWER_BYTES]);
    while let Some(request) = next() {
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut buffer).await?;
        if status == wanted {
            seen.accepted += 1;
            seen.latencies_us
                .push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        } else {
            seen.other += 1;
        }
    }
    Ok(seen)
}

/// Reads one answer whole and gives its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<u16> {
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        anyhow::ensure!(count > 0, "the server closed the connection");
        filled += count;
        if let Some((status, length)) = parse(&buffer[..filled])
            && filled >= length
        {
            return Ok(status);
        }
    }
}

/// Status and whole length of an answer, once its head is there.
fn parse(answer: &[u8]) -> Option<(u16, usize)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + length.unwrap_or_default()))
}
