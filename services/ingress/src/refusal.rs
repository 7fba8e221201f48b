//! Why a request was not accepted: each cause with its status, its stable code and its words.

use actix_web::http::StatusCode;
use hookrail_runtime::Problem;

/// When to come again to a source that is disabled for now, seconds.
const RETRY_DISABLED_S: u32 = 60;
/// When to come again to a full system, seconds.
const RETRY_FULL_S: u32 = 5;
/// When to come again after an answer that nobody knows, seconds.
const RETRY_UNKNOWN_S: u32 = 2;
/// When to come again while what a signature is checked with can't be fetched, seconds.
const RETRY_UNVERIFIED_S: u32 = 15;
/// When to come again to an ingress that has all its places taken, seconds.
const RETRY_BUSY_S: u32 = 1;

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
    Unauthorized(&'static str),
    /// The signature does not hold; with the part that doesn't match, for the source's owner only.
    Mismatch {
        /// The part.
        detail: String,
        /// Whether the sender wants an answer without a body.
        is_empty: bool,
    },
    /// Whether the sender is who it says could not be found out now.
    Unverified(String),
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
    /// Certainly not stored: no room.
    Full,
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
            Self::TooLarge { .. } | Self::TooLargeAsJson { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::DisabledForNow | Self::Busy | Self::Full | Self::Unknown(_) | Self::Unverified(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The stable code, also the cause's name in metrics and in the journal.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Disabled | Self::DisabledForNow => "disabled",
            Self::Method(_) => "method-not-allowed",
            Self::Unauthorized(_) | Self::Mismatch { .. } => "unauthorized",
            Self::Unverified(_) => "unverified",
            Self::TooLarge { .. } | Self::TooLargeAsJson { .. } => "body-too-large",
            Self::Encoding => "unsupported-encoding",
            Self::Malformed(_) => "malformed-body",
            Self::BodyTimeout => "body-timeout",
            Self::BodyBroken => "body-broken",
            Self::KeyReused => "idempotency-key-reused",
            Self::Busy | Self::Full => "refused",
            Self::Unknown(_) => "unknown",
        }
    }

    /// When to come again, seconds.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::DisabledForNow => Some(RETRY_DISABLED_S),
            Self::Full => Some(RETRY_FULL_S),
            Self::Unknown(_) => Some(RETRY_UNKNOWN_S),
            Self::Unverified(_) => Some(RETRY_UNVERIFIED_S),
            Self::Busy => Some(RETRY_BUSY_S),
            _ => None,
        }
    }

    /// What the source's owner is told.
    pub(crate) fn owner_detail(&self) -> String {
        match self {
            Self::Unauthorized(failed) => (*failed).to_owned(),
            Self::Mismatch { detail, .. } => detail.clone(),
            Self::Unknown(reason) | Self::Unverified(reason) => reason.clone(),
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
            Self::Unverified(_) => "The signature can't be checked now",
            Self::TooLarge { .. } | Self::TooLargeAsJson { .. } => "The body is too large",
            Self::Encoding => "The content encoding is not supported",
            Self::Malformed(_) => "The body is not well-formed",
            Self::BodyTimeout => "The body did not come in time",
            Self::BodyBroken => "The body broke off",
            Self::KeyReused => "The idempotency key came before with another body",
            Self::Busy | Self::Full => "Not accepted: no room now",
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
            Self::Encoding => Some("supported are gzip, deflate and identity".to_owned()),
            Self::Malformed(detail) => Some(detail.clone()),
            Self::Busy => Some("too many requests are in flight".to_owned()),
            Self::Full => Some("the event log is full; nothing was stored".to_owned()),
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
            Refusal::Full,
            Refusal::Unknown(String::new()),
        ] {
            assert_eq!(refusal.status(), 503, "{refusal:?}");
            assert!(refusal.retry_after_s().is_some(), "{refusal:?}");
        }
    }

    #[test]
    fn the_sender_is_not_told_which_check_failed_but_the_owner_is() {
        let refusal = Refusal::Unauthorized("the request has no API key");
        assert_eq!(refusal.problem().detail, None);
        assert_eq!(refusal.owner_detail(), "the request has no API key");
    }
}
