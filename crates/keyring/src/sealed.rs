//! The text of a sealed value: `v1:key-id:nonce:ciphertext`, the last two in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::key::is_id;

/// Bytes of a nonce: so many that a random one never comes twice.
pub const NONCE_BYTES: usize = 24;
/// Bytes that authenticate a value, at the end of its ciphertext.
const TAG_BYTES: usize = 16;
/// What a sealed value begins with.
const VERSION: &str = "v1";

/// A sealed value, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) ciphertext: Vec<u8>,
}

impl<'a> Sealed<'a> {
    /// `None` for what was never sealed: a value of a version that kept them in clear.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(':');
        let (version, key_id) = (parts.next()?, parts.next()?);
        let (nonce, ciphertext) = (parts.next()?, parts.next()?);
        let whole = parts.next().is_none() && version == VERSION && is_id(key_id);
        let ciphertext = whole.then(|| URL_SAFE_NO_PAD.decode(ciphertext).ok())??;
        let nonce = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
        (ciphertext.len() >= TAG_BYTES).then_some(Self {
            key_id,
            nonce,
            ciphertext,
        })
    }

    pub(crate) fn write(&self) -> String {
        let (nonce, ciphertext) = (
            URL_SAFE_NO_PAD.encode(self.nonce),
            URL_SAFE_NO_PAD.encode(&self.ciphertext),
        );
        format!("{VERSION}:{}:{nonce}:{ciphertext}", self.key_id)
    }
}

/// The id of the key that sealed a value; `None` for a value in clear.
pub fn sealed_by(text: &str) -> Option<&str> {
    Sealed::read(text).map(|sealed| sealed.key_id)
}
