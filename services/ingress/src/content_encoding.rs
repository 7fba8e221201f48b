//! Undoing a body's content encodings (RFC 9110, section 8.4), never beyond the source's limit.
//!
//! Knows which codings there are and in which order they are undone; how each is undone is in
//! `inflate`, `brotli` and `zstd`.

mod brotli;
mod inflate;
mod limited;
mod zstd;

use std::sync::Arc;

use actix_web::web::Bytes;

use crate::byte_budget::{ByteBudget, Reserved};
use limited::read_limited;

/// Encoded bodies above this are decoded on a thread of their own kind, not on the worker's.
const INLINE_MAX_BYTES: usize = 32 * 1024;
/// Codings that one body may have; real senders use one.
const MAX_CODINGS: usize = 3;
/// What is told of the codings that are known.
pub(crate) const SUPPORTED: &str = "gzip, deflate, br, zstd and identity, at most 3 of them";

/// One coding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// gzip (RFC 1952).
    Gzip,
    /// The zlib format (RFC 1950), or its content alone (RFC 1951), which some senders mean.
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878), within the window of RFC 9659.
    Zstd,
}

/// The codings of a body, in the order in which they were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codings(Vec<Coding>);

/// Why a body can't be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is not what it says.
    Malformed(String),
    /// It is larger than allowed, decoded.
    TooLarge,
    /// There is no memory for it now.
    NoMemory,
}

impl Coding {
    /// The coding of this name; `identity` is none, and what is unknown is an error.
    fn of(name: &str) -> Result<Option<Self>, ()> {
        let known = [
            ("identity", None),
            ("gzip", Some(Self::Gzip)),
            ("x-gzip", Some(Self::Gzip)),
            ("deflate", Some(Self::Deflate)),
            ("br", Some(Self::Brotli)),
            ("zstd", Some(Self::Zstd)),
        ];
        let found = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, coding)| *coding).ok_or(())
    }

    /// What its decoder takes beside input and output, bytes.
    fn window_bytes(self) -> usize {
        match self {
            Self::Gzip | Self::Deflate => 32 * 1024,
            Self::Brotli => brotli::WINDOW_BYTES,
            Self::Zstd => zstd::WINDOW_MAX_BYTES,
        }
    }

    fn undo(self, body: &[u8], limit: usize, reserved: &mut Reserved) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Gzip => read_limited(inflate::gzip(body), limit, reserved),
            Self::Deflate => read_limited(inflate::deflate(body), limit, reserved),
            Self::Brotli => read_limited(brotli::Decoder::new(body), limit, reserved),
            Self::Zstd => zstd::decode(body, limit, reserved),
        }
    }
}

impl Codings {
    /// Reads the values of all `Content-Encoding` headers; `None` for what is not supported.
    pub(crate) fn of<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut codings = Vec::new();
        let names = headers.flat_map(|header| header.split(',')).map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            codings.extend(Coding::of(name).ok()?);
            if codings.len() > MAX_CODINGS {
                return None;
            }
        }
        Some(Self(codings))
    }

    /// The most that a body of at most `limit` bytes may have on the wire.
    pub(crate) fn wire_limit(&self, limit: usize) -> usize {
        if self.0.is_empty() {
            limit
        } else {
            encoded_limit(limit)
        }
    }
}

/// Decodes a body of at most `limit` bytes. What it takes meanwhile is reserved of `budget`, and what
/// the decoded body takes stays so with `reserved`.
pub(crate) async fn decode(
    codings: Codings,
    body: Bytes,
    limit: usize,
    budget: &Arc<ByteBudget>,
    reserved: &mut Reserved,
) -> Result<Bytes, DecodeError> {
    if codings.0.is_empty() {
        return Ok(body);
    }
    if body.len() <= INLINE_MAX_BYTES {
        return undo_all(&codings.0, body, limit, reserved);
    }
    let window = codings.0.iter().map(|coding| coding.window_bytes()).max();
    let mut window_bytes = budget.reserve();
    let mut of_body = std::mem::replace(reserved, budget.reserve());
    if !window_bytes.grow(window.unwrap_or_default()) {
        return Err(DecodeError::NoMemory);
    }
    let decoding = actix_web::web::block(move || {
        let decoded = undo_all(&codings.0, body, limit, &mut of_body);
        drop(window_bytes);
        (decoded, of_body)
    });
    match decoding.await {
        Ok((decoded, of_body)) => {
            *reserved = of_body;
            decoded
        }
        Err(_) => Err(DecodeError::Malformed("decoding was cut short".to_owned())),
    }
}

/// How large a body of at most `limit` bytes may be under a coding: what can't be made smaller is stored,
/// which takes a little more.
fn encoded_limit(limit: usize) -> usize {
    limit + limit / 64 + 1024
}

/// Undoes the codings, the last one first. What lies between two is bounded too.
fn undo_all(
    codings: &[Coding],
    body: Bytes,
    limit: usize,
    reserved: &mut Reserved,
) -> Result<Bytes, DecodeError> {
    let mut body = body;
    for (left, coding) in codings.iter().enumerate().rev() {
        let limit = if left == 0 { limit } else { encoded_limit(limit) };
        let encoded_bytes = body.len();
        body = coding.undo(&body, limit, reserved)?.into();
        reserved.shrink(encoded_bytes);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
