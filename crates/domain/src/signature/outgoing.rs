//! Signatures of what goes out, by the Standard Webhooks specification (HMAC-SHA-256, `v1`).
//!
//! Keys and texts in, signatures out. What senders sign is verified elsewhere in this module.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// What a secret's text begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a key: what the specification recommends for HMAC.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Base64 that is written with padding and read with or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret can't sign. Never holds any of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("a secret begins with whsec_")]
    Prefix,
    #[error("a secret is base64 after whsec_")]
    Base64,
    #[error("a secret has 24 to 64 bytes once decoded")]
    Length,
    #[error("an ed25519 secret is whsk_ and base64 of a seed of 32 bytes, or of seed and public key")]
    PrivateKey,
}

/// A key ready to sign. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Reads `whsec_` and base64, padded or not.
    ///
    /// # Errors
    /// A text that is none, or a key that is too short or too long.
    pub fn parse(secret: &str) -> Result<Self, SecretError> {
        let text = secret.strip_prefix(SECRET_PREFIX).ok_or(SecretError::Prefix)?;
        let key = BASE64.decode(text).map_err(|_| SecretError::Base64)?;
        if KEY_BYTES.contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(SecretError::Length)
        }
    }

    /// The signature of one delivery: `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        format!(
            "v1,{}",
            BASE64.encode(self.mac(id, timestamp_s, body).finalize().into_bytes())
        )
    }

    /// Whether one of a header's signatures is this key's; takes the same time wherever they differ.
    pub fn verifies(&self, id: &str, timestamp_s: i64, body: &[u8], header: &str) -> bool {
        header
            .split(' ')
            .filter_map(|one| one.strip_prefix("v1,"))
            .any(|signature| {
                BASE64
                    .decode(signature)
                    .is_ok_and(|signature| self.mac(id, timestamp_s, body).verify_slice(&signature).is_ok())
            })
    }

    fn mac(&self, id: &str, timestamp_s: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp_s}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Whether a text can be a signing secret.
///
/// # Errors
/// As [`SigningKey::parse`].
pub fn check_standard_secret(secret: &str) -> Result<(), SecretError> {
    SigningKey::parse(secret).map(|_| ())
}

/// The text of a secret that was drawn at random.
pub fn format_standard_secret(key: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", BASE64.encode(key))
}

/// The value of `webhook-signature`: one signature per key, separated by a space, so that receivers
/// verify while a secret is rotated.
pub fn sign_all(keys: &[SigningKey], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(id, timestamp_s, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

    fn check(timestamp_s: i64, body: &str, expected: &str) {
        let key = SigningKey::parse(SECRET).unwrap();
        let signature = key.sign(ID, timestamp_s, body.as_bytes());
        assert_eq!(signature, expected);
        assert!(key.verifies(ID, timestamp_s, body.as_bytes(), &format!("v1,AAAA {signature}")));
        assert!(!key.verifies(ID, timestamp_s + 1, body.as_bytes(), &signature));
        assert!(!key.verifies(ID, timestamp_s, b"", &signature));
    }

    #[test]
    fn the_published_vectors_are_met() {
        check(
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        check(
            1_732_226_400,
            "{\"id\":\"evt_1\",\"big\":820982911946154508,\"f\":1.10,\"u\":\"hé☃\",\"esc\":\"<\\/a>\"}",
            "v1,lHSVzINzLp7HCg6Yni+HK03oOeL9jZfTkpM6hX5zngg=",
        );
    }

    #[test]
    fn secrets_are_taken_with_and_without_padding() {
        let secret = format_standard_secret(&[7; 25]);
        assert!(secret.ends_with('='));
        assert_eq!(check_standard_secret(&secret), Ok(()));
        assert_eq!(check_standard_secret(secret.trim_end_matches('=')), Ok(()));
    }

    #[test]
    fn bad_secrets_are_refused_by_cause() {
        assert_eq!(check_standard_secret("MfKQ9r8GKYqr"), Err(SecretError::Prefix));
        assert_eq!(
            check_standard_secret("whsec_not base64!"),
            Err(SecretError::Base64)
        );
        assert_eq!(check_standard_secret("whsec_"), Err(SecretError::Length));
        assert_eq!(
            check_standard_secret(&format_standard_secret(&[1; 65])),
            Err(SecretError::Length)
        );
    }

    #[test]
    fn several_keys_give_several_signatures() {
        let keys = [SECRET, &format_standard_secret(&[9; 32])].map(|s| SigningKey::parse(s).unwrap());
        let header = sign_all(&keys, ID, 5, b"x");
        assert_eq!(header.split(' ').count(), 2);
        assert!(keys.iter().all(|key| key.verifies(ID, 5, b"x", &header)));
        assert_eq!(format!("{:?}", keys[0]), "SigningKey(…)");
    }
}
