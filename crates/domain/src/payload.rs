//! Bodies → payloads, by their content type or by what the source says they are.
//!
//! The raw bytes stay the truth; this is what filters, paths and people look at. Signatures are
//! checked on the bytes, elsewhere.

mod charset;
pub mod find_text;
mod form;
mod media;
mod multipart;
mod xml;
mod xml_scan;

pub use media::Kind;
pub(crate) use media::looks_like_json;
pub use xml_scan::{MAX_ATTRIBUTES, MAX_NAMESPACES, MAX_XML_DEPTH};

use crate::json::{Json, JsonError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a source reads its bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// By the content type.
    #[default]
    Auto,
    /// JSON, whatever the content type says.
    Json,
    /// XML, whatever the content type says.
    Xml,
    /// A form, whatever the content type says.
    Form,
    /// Text, whatever the content type says.
    Text,
    /// Bytes, never looked into.
    Bytes,
}

/// An event's decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// JSON, or what XML and forms are as JSON.
    Json(Json),
    Text(String),
    /// What has no structure that we read; the raw bytes are it.
    Bytes,
}

impl Payload {
    /// What paths look at; `None` for text and bytes.
    pub fn as_json(&self) -> Option<&Json> {
        match self {
            Self::Json(json) => Some(json),
            _ => None,
        }
    }

    /// The payload as JSON: text is a string, bytes are null.
    pub fn into_json(self) -> Json {
        match self {
            Self::Json(json) => json,
            Self::Text(text) => Json::String(text),
            Self::Bytes => Json::Null,
        }
    }
}

/// A body that is not what it says to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("the body is not well-formed JSON: {0}")]
    Json(#[from] JsonError),
    #[error("the body is not well-formed XML: {0}")]
    Xml(String),
    #[error("the body is not a well-formed form: {0}")]
    Form(String),
    #[error("the body is not well-formed multipart/form-data: {0}")]
    Multipart(String),
    #[error("the body was not read to its end")]
    Unchecked,
}

/// Whether a request has no payload by its method. Many clients declare a content type on such
/// requests too; there is nothing in them that could be malformed.
pub fn is_bodyless(method: &str, body: &[u8]) -> bool {
    body.is_empty() && matches!(method, "GET" | "DELETE")
}

/// Decodes a body. `force_list` names XML elements that are arrays even when there is one.
///
/// A body without a content type is JSON where it parses as an object or array, else bytes.
///
/// # Errors
/// A body that is not well-formed for its declared type.
pub fn decode(
    content_type: Option<&str>,
    body_format: BodyFormat,
    body: &[u8],
    force_list: &[String],
) -> Result<Payload, PayloadError> {
    Ok(match Kind::of(content_type, body_format) {
        Kind::Json => Payload::Json(Json::parse(body)?),
        Kind::Xml => Payload::Json(xml::to_json(content_type, body, force_list)?),
        Kind::Form => Payload::Json(form::to_json(content_type, body)?),
        Kind::Multipart => Payload::Json(multipart::to_json(content_type, body)?),
        Kind::Text => Payload::Text(charset::decode_text(content_type, body)),
        Kind::Undeclared if looks_like_json(body) => Json::parse(body).map_or(Payload::Bytes, Payload::Json),
        Kind::Undeclared | Kind::Bytes => Payload::Bytes,
    })
}

#[cfg(test)]
mod tests;
