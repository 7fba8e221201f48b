//! How a destination's requests are signed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::Secret;

/// A signature's key type, with Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    /// HMAC with SHA-256, `v1`.
    #[default]
    HmacSha256,
    /// Ed25519, `v1a`.
    Ed25519,
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
        /// The secrets in use, `whsec_…`, several while rotating; none given = one is made.
        #[serde(default)]
        #[schema(value_type = Vec<Object>)]
        secrets: Vec<Secret>,
    },
    /// A plain HMAC over the body.
    Hmac {
        /// The header that carries it.
        header: String,
        /// Its hash.
        #[serde(default = "default_hash")]
        algorithm: String,
        /// `hex` or `base64`.
        #[serde(default = "default_encoding")]
        encoding: String,
        /// The secrets in use.
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
        }
    }
}

fn default_hash() -> String {
    "sha256".to_owned()
}

fn default_encoding() -> String {
    "hex".to_owned()
}
