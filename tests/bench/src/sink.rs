//! A receiver that costs little: it answers 204 to everything and notes how long each body was on its
//! way, by the time that the body begins with.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Most bytes of one request.
const REQUEST_BYTES: usize = 64 * 1024;
/// What every body begins with; then come microseconds since the Unix epoch, sixteen digits.
pub(crate) const BODY_HEAD: &str = r#"{"at":"#;
const DIGITS: usize = 16;
const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// What has arrived.
#[derive(Default)]
pub(crate) struct Arrivals {
    count: AtomicU64,
    latencies_us: Mutex<Vec<u64>>,
    first: Mutex<Option<Instant>>,
}

impl Arrivals {
    /// How many have arrived.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// When the first one came.
    pub(crate) fn first(&self) -> Option<Instant> {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time below which this part of the arrivals were on their way, milliseconds.
    pub(crate) fn quantile_ms(&self, part: f64) -> f64 {
        let mut latencies = self.latencies_us.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.sort_unstable();
        let place = ((latencies.len() as f64 - 1.0) * part).max(0.0) as usize;
        latencies.get(place).map_or(0.0, |us| *us as f64 / 1000.0)
    }

    /// Forgets how long those so far were on their way.
    pub(crate) fn forget_latencies(&self) {
        self.latencies_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn arrived(&self, sent_us: u64) {
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let on_its_way = now_us().saturating_sub(sent_us);
        self.latencies_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(on_its_way);
    }
}

/// Microseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures by the clock itself"
)]
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Starts it; gives its address.
pub(crate) async fn start(arrivals: Arc<Arrivals>) -> anyhow::Result<String> {
    start_answering(arrivals, NO_CONTENT).await
}

/// As [`start`], with these bytes as the answer to everything.
pub(crate) async fn start_answering(
    arrivals: Arc<Arrivals>,
    answer: &'static [u8],
) -> anyhow::Result<String> {
    let listener = TcpListener::bind(hookrail_harness::ANY_PORT).await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection that breaks is the dispatcher's to make again.
            tokio::spawn(serve(stream, Arc::clone(&arrivals), answer));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, arrivals: Arc<Arrivals>, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = (vec![0; REQUEST_BYTES], 0);
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        while let Some((length, sent_us)) = parse(&buffer[..filled]) {
            arrivals.arrived(sent_us);
            stream.write_all(answer).await?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
    }
}

/// The length of the first request, once it is whole, and the time in its body; a body that has none was sent now.
fn parse(bytes: &[u8]) -> Option<(usize, u64)> {
    let body_at = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..body_at]).ok()?;
    let length: usize = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })?;
    let body = bytes.get(body_at..body_at + length)?;
    let digits = body.get(BODY_HEAD.len()..BODY_HEAD.len() + DIGITS);
    let sent_us = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Some((body_at + length, sent_us.unwrap_or_else(now_us)))
}
