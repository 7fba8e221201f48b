//! Makes connections: to a checked address, directly or through a proxy, and with TLS for `https`.
//!
//! All of them are made here, for requests and for probes alike. Names are resolved and checked by the
//! guarded resolver, literals with the URL; what a proxy is asked for is an address that was checked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use hookrail_domain::delivery::ErrorCode;

use crate::attempt::AttemptError;
use crate::connect_stage::ConnectStage;
use crate::failure::{classify_connect, classify_io};
use crate::guarded_resolver::GuardedResolver;
use crate::limits::{CONNECT_TIMEOUT, PROXY_TARGETS, TCP_KEEPALIVE};
use crate::proxy::{OutboundProxy, Proxy, ProxyKind};
use crate::proxy_connect::Target;
use crate::stream::Stream;
use crate::{proxy_http, proxy_socks};

/// Makes the connections of one profile. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector {
    resolver: GuardedResolver,
    tcp: HttpConnector<GuardedResolver>,
    /// For the installation's own proxy, whose address nobody checks.
    tcp_to_own: HttpConnector<GuardedResolver>,
    tls: Arc<ClientConfig>,
    /// The name that certificates have to be for, where it isn't the URL's host.
    server_name: Option<String>,
    proxy: Route,
}

/// What connections go through.
#[derive(Clone)]
pub(crate) enum Route {
    /// Nothing.
    Direct,
    /// The destination's proxy.
    Own(Arc<Proxy>),
    /// The installation's proxy, but for its exceptions.
    Shared(Arc<OutboundProxy>),
}

impl Connector {
    pub(crate) fn new(
        resolver: GuardedResolver,
        tls: ClientConfig,
        server_name: Option<String>,
        proxy: Route,
    ) -> Self {
        Self {
            tcp: tcp(resolver.clone()),
            tcp_to_own: tcp(resolver.unguarded()),
            resolver,
            tls: Arc::new(tls),
            server_name,
            proxy,
        }
    }

    /// A connection to a receiver, over which nothing was sent.
    ///
    /// # Errors
    /// What failed, by its code.
    pub(crate) async fn connect(&self, target: &Uri, stage: &ConnectStage) -> Result<Stream, AttemptError> {
        let limit_ms = CONNECT_TIMEOUT.as_millis() as u64;
        match tokio::time::timeout(CONNECT_TIMEOUT, self.establish(target, stage)).await {
            Ok(connected) => connected,
            Err(_) => Err(stage.timed_out(limit_ms, "connection")),
        }
    }

    async fn establish(&self, target: &Uri, stage: &ConnectStage) -> Result<Stream, AttemptError> {
        let host = target.host().unwrap_or_default();
        let proxy = match &self.proxy {
            Route::Direct => None,
            Route::Own(proxy) => Some(proxy.as_ref()),
            Route::Shared(shared) => shared.for_host(host),
        };
        let tcp = match proxy {
            None => dial(&self.tcp, target).await?,
            Some(proxy) => self.connect_through(proxy, target, stage).await?,
        };
        match target.scheme_str() {
            Some("https") => self.secure(host, tcp).await,
            _ => Ok(Stream::Plain(tcp)),
        }
    }

    /// A connection through a proxy, to the first of the receiver's addresses that it can reach.
    async fn connect_through(
        &self,
        proxy: &Proxy,
        target: &Uri,
        stage: &ConnectStage,
    ) -> Result<TcpStream, AttemptError> {
        let mut failed = None;
        for target in self.targets(proxy, target).await? {
            stage.set_at_proxy(true);
            let connected = self.ask(proxy, &target).await;
            stage.set_at_proxy(false);
            match connected {
                Ok(tcp) => return Ok(tcp),
                Err(error) if error.code == ErrorCode::Connect => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(|| AttemptError::new(ErrorCode::Dns, "the receiver has no addresses")))
    }

    async fn ask(&self, proxy: &Proxy, target: &Target) -> Result<TcpStream, AttemptError> {
        let connector = if proxy.is_own { &self.tcp_to_own } else { &self.tcp };
        let mut tcp = dial(connector, &proxy.uri)
            .await
            .map_err(|error| at_proxy(proxy, error))?;
        let credentials = proxy.credentials.as_ref();
        match proxy.kind {
            ProxyKind::Http => proxy_http::connect(&mut tcp, &target.authority(), credentials).await?,
            ProxyKind::Socks5 => proxy_socks::connect(&mut tcp, target, credentials).await?,
        }
        Ok(tcp)
    }

    /// What a proxy is asked for: the addresses that the name resolves to, every one of them checked.
    async fn targets(&self, proxy: &Proxy, uri: &Uri) -> Result<Vec<Target>, AttemptError> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        });
        if let Ok(address) = bare.parse() {
            return Ok(vec![Target {
                host: Ok(address),
                port,
            }]);
        }
        if proxy.resolves {
            return Ok(vec![Target {
                host: Err(host.to_owned()),
                port,
            }]);
        }
        let resolved = self.resolver.clone().checked_addresses(host.to_owned()).await;
        let addresses = resolved.map_err(|error| AttemptError::from(&error))?;
        let target = |address| Target {
            host: Ok(address),
            port,
        };
        Ok(addresses.into_iter().take(PROXY_TARGETS).map(target).collect())
    }

    async fn secure(&self, host: &str, tcp: TcpStream) -> Result<Stream, AttemptError> {
        let host = self.server_name.as_deref().unwrap_or(host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host)
            .map_err(|error| AttemptError::new(ErrorCode::Tls, format!("TLS failed: {error}")))?;
        let secured = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
        secured
            .map(|stream| Stream::Tls(Box::new(stream)))
            .map_err(|error| classify_io(ErrorCode::Tls, &error))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = AttemptError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, AttemptError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (connector, stage) = (self.clone(), ConnectStage::current());
        Box::pin(async move { connector.connect(&target, &stage).await.map(TokioIo::new) })
    }
}

fn tcp(resolver: GuardedResolver) -> HttpConnector<GuardedResolver> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    // https is the business of whoever gets the connection.
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    connector.set_nodelay(true);
    connector
}

async fn dial(connector: &HttpConnector<GuardedResolver>, target: &Uri) -> Result<TcpStream, AttemptError> {
    let connected = connector.clone().call(target.clone()).await;
    connected
        .map(TokioIo::into_inner)
        .map_err(|error| classify_connect(&error))
}

/// A failure to reach the proxy. That its address may not be called is its owner's fault.
fn at_proxy(proxy: &Proxy, error: AttemptError) -> AttemptError {
    let code = match error.code {
        ErrorCode::AddressRefused => ErrorCode::AddressRefused,
        _ => ErrorCode::Proxy,
    };
    AttemptError::new(code, format!("the proxy {}: {}", proxy.name(), error.detail))
}
