//! Single keys of the two buckets: read from the leader, written by compare-and-set.
//!
//! Reads through a bucket's usual way may be answered by a replica that is behind; what decides
//! about ownership must not be. So these ask the stream's leader.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use bytes::Bytes;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::Names;
use crate::publish::is_wrong_sequence;

const HEADER_EXPECTED_REVISION: &str = "Nats-Expected-Last-Subject-Sequence";
const HEADER_OPERATION: &str = "KV-Operation";
const HEADER_ROLLUP: &str = "Nats-Rollup";
pub(crate) const HEADER_TTL: &str = "Nats-TTL";

/// A key's value and the revision that it was written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyEntry {
    pub(crate) value: Bytes,
    pub(crate) revision: u64,
}

impl Broker {
    /// Reads a key from the leader; none if it was never written or was removed.
    pub(crate) async fn key_read(&self, bucket: &str, key: &str) -> Result<Option<KeyEntry>, BrokerError> {
        let stream = self.stream_ref(&Names::bucket_stream(bucket)).await?;
        let subject = Names::key_subject(bucket, key);
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) if message.headers.get(HEADER_OPERATION).is_some() => Ok(None),
            Ok(message) => Ok(Some(KeyEntry {
                value: message.payload,
                revision: message.sequence,
            })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BrokerError::request(format!("reading key {key}"), error)),
        }
    }

    /// Writes a key, whatever it was before; gives its revision.
    pub(crate) async fn key_write(&self, bucket: &str, key: &str, value: Bytes) -> Result<u64, BrokerError> {
        let written = self.key_publish(bucket, key, HeaderMap::new(), value).await?;
        written.ok_or_else(|| BrokerError::request(format!("writing key {key}"), "refused"))
    }

    /// Writes a key if its revision is still `expected` (0: never written); none if it isn't.
    /// After an error the outcome is unknown.
    pub(crate) async fn key_write_expecting(
        &self,
        bucket: &str,
        key: &str,
        value: Bytes,
        expected: u64,
    ) -> Result<Option<u64>, BrokerError> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_EXPECTED_REVISION, expected.to_string());
        self.key_publish(bucket, key, headers, value).await
    }

    /// Removes a key. Its marker goes after `marker_ttl`.
    pub(crate) async fn key_remove(
        &self,
        bucket: &str,
        key: &str,
        marker_ttl: Duration,
    ) -> Result<(), BrokerError> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_OPERATION, "PURGE");
        headers.insert(HEADER_ROLLUP, "sub");
        headers.insert(HEADER_TTL, format!("{}s", marker_ttl.as_secs().max(1)));
        self.key_publish(bucket, key, headers, Bytes::new()).await?;
        Ok(())
    }

    pub(crate) async fn key_publish(
        &self,
        bucket: &str,
        key: &str,
        headers: HeaderMap,
        value: Bytes,
    ) -> Result<Option<u64>, BrokerError> {
        let subject = match &self.settings().domain {
            Some(_) => self.api_subject(&Names::key_subject(bucket, key)),
            None => Names::key_subject(bucket, key),
        };
        let failed = |error| BrokerError::request(format!("writing key {key}"), error);
        let sent = self
            .jetstream()
            .publish_with_headers(subject, headers, value)
            .await
            .map_err(failed)?;
        match sent.await {
            Ok(ack) => Ok(Some(ack.sequence)),
            Err(error) if is_wrong_sequence(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// A stream to send requests to, without asking whether it exists.
    pub(crate) async fn stream_ref(&self, name: &str) -> Result<Stream<()>, BrokerError> {
        self.jetstream()
            .get_stream_no_info(name)
            .await
            .map_err(|error| BrokerError::request(format!("stream {name}"), error))
    }

    /// The last sequence of a stream, from its leader.
    pub(crate) async fn last_sequence(&self, name: &str) -> Result<u64, BrokerError> {
        let stream = self.jetstream().get_stream(name).await;
        let stream = stream.map_err(|error| BrokerError::request(format!("the state of {name}"), error))?;
        Ok(stream.cached_info().state.last_sequence)
    }
}
