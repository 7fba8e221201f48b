//! Bytes on a connection, and the answer to them, if any: what a client library would not send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take: more than the ingress's longest time-out.
const PATIENCE: Duration = Duration::from_secs(45);
/// Bytes of an answer that are read.
const ANSWER_MAX_BYTES: usize = 256 * 1024;

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// 0: the connection was closed without one.
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// Sends pieces with pauses between them, closes the sending side where `is_cut`, and reads the answer.
pub(crate) async fn exchange(
    address: &str,
    pieces: &[Vec<u8>],
    pause: Duration,
    is_cut: bool,
) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut reading, mut writing) = stream.into_split();
    let send = async {
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(pause).await;
            }
            // It may have been answered, and closed, before all of it went out.
            if writing.write_all(piece).await.is_err() {
                return;
            }
        }
        if is_cut {
            let _closed = writing.shutdown().await;
        }
    };
    let receive = async {
        let mut read = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        while read.len() < ANSWER_MAX_BYTES && !is_whole(&read) {
            match reading.read(&mut buffer).await {
                Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        read
    };
    let both = async { tokio::join!(send, receive).1 };
    let read = tokio::time::timeout(PATIENCE, both).await;
    anyhow::ensure!(read.is_ok(), "no answer, and the connection is left open");
    Ok(answer(&read.unwrap_or_default()))
}

/// Whether the head and as much of a body as it declares are there.
fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

fn answer(read: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(read).into_owned();
    let status = text
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        text,
    }
}
