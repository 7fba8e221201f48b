//! The mark that a raw partition's owner sets before an event that may kill it.
//!
//! Kept apart from the owner key, whose revision is the epoch. When to set it, and when its count
//! makes an event poison, is the processor's decision.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::connection::Broker;
use crate::error::BrokerError;

/// Which event was worked on, and how many owners have died with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoisonMark {
    /// The event's sequence in the partition.
    pub sequence: u64,
    /// How often an owner died while it was marked.
    pub count: u32,
}

impl Broker {
    /// The mark of a raw partition, if one was ever set.
    pub async fn poison_mark(&self, partition: u32) -> Result<Option<PoisonMark>, BrokerError> {
        let key = self.names().poison_key(partition);
        let entry = self.key_read(&self.names().owner_bucket(), &key).await?;
        let read = entry
            .map(|entry| serde_json::from_slice(&entry.value))
            .transpose();
        read.map_err(|error| BrokerError::Unreadable {
            what: key,
            reason: error.to_string(),
        })
    }

    /// Sets the mark; on disk when this returns.
    pub async fn set_poison_mark(&self, partition: u32, mark: PoisonMark) -> Result<(), BrokerError> {
        let key = self.names().poison_key(partition);
        let value = serde_json::to_vec(&mark).expect("a struct of numbers is JSON");
        let bucket = self.names().owner_bucket();
        self.key_write(&bucket, &key, Bytes::from(value)).await.map(drop)
    }
}
