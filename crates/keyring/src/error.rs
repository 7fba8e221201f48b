//! What can be wrong with a key ring, and with what it sealed. No message shows a key or a value.

/// Why a text is no key ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is nothing in it.
    #[error("holds no key")]
    Empty,
    /// There is more in it than can be meant.
    #[error("holds more than {0} keys")]
    TooMany(usize),
    /// A line is none of a key.
    #[error(
        "key {number} is not of the form id:key, with an id of letters, digits, - and _, and a key of 32 bytes in base64"
    )]
    Unreadable {
        /// Which of the keys, from 1 on.
        number: usize,
    },
    /// Two keys have one id.
    #[error("holds the key {0} twice")]
    Twice(String),
}

/// Why a value can't be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nothing to seal with.
    #[error("there is no key ring to seal secrets with")]
    NoKey,
    /// It is larger than the cipher takes.
    #[error("the secret is too large to be sealed")]
    TooLarge,
}

/// Why a value can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The ring doesn't have the key that sealed it.
    #[error("it is sealed by the key {0}, which the key ring doesn't hold")]
    UnknownKey(String),
    /// It was changed, sealed for another place, or sealed by another key of that id.
    #[error("what the key {0} sealed was changed, or the key is another one of that id")]
    Forged(String),
}
