//! TLS of a destination's connections. Whether certificates and keys can be used is checked where TLS is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{secret::Secret, validation::Faults};

/// Longest PEM text, bytes: some hundred certificates.
const MAX_PEM_BYTES: usize = 128 * 1024;
/// Longest name of a host (RFC 1035, section 2.3.4), bytes.
const MAX_NAME_BYTES: usize = 253;

/// TLS of a destination's connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSpec {
    /// Certificates of private authorities, PEM. Where there are any, only these are trusted.
    pub ca: Option<String>,
    /// The client's certificate, PEM, with those between it and its authority behind it.
    pub client_certificate: Option<String>,
    /// The key of the client's certificate, PEM, not encrypted.
    #[schema(value_type = Option<Object>)]
    pub client_key: Option<Secret>,
    /// The name that the receiver's certificate is for, where it isn't the URL's host.
    pub server_name: Option<String>,
}

impl TlsSpec {
    /// Refuses what can't be meant.
    pub(super) fn check(&self, faults: &mut Faults) {
        for (pointer, text) in [
            ("/tls/ca", &self.ca),
            ("/tls/client_certificate", &self.client_certificate),
        ] {
            let fits = text.as_ref().is_none_or(|text| text.len() <= MAX_PEM_BYTES);
            faults.require(fits, pointer, "has more than 131072 bytes");
        }
        let (certificate, key) = (self.client_certificate.is_some(), self.client_key.is_some());
        faults.require(
            certificate || !key,
            "/tls/client_certificate",
            "is needed with a client_key",
        );
        faults.require(
            key || !certificate,
            "/tls/client_key",
            "is needed with a client_certificate",
        );
        let fits = self.server_name.as_ref().is_none_or(|name| is_host(name));
        faults.require(fits, "/tls/server_name", "is not the name of a host");
    }
}

fn is_host(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && matches!(url::Host::parse(name), Ok(host) if host.to_string() == name)
}
