//! How a destination's requests are authenticated.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::Secret;

/// How requests are authenticated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum DestinationAuth {
    /// Not at all.
    #[default]
    None,
    /// One header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        #[schema(value_type = Object)]
        value: Secret,
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
    /// A token got with client credentials (RFC 6749, section 4.4).
    Oauth2ClientCredentials {
        /// Where tokens are got.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        #[schema(value_type = Object)]
        client_secret: Secret,
        /// Scopes asked for.
        #[serde(default)]
        scope: Option<String>,
    },
}

impl DestinationAuth {
    /// The secret in it.
    pub fn secret_mut(&mut self) -> Option<&mut Secret> {
        match self {
            Self::None => None,
            Self::Header { value: secret, .. }
            | Self::Basic { password: secret, .. }
            | Self::Bearer { token: secret }
            | Self::Oauth2ClientCredentials {
                client_secret: secret,
                ..
            } => Some(secret),
        }
    }
}
