//! Why a client can't be made: wrong settings of the machine, found at start.

use crate::tls::TlsFault;

/// Why [`crate::OutboundClient::new`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS library refuses its settings.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] TlsFault),
}
