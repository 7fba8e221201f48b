//! Resolves a name, checks every address, and gives exactly those to the connector.
//!
//! The connector connects to what it is given here and resolves nothing itself, so a name that
//! answers differently the next time (DNS rebinding) gains nothing. It is not asked about literal
//! addresses: those are checked with the URL.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tower_service::Service;

use crate::address_policy::{AddressPolicy, AddressRefused};
use crate::lookup::{LookupError, SharedLookups};

/// Why there is no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("{name} resolves to {refused}")]
    Refused { name: String, refused: AddressRefused },
}

#[derive(Clone)]
pub(crate) struct GuardedResolver {
    policy: Arc<AddressPolicy>,
    lookups: Arc<SharedLookups>,
}

impl GuardedResolver {
    pub(crate) fn new(policy: Arc<AddressPolicy>, lookups: Arc<SharedLookups>) -> Self {
        Self { policy, lookups }
    }

    /// The same without a guard: for names that whoever runs the installation gave.
    pub(crate) fn unguarded(&self) -> Self {
        let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        Self {
            policy: Arc::new(AddressPolicy::new(everything.to_vec())),
            lookups: Arc::clone(&self.lookups),
        }
    }

    /// The addresses of `name`, all of which may be connected to.
    pub(crate) async fn checked_addresses(self, name: String) -> Result<Vec<IpAddr>, ResolveError> {
        let addresses = self.lookups.addresses(name.clone()).await?;
        let checked = self.policy.check_all(&addresses);
        checked.map_err(|refused| ResolveError::Refused { name, refused })?;
        Ok(addresses)
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.checked_addresses(name.as_str().to_owned()).await?;
            // Port 0 is replaced by the URL's or the scheme's.
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(sockets.collect::<Vec<_>>().into_iter())
        })
    }
}
