//! Reads an answer: keeps its beginning, drains a bounded rest, and drops what is longer.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::attempt::{AttemptError, AttemptResponse};
use crate::failure::{classify_body, timed_out};
use crate::limits::{RESPONSE_BODY_DRAINED_BYTES, RESPONSE_HEADERS_KEPT_BYTES};

/// Bounds of reading one answer.
pub(crate) struct ReadBounds {
    pub(crate) deadline: Instant,
    pub(crate) timeout_ms: u64,
    pub(crate) keep_body_bytes: usize,
}

/// The answer as far as it came, and why it isn't whole. Not reading the end of an overlong body is
/// no failure.
pub(crate) async fn read_response(
    mut response: Response<Incoming>,
    bounds: &ReadBounds,
) -> (AttemptResponse, Option<AttemptError>) {
    let mut body = KeptBody::new(bounds.keep_body_bytes);
    let error = read_body(&mut response, bounds, &mut body).await.err();
    let read = AttemptResponse {
        status: response.status().as_u16(),
        headers: kept_headers(response.headers()),
        body_truncated: body.truncated,
        body: body.finish(),
    };
    (read, error)
}

async fn read_body(
    response: &mut Response<Incoming>,
    bounds: &ReadBounds,
    body: &mut KeptBody,
) -> Result<(), AttemptError> {
    let drain_bytes = RESPONSE_BODY_DRAINED_BYTES.max(bounds.keep_body_bytes);
    while body.seen_bytes <= drain_bytes {
        let chunk = tokio::time::timeout_at(bounds.deadline, response.frame()).await;
        match chunk {
            Err(_) => return Err(timed_out(bounds.timeout_ms, "complete answer")),
            Ok(Some(Err(error))) => return Err(classify_body(&error)),
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame.data_ref().into_iter().for_each(|chunk| body.take(chunk)),
        }
    }
    Ok(())
}

struct KeptBody {
    kept: BytesMut,
    limit_bytes: usize,
    seen_bytes: usize,
    truncated: bool,
}

impl KeptBody {
    fn new(limit_bytes: usize) -> Self {
        Self {
            kept: BytesMut::new(),
            limit_bytes,
            seen_bytes: 0,
            truncated: false,
        }
    }

    fn take(&mut self, chunk: &Bytes) {
        let room = self.limit_bytes - self.kept.len();
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.truncated |= chunk.len() > room;
        self.seen_bytes += chunk.len();
    }

    fn finish(self) -> Bytes {
        self.kept.freeze()
    }
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut room = RESPONSE_HEADERS_KEPT_BYTES;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else {
            break;
        };
        room = left;
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        kept.push((name.as_str().to_owned(), value));
    }
    kept
}
