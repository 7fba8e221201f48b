//! How many processes of a kind are alive: each writes a key that the broker forgets by itself, and counts
//! the others'. For dividing limits, not for ownership: a number may be wrong for a time-to-live.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::key_value::HEADER_TTL;
use crate::names::Names;

/// How long a sign of life counts.
const TTL: Duration = Duration::from_secs(10);
/// How often one is given, and the others' are counted.
const PERIOD: Duration = Duration::from_millis(2_500);
/// Processes that are told apart at the most.
const COUNTED_MAX: usize = 1_000;

/// The number of live processes of a kind, this one among them; 1 until they were counted.
#[derive(Clone, Debug)]
pub struct Presence(Arc<AtomicUsize>);

impl Default for Presence {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }
}

impl Presence {
    /// How many there are, at least 1.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed).max(1)
    }
}

impl Broker {
    /// Shows this process as `member` of `kind`, and counts into `presence`, until `stop`.
    pub async fn be_present(&self, kind: &str, member: &str, presence: Presence, stop: CancellationToken) {
        let bucket = self.names().owner_bucket();
        let key = format!("m.{kind}.{member}");
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            match self.show_and_count(&bucket, kind, &key).await {
                Ok(count) => presence.0.store(count, Ordering::Relaxed),
                Err(error) => tracing::debug!(%error, kind, "the live ones were not counted"),
            }
        }
        if let Err(error) = self.key_remove(&bucket, &key, Duration::from_secs(1)).await {
            tracing::debug!(%error, key, "a sign of life is left to run out");
        }
    }

    async fn show_and_count(&self, bucket: &str, kind: &str, key: &str) -> Result<usize, BrokerError> {
        self.key_write_for(bucket, key, Bytes::from_static(b"1"), TTL)
            .await?;
        let failed = |error: &dyn std::fmt::Display| BrokerError::request("counting the live ones", error);
        let stream = self.stream_ref(&Names::bucket_stream(bucket)).await?;
        let filter = Names::key_subject(bucket, &format!("m.{kind}.*"));
        let subjects = stream.info_with_subjects(&filter).await;
        let mut subjects = subjects.map_err(|error| failed(&error))?;
        let mut count = 0;
        while count < COUNTED_MAX
            && subjects
                .try_next()
                .await
                .map_err(|error| failed(&error))?
                .is_some()
        {
            count += 1;
        }
        Ok(count)
    }

    /// Writes a key that the broker forgets after `ttl`.
    async fn key_write_for(
        &self,
        bucket: &str,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> Result<(), BrokerError> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_TTL, format!("{}s", ttl.as_secs().max(1)));
        self.key_publish(bucket, key, headers, value).await.map(drop)
    }
}
