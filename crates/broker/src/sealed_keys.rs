//! Which keys the bucket's secrets are sealed by: what a start needs to know before it goes on without one,
//! and a re-key before it calls an old one needless.

use std::time::Duration;

use async_nats::jetstream::kv::{Entry as KeyEntry, Operation};
use futures::StreamExt;
use hookrail_domain::snapshot::Key;

use crate::codec::decode_entry;
use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::{KEY_ENTRY_PREFIX, KEY_LATE_ANSWERS};
use crate::sealed_entry::keys_of;

/// How long the next definition may take to come.
const NEXT_WAIT: Duration = Duration::from_secs(5);

/// A definition whose entry holds secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    /// Which definition.
    pub key: Key,
    /// The keys that sealed its secrets, one each; `None` for one in clear.
    pub sealed_by: Vec<Option<String>>,
}

impl Broker {
    /// All definitions whose entries hold secrets.
    ///
    /// # Errors
    /// Where the bucket can't be read to its end.
    pub async fn sealed_entries(&self) -> Result<Vec<SealedEntry>, BrokerError> {
        let failed = |reason: String| BrokerError::request("reading the definitions", reason);
        let mut found = Vec::new();
        if self.newest_definition().await? == 0 {
            return Ok(found);
        }
        let bucket = self.names().config_bucket();
        let store = self.jetstream().get_key_value(&bucket).await;
        let store = store.map_err(|error| failed(error.to_string()))?;
        let watch = store.watch_with_history(format!("{KEY_ENTRY_PREFIX}>")).await;
        let mut watch = watch.map_err(|error| failed(error.to_string()))?;
        loop {
            let next = tokio::time::timeout(NEXT_WAIT, watch.next()).await;
            let next = next.map_err(|_| failed("it took too long".to_owned()))?;
            let entry = next.ok_or_else(|| failed("it ended early".to_owned()))?;
            let entry = entry.map_err(|error| failed(error.to_string()))?;
            found.extend(sealed_entry(&entry));
            if entry.delta == 0 {
                return Ok(found);
            }
        }
    }

    /// A key that the bucket's secrets are sealed by, and that this connection's ring does not hold.
    ///
    /// # Errors
    /// Where the bucket can't be read.
    pub async fn missing_key(&self) -> Result<Option<String>, BrokerError> {
        let mut ids: Vec<String> = self
            .sealed_entries()
            .await?
            .into_iter()
            .flat_map(|entry| entry.sealed_by.into_iter().flatten())
            .collect();
        ids.extend(self.late_key_sealed_by().await?.flatten());
        Ok(ids.into_iter().find(|id| !self.settings().key_ring.holds(id)))
    }

    /// Which key sealed the key of late answers; `Some(None)` where it is in clear, `None` where there is
    /// none yet.
    pub(crate) async fn late_key_sealed_by(&self) -> Result<Option<Option<String>>, BrokerError> {
        let bucket = self.names().config_bucket();
        let found = self.key_read(&bucket, KEY_LATE_ANSWERS).await?;
        let sealed_by = |entry: crate::key_value::KeyEntry| {
            let text = std::str::from_utf8(&entry.value).ok()?;
            hookrail_keyring::sealed_by(text).map(str::to_owned)
        };
        Ok(found.map(sealed_by))
    }
}

fn sealed_entry(entry: &KeyEntry) -> Option<SealedEntry> {
    let is_there = entry.operation == Operation::Put;
    // One that can't be read is told of by whoever follows the definitions.
    let mut read = is_there.then(|| decode_entry(&entry.value).ok())??;
    let sealed_by = keys_of(&mut read);
    (!sealed_by.is_empty()).then_some(SealedEntry {
        key: read.key,
        sealed_by,
    })
}
