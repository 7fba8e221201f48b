//! TLS settings of outgoing connections.
//!
//! The crypto provider is given here and not taken from a process-wide default, so the client works
//! whatever the binary installs. Trust comes from the system's certificates, read once, and from
//! Mozilla's built-in list where the system has none (a bare container image).

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Offered in this order; the receiver chooses.
const ALPN_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What distinguishes the TLS settings of one set of connections from another's.
///
/// Connections are pooled per profile, so that none made for one is ever used for another; a client
/// certificate belongs here too.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsProfile {
    /// Authorities trusted besides the system's.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
}

/// TLS 1.2 and 1.3, certificates verified against the host's name or address.
pub(crate) fn client_config(profile: &TlsProfile) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted_roots(profile)?)
        .with_no_client_auth();
    config.alpn_protocols = ALPN_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn trusted_roots(profile: &TlsProfile) -> Result<RootCertStore, rustls::Error> {
    let mut roots = system_roots();
    for root in &profile.extra_roots {
        roots.add(root.clone())?;
    }
    Ok(roots)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 || !found.errors.is_empty() {
        let failed = found.errors.len();
        tracing::warn!(ignored, failed, "some of the system's certificates can't be used");
    }
    if roots.is_empty() {
        tracing::info!("the system has no certificates; trusting the built-in list");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
