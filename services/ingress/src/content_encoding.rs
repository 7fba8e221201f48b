//! Undoing a body's content encoding (RFC 9110, section 8.4), never beyond the source's limit.

use std::io::Read;

use actix_web::web::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// Encoded bodies above this are decoded on a thread of their own kind, not on the worker's.
const INLINE_MAX_BYTES: usize = 32 * 1024;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// The zlib format (RFC 1950), whatever the name says.
    Deflate,
}

/// Why a body can't be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is not what it says.
    Malformed(String),
    /// It is larger than allowed, decoded.
    TooLarge,
}

impl Encoding {
    /// Reads the header's value; `None` for what is not supported.
    pub(crate) fn of(header: Option<&str>) -> Option<Self> {
        let Some(header) = header else {
            return Some(Self::Identity);
        };
        let known = [
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
        ];
        let name = header.trim();
        if name.is_empty() {
            return Some(Self::Identity);
        }
        let found = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, encoding)| *encoding)
    }
}

/// Decodes a body of at most `limit` bytes.
pub(crate) async fn decode(encoding: Encoding, body: Bytes, limit: usize) -> Result<Bytes, DecodeError> {
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    if body.len() <= INLINE_MAX_BYTES {
        return inflate(encoding, &body, limit);
    }
    let decoded = actix_web::web::block(move || inflate(encoding, &body, limit)).await;
    decoded.unwrap_or_else(|_| Err(DecodeError::Malformed("decoding was cut short".to_owned())))
}

fn inflate(encoding: Encoding, body: &[u8], limit: usize) -> Result<Bytes, DecodeError> {
    match encoding {
        Encoding::Identity => Ok(Bytes::copy_from_slice(body)),
        Encoding::Gzip => read_limited(MultiGzDecoder::new(body), limit),
        Encoding::Deflate => read_limited(ZlibDecoder::new(body), limit),
    }
}

fn read_limited(decoder: impl Read, limit: usize) -> Result<Bytes, DecodeError> {
    let mut decoded = Vec::new();
    let mut within = decoder.take(limit as u64 + 1);
    within
        .read_to_end(&mut decoded)
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if decoded.len() > limit {
        return Err(DecodeError::TooLarge);
    }
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_limit_counts_decoded_bytes() {
        let body = gzip(&[b'a'; 10_000]);
        let decoded = inflate(Encoding::Gzip, &body, 10_000).unwrap();
        assert_eq!(decoded.len(), 10_000);
        assert_eq!(inflate(Encoding::Gzip, &body, 9_999), Err(DecodeError::TooLarge));
    }

    #[test]
    fn deflate_is_the_zlib_format() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"{}").unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(inflate(Encoding::Deflate, &body, 10).unwrap().as_ref(), b"{}");
    }

    #[test]
    fn broken_bodies_are_refused() {
        let whole = gzip(b"hello");
        for broken in [&b"no gzip"[..], &whole[..whole.len() - 3], b""] {
            let result = inflate(Encoding::Gzip, broken, 100);
            assert!(matches!(result, Err(DecodeError::Malformed(_))), "{result:?}");
        }
    }

    #[test]
    fn encodings_are_known_by_name_whatever_the_case() {
        let check = |header, expected| assert_eq!(Encoding::of(header), expected, "{header:?}");
        check(None, Some(Encoding::Identity));
        check(Some(" GZIP "), Some(Encoding::Gzip));
        check(Some("br"), None);
        check(Some("gzip, gzip"), None);
    }
}
