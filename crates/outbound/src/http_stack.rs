//! The HTTP stack with the connections of one profile.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connection_profile::ConnectionProfile;
use crate::connector::{Connector, Route};
use crate::gated_body::GatedBody;
use crate::guarded_resolver::GuardedResolver;
use crate::limits::{OutboundLimits, RESPONSE_HEADERS_MAX_BYTES};
use crate::proxy::{OutboundProxy, Proxy};
use crate::tls::{self, TlsFault};

/// What makes stacks.
pub(crate) struct StackMaker {
    pub(crate) resolver: GuardedResolver,
    pub(crate) limits: OutboundLimits,
    /// The installation's proxy.
    pub(crate) proxy: Option<Arc<OutboundProxy>>,
}

/// Cheap to clone; clones share their connections.
#[derive(Clone)]
pub(crate) struct HttpStack {
    pub(crate) client: Client<Connector, GatedBody>,
    pub(crate) connector: Connector,
}

impl StackMaker {
    /// The stack of a profile. It does nothing on its own: no redirects, no proxies from the environment, no
    /// compression, no repetition of what has begun to be sent.
    ///
    /// # Errors
    /// Certificates or a key that can't be used.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that makes an HTTP client"
    )]
    pub(crate) fn make(&self, profile: &ConnectionProfile) -> Result<HttpStack, TlsFault> {
        let tls = tls::client_config(&profile.tls)?;
        let server_name = profile.tls.server_name.clone();
        let connector = Connector::new(self.resolver.clone(), tls, server_name, self.route(profile)?);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(self.limits.idle_timeout_ms))
            .pool_max_idle_per_host(self.limits.idle_per_host)
            .http2_max_header_list_size(RESPONSE_HEADERS_MAX_BYTES)
            .build(connector.clone());
        Ok(HttpStack { client, connector })
    }

    fn route(&self, profile: &ConnectionProfile) -> Result<Route, TlsFault> {
        match (&profile.proxy, &self.proxy) {
            (Some(address), _) => {
                let proxy = Proxy::of_destination(address);
                let proxy = proxy.map_err(|detail| TlsFault {
                    pointer: "/proxy/url",
                    detail,
                })?;
                Ok(Route::Own(Arc::new(proxy)))
            }
            (None, Some(shared)) => Ok(Route::Shared(Arc::clone(shared))),
            (None, None) => Ok(Route::Direct),
        }
    }
}
