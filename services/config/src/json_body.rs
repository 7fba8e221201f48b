//! Bodies of requests: JSON, read into types, every fault with the pointer of the field it is in.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bytes::Bytes;
use futures::future::LocalBoxFuture;
use hookrail_domain::json::Json;
use hookrail_domain::validation::FieldError;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::bounded_body;
use crate::error::ApiError;

/// Largest body of a request, bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The media types that are read as JSON.
const JSON_TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];

/// A JSON body. A request without a body has `{}`, so that POSTs whose members are all optional need none.
#[derive(Debug, Clone)]
pub(crate) struct JsonBody {
    /// Its bytes as they came.
    pub(crate) bytes: Bytes,
    /// What they say.
    pub(crate) json: Json,
}

impl JsonBody {
    /// The body as a type.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        read_json(&self.json).map_err(ApiError::from)
    }
}

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request.content_type().to_ascii_lowercase();
        let encoded = request.headers().contains_key(header::CONTENT_ENCODING);
        let payload = payload.take();
        Box::pin(async move {
            let bytes = bounded_body::read(payload, MAX_BODY_BYTES).await?;
            if bytes.is_empty() && media_type.is_empty() {
                return Ok(Self {
                    bytes,
                    json: Json::object(),
                });
            }
            if encoded || !JSON_TYPES.contains(&media_type.as_str()) {
                return Err(ApiError::UnsupportedMediaType);
            }
            let json = Json::parse(&bytes).map_err(|error| ApiError::MalformedJson(error.to_string()))?;
            Ok(Self { bytes, json })
        })
    }
}

/// Reads a type from JSON, numbers as they were written.
pub(crate) fn read_json<T: DeserializeOwned>(json: &Json) -> Result<T, Vec<FieldError>> {
    if json.as_object().is_none() {
        return Err(vec![FieldError::new("", "has to be an object")]);
    }
    let text = json.to_compact_vec();
    let mut reader = serde_json::Deserializer::from_slice(&text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer_of(error.path());
        vec![field_error(pointer, &error.inner().to_string())]
    })
}

/// The JSON Pointer (RFC 6901) of a path.
fn pointer_of(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escaped(key))),
            // The variant isn't a member of the document; an unknown segment has no name.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// A member's name as a token of a JSON Pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Puts into the pointer what only the message knows: the missing or unknown member (serde reads
/// tagged objects in two steps, and loses the path in the second), or where in a filter the fault is.
fn field_error(pointer: String, message: &str) -> FieldError {
    let detail = message.split(" at line ").next().unwrap_or(message);
    if let Some(rest) = detail.strip_prefix('/')
        && let Some((below, what)) = rest.split_once(": ")
    {
        return FieldError::new(format!("{pointer}/{below}"), what);
    }
    let named = |prefix: &str| detail.strip_prefix(prefix)?.split('`').next();
    if let Some(name) = named("unknown field `") {
        return FieldError::new(with_member(pointer, name), "is not a known field");
    }
    if let Some(name) = named("missing field `") {
        return FieldError::new(with_member(pointer, name), "is needed");
    }
    FieldError::new(pointer, detail)
}

fn with_member(pointer: String, name: &str) -> String {
    let end = format!("/{}", escaped(name));
    if pointer.ends_with(&end) {
        pointer
    } else {
        pointer + &end
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::destination::DestinationSpec;
    use hookrail_domain::source::SourceSpec;

    use super::*;

    fn check<T: DeserializeOwned + std::fmt::Debug>(body: &str, pointer: &str, detail: &str) {
        let errors = read_json::<T>(&body.parse().unwrap()).unwrap_err();
        assert_eq!(errors[0].pointer, pointer, "{body}: {errors:?}");
        assert!(errors[0].detail.contains(detail), "{body}: {errors:?}");
    }

    #[test]
    fn every_fault_has_the_pointer_of_its_field() {
        check::<SourceSpec>("[]", "", "has to be an object");
        check::<SourceSpec>(r#"{"nmae": "x"}"#, "/nmae", "not a known field");
        check::<SourceSpec>(r#"{"name": 1}"#, "/name", "expected a string");
        check::<SourceSpec>(
            r#"{"methods": ["GET", "TRACE"]}"#,
            "/methods/1",
            "unknown variant",
        );
        check::<SourceSpec>(
            r#"{"auth": {"type": "api_key", "heder": "x"}}"#,
            "/auth/heder",
            "not a known field",
        );
        check::<SourceSpec>(r#"{"dedupe": {"keys": 1}}"#, "/dedupe/keys", "not a known field");
        check::<SourceSpec>(r#"{"a/b": 1}"#, "/a~1b", "not a known field");
        check::<DestinationSpec>(
            r#"{"auth": {"type": "header", "name": "A"}}"#,
            "/auth/value",
            "is needed",
        );
        check::<SourceSpec>(r#"{"allow_ips": ["10.0.0.0/8", "x"]}"#, "/allow_ips/1", "");
    }

    #[test]
    fn a_fault_in_a_filter_is_found_below_it() {
        check::<SourceSpec>(
            r#"{"filter": {"all": [{"path": "$.a", "op": "like"}]}}"#,
            "/filter/all/0/op",
            "",
        );
    }
}
