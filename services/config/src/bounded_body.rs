//! Reading a request's body to its end, or to a limit.
//!
//! An answer that is sent while the client still writes can be lost with the connection, so what is too
//! large or unwanted is read too, up to a limit, and thrown away.

use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::error::ApiError;

/// How much of an unwanted body is read, bytes; a connection with more is closed.
const DRAINED_BYTES: usize = 8 * 1024 * 1024;

/// The body, where it has at most `limit` bytes.
pub(crate) async fn read(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::MalformedJson(error.to_string()))?;
        if body.len() + chunk.len() > limit {
            drain(payload).await;
            return Err(ApiError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Throws a body away; whether it came to its end.
pub(crate) async fn drain(mut payload: Payload) -> bool {
    let mut drained = 0;
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else { return false };
        drained += chunk.len();
        if drained > DRAINED_BYTES {
            return false;
        }
    }
    true
}
