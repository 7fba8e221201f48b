//! How a destination's requests are signed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check_header;
use crate::{
    secret::Secret,
    signature::{self, SecretError},
    validation::{Faults, is_header_name, is_header_value},
};

/// Secrets of one destination at a time.
const MAX_SECRETS: usize = 5;
/// Longest prefix of a signature, bytes.
const MAX_PREFIX_BYTES: usize = 64;

/// A signature's key type, with Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    /// HMAC with SHA-256, `v1`: the receiver has the same secret.
    #[default]
    HmacSha256,
    /// Ed25519, `v1a`: the receiver has the public key.
    Ed25519,
}

/// The hash of a plain HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HmacHash {
    /// For receivers that know nothing else.
    Sha1,
    /// The usual one.
    #[default]
    Sha256,
    /// A longer one.
    Sha512,
}

/// How a plain HMAC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HmacEncoding {
    /// Lower case.
    #[default]
    Hex,
    /// With padding.
    Base64,
}

/// What a plain HMAC is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
pub enum Signed {
    /// The body's bytes.
    #[default]
    #[serde(rename = "body")]
    Body,
    /// The attempt's time in seconds, a dot, and the body's bytes.
    #[serde(rename = "timestamp.body")]
    TimestampBody,
}

/// How requests are signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Signing {
    /// Not at all.
    None,
    /// Standard Webhooks (<https://www.standardwebhooks.com>): `webhook-signature`.
    StandardWebhooks {
        /// Key type.
        #[serde(default)]
        algorithm: SigningAlgorithm,
        /// The secrets in use, `whsec_…` (ed25519: `whsk_…`), several while rotating; none given = one is made.
        #[serde(default)]
        #[schema(value_type = Vec<Object>)]
        secrets: Vec<Secret>,
        /// With ed25519 the public key of each secret, `whpk_…`, for the receiver. Read-only: what is
        /// written here is replaced.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        public_keys: Vec<String>,
    },
    /// A plain HMAC in a header of one's own.
    Hmac {
        /// The header that carries it.
        header: String,
        /// Its hash.
        #[serde(default)]
        algorithm: HmacHash,
        /// How it is written.
        #[serde(default)]
        encoding: HmacEncoding,
        /// What stands before it in the header, as `sha256=`.
        #[serde(default)]
        prefix: String,
        /// What it is made of.
        #[serde(default)]
        signed: Signed,
        /// A header for the signed time besides `webhook-timestamp`, which every request has.
        #[serde(default)]
        timestamp_header: Option<String>,
        /// Whether all secrets in use sign, the newest first, separated by a space. Else the newest alone
        /// signs, and its receiver has to know it before it is added.
        #[serde(default)]
        multiple: bool,
        /// The secrets in use, newest first; their text is the key. None given = one is made.
        #[serde(default)]
        #[schema(value_type = Vec<Object>)]
        secrets: Vec<Secret>,
    },
}

impl Default for Signing {
    fn default() -> Self {
        Self::StandardWebhooks {
            algorithm: SigningAlgorithm::HmacSha256,
            secrets: Vec::new(),
            public_keys: Vec::new(),
        }
    }
}

impl Signing {
    /// Refuses what can't sign. `taken` says whether a header is sent already.
    pub(super) fn check(&self, taken: impl Fn(&str) -> bool, faults: &mut Faults) {
        match self {
            Self::None => {}
            Self::StandardWebhooks {
                algorithm, secrets, ..
            } => check_secrets(secrets, |secret| check_standard(*algorithm, secret), faults),
            Self::Hmac {
                header,
                prefix,
                timestamp_header,
                secrets,
                ..
            } => {
                check_secrets(secrets, |_| Ok(()), faults);
                check_own_header(header, "/signing/header", &taken, faults);
                if let Some(name) = timestamp_header {
                    let taken = |name: &str| taken(name) || name.eq_ignore_ascii_case(header);
                    check_own_header(name, "/signing/timestamp_header", taken, faults);
                }
                let fits = prefix.len() <= MAX_PREFIX_BYTES && is_header_value(prefix);
                faults.require(
                    fits,
                    "/signing/prefix",
                    "has more than 64 bytes, or others than visible ASCII",
                );
            }
        }
    }

