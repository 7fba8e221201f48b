//! Why a request was not accepted: each cause with its status, its stable code and its words.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use hookrail_runtime::Problem;

use crate::content_encoding::SUPPORTED;

/// When to come again to a source that is disabled for now, or paused and full, seconds.
const RETRY_DISABLED_S: u32 = 60;
/// When to come again to a full system, seconds.
const RETRY_FULL_S: u32 = 5;
/// When to come again after an answer that nobody knows, seconds.
const RETRY_UNKNOWN_S: u32 = 2;
/// When to come again while what a signature is checked with can't be fetched, seconds.
const RETRY_UNVERIFIED_S: u32 = 15;
/// When to come again to an ingress that has all its places taken, seconds.
const RETRY_BUSY_S: u32 = 1;

/// Largest head that is taken, bytes: what is kept of it lies beside the body in one message.
pub(crate) const HEAD_MAX_BYTES: usize = 48 * 1024;

/// A refused request's cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No source answers here.
    NotFound,
    /// The source is disabled, and senders should give up.
    Disabled,
    /// The source is disabled, and senders should try again.
    DisabledForNow,
    /// The source doesn't take the method; with those that it takes.
    Method(String),
    /// The sender isn't known; with the check that failed, which is for the source's owner only.
    Unauthorized(Cow<'static, str>),
    /// Nobody can say now whether the sender is known: its issuer's keys can't be fetched.
    NoKeys,
    /// The signature does not hold; with the part that doesn't match, for the source's owner only.
    Mismatch {
        /// The part.
        detail: String,
        /// Whether the sender wants an answer without a body.
        is_empty: bool,
    },
    /// Whether the sender is who it says could not be found out now.
    Unverified(String),
    /// The source takes nothing from this address.
    Address,
    /// More requests than the source, or any client address, may make; with the milliseconds until the next.
    TooMany(i64),
    /// The request's head is too large to be kept with the event.
    HeadTooLarge,
    /// The body, decoded, is too large.
    TooLarge {
        /// The largest one, bytes.
        limit: usize,
    },
    /// The body is too large as what a delivery carries: text, XML and forms grow.
    TooLargeAsJson {
        /// What it has as JSON, bytes.
        bytes: usize,
        /// The most that a delivery carries, bytes.
        limit: usize,
    },
    /// The content encoding is not supported.
    Encoding,
    /// The body is not well-formed for its type or its encoding.
    Malformed(String),
    /// The body did not come in time.
    BodyTimeout,
    /// The body broke off.
    BodyBroken,
    /// The idempotency key came before with another body.
    KeyReused,
    /// The ingress has all its places taken.
    Busy,
    /// The ingress has all its memory for bodies taken.
    Crowded,
    /// Certainly not stored: no room.
    Full,
    /// Certainly not stored: the source is paused, and holds as much as it may.
    HeldFull,
    /// Certainly not stored: its answer would find no room.
    AnswersFull,
    /// A late answer could not be looked up.
    NotLookedUp(String),
    /// Perhaps stored.
    Unknown(String),
}

