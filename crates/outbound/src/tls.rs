//! TLS settings of outgoing connections.
//!
//! The crypto provider is given here and not taken from a process-wide default, so the client works
//! whatever the binary installs. Trust comes from the authorities of the profile, else from the system's
//! certificates, read once, and from Mozilla's built-in list where the system has none (a bare container
//! image).

use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::connection_profile::TlsProfile;

/// Offered in this order; the receiver chooses.
const ALPN_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a profile's certificates can't be used. Never holds any of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct TlsFault {
    /// The definition's member that is at fault, as a JSON pointer.
    pub pointer: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

const CA: &str = "/tls/ca";
const CERTIFICATE: &str = "/tls/client_certificate";
const KEY: &str = "/tls/client_key";

fn fault(pointer: &'static str, detail: impl Into<String>) -> TlsFault {
    let detail = detail.into();
    TlsFault { pointer, detail }
}

/// TLS 1.2 and 1.3, certificates verified against the host's name or address.
///
/// # Errors
/// Certificates or a key that can't be used.
pub(crate) fn client_config(profile: &TlsProfile) -> Result<ClientConfig, TlsFault> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault("/tls", format!("TLS can't be set up: {error}")))?
        .with_root_certificates(trusted_roots(profile)?);
    let mut config = match &profile.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(CERTIFICATE, certificate)?, private_key(key)?)
            .map_err(|error| refused_pair(&error))?,
    };
    config.alpn_protocols = ALPN_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn refused_pair(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InconsistentKeys(_) => fault(KEY, "is not the key of client_certificate"),
        rustls::Error::InvalidCertificate(_) => fault(CERTIFICATE, format!("can't be used: {error}")),
        _ => fault(KEY, format!("can't be used: {error}")),
    }
}

fn certificates(pointer: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = read.map_err(|error| fault(pointer, format!("is not PEM: {error}")))?;
    if found.is_empty() {
        Err(fault(pointer, "holds no certificate in PEM"))
    } else {
        Ok(found)
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsFault> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| fault(KEY, "holds no private key in PEM, or an encrypted one"))
}

fn trusted_roots(profile: &TlsProfile) -> Result<Arc<RootCertStore>, TlsFault> {
    let Some(pem) = &profile.ca else {
        return Ok(system_roots());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA, pem)? {
        let added = roots.add(certificate);
        added.map_err(|error| fault(CA, format!("holds a certificate that can't be used: {error}")))?;
    }
    Ok(Arc::new(roots))
}

fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| Arc::new(read_system_roots())))
}

fn read_system_roots() -> RootCertStore {
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
