//! The keys that a token may be signed with: a shared secret, a public key in PEM, or a published set of
//! keys (RFC 7517).

use std::fmt;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;

/// Keys of one set that count.
pub const JWKS_KEYS_MAX: usize = 100;

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtKeyError {
    /// It is no public key.
    #[error("is not a public key in PEM: RSA, ECDSA P-256 or P-384, or Ed25519")]
    Pem,
    /// It is no set of keys.
    #[error("is not a JSON Web Key Set")]
    Set,
}

/// A key that a token may be signed with. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct JwtKey {
    /// The id by which a token names it.
    id: Option<String>,
    /// What it can be used with.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl JwtKey {
    /// A shared secret, its characters as they are.
    pub fn from_secret(secret: &str) -> Self {
        Self::any_of(DecodingKey::from_secret(secret.as_bytes()))
    }

    /// A public key in PEM (RFC 7468): PKCS#1 or SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// A text that is none, or of another kind of key.
    pub fn from_pem(text: &str) -> Result<Self, JwtKeyError> {
        let pem = text.trim().as_bytes();
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem));
        key.map(Self::any_of).map_err(|_| JwtKeyError::Pem)
    }

    fn any_of(key: DecodingKey) -> Self {
        let algorithms = match key.family() {
            AlgorithmFamily::Hmac => vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
            AlgorithmFamily::Rsa => RSA.to_vec(),
            AlgorithmFamily::Ec => vec![Algorithm::ES256, Algorithm::ES384],
            AlgorithmFamily::Ed => vec![Algorithm::EdDSA],
        };
        Self {
            id: None,
            algorithms,
            key,
        }
    }

    /// A published key; `None` for those that no token may be checked with: secrets, keys for encryption,
    /// and algorithms that are not known.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
            return None;
        }
        let possible = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA.to_vec(),
            AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            _ => return None,
        };
        let named = jwk.common.key_algorithm.map(|named| named.to_string());
        let meant = |algorithm: &Algorithm| {
            named
                .as_ref()
                .is_none_or(|named| *named == format!("{algorithm:?}"))
        };
        Some(Self {
            id: jwk.common.key_id.clone(),
            algorithms: possible.into_iter().filter(meant).collect(),
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }

    pub(super) fn may_have_signed(&self, header: &Header) -> bool {
        let named = header.kid.is_none() || self.id.is_none() || header.kid == self.id;
        named && self.algorithms.contains(&header.alg)
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.key
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// RSA's: PKCS#1 v1.5 and PSS.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A set of keys, each as it comes: one that can't be read leaves the others.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The keys of a published set (RFC 7517, section 5) that tokens can be checked with, at most
/// [`JWKS_KEYS_MAX`].
///
/// # Errors
/// A text that is no set.
pub fn published_keys(text: &[u8]) -> Result<Vec<JwtKey>, JwtKeyError> {
    let set: KeySet = serde_json::from_slice(text).map_err(|_| JwtKeyError::Set)?;
    let keys = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(keys
        .filter_map(|key| JwtKey::from_jwk(&key))
        .take(JWKS_KEYS_MAX)
        .collect())
}
