//! Bytes → text, by byte order mark, the content type's charset, or XML's own declaration.

use super::media;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// Bytes of an XML document in which its declaration has to end to be seen.
const DECLARATION_BYTES: usize = 256;

/// Text for reading; what is no character becomes U+FFFD, since text has no form to keep.
pub(super) fn decode_text(content_type: Option<&str>, body: &[u8]) -> String {
    let encoding = declared(content_type).unwrap_or(UTF_8);
    encoding.decode(body).0.into_owned()
}

/// Text, where the bytes are text in the encoding that they are declared to be in.
pub(super) fn decode_exactly(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let encoding = declared(content_type).unwrap_or(UTF_8);
    let (text, _, malformed) = encoding.decode(body);
    (!malformed).then(|| text.into_owned())
}

/// The encoding that a content type names.
pub(super) fn declared(content_type: Option<&str>) -> Option<&'static Encoding> {
    Encoding::for_label(media::parameter(content_type?, "charset")?.as_bytes())
}

/// The text of an XML document, by RFC 7303, section 3: byte order mark, then charset, then the
/// declaration, then UTF-8.
///
/// # Errors
/// A sentence, when bytes are no text in that encoding, or the encoding is unknown.
pub(super) fn decode_xml<'a>(content_type: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, str>, String> {
    let encoding = match Encoding::for_bom(body) {
        Some((encoding, _)) => encoding,
        None => match declared(content_type) {
            Some(encoding) => encoding,
            None => xml_encoding(body)?,
        },
    };
    let (text, _, malformed) = encoding.decode(body);
    if malformed {
        Err(format!("it is not text in {}", encoding.name()))
    } else {
        Ok(text)
    }
}

/// XML 1.0, appendix F: by the first bytes, then by the declaration.
fn xml_encoding(body: &[u8]) -> Result<&'static Encoding, String> {
    match body {
        [b'<', 0, ..] => return Ok(UTF_16LE),
        [0, b'<', ..] => return Ok(UTF_16BE),
        _ => {}
    }
    let head = &body[..body.len().min(DECLARATION_BYTES)];
    let Some(declaration) = head.strip_prefix(b"<?xml") else {
        return Ok(UTF_8);
    };
    let end = declaration
        .windows(2)
        .position(|pair| pair == b"?>")
        .unwrap_or(declaration.len());
    let declaration = String::from_utf8_lossy(&declaration[..end]).into_owned();
    let Some((_, after)) = declaration.split_once("encoding") else {
        return Ok(UTF_8);
    };
    let value = after
        .trim_start()
        .strip_prefix('=')
        .unwrap_or_default()
        .trim_start();
    let Some(quote) = value.chars().next() else {
        return Ok(UTF_8);
    };
    let label = value[quote.len_utf8()..].split(quote).next().unwrap_or_default();
    match Encoding::for_label(label.as_bytes()) {
        // A document whose declaration can be read as ASCII is not in UTF-16, whatever it says.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => Err(format!("its encoding {label} is unknown")),
    }
}
