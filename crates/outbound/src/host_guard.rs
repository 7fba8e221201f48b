//! Resolving a host that something else than HTTP connects to, such as a database: under the same policy, and to
//! addresses that were checked. Whoever connects has to connect to one of these, and to nothing by name.

use std::net::IpAddr;
use std::sync::Arc;

use crate::address_policy::AddressPolicy;
use crate::guarded_resolver::GuardedResolver;
use crate::lookup::{SharedLookups, SystemLookup};

/// A host has no address that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct HostRefused {
    reason: String,
}

/// Resolves hosts and checks their addresses.
#[derive(Clone)]
pub struct HostGuard {
    resolver: GuardedResolver,
}

impl HostGuard {
    /// A guard under this policy.
    pub fn new(policy: AddressPolicy) -> Self {
        let lookups = SharedLookups::new(Arc::new(SystemLookup));
        Self {
            resolver: GuardedResolver::new(Arc::new(policy), lookups),
        }
    }

    /// The addresses of a name, or of an address in whatever notation the system reads, all of which may be
    /// connected to.
    ///
    /// # Errors
    /// When it can't be resolved, or one of its addresses is refused.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, HostRefused> {
        let found = self.resolver.clone().checked_addresses(host.to_owned()).await;
        found.map_err(|error| HostRefused {
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_are_checked_in_every_notation() {
        let guard = HostGuard::new(AddressPolicy::default());
        for host in [
            "127.0.0.1",
            "::1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "169.254.169.254",
            "localhost",
        ] {
            assert!(guard.addresses(host).await.is_err(), "{host}");
        }
        let allowed = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let found = HostGuard::new(allowed).addresses("127.0.0.1").await.unwrap();
        assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }
}
