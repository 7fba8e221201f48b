//! TLS of the listener: a certificate and its key from files, read again when they change, so that whoever
//! renews them need not restart anything. HTTP/2 and HTTP/1.1 are offered by ALPN.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use hookrail_runtime::{ServiceContext, SettingsError};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::settings::IngressSettings;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: Files,
    current: RwLock<Arc<CertifiedKey>>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// When the files were written; another time means others.
type Written = (Option<SystemTime>, Option<SystemTime>);

impl Certificate {
    /// Reads the files that the settings name; `None` without.
    ///
    /// # Errors
    /// One without the other, or files that are no certificate and its key.
    pub(crate) fn from_settings(settings: &IngressSettings) -> Result<Option<Arc<Self>>, SettingsError> {
        let files = match (&settings.ingress_tls_cert, &settings.ingress_tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            (Some(_), None) => return Err(SettingsError::invalid("ingress-tls-key", "is missing")),
            (None, Some(_)) => return Err(SettingsError::invalid("ingress-tls-cert", "is missing")),
        };
        let read = files.read();
        let read = read.map_err(|reason| SettingsError::invalid("ingress-tls-cert", reason))?;
        Ok(Some(Arc::new(Self {
            files,
            current: RwLock::new(Arc::new(read)),
        })))
    }

    /// What the listener needs.
    ///
    /// # Errors
    /// The TLS library supports none of the protocol's versions.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>))
    }

    /// Takes new files into use as they come, until the process stops. Files that don't fit each other are
    /// left alone: they may be half written.
    pub(crate) async fn follow(self: Arc<Self>, context: ServiceContext) {
        let mut seen = self.files.written();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = context.shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let written = self.files.written();
            if written == seen {
                continue;
            }
            match self.files.read() {
                Ok(read) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                    seen = written;
                    tracing::info!("a new certificate is in use");
                }
                Err(reason) => tracing::warn!(reason, "the new certificate can't be used; the old one stays"),
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl Files {
    fn read(&self) -> Result<CertifiedKey, String> {
        let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&self.certificate)
            .map_err(|error| named(&self.certificate, &error))?
            .collect();
        let chain = chain.map_err(|error| named(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(named(&self.certificate, &"holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| named(&self.key, &error))?;
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
        pair.map_err(|error| format!("certificate and key don't fit: {error}"))
    }

    fn written(&self) -> Written {
        let of = |path: &Path| -> io::Result<SystemTime> { fs::metadata(path)?.modified() };
        (of(&self.certificate).ok(), of(&self.key).ok())
    }
}
