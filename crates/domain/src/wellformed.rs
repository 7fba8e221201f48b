//! The one pass that the ingress makes over a body: is it what it says to be, and what is its
//! ordering key? For JSON no tree is built.

mod key;

use crate::json::{JsonError, Position, event_reader};
use crate::jsonpath::PlainPath;
use crate::payload::{self, BodyFormat, Kind, Payload, PayloadError};
use json_event_parser::JsonEvent;
use key::KeyReader;

/// Checks a body against its declared type and picks the key at `key_path`; text, bytes and bodies
/// of no declared type that are no JSON are all well-formed, and have no key.
///
/// The key is what [`crate::json::Json::identity_text`] gives of the value there.
///
/// # Errors
/// The body is not well-formed for its declared type.
pub fn check(
    content_type: Option<&str>,
    body_format: BodyFormat,
    body: &[u8],
    force_list: &[String],
    key_path: Option<&PlainPath>,
) -> Result<Option<String>, PayloadError> {
    match Kind::of(content_type, body_format) {
        Kind::Json => Ok(check_json(body, key_path)?),
        Kind::Text | Kind::Bytes => Ok(None),
        Kind::Undeclared if key_path.is_none() || !payload::looks_like_json(body) => Ok(None),
        Kind::Undeclared => Ok(check_json(body, key_path).unwrap_or(None)),
        Kind::Xml | Kind::Form => {
            let decoded = payload::decode(content_type, body_format, body, force_list)?;
            Ok(key_path.and_then(|path| find_key(&decoded, path)))
        }
    }
}

fn find_key(decoded: &Payload, path: &PlainPath) -> Option<String> {
    path.find(decoded.as_json()?)?.identity_text()
}

/// Checks a JSON body and picks the key at `key_path`, reading the text once.
///
/// # Errors
/// The body is not JSON, or nests deeper than [`crate::json::MAX_DEPTH`].
pub fn check_json(body: &[u8], key_path: Option<&PlainPath>) -> Result<Option<String>, JsonError> {
    let mut reader = event_reader(body);
    let mut position = Position::new();
    let mut key = key_path.map(KeyReader::new);
    loop {
        let event = reader.parse_next()?;
        position.advance(&event)?;
        if event == JsonEvent::Eof {
            return Ok(key.and_then(KeyReader::finish));
        }
        if let Some(key) = &mut key {
            key.read(event);
        }
    }
}

#[cfg(test)]
mod tests;
