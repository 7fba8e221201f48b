//! The one error type of the API, rendered as a problem document (RFC 9457).

use std::fmt;

use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use hookrail_broker::BrokerError;
use hookrail_domain::json::Json;
use hookrail_domain::validation::FieldError;
use hookrail_runtime::{Problem, ProblemField};
use hookrail_store::StoreError;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// No token, or an unknown one.
    Unauthenticated,
    /// The token's role or workspace may not do it.
    Forbidden(String),
    /// There is no such thing, named here.
    NotFound(&'static str),
    /// The path doesn't take the method; those that it takes.
    MethodNotAllowed(String),
    /// The body isn't JSON.
    MalformedJson(String),
    /// The body isn't declared as JSON.
    UnsupportedMediaType,
    /// The body has more bytes than this.
    TooLarge(usize),
    /// Fields of the body are unknown or invalid.
    Invalid(Vec<FieldError>),
    /// A query parameter or a header is invalid.
    InvalidParameter(String),
    /// It contradicts what is there.
    Conflict(Conflict),
    /// It was changed since the client read it.
    PreconditionFailed,
    /// The receiver didn't answer the probe well; the attempt.
    ProbeFailed(Json),
    /// The idempotency key was used for another body.
    IdempotencyKeyReused,
    /// The token has sent too many; in how many milliseconds another one is taken.
    TooManyRequests { wait_ms: i64 },
    /// A part that is needed doesn't answer.
    Unavailable(String),
    /// A fault of ours.
    Internal(anyhow::Error),
}

/// What a request contradicts.
#[derive(Debug)]
pub(crate) struct Conflict {
    /// Stable, for clients.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: String,
    /// What is in the way, where that can be listed.
    pub(crate) users: Vec<serde_json::Value>,
}

impl ApiError {
    /// A conflict that names nothing.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict(Conflict {
            code,
            detail: detail.into(),
            users: Vec::new(),
        })
    }

    /// One invalid field.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }

    /// The status and stable code of the kind.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "A valid token is needed",
            ),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "The token may not do this"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The path doesn't take this method",
            ),
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body is not declared as JSON",
            ),
            Self::TooLarge(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
            ),
            Self::Invalid(errors) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                common_code(errors),
                "Some fields are not valid",
            ),
            Self::InvalidParameter(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-parameter",
                "A parameter is not valid",
            ),
            Self::Conflict(conflict) => (
                StatusCode::CONFLICT,
                conflict.code,
                "It contradicts what is there",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "It was changed in the meantime",
            ),
            Self::ProbeFailed(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "probe-failed",
                "The receiver did not answer the probe with 2xx",
            ),
            Self::IdempotencyKeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key was used for another body",
            ),
            Self::TooManyRequests { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "More requests than the service takes",
            ),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later"),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on our side",
            ),
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Forbidden(detail)
            | Self::MalformedJson(detail)
            | Self::InvalidParameter(detail)
            | Self::Unavailable(detail) => Some(detail.clone()),
            Self::NotFound(what) => Some(format!("there is no such {what}")),
            Self::MethodNotAllowed(methods) => Some(format!("it takes {methods}")),
            Self::TooLarge(limit) => Some(format!("at most {limit} bytes are taken")),
            Self::Invalid(errors) => errors.first().map(|e| format!("{}: {}", e.pointer, e.detail)),
            Self::Conflict(conflict) => Some(conflict.detail.clone()),
            Self::ProbeFailed(attempt) => Some(probe_detail(attempt)),
            Self::UnsupportedMediaType => Some("send it as application/json".to_owned()),
            _ => None,
        }
    }

    /// The problem document.
    pub(crate) fn problem(&self) -> Problem {
        let (status, code, title) = self.kind();
        let mut problem = Problem::new(status, code, title);
        problem.detail = self.detail();
        match self {
            Self::Invalid(errors) => {
                problem.errors = errors.iter().map(problem_field).collect();
            }
            Self::Conflict(conflict) if !conflict.users.is_empty() => {
                problem = problem.member("users", conflict.users.clone());
            }
            Self::ProbeFailed(attempt) => {
                let attempt = serde_json::to_value(attempt).unwrap_or_default();
                problem = problem.member("attempt", attempt);
            }
            _ => {}
        }
        problem
    }
}

fn problem_field(error: &FieldError) -> ProblemField {
    ProblemField {
        pointer: error.pointer.clone(),
        detail: error.detail.clone(),
        code: error.code,
    }
}

/// The code that all faults share, where they do.
fn common_code(errors: &[FieldError]) -> &'static str {
    let first = errors.first().and_then(|error| error.code);
    match first {
        Some(code) if errors.iter().all(|error| error.code == Some(code)) => code,
        _ => "invalid",
    }
}

fn probe_detail(attempt: &Json) -> String {
    let status = attempt
        .get("response")
        .and_then(|response| response.get("status"));
    let error = attempt.get("error").and_then(|error| error.get("detail"));
    match (error, status) {
        (Some(detail), _) => detail.bare_text(),
        (None, Some(status)) => format!("it answered {status}"),
        (None, None) => "it did not answer".to_owned(),
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, code, _) = self.kind();
        match self.detail() {
            Some(detail) => write!(f, "{code}: {detail}"),
            None => f.write_str(code),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Internal(error) = self {
            tracing::error!(error = format!("{error:#}"), "a request failed");
        }
        let mut response = self.problem().to_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthenticated => {
                headers.insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"hookrail\""),
                );
            }
            Self::MethodNotAllowed(methods) => {
                if let Ok(value) = methods.parse() {
                    headers.insert(ALLOW, value);
                }
            }
            Self::TooManyRequests { wait_ms } => {
                // Whole seconds, and at least one: 0 would be at once.
                let seconds = (wait_ms + 999) / 1000;
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            }
            Self::Unavailable(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooLarge(_) => response.head_mut().set_connection_type(ConnectionType::Close),
            _ => {}
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Internal(anyhow::Error::new(error).context("the database"))
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        tracing::warn!(%error, "the broker refused a request");
        Self::Unavailable("the broker does not answer".to_owned())
    }
}

impl From<Vec<FieldError>> for ApiError {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Invalid(errors)
    }
}
