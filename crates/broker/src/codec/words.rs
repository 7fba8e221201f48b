//! Small values that many contracts have: ids, words, secrets, pairs.

use std::str::FromStr;

use hookrail_domain::Millis;
use hookrail_domain::event::{Body, Origin, Reply};
use hookrail_domain::secret::Secret;
use hookrail_proto::v1;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CodecError;

/// Decodes a message's frame.
pub(super) fn decode<M: Message + Default>(contract: &'static str, bytes: &[u8]) -> Result<M, CodecError> {
    M::decode(bytes).map_err(|error| CodecError::new(contract, error))
}

/// A part that a contract always has.
pub(super) fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, CodecError> {
    value.ok_or_else(|| CodecError::new(field, "is missing"))
}

/// An id, a path, an address: anything with one text.
pub(super) fn parse<T: FromStr>(field: &'static str, text: &str) -> Result<T, CodecError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| CodecError::new(field, error))
}

pub(super) fn parse_option<T: FromStr>(
    field: &'static str,
    text: Option<&String>,
) -> Result<Option<T>, CodecError>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| parse(field, text)).transpose()
}

pub(super) fn text_option<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(T::to_string)
}

/// A unit variant as its word in the API.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The unit variant of a word.
pub(super) fn from_word<T: DeserializeOwned>(field: &'static str, word: &str) -> Result<T, CodecError> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|error| CodecError::new(field, error))
}

/// A value as JSON text.
pub(super) fn json_text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("definitions are JSON")
}

pub(super) fn from_json_text<T: DeserializeOwned>(field: &'static str, text: &str) -> Result<T, CodecError> {
    serde_json::from_str(text).map_err(|error| CodecError::new(field, error))
}

pub(super) fn secret(secret: &Secret) -> v1::Secret {
    v1::Secret {
        id: text_option(secret.id.as_ref()).unwrap_or_default(),
        value: secret.value.clone().unwrap_or_default(),
        expires_at_ms: secret.expires_at,
    }
}

pub(super) fn from_secret(field: &'static str, secret: Option<v1::Secret>) -> Result<Secret, CodecError> {
    let secret = needed(field, secret)?;
    let id = (!secret.id.is_empty()).then_some(secret.id);
    Ok(Secret {
        id: parse_option(field, id.as_ref())?,
        value: (!secret.value.is_empty()).then_some(secret.value),
        expires_at: secret.expires_at_ms,
    })
}

pub(super) fn from_secrets(field: &'static str, secrets: Vec<v1::Secret>) -> Result<Vec<Secret>, CodecError> {
    secrets
        .into_iter()
        .map(|secret| from_secret(field, Some(secret)))
        .collect()
}

pub(super) fn pairs(pairs: &[(String, String)]) -> Vec<v1::Pair> {
    pairs
        .iter()
        .map(|(name, value)| v1::Pair {
            name: name.clone(),
            value: value.clone(),
        })
        .collect()
}

pub(super) fn into_pairs(pairs: Vec<(String, String)>) -> Vec<v1::Pair> {
    pairs
        .into_iter()
        .map(|(name, value)| v1::Pair { name, value })
        .collect()
}

pub(super) fn from_pairs(pairs: Vec<v1::Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

pub(super) fn body(body: &Body) -> v1::Body {
    let place = match body {
        Body::Inline(bytes) => v1::body::Place::Inline(bytes::Bytes::from_owner(bytes.clone())),
        Body::Object { name, size } => v1::body::Place::Object(v1::ObjectRef {
            name: name.clone(),
            size: *size,
        }),
    };
    v1::Body { place: Some(place) }
}

pub(super) fn from_body(body: Option<v1::Body>) -> Result<Body, CodecError> {
    match needed("body", body.and_then(|body| body.place))? {
        v1::body::Place::Inline(bytes) => Ok(Body::inline(bytes.as_ref())),
        v1::body::Place::Object(object) => Ok(Body::Object {
            name: object.name,
            size: object.size,
        }),
    }
}

pub(super) fn reply(reply: &Reply) -> v1::Reply {
    v1::Reply {
        instance: reply.instance.clone(),
        request: reply.request.clone(),
        deadline_ms: reply.deadline,
        waits_until_ms: (reply.waits_until != reply.deadline).then_some(reply.waits_until),
        drop_late: reply.drop_late,
        body_hash: reply.body_hash.clone(),
    }
}

pub(super) fn from_reply(reply: v1::Reply) -> Reply {
    let deadline: Millis = reply.deadline_ms;
    Reply {
        instance: reply.instance,
        request: reply.request,
        deadline,
        waits_until: reply.waits_until_ms.unwrap_or(deadline),
        drop_late: reply.drop_late,
        body_hash: reply.body_hash,
    }
}

pub(super) fn origin(origin: Origin) -> v1::Origin {
    v1::Origin {
        partition: origin.partition,
        sequence: origin.sequence,
        index: origin.index,
    }
}

pub(super) fn from_origin(origin: Option<v1::Origin>) -> Result<Origin, CodecError> {
    let origin = needed("origin", origin)?;
    Ok(Origin {
        partition: origin.partition,
        sequence: origin.sequence,
        index: origin.index,
    })
}
