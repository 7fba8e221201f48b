//! Content types → how a body is read.

use super::BodyFormat;

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Json,
    Xml,
    Form,
    Multipart,
    Text,
    Bytes,
    /// The sender did not say.
    Undeclared,
}

impl Kind {
    /// The source's word, else the content type's (RFC 6839's suffixes included).
    pub fn of(content_type: Option<&str>, body_format: BodyFormat) -> Self {
        match body_format {
            BodyFormat::Auto => content_type.map_or(Self::Undeclared, Self::of_media_type),
            BodyFormat::Json => Self::Json,
            BodyFormat::Xml => Self::Xml,
            BodyFormat::Form => Self::Form,
            BodyFormat::Text => Self::Text,
            BodyFormat::Bytes => Self::Bytes,
        }
    }

    fn of_media_type(content_type: &str) -> Self {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "" => Self::Undeclared,
            "application/json" | "text/json" => Self::Json,
            "application/xml" | "text/xml" => Self::Xml,
            "application/x-www-form-urlencoded" => Self::Form,
            "multipart/form-data" => Self::Multipart,
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+xml") => Self::Xml,
            other if other.starts_with("text/") => Self::Text,
            _ => Self::Bytes,
        }
    }
}

/// A parameter of a content type, without its quotes.
pub(super) fn parameter<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

/// Whether a body that nobody declared may be JSON: an object or an array.
pub(crate) fn looks_like_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}
