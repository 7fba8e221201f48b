//! What distinguishes the connections of one destination from another's: TLS and proxy.
//!
//! Connections are pooled per profile, so that none made for one is ever used for another.

use std::fmt;
use std::sync::Arc;

use hookrail_domain::Millis;
use hookrail_domain::destination::{DestinationSpec, ProxySpec, TlsSpec};

use crate::destination_request::{RequestError, active};

/// How connections are made where it isn't as usual. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ConnectionProfile {
    pub(crate) tls: TlsProfile,
    pub(crate) proxy: Option<ProxyAddress>,
}

/// TLS settings, as they were written.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct TlsProfile {
    /// PEM of the authorities that are trusted; `None` = the system's.
    pub(crate) ca: Option<String>,
    /// PEM of the client's certificate and of its key.
    pub(crate) client: Option<(String, String)>,
    /// The name that the certificate has to be for; `None` = the URL's host.
    pub(crate) server_name: Option<String>,
}

/// A proxy, as it was written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProxyAddress {
    pub(crate) url: String,
    /// User name and password.
    pub(crate) credentials: Option<(String, String)>,
}

impl ConnectionProfile {
    /// The profile of a destination; `None` where it is as usual.
    ///
    /// # Errors
    /// A secret without a value.
    pub fn of(spec: &DestinationSpec, now: Millis) -> Result<Option<Arc<Self>>, RequestError> {
        if spec.tls.is_none() && spec.proxy.is_none() {
            return Ok(None);
        }
        let tls = spec.tls.as_ref().map(|tls| tls_profile(tls, now)).transpose()?;
        let proxy = spec.proxy.as_ref().map(|proxy| proxy_address(proxy, now));
        Ok(Some(Arc::new(Self {
            tls: tls.unwrap_or_default(),
            proxy: proxy.transpose()?,
        })))
    }
}

impl fmt::Debug for ConnectionProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionProfile(…)")
    }
}

fn tls_profile(tls: &TlsSpec, now: Millis) -> Result<TlsProfile, RequestError> {
    let client = match (&tls.client_certificate, &tls.client_key) {
        (Some(certificate), Some(key)) => {
            let key = active(key, now, "/tls/client_key")?;
            Some((certificate.clone(), key.to_owned()))
        }
        _ => None,
    };
    Ok(TlsProfile {
        ca: tls.ca.clone(),
        client,
        server_name: tls.server_name.clone(),
    })
}

fn proxy_address(proxy: &ProxySpec, now: Millis) -> Result<ProxyAddress, RequestError> {
    let password = match &proxy.password {
        Some(password) => active(password, now, "/proxy/password")?,
        None => "",
    };
    let credentials = proxy.username.clone().map(|name| (name, password.to_owned()));
    Ok(ProxyAddress {
        url: proxy.url.clone(),
        credentials,
    })
}
