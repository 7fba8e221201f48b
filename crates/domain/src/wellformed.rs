//! The one pass that the ingress makes over a body: is it what it says to be, and what is its
//! ordering key? For JSON no tree is built.

mod key;

use crate::json::{JsonError, Position, event_reader};
use crate::jsonpath::PlainPath;
use crate::ordering_key;
use crate::payload::{self, BodyFormat, Kind, Payload, PayloadError};
use json_event_parser::JsonEvent;
use key::KeyReader;

/// Bodies up to this size are not measured: no format grows by more than six times as JSON, which no
/// limit is below.
const MEASURED_ABOVE_BYTES: usize = 64 * 1024;

/// What was found out about a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Its ordering key.
    pub key: Option<String>,
    /// What it has as JSON at the most, bytes; of small bodies and of those that are JSON already,
    /// their own size.
    pub json_bytes: usize,
}

/// Checks a body against its declared type and picks the key at `key_path`; text, bytes and bodies
/// of no declared type that are no JSON are all well-formed, and have no key.
///
/// The key is what [`crate::json::Json::identity_text`] gives of the value there, as
/// [`ordering_key::bounded`] keeps it.
///
/// # Errors
/// The body is not well-formed for its declared type.
pub fn check(
    content_type: Option<&str>,
    body_format: BodyFormat,
    body: &[u8],
    force_list: &[String],
    key_path: Option<&PlainPath>,
) -> Result<Checked, PayloadError> {
    let of_json = |key: Option<String>| Checked {
        key: key.map(ordering_key::bounded),
        json_bytes: body.len(),
    };
    match Kind::of(content_type, body_format) {
        Kind::Json => Ok(of_json(check_json(body, key_path)?)),
        Kind::Bytes => Ok(of_json(None)),
        Kind::Text if body.len() <= MEASURED_ABOVE_BYTES => Ok(of_json(None)),
        Kind::Undeclared if key_path.is_none() || !payload::looks_like_json(body) => Ok(of_json(None)),
        Kind::Undeclared => Ok(of_json(check_json(body, key_path).unwrap_or(None))),
        Kind::Text | Kind::Xml | Kind::Form => {
            let decoded = payload::decode(content_type, body_format, body, force_list)?;
            let key = key_path.and_then(|path| find_key(&decoded, path));
            let mut checked = of_json(key);
            if body.len() > MEASURED_ABOVE_BYTES {
                checked.json_bytes = decoded.into_json().to_compact_vec().len();
            }
            Ok(checked)
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
