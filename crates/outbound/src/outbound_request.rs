//! One request to send, in plain types, and its translation for the HTTP stack.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::attempt::AttemptError;
use crate::connection_profile::ConnectionProfile;
use crate::limits::RESPONSE_BODY_KEPT_BYTES;
use crate::token_source::TokenSource;
use hookrail_domain::delivery::ErrorCode;

/// Asked right before bytes go out, possibly several times and from another task: it must be quick,
/// must not block, and once it has said no it should stay with it (a lease that is lost stays lost).
pub type SendCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Headers that frame the message or name its receiver. They follow from URL and body; letting a
/// definition set them would let it smuggle a second request to another receiver.
const FRAMING_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One request to send.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// `POST`, `GET`, …
    pub method: String,
    /// Absolute, `http` or `https`, without credentials.
    pub url: String,
    /// Sent in this order; repeated names are sent repeatedly. `User-Agent` may be replaced.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// For the whole exchange: name, connection, request, and the answer with its body; in
    /// milliseconds, capped by [`crate::OutboundLimits::timeout_max_ms`].
    pub timeout_ms: u64,
    /// How much of the answer's body is kept, in bytes.
    pub keep_body_bytes: usize,
    /// How its connection is made, where it isn't as usual.
    pub connection: Option<Arc<ConnectionProfile>>,
    /// Whose access token it carries.
    pub token: Option<Arc<TokenSource>>,
}

impl OutboundRequest {
    /// A request without headers that keeps the first 16 KiB of the answer.
    pub fn new(method: &str, url: &str, body: Bytes, timeout_ms: u64) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body,
            timeout_ms,
            keep_body_bytes: RESPONSE_BODY_KEPT_BYTES,
            connection: None,
            token: None,
        }
    }

    pub(crate) fn parse_method(&self) -> Result<Method, AttemptError> {
        Method::from_bytes(self.method.as_bytes())
            .map_err(|_| unsendable(format!("the method {:?} is not valid", self.method)))
    }

    pub(crate) fn parse_headers(&self) -> Result<HeaderMap, AttemptError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let (name, value) = parse_header(name, value)?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

/// The detail names the header and never shows its value, which may be a credential.
fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), AttemptError> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| unsendable(format!("the header name {name:?} is not valid")))?;
    if FRAMING_HEADERS.contains(&parsed.as_str()) {
        return Err(unsendable(format!("the header {parsed} can't be set")));
    }
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| unsendable(format!("the value of the header {parsed} is not valid")))?;
    Ok((parsed, value))
}

fn unsendable(detail: String) -> AttemptError {
    AttemptError::new(ErrorCode::Render, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: Result<(), &str>) {
        let mut request = OutboundRequest::new("POST", "http://example.com/", Bytes::new(), 1);
        request.headers.push((name.to_owned(), value.to_owned()));
        let got = request.parse_headers();
        let got = got.map(|_| ()).map_err(|error| error.detail);
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_header_that_would_break_the_message_is_refused_without_showing_its_value() {
        check("x-team", "a", Ok(()));
        check("x-team", "grün", Ok(()));
        check("x team", "a", Err("the header name \"x team\" is not valid"));
        check(
            "x-team",
            "a\r\nx: y",
            Err("the value of the header x-team is not valid"),
        );
        check(
            "Transfer-Encoding",
            "chunked",
            Err("the header transfer-encoding can't be set"),
        );
        check("Host", "internal", Err("the header host can't be set"));
    }

    #[test]
    fn a_method_must_be_a_token() {
        let request = OutboundRequest::new("PO ST", "http://example.com/", Bytes::new(), 1);
        assert!(request.parse_method().is_err());
    }
}
