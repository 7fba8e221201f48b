//! Tries a connection without a request: name, address check, TCP, and TLS for `https`.
//!
//! It uses the same guard and the same TLS settings as requests do, and closes what it opened.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::address_policy::AddressPolicy;
use crate::attempt::AttemptError;
use crate::failure::classify_io;
use crate::guarded_resolver::GuardedResolver;
use crate::outbound_url::{UrlRefused, literal_address};
use hookrail_domain::delivery::ErrorCode;

pub(crate) async fn connect(
    policy: &AddressPolicy,
    resolver: &GuardedResolver,
    tls: &Arc<ClientConfig>,
    url: &str,
) -> Result<(), AttemptError> {
    let url = policy
        .check_url(url)
        .map_err(|refused| AttemptError::from(&refused))?;
    let addresses = checked_addresses(resolver, &url).await?;
    let stream = connect_tcp(&url, &addresses).await?;
    if url.scheme() == "https" {
        connect_tls(tls, &url, stream).await
    } else {
        Ok(())
    }
}

async fn checked_addresses(resolver: &GuardedResolver, url: &Url) -> Result<Vec<IpAddr>, AttemptError> {
    let literal = literal_address(url).map_err(|refused| AttemptError::from(&refused))?;
    if let Some(address) = literal {
        return Ok(vec![address]);
    }
    let name = url
        .host_str()
        .ok_or_else(|| AttemptError::from(&UrlRefused::NoHost))?;
    let resolved = resolver.clone().checked_addresses(name.to_owned()).await;
    resolved.map_err(|error| AttemptError::from(&error))
}

async fn connect_tcp(url: &Url, addresses: &[IpAddr]) -> Result<TcpStream, AttemptError> {
    let port = url.port_or_known_default().unwrap_or_default();
    let sockets: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| SocketAddr::new(*address, port))
        .collect();
    let connected = TcpStream::connect(sockets.as_slice()).await;
    connected.map_err(|error| classify_io(ErrorCode::Connect, &error))
}

async fn connect_tls(tls: &Arc<ClientConfig>, url: &Url, stream: TcpStream) -> Result<(), AttemptError> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host)
        .map_err(|error| AttemptError::new(ErrorCode::Tls, format!("TLS failed: {error}")))?;
    let connected = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    connected
        .map(|_| ())
        .map_err(|error| classify_io(ErrorCode::Tls, &error))
}