impl Refusal {
    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Disabled => StatusCode::LOCKED,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized(_) | Self::Mismatch { .. } => StatusCode::UNAUTHORIZED,
            Self::Address => StatusCode::FORBIDDEN,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooLarge { .. } | Self::TooLargeAsJson { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::DisabledForNow
            | Self::HeldFull
            | Self::NoKeys
            | Self::Unverified(_)
            | Self::Busy
            | Self::Crowded
            | Self::Full
            | Self::AnswersFull
            | Self::NotLookedUp(_)
            | Self::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code, also the cause's name in metrics and in the journal.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Disabled | Self::DisabledForNow => "disabled",
            Self::Method(_) => "method-not-allowed",
            Self::Unauthorized(_) | Self::Mismatch { .. } => "unauthorized",
            Self::NoKeys => "keys-unavailable",
            Self::Unverified(_) => "unverified",
            Self::Address => "address-refused",
            Self::TooMany(_) => "rate-limited",
            Self::HeadTooLarge => "head-too-large",
            Self::TooLarge { .. } | Self::TooLargeAsJson { .. } => "body-too-large",
            Self::Encoding => "unsupported-encoding",
            Self::Malformed(_) => "malformed-body",
            Self::BodyTimeout => "body-timeout",
            Self::BodyBroken => "body-broken",
            Self::KeyReused => "idempotency-key-reused",
            Self::Busy | Self::Crowded | Self::Full | Self::AnswersFull => "refused",
            Self::HeldFull => "held-full",
            Self::NotLookedUp(_) => "not-looked-up",
            Self::Unknown(_) => "unknown",
        }
    }

    /// When to come again, seconds.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::DisabledForNow | Self::HeldFull => Some(RETRY_DISABLED_S),
            Self::Full | Self::AnswersFull | Self::NoKeys => Some(RETRY_FULL_S),
            Self::Unknown(_) | Self::NotLookedUp(_) => Some(RETRY_UNKNOWN_S),
            Self::Unverified(_) => Some(RETRY_UNVERIFIED_S),
            Self::Busy | Self::Crowded => Some(RETRY_BUSY_S),
            Self::TooMany(wait_ms) => Some(u32::try_from((wait_ms + 999) / 1000).unwrap_or(u32::MAX).max(1)),
            _ => None,
        }
    }

    /// What the source's owner is told.
    pub(crate) fn owner_detail(&self) -> String {
        match self {
            Self::Unauthorized(failed) => failed.clone().into_owned(),
            Self::Mismatch { detail, .. } => detail.clone(),
            Self::Unknown(reason) | Self::NotLookedUp(reason) | Self::Unverified(reason) => reason.clone(),
            _ => self.detail().unwrap_or_else(|| self.title().to_owned()),
        }
    }

    /// The answer's document.
    pub(crate) fn problem(&self) -> Problem {
        let problem = Problem::new(self.status(), self.code(), self.title());
        match self.detail() {
            Some(detail) => problem.detail(detail),
            None => problem,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NotFound => "No source answers here",
            Self::Disabled | Self::DisabledForNow => "The source is disabled",
            Self::Method(_) => "The source does not take this method",
            Self::Unauthorized(_) | Self::Mismatch { .. } => "The credentials are missing or wrong",
            Self::NoKeys => "The credentials can't be checked now",
            Self::Unverified(_) => "The signature can't be checked now",
            Self::Address => "The source takes nothing from this address",
            Self::TooMany(_) => "Too many requests",
            Self::HeadTooLarge => "The request's head is too large",
            Self::TooLarge { .. } | Self::TooLargeAsJson { .. } => "The body is too large",
            Self::Encoding => "The content encoding is not supported",
            Self::Malformed(_) => "The body is not well-formed",
            Self::BodyTimeout => "The body did not come in time",
            Self::BodyBroken => "The body broke off",
            Self::KeyReused => "The idempotency key came before with another body",
            Self::Busy | Self::Crowded | Self::Full | Self::AnswersFull | Self::HeldFull => {
                "Not accepted: no room now"
            }
            Self::NotLookedUp(_) => "The answer can't be looked up now",
            Self::Unknown(_) => "Not known to be accepted",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Method(allowed) => Some(format!("it takes {allowed}")),
            Self::TooLarge { limit } => Some(format!("it may have {limit} bytes after decoding")),
            Self::TooLargeAsJson { bytes, limit } => Some(format!(
                "a delivery carries {limit} bytes; as JSON this body has {bytes}"
            )),
            Self::Encoding => Some(format!("supported are {SUPPORTED}")),
            Self::Malformed(detail) => Some(detail.clone()),
            Self::NoKeys => Some("the issuer's published keys can't be fetched; nothing was stored".to_owned()),
            Self::HeadTooLarge => Some(format!("target, headers and their names may have {HEAD_MAX_BYTES} bytes")),
            Self::Busy => Some("too many requests are in flight".to_owned()),
            Self::Crowded => Some("too many bytes of bodies are in flight".to_owned()),
            Self::Full => Some("the event log is full; nothing was stored".to_owned()),
            Self::HeldFull => Some("the source is paused, and holds as much as it may; nothing was stored".to_owned()),
            Self::AnswersFull => Some("there is no room for its answer; nothing was stored".to_owned()),
            Self::Unknown(_) => Some(
                "the broker did not confirm in time: send it again, with the same Idempotency-Key to have it taken once"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_503_says_when_to_come_again() {
        for refusal in [
            Refusal::DisabledForNow,
            Refusal::Busy,
            Refusal::Crowded,
            Refusal::Full,
            Refusal::AnswersFull,
            Refusal::HeldFull,
            Refusal::NotLookedUp(String::new()),
            Refusal::Unknown(String::new()),
        ] {
            assert_eq!(refusal.status(), 503, "{refusal:?}");
            assert!(refusal.retry_after_s().is_some(), "{refusal:?}");
        }
    }

    #[test]
    fn the_sender_is_not_told_which_check_failed_but_the_owner_is() {
        let refusal = Refusal::Unauthorized("the request has no API key".into());
        assert_eq!(refusal.problem().detail, None);
        assert_eq!(refusal.owner_detail(), "the request has no API key");
    }
}
