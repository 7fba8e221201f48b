//! What one HTTP call gave: an answer, a failure, or both.
//!
//! It doesn't say what that means for a delivery: a 500 is an answer here, not an error.

use bytes::Bytes;
use hookrail_domain::delivery::ErrorCode;

/// The outcome of one exchange.
///
/// `response` and `error` are both there where the answer's head came and its body did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptResult {
    /// From the call to its outcome, by a monotonic clock, in milliseconds.
    pub duration_ms: i64,
    /// The answer's head, and its body as far as it came.
    pub response: Option<AttemptResponse>,
    /// Why the exchange isn't complete.
    pub error: Option<AttemptError>,
}

impl AttemptResult {
    /// Whether the whole exchange took place and the status is 2xx.
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.status().is_some_and(|status| (200..300).contains(&status))
    }

    /// The answer's status, if one came.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.status)
    }

    pub(crate) fn failed(duration_ms: i64, error: AttemptError) -> Self {
        Self {
            duration_ms,
            response: None,
            error: Some(error),
        }
    }
}

/// An answer as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptResponse {
    pub status: u16,
    /// In the order received, names in lower case; values that aren't UTF-8 are shown lossily.
    /// Headers beyond 16 KiB in all are left out.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body, up to the request's `keep_body_bytes`.
    pub body: Bytes,
    /// Whether the body was longer than what is kept.
    pub body_truncated: bool,
}

impl AttemptResponse {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Why an exchange isn't complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct AttemptError {
    /// One of `dns connect tls timeout address_refused body render`.
    pub code: ErrorCode,
    /// A sentence for people, without credentials or query values.
    pub detail: String,
}

impl AttemptError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// The check given with the request said no, so no complete request went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request was withheld: its check failed before its bytes went out")]
pub struct Withheld;
