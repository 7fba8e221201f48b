//! Which part of a request did not match its source's signature scheme.
//!
//! For the source's owner only. No text of it holds a secret, or what a signature should have been.

/// Why a request is not taken for the sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the request has none of the forms that the scheme knows")]
    NoForm,
    #[error("{0} is missing")]
    Missing(String),
    #[error("the body is not what its content type says, or has no structure to look into")]
    Unreadable,
    #[error("the signature in {0} is malformed")]
    Malformed(String),
    #[error("the timestamp in {0} is malformed")]
    MalformedTimestamp(String),
    #[error("the timestamp is {age_s} s old, {tolerance_s} s are allowed")]
    Stale { age_s: i64, tolerance_s: u32 },
    #[error("the timestamp is {ahead_s} s ahead, {tolerance_s} s are allowed")]
    Ahead { ahead_s: i64, tolerance_s: u32 },
    #[error("the body is not the one whose hash is in {0}")]
    Digest(String),
    #[error("{0} is none of the source's secrets")]
    Identity(String),
    #[error("the URL in {0} does not lead to a host of the sender's")]
    Elsewhere(String),
    #[error("the certificate can't be read")]
    Certificate,
    #[error("the source has no secret in use that this scheme can work with")]
    NoSecret,
    #[error("no secret in use makes the signature in {0}")]
    Wrong(String),
    #[error("{0} is no secret in use")]
    WrongToken(String),
    #[error("the body has more signed items than are checked")]
    TooMany,
}

impl Mismatch {
    /// How far a check got: of several, the one that got furthest is told.
    pub(super) fn progress(&self) -> u8 {
        match self {
            Self::NoForm => 0,
            Self::Missing(_) => 1,
            Self::Unreadable | Self::Malformed(_) | Self::MalformedTimestamp(_) | Self::TooMany => 2,
            Self::NoSecret => 3,
            Self::Elsewhere(_) | Self::Identity(_) | Self::Certificate | Self::Digest(_) => 4,
            Self::WrongToken(_) | Self::Wrong(_) => 5,
            Self::Stale { .. } | Self::Ahead { .. } => 6,
        }
    }
}
