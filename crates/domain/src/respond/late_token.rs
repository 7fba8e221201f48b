//! The token of `/r/{token}`: the request's id and a code over it that only this installation can make.
//! Whoever was given it may ask for the answer; it is in no list and can't be guessed.

use data_encoding::{BASE32_NOPAD, Encoding};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// Bytes of an installation's key.
pub const LATE_KEY_BYTES: usize = 32;
/// Characters of a request's id: [`crate::partition::token`] of 20 bytes.
const REQUEST_CHARS: usize = 32;
/// Bytes of the code.
const CODE_BYTES: usize = 16;
const ENCODING: Encoding = BASE32_NOPAD;

/// The installation's key. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct LateKey([u8; LATE_KEY_BYTES]);

impl LateKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; LATE_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The token of a request.
    pub fn token(&self, request: &str) -> String {
        let code = self.mac(request).finalize().into_bytes();
        let code = ENCODING.encode(&code[..CODE_BYTES]).to_ascii_lowercase();
        format!("{request}{code}")
    }

    /// The request of a token; `None` for a token that this installation did not make. Takes the same
    /// time wherever the code is wrong.
    pub fn request<'t>(&self, token: &'t str) -> Option<&'t str> {
        let (request, code) = token.split_at_checked(REQUEST_CHARS)?;
        let is_own = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !token.bytes().all(is_own) {
            return None;
        }
        let code = ENCODING.decode(code.to_ascii_uppercase().as_bytes()).ok()?;
        let right = code.len() == CODE_BYTES && self.mac(request).verify_truncated_left(&code).is_ok();
        right.then_some(request)
    }

    fn mac(&self, request: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        mac.update(b"late answer ");
        mac.update(request.as_bytes());
        mac
    }
}

impl fmt::Debug for LateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LateKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition;

    #[test]
    fn only_the_installation_s_own_tokens_are_taken() {
        let (own, other) = (LateKey::new([1; 32]), LateKey::new([2; 32]));
        let request = partition::token(partition::hash(&[b"r"]));
        let token = own.token(&request);
        assert_eq!(own.request(&token), Some(request.as_str()));
        assert_eq!(other.request(&token), None);
        for (at, _) in token.char_indices() {
            let mut wrong = token.clone();
            let changed = if &token[at..=at] == "a" { "b" } else { "a" };
            wrong.replace_range(at..=at, changed);
            // The last character holds bits that are no part of the code, which have to be zero.
            assert_eq!(own.request(&wrong), None, "{wrong}");
        }
        let longer = format!("{token}a");
        for wrong in [
            "",
            "a",
            &request,
            &token[..40],
            &longer,
            &token.to_uppercase(),
            "ää",
        ] {
            assert_eq!(own.request(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{own:?}"), "LateKey(…)");
    }
}
