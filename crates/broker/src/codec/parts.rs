//! Pieces that several contracts share.

use std::str::FromStr;

use hookrail_domain::{
    event::{Body, Origin, Reply},
    secret::Secret,
    source::RateLimit,
};
use hookrail_proto::v1;
use serde::{Serialize, de::DeserializeOwned};

use super::DecodeError;

/// Reads an id, or anything else that has a text.
pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str, field: &'static str) -> Result<T, DecodeError> {
    text.parse().map_err(|error| DecodeError::field(field, error))
}

/// As [`parse`], where there may be none.
pub(super) fn parse_optional<T: FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    text.map(|text| parse(text, field)).transpose()
}

/// The word of a plain enum, as the API writes it.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("only enums of plain words come here, not {other:?}"),
    }
}

/// Reads a word of a plain enum.
pub(super) fn read_word<T: DeserializeOwned>(word: &str, field: &'static str) -> Result<T, DecodeError> {
    let value = serde_json::Value::String(word.to_owned());
    serde_json::from_value(value).map_err(|error| DecodeError::field(field, error))
}

/// JSON text of a part that is a document of its own, such as a filter.
pub(super) fn json_text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("definitions are made of what JSON can hold")
}

/// Reads such a part.
pub(super) fn read_json<T: DeserializeOwned>(text: &str, field: &'static str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| DecodeError::field(field, error))
}

pub(super) fn pairs(pairs: &[(String, String)]) -> Vec<v1::Pair> {
    pairs.iter().map(|(name, value)| v1::Pair { name: name.clone(), value: value.clone() }).collect()
}

pub(super) fn read_pairs(pairs: Vec<v1::Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

pub(super) fn body(body: &Body) -> v1::Body {
    let place = match body {
        Body::Inline(bytes) => v1::body::Place::Inline(prost::bytes::Bytes::copy_from_slice(bytes)),
        Body::Object { name, size } => v1::body::Place::Object(v1::ObjectRef { name: name.clone(), size: *size }),
    };
    v1::Body { place: Some(place) }
}

pub(super) fn read_body(body: Option<v1::Body>) -> Result<Body, DecodeError> {
    match body.and_then(|body| body.place).ok_or_else(|| DecodeError::missing("body"))? {
        v1::body::Place::Inline(bytes) => Ok(Body::inline(bytes.as_ref())),
        v1::body::Place::Object(object) => Ok(Body::Object { name: object.name, size: object.size }),
    }
}

pub(super) fn reply(reply: &Reply) -> v1::Reply {
    v1::Reply {
        instance: reply.instance.clone(),
        request: reply.request.clone(),
        deadline_ms: reply.deadline,
    }
}

pub(super) fn read_reply(reply: v1::Reply) -> Reply {
    Reply { instance: reply.instance, request: reply.request, deadline: reply.deadline_ms }
}

pub(super) fn origin(origin: Origin) -> v1::Origin {
    v1::Origin { partition: origin.partition, sequence: origin.sequence, index: origin.index }
}

pub(super) fn read_origin(origin: Option<v1::Origin>) -> Result<Origin, DecodeError> {
    let origin = origin.ok_or_else(|| DecodeError::missing("origin"))?;
    Ok(Origin { partition: origin.partition, sequence: origin.sequence, index: origin.index })
}

pub(super) fn secret(secret: &Secret) -> v1::Secret {
    v1::Secret {
        id: secret.id.map(|id| id.to_string()).unwrap_or_default(),
        value: secret.value.clone().unwrap_or_default(),
        expires_at_ms: secret.expires_at,
    }
}

pub(super) fn read_secret(secret: v1::Secret) -> Result<Secret, DecodeError> {
    Ok(Secret {
        id: if secret.id.is_empty() { None } else { Some(parse(&secret.id, "secret.id")?) },
        value: Some(secret.value),
        expires_at: secret.expires_at_ms,
    })
}

/// A secret that a way to authenticate can't do without.
pub(super) fn needed_secret(secret: Option<v1::Secret>, field: &'static str) -> Result<Secret, DecodeError> {
    read_secret(secret.ok_or_else(|| DecodeError::missing(field))?)
}

pub(super) fn secrets(secrets: &[Secret]) -> Vec<v1::Secret> {
    secrets.iter().map(secret).collect()
}

pub(super) fn read_secrets(secrets: Vec<v1::Secret>) -> Result<Vec<Secret>, DecodeError> {
    secrets.into_iter().map(read_secret).collect()
}

pub(super) fn rate_limit(limit: RateLimit) -> v1::RateLimit {
    v1::RateLimit { per_second: limit.per_second, burst: limit.burst }
}

pub(super) fn read_rate_limit(limit: v1::RateLimit) -> RateLimit {
    RateLimit { per_second: limit.per_second, burst: limit.burst }
}
