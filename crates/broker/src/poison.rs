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

/// A mark as it was read, with the revision that it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundMark {
    /// The mark.
    pub mark: PoisonMark,
    /// Its revision.
    pub revision: u64,
}

impl Broker {
    /// The mark of a raw partition, if one was ever set.
    pub async fn poison_mark(&self, partition: u32) -> Result<Option<FoundMark>, BrokerError> {
        let key = self.names().poison_key(partition);
        let Some(entry) = self.key_read(&self.names().owner_bucket(), &key).await? else {
            return Ok(None);
        };
        let mark = serde_json::from_slice(&entry.value).map_err(|error| BrokerError::Unreadable {
            what: key,
            reason: error.to_string(),
        })?;
        Ok(Some(FoundMark {
            mark,
            revision: entry.revision,
        }))
    }

    /// Sets the mark if its revision is still `expected` (0: never set); on disk when this returns the
    /// new revision. None: somebody else has set it. After an error the outcome is unknown.
    pub async fn set_poison_mark(
        &self,
        partition: u32,
        mark: PoisonMark,
        expected: u64,
    ) -> Result<Option<u64>, BrokerError> {
        let key = self.names().poison_key(partition);
        let value = serde_json::to_vec(&mark).expect("a struct of numbers is JSON");
        let bucket = self.names().owner_bucket();
        self.key_write_expecting(&bucket, &key, Bytes::from(value), expected)
            .await
    }
}
