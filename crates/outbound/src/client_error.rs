//! Why a client can't be made: wrong settings of the machine, found at start.

/// Why [`crate::OutboundClient::new`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS settings are refused by the TLS library.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP stack refused its settings.
    #[error("the HTTP client can't be built: {0}")]
    Http(#[from] reqwest::Error),
}
