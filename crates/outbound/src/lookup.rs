//! Resolving names, with bounded cost.
//!
//! The system's resolver can't be cancelled and holds a thread, so calls for the same name share one
//! look-up, and the number of names at a time is limited. Nothing is cached: what a name resolves to
//! is checked for each new connection. Which addresses are allowed is not decided here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::limits::{ADDRESSES_PER_NAME, LOOKUP_TIMEOUT, LOOKUPS_IN_FLIGHT};

/// Why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("{name} could not be resolved: {reason}")]
    Failed { name: String, reason: String },
    #[error("{0} has no addresses")]
    Empty(String),
    #[error("resolving {0} took longer than {limit} ms", limit = LOOKUP_TIMEOUT.as_millis())]
    Slow(String),
    #[error("{0} was not resolved: too many other names are being resolved")]
    Busy(String),
}

pub(crate) type Addresses = Result<Vec<IpAddr>, LookupError>;

/// Where addresses come from; tests give their own answers.
pub(crate) trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> BoxFuture<'static, Addresses>;
}

/// The system's resolver: hosts file, then DNS.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, Addresses> {
        async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map(|sockets| sockets.map(|s| s.ip()).take(ADDRESSES_PER_NAME).collect());
            found.map_err(|error| LookupError::Failed {
                name,
                reason: error.to_string(),
            })
        }
        .boxed()
    }
}

type InFlight = Shared<BoxFuture<'static, Addresses>>;

/// Look-ups under way, one per name.
pub(crate) struct SharedLookups {
    lookup: Arc<dyn Lookup>,
    in_flight: Mutex<HashMap<String, InFlight>>,
}

impl SharedLookups {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Arc<Self> {
        Arc::new(Self {
            lookup,
            in_flight: Mutex::new(HashMap::new()),
        })
    }

    /// The addresses of a name, in the resolver's order.
    pub(crate) async fn addresses(self: Arc<Self>, name: String) -> Addresses {
        let in_flight = self.join(&name)?;
        let found = tokio::time::timeout(LOOKUP_TIMEOUT, in_flight).await;
        let found = found.map_err(|_| LookupError::Slow(name.clone()))??;
        if found.is_empty() {
            Err(LookupError::Empty(name))
        } else {
            Ok(found)
        }
    }

    fn join(self: &Arc<Self>, name: &str) -> Result<InFlight, LookupError> {
        let mut in_flight = self.lock();
        if let Some(running) = in_flight.get(name) {
            return Ok(running.clone());
        }
        if in_flight.len() >= LOOKUPS_IN_FLIGHT {
            return Err(LookupError::Busy(name.to_owned()));
        }
        // The lock is held until the entry is in, so the task can't remove it before.
        let started = self.start(name);
        in_flight.insert(name.to_owned(), started.clone());
        Ok(started)
    }

    /// Runs apart from the callers, since giving up on it doesn't free its thread.
    fn start(self: &Arc<Self>, name: &str) -> InFlight {
        let entry = InFlightEntry {
            lookups: Arc::clone(self),
            name: name.to_owned(),
        };
        let lookup = self.lookup.lookup(name.to_owned());
        let task = tokio::spawn(async move {
            let _removed_at_the_end = entry;
            lookup.await
        });
        let name = name.to_owned();
        let aborted = |reason: String| LookupError::Failed { name, reason };
        async move { task.await.unwrap_or_else(|e| Err(aborted(e.to_string()))) }
            .boxed()
            .shared()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, InFlight>> {
        // Nothing that can panic runs under the lock, and a map stays whole if it did.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes its look-up when that ends in whatever way.
struct InFlightEntry {
    lookups: Arc<SharedLookups>,
    name: String,
}

impl Drop for InFlightEntry {
    fn drop(&mut self) {
        self.lookups.lock().remove(&self.name);
    }
}
