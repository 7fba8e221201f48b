//! Names a failure of the HTTP stack by looking through the chain of its causes.

use std::error::Error;
use std::io;

use crate::attempt::AttemptError;
use crate::guarded_resolver::ResolveError;
use crate::limits::DETAIL_MAX_CHARS;
use crate::outbound_url::UrlRefused;
use crate::tls::TlsFault;
use crate::tls_words::in_words;
use hookrail_domain::delivery::ErrorCode;

/// A failure before the answer's head was there. Where nothing else is known the connection broke: no answer
/// came over it.
pub(crate) fn classify_exchange(error: &(dyn Error + 'static)) -> AttemptError {
    let known = causes(error).find_map(known_cause);
    known.unwrap_or_else(|| AttemptError::new(ErrorCode::Connect, detail(error)))
}

/// A failure to make a TCP connection.
pub(crate) fn classify_connect(error: &(dyn Error + 'static)) -> AttemptError {
    classify_exchange(error)
}

/// A failure while the answer's body was read.
pub(crate) fn classify_body(error: &(dyn Error + 'static)) -> AttemptError {
    AttemptError::new(
        ErrorCode::Body,
        format!("reading the answer's body failed: {}", detail(error)),
    )
}

/// A failure of a connection made without the HTTP stack.
pub(crate) fn classify_io(code: ErrorCode, error: &io::Error) -> AttemptError {
    known_cause(error).unwrap_or_else(|| AttemptError::new(code, detail(error)))
}

pub(crate) fn timed_out(limit_ms: u64, during: &str) -> AttemptError {
    AttemptError::new(ErrorCode::Timeout, format!("no {during} within {limit_ms} ms"))
}

impl From<&ResolveError> for AttemptError {
    fn from(error: &ResolveError) -> Self {
        let code = match error {
            ResolveError::Lookup(_) => ErrorCode::Dns,
            ResolveError::Refused { .. } => ErrorCode::AddressRefused,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&UrlRefused> for AttemptError {
    fn from(refused: &UrlRefused) -> Self {
        let code = match refused {
            UrlRefused::Malformed(_) | UrlRefused::TooLong | UrlRefused::NoHost => ErrorCode::Render,
            UrlRefused::Scheme(_) | UrlRefused::Credentials | UrlRefused::Address(_) => {
                ErrorCode::AddressRefused
            }
        };
        Self::new(code, refused.to_string())
    }
}

impl From<&TlsFault> for AttemptError {
    fn from(fault: &TlsFault) -> Self {
        Self::new(ErrorCode::Tls, format!("{}: {}", fault.pointer, fault.detail))
    }
}

fn known_cause(cause: &(dyn Error + 'static)) -> Option<AttemptError> {
    if let Some(error) = cause.downcast_ref::<AttemptError>() {
        return Some(error.clone());
    }
    if let Some(error) = cause.downcast_ref::<ResolveError>() {
        return Some(error.into());
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(AttemptError::new(ErrorCode::Tls, in_words(error)));
    }
    let io = cause.downcast_ref::<io::Error>()?;
    if io.kind() == io::ErrorKind::TimedOut {
        return Some(AttemptError::new(
            ErrorCode::Timeout,
            format!("the connection timed out: {io}"),
        ));
    }
    // An io::Error skips the error it wraps when asked for its source.
    let inner = io.get_ref()?;
    if inner.to_string() == "tls handshake eof" {
        let detail = "TLS failed: the receiver closed the connection during the handshake";
        return Some(AttemptError::new(ErrorCode::Tls, detail));
    }
    known_cause(inner)
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// The innermost causes say what happened; the outer ones only that a request failed.
fn detail(error: &(dyn Error + 'static)) -> String {
    let outer = usize::from(error.source().is_some());
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error).skip(outer) {
        let text = cause.to_string();
        match parts.last() {
            Some(last) if last.contains(&text) => {}
            _ => parts.push(text),
        }
    }
    parts.join(": ").chars().take(DETAIL_MAX_CHARS).collect()
}
