//! Reading a request's body within a limit, and what is left of one that nobody wants.
//!
//! An answer that goes out before its request was read leaves bytes on the connection: the next
//! request on it, or the proxy before it, would suffer. So what is left is read and thrown away, up
//! to a limit; beyond that the connection is closed after the answer (RFC 9112, section 9.3).

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures::StreamExt;

use crate::byte_budget::Reserved;

/// Unwanted bytes that are read so that the connection can be kept.
const DRAIN_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// How long they may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// What is reserved for a body at once, whatever length it declares.
const RESERVE_MAX_BYTES: usize = 64 * 1024;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed.
    TooLarge,
    /// It did not come in time.
    Timeout,
    /// It broke off, or its transfer encoding is wrong.
    Broken,
    /// There is no memory for it now.
    NoMemory,
}

/// Reads the body, at most `limit` bytes within `timeout`; what it takes is reserved as it comes.
pub(crate) async fn read_body(
    payload: &mut Payload,
    declared: Option<u64>,
    limit: usize,
    timeout: Duration,
    reserved: &mut Reserved,
) -> Result<Bytes, BodyError> {
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge);
    }
    if declared == Some(0) {
        return Ok(Bytes::new());
    }
    let read = collect(payload, declared, limit, reserved);
    tokio::time::timeout(timeout, read)
        .await
        .unwrap_or(Err(BodyError::Timeout))
}

async fn collect(
    payload: &mut Payload,
    declared: Option<u64>,
    limit: usize,
    reserved: &mut Reserved,
) -> Result<Bytes, BodyError> {
    let mut whole = BytesMut::new();
    let mut first = Bytes::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if first.len() + whole.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if !reserved.grow(chunk.len()) {
            return Err(BodyError::NoMemory);
        }
        // A body that comes in one piece, as most do, is not copied.
        if first.is_empty() && whole.is_empty() {
            first = chunk;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected(declared, first.len() + chunk.len()));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn expected(declared: Option<u64>, so_far: usize) -> usize {
    let declared = declared
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    declared.min(RESERVE_MAX_BYTES).max(so_far)
}

/// Reads and throws away what is left of a body. Gives whether all of it came, so that the
/// connection can be used again.
pub(crate) async fn drain(payload: &mut Payload) -> bool {
    if matches!(payload, Payload::None) {
        return true;
    }
    let rest = async {
        let mut bytes = 0;
        while let Some(chunk) = payload.next().await {
            let Ok(chunk) = chunk else { return false };
            bytes += chunk.len() as u64;
            if bytes > DRAIN_MAX_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DRAIN_TIMEOUT, rest).await.unwrap_or(false)
}
