//! The bodies of dead deliveries that are in the object store: the journal keeps them with the dead
//! letters, and removes them from there once it does.

use std::collections::HashMap;

use hookrail_broker::{Broker, BrokerError, codec::DeadLetter};
use hookrail_domain::{delivery::Delivery, event::Body};

use crate::fetch_bodies::fetch;

/// Bytes of such bodies that are in memory, and written in one transaction, unless a single one is larger.
pub(crate) const TOGETHER_BYTES: u64 = 8 * 1024 * 1024;

/// Bodies that were fetched, by their names.
#[derive(Default)]
pub(crate) struct DeadBodies {
    found: HashMap<String, Body>,
    names: Vec<String>,
}

impl DeadBodies {
    /// Fetches the bodies of these letters. They take no part in the memory for large bodies: whoever has
    /// that may wait for room in the object store, which is made here.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub(crate) async fn fetch(broker: &Broker, letters: &[&DeadLetter]) -> Result<Self, BrokerError> {
        let mut bodies = Self::default();
        for letter in letters {
            let Body::Object { name, .. } = &letter.delivery.body else {
                continue;
            };
            bodies.names.push(name.clone());
            match fetch(broker, &letter.delivery.body).await? {
                Some(body) => drop(bodies.found.insert(name.clone(), body)),
                // It is a dead letter already, or was one.
                None => tracing::debug!(name, "the body of a dead delivery is not in the object store"),
            }
        }
        Ok(bodies)
    }

    /// The delivery with its body.
    pub(crate) fn complete(&self, delivery: &Delivery) -> Delivery {
        let found = match &delivery.body {
            Body::Object { name, .. } => self.found.get(name),
            Body::Inline(_) => None,
        };
        let body = found.unwrap_or(&delivery.body).clone();
        Delivery {
            body,
            ..delivery.clone()
        }
    }

    /// Removes them from the object store. What can't be removed now is swept some day.
    pub(crate) async fn remove(self, broker: &Broker) {
        for name in &self.names {
            if let Err(error) = broker.delete_object(name).await {
                tracing::warn!(name, %error, "the body of a dead letter is left to be swept");
            }
        }
    }
}
