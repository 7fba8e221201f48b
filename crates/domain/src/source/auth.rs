//! How a source knows its senders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::Secret;
use crate::signature::Scheme;

/// How a source knows its senders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceAuth {
    /// Anyone who knows the URL.
    #[default]
    None,
    /// One of the source's API keys, in a header or a query parameter.
    ApiKey {
        /// The header that carries the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// The query parameter that carries the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
    },
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name.
        username: String,
        /// Password.
        #[schema(value_type = Object)]
        password: Secret,
    },
    /// A bearer token (RFC 6750).
    Bearer {
        /// The token.
        #[schema(value_type = Object)]
        token: Secret,
    },
    /// A signed JSON Web Token (RFC 7519).
    Jwt {
        /// Where the issuer publishes its keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jwks_url: Option<String>,
        /// A public key, PEM.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
        /// A shared secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        secret: Option<Secret>,
        /// The wanted `iss`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// The wanted `aud`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
    },
    /// A signature over the request.
    Signature {
        /// A preset's name, or `custom`.
        scheme: String,
        /// The secrets in use, several while rotating.
        #[serde(default)]
        #[schema(value_type = Vec<Object>)]
        secrets: Vec<Secret>,
        /// How far the signed time may be off, seconds; 0 = not checked, absent = the scheme's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance_s: Option<u32>,
        /// The source's URL as the sender knows it, for senders that sign it; absent = as it was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_url: Option<String>,
        /// What handshakes of some senders show; absent = one of the secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        verify_token: Option<Secret>,
        /// With the scheme `custom`: what is signed and how.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dimensions: Option<Box<Scheme>>,
    },
}

/// The header that carries an API key where the definition names none.
pub const DEFAULT_KEY_HEADER: &str = "X-Api-Key";
/// The query parameter that carries an API key where the definition names neither place.
pub const DEFAULT_KEY_QUERY: &str = "api_key";

impl SourceAuth {
    /// The header and the query parameter in which an API key is looked for. Where the definition
    /// names neither, both defaults count.
    pub fn key_places(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::ApiKey {
                header: None,
                query: None,
            } => (Some(DEFAULT_KEY_HEADER), Some(DEFAULT_KEY_QUERY)),
            Self::ApiKey { header, query } => (header.as_deref(), query.as_deref()),
            _ => (None, None),
        }
    }
}
