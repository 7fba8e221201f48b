//! Asymmetric signatures of what goes out, by the Standard Webhooks specification (Ed25519, `v1a`).
//!
//! The private key stays here; receivers verify with the public one. Keys are drawn elsewhere.

use std::fmt;

use base64::Engine;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::outgoing::{BASE64, SecretError};

/// What a private key's text begins with.
pub const PRIVATE_KEY_PREFIX: &str = "whsk_";
/// What a public key's text begins with.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";
/// Bytes of a seed, and of a public key (RFC 8032, section 5.1.5).
const SEED_BYTES: usize = 32;

/// A private key ready to sign. Its `Debug` shows nothing of it.
pub struct PrivateKey(Ed25519KeyPair);

impl PrivateKey {
    /// Reads `whsk_` and base64, padded or not, of a seed, or of a seed and its public key.
    ///
    /// # Errors
    /// A text that is none, or whose halves don't belong together.
    pub fn parse(secret: &str) -> Result<Self, SecretError> {
        let wrong = SecretError::PrivateKey;
        let text = secret.strip_prefix(PRIVATE_KEY_PREFIX).ok_or(wrong)?;
        let bytes = BASE64.decode(text).map_err(|_| wrong)?;
        let pair = match bytes.split_at_checked(SEED_BYTES) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(wrong),
        };
        pair.map(Self).map_err(|_| wrong)
    }

    /// The text of a key that was drawn at random: seed and public key, as other implementations write it.
    pub fn format(seed: &[u8; SEED_BYTES]) -> String {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
        let both = [&seed[..], pair.public_key().as_ref()].concat();
        format!("{PRIVATE_KEY_PREFIX}{}", BASE64.encode(both))
    }

    /// The text of the public key.
    pub fn public_text(&self) -> String {
        format!("{PUBLIC_KEY_PREFIX}{}", BASE64.encode(self.0.public_key()))
    }

    /// The signature of one delivery: `v1a,` and base64 over `id.timestamp.body`.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp_s}.");
        let signature = self.0.sign(&[head.as_bytes(), body].concat());
        format!("v1a,{}", BASE64.encode(signature))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// The value of `webhook-signature`: one signature per key, separated by a space.
pub fn sign_all_asymmetric(keys: &[PrivateKey], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(id, timestamp_s, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const BOTH: &str =
        "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
    const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn a_signature_is_the_one_that_another_implementation_makes() {
        for secret in [SEED, BOTH] {
            let key = PrivateKey::parse(secret).unwrap();
            assert_eq!(key.public_text(), PUBLIC);
            assert_eq!(
                key.sign(ID, 1_614_265_330, BODY),
                "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ=="
            );
        }
        let drawn: Vec<u8> = (0..32).collect();
        assert_eq!(PrivateKey::format(&drawn.try_into().unwrap()), BOTH);
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let others = ["whsec_AAAA", "whsk_", "whsk_not base64!", "whsk_AAECAwQ=", PUBLIC];
        for secret in others {
            assert_eq!(
                PrivateKey::parse(secret).map(drop),
                Err(SecretError::PrivateKey),
                "{secret}"
            );
        }
        // Another public key than the seed's.
        let mixed = BOTH.replace("oQe/", "oQeA");
        assert_eq!(PrivateKey::parse(&mixed).map(drop), Err(SecretError::PrivateKey));
        assert_eq!(format!("{:?}", PrivateKey::parse(SEED).unwrap()), "PrivateKey(…)");
    }
}
