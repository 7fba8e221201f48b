//! The one pass that the ingress makes over a body: is it what it says to be, and what is its
//! ordering key, and its sender's id? For JSON no tree is built.

mod key;

use crate::delivery::{ENVELOPE_BYTES, MAX_DELIVERY_BODY_BYTES};
use crate::json::{Json, JsonError, Position, event_reader};
use crate::jsonpath::PlainPath;
use crate::ordering_key;
use crate::payload::{self, BodyFormat, Kind, PayloadError};
use json_event_parser::JsonEvent;
use key::KeyReader;

/// Bodies up to this size are not measured: no format grows by more than six times as JSON, so none of
/// them is over the limit of a delivery's body.
const MEASURED_ABOVE_BYTES: usize = MAX_DELIVERY_BODY_BYTES as usize / 6 - ENVELOPE_BYTES;

/// Where the keys are that are picked on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPaths {
    /// The ordering key.
    pub ordering: Option<PlainPath>,
    /// The sender's id of the event.
    pub dedupe: Option<PlainPath>,
}

/// What was found out about a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Its ordering key.
    pub key: Option<String>,
    /// The sender's id of the event.
    pub dedupe_key: Option<String>,
    /// What it has as JSON at the most, bytes; of small bodies and of those that are JSON already,
    /// their own size.
    pub json_bytes: usize,
}

/// Checks a body against its declared type and picks the keys at `paths`; text, bytes and bodies
/// of no declared type that are no JSON are all well-formed, and have no keys.
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
    paths: &KeyPaths,
) -> Result<Checked, PayloadError> {
    let without_keys = || Checked::new(body.len(), [None, None]);
    let has_paths = paths.ordering.is_some() || paths.dedupe.is_some();
    match Kind::of(content_type, body_format) {
        Kind::Json => Ok(Checked::new(body.len(), check_json(body, paths)?)),
        Kind::Bytes => Ok(without_keys()),
        Kind::Text if body.len() <= MEASURED_ABOVE_BYTES => Ok(without_keys()),
        Kind::Undeclared if !has_paths || !payload::looks_like_json(body) => Ok(without_keys()),
        Kind::Undeclared => Ok(Checked::new(
            body.len(),
            check_json(body, paths).unwrap_or_default(),
        )),
        Kind::Text | Kind::Xml | Kind::Form | Kind::Multipart => {
            let decoded = payload::decode(content_type, body_format, body, force_list)?.into_json();
            let json_bytes = match body.len() > MEASURED_ABOVE_BYTES {
                true => decoded.to_compact_vec().len(),
                false => body.len(),
            };
            Ok(Checked {
                json_bytes,
                ..keys_of(&decoded, paths)
            })
        }
    }
}

/// The keys in a payload.
pub fn keys_of(payload: &Json, paths: &KeyPaths) -> Checked {
    let find = |path: &Option<PlainPath>| path.as_ref()?.find(payload)?.identity_text();
    Checked::new(0, [find(&paths.ordering), find(&paths.dedupe)])
}

impl Checked {
    fn new(json_bytes: usize, [key, dedupe_key]: [Option<String>; 2]) -> Self {
        Self {
            key: key.map(ordering_key::bounded),
            dedupe_key: dedupe_key.map(ordering_key::bounded),
            json_bytes,
        }
    }
}

/// Checks a JSON body and picks the keys at `paths`, ordering and dedupe, reading the text once.
///
/// # Errors
/// The body is not JSON, nests deeper than [`crate::json::MAX_DEPTH`], or has too many values.
pub fn check_json(body: &[u8], paths: &KeyPaths) -> Result<[Option<String>; 2], JsonError> {
    let mut reader = event_reader(body);
    let mut position = Position::new();
    let mut ordering = paths.ordering.as_ref().map(KeyReader::new);
    let mut dedupe = paths.dedupe.as_ref().map(KeyReader::new);
    loop {
        let event = reader.parse_next()?;
        position.advance(&event)?;
        if event == JsonEvent::Eof {
            return Ok([ordering, dedupe].map(|key| key.and_then(KeyReader::finish)));
        }
        for key in [&mut ordering, &mut dedupe].into_iter().flatten() {
            key.read(&event);
        }
    }
}

#[cfg(test)]
mod tests;