    /// Sets what follows from the secrets: the public keys.
    pub fn derive(&mut self) {
        if let Self::StandardWebhooks {
            algorithm,
            secrets,
            public_keys,
        } = self
        {
            *public_keys = match algorithm {
                SigningAlgorithm::HmacSha256 => Vec::new(),
                SigningAlgorithm::Ed25519 => secrets.iter().filter_map(public_key).collect(),
            };
        }
    }
}

fn public_key(secret: &Secret) -> Option<String> {
    let key = signature::PrivateKey::parse(secret.value.as_deref()?).ok()?;
    Some(key.public_text())
}

/// Whether a text can be a secret of Standard Webhooks.
///
/// # Errors
/// What it isn't.
pub fn check_standard(algorithm: SigningAlgorithm, secret: &str) -> Result<(), SecretError> {
    match algorithm {
        SigningAlgorithm::HmacSha256 => signature::check_standard_secret(secret),
        SigningAlgorithm::Ed25519 => signature::PrivateKey::parse(secret).map(drop),
    }
}

fn check_secrets(secrets: &[Secret], check: impl Fn(&str) -> Result<(), SecretError>, faults: &mut Faults) {
    let detail = format!("has more than {MAX_SECRETS} secrets");
    faults.require(secrets.len() <= MAX_SECRETS, "/signing/secrets", &detail);
    for (i, secret) in secrets.iter().enumerate() {
        if let Some(Err(error)) = secret.value.as_deref().map(&check) {
            faults.require(false, &format!("/signing/secrets/{i}"), &error.to_string());
        }
    }
}

fn check_own_header(name: &str, pointer: &str, taken: impl Fn(&str) -> bool, faults: &mut Faults) {
    check_header(name, "", pointer, faults);
    let is_free = !is_header_name(name) || !taken(name);
    faults.require(is_free, pointer, "is a header that the destination sends already");
}

#[cfg(test)]
mod tests {
    use crate::destination::DestinationSpec;

    fn check(members: &str, expected: &[&str]) {
        let text = format!(r#"{{"name":"d","url":"https://r.example/",{members}}}"#);
        let spec: DestinationSpec = serde_json::from_str(&text).unwrap();
        let faults = spec.validate().err().unwrap_or_default();
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{members}");
    }

    #[test]
    fn what_can_not_sign_is_refused_by_its_part() {
        check(r#""signing":{"type":"hmac","header":"X-Signature"}"#, &[]);
        check(
            r#""signing":{"type":"hmac","header":"Host","prefix":"\u0000","timestamp_header":"a b","secrets":["a"]}"#,
            &["/signing/header", "/signing/timestamp_header", "/signing/prefix"],
        );
        check(
            r#""headers":{"X-Team":"a"},"signing":{"type":"hmac","header":"x-team","timestamp_header":"X-Team"}"#,
            &["/signing/header", "/signing/timestamp_header"],
        );
        check(
            r#""auth":{"type":"bearer","token":"t"},"api_key":"k","signing":{"type":"hmac","header":"Authorization",
                "timestamp_header":"X-Api-Key"}"#,
            &["/signing/header", "/signing/timestamp_header"],
        );
        let standard = |algorithm: &str, secret: &str| {
            format!(
                r#""signing":{{"type":"standard_webhooks","algorithm":"{algorithm}","secrets":["{secret}"]}}"#
            )
        };
        let (hmac, ed25519) = (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        );
        check(&standard("hmac-sha256", hmac), &[]);
        check(&standard("ed25519", ed25519), &[]);
        check(&standard("hmac-sha256", ed25519), &["/signing/secrets/0"]);
        check(&standard("ed25519", hmac), &["/signing/secrets/0"]);
    }

    #[test]
    fn certificates_come_with_their_key_and_the_other_way_round() {
        check(
            r#""tls":{"client_certificate":"c","client_key":"k","server_name":"a.example"}"#,
            &[],
        );
        check(r#""tls":{"client_certificate":"c"}"#, &["/tls/client_key"]);
        check(r#""tls":{"client_key":"k"}"#, &["/tls/client_certificate"]);
        check(
            r#""tls":{"server_name":"https://a.example"}"#,
            &["/tls/server_name"],
        );
    }
}
