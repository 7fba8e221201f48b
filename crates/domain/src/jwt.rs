//! JSON Web Tokens of senders (RFC 7519): which keys may have signed one, and what it has to say.
//!
//! Keys, a token and the time in; a verdict out. Fetching published keys is not done here.

mod keys;
mod ring_provider;

use std::collections::HashSet;

use jsonwebtoken::{Header, Validation, errors::ErrorKind};
use serde::Deserialize;

use crate::Millis;

pub use keys::{JWKS_KEYS_MAX, JwtKey, JwtKeyError, published_keys};

/// How far a sender's clock may be off, seconds.
const LEEWAY_S: i64 = 60;
/// Longest token that is looked at, bytes.
const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// Why a token is not accepted; for the source's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no signed token.
    #[error("the token is not a signed JSON Web Token")]
    Malformed,
    /// No key has the id that it names, or can be of its algorithm.
    #[error("the token is signed by a key or algorithm that the source does not know")]
    UnknownKey,
    /// It was not signed by a known key.
    #[error("the token's signature does not match")]
    Signature,
    /// It says no end.
    #[error("the token has no exp")]
    NoExpiry,
    /// Its time is over.
    #[error("the token's exp has passed")]
    Expired,
    /// Its time has not begun.
    #[error("the token's nbf has not come")]
    NotYet,
    /// Somebody else issued it.
    #[error("the token's iss is another")]
    Issuer,
    /// It is for somebody else.
    #[error("the token's aud is another")]
    Audience,
}

/// What a token has to say besides its times.
#[derive(Clone, Copy, Debug, Default)]
pub struct WantedClaims<'a> {
    /// The wanted `iss`.
    pub issuer: Option<&'a str>,
    /// The wanted `aud`.
    pub audience: Option<&'a str>,
}

/// The times of a token, seconds since the Unix epoch; fractions are allowed (RFC 7519, section 2).
#[derive(Deserialize)]
struct Times {
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Checks a token in the compact form.
///
/// The algorithm has to be one that the key can be used with, whatever the token says (RFC 8725,
/// section 3.1): `none` never is, and a public key is never taken for a shared secret.
///
/// # Errors
/// What of it did not hold.
pub fn check(token: &str, keys: &[JwtKey], wanted: WantedClaims<'_>, now: Millis) -> Result<(), JwtError> {
    ring_provider::install();
    if token.len() > TOKEN_MAX_BYTES {
        return Err(JwtError::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| JwtError::Malformed)?;
    let mut failed = JwtError::UnknownKey;
    for key in keys.iter().filter(|key| key.may_have_signed(&header)) {
        match jsonwebtoken::decode::<Times>(token, key.decoding(), &validation(&header, wanted)) {
            Ok(token) => return check_times(&token.claims, now),
            Err(error) => failed = meaning(error.kind()),
        }
        if failed != JwtError::Signature {
            return Err(failed);
        }
    }
    Err(failed)
}

/// True where the token names a key that is none of these: newer ones may have been published.
pub fn names_unknown_key(token: &str, keys: &[JwtKey]) -> bool {
    let header = jsonwebtoken::decode_header(token);
    header.is_ok_and(|header| !keys.iter().any(|key| key.may_have_signed(&header)))
}

/// The times are checked by ours, against the time that was given.
fn validation(header: &Header, wanted: WantedClaims<'_>) -> Validation {
    let mut validation = Validation::new(header.alg);
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let mut required = HashSet::new();
    validation.validate_aud = wanted.audience.is_some();
    if let Some(audience) = wanted.audience {
        validation.set_audience(&[audience]);
        required.insert("aud".to_owned());
    }
    if let Some(issuer) = wanted.issuer {
        validation.set_issuer(&[issuer]);
        required.insert("iss".to_owned());
    }
    validation.required_spec_claims = required;
    validation
}

fn meaning(kind: &ErrorKind) -> JwtError {
    match kind {
        ErrorKind::InvalidSignature => JwtError::Signature,
        ErrorKind::InvalidIssuer => JwtError::Issuer,
        ErrorKind::InvalidAudience => JwtError::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => JwtError::Issuer,
        ErrorKind::MissingRequiredClaim(_) => JwtError::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => JwtError::UnknownKey,
        _ => JwtError::Malformed,
    }
}

fn check_times(times: &Times, now: Millis) -> Result<(), JwtError> {
    let now_s = now as f64 / 1000.0;
    let leeway = LEEWAY_S as f64;
    let expires = times.exp.ok_or(JwtError::NoExpiry)?;
    if now_s > expires + leeway {
        return Err(JwtError::Expired);
    }
    match times.nbf {
        Some(begins) if now_s + leeway < begins => Err(JwtError::NotYet),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
