//! A raw partition as the event log: looked into, searched, and trimmed by its owner.

use std::time::Duration;

use async_nats::datetime::{DateTime, from_nanos};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use hookrail_domain::Millis;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::group_consumer::delete_consumer;
use crate::message::{MessageHeaders, RawMessage, last_token};
use crate::pull::{PullFeed, PullSettings, Pulled};
use crate::random::random_bits;

/// How far before its id's time an event may have been stored, by clocks that differ.
const FIND_BEFORE_MS: Millis = 2_000;
/// How far after its id's time an event may have been stored: publish retries and clocks.
const FIND_AFTER_MS: Millis = 10_000;
/// How many messages a search looks at.
const FIND_SCAN_MAX: usize = 100_000;
/// How long a search may take.
const FIND_TIME_MAX: Duration = Duration::from_secs(5);
/// How many headers a search has on the way.
const FIND_WINDOW: usize = 1_000;
/// When the server removes a search's consumer that nobody removed.
const FIND_INACTIVE: Duration = Duration::from_secs(30);

/// How full a raw partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawState {
    /// Events in it.
    pub messages: u64,
    /// Their size, as the broker counts it.
    pub bytes: u64,
    /// The size at which it refuses.
    pub max_bytes: u64,
    /// The lowest sequence still there; last + 1 when empty.
    pub first_sequence: u64,
    /// The highest sequence ever given.
    pub last_sequence: u64,
}

impl Broker {
    /// How full a raw partition is.
    pub async fn raw_state(&self, partition: u32) -> Result<RawState, BrokerError> {
        let name = self.names().raw_stream(partition);
        let info = self
            .raw(partition)
            .await?
            .get_info()
            .await
            .map_err(|error| BrokerError::request(format!("the state of {name}"), error))?;
        Ok(RawState {
            messages: info.state.messages,
            bytes: info.state.bytes,
            max_bytes: u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX),
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
        })
    }

    /// Removes all events up to and including a sequence. Gives how many there were.
    pub async fn trim_raw(&self, partition: u32, up_to_sequence: u64) -> Result<u64, BrokerError> {
        let stream = self.raw(partition).await?;
        stream
            .purge()
            .sequence(up_to_sequence + 1)
            .await
            .map(|answer| answer.purged)
            .map_err(|error| BrokerError::request(format!("trimming raw partition {partition}"), error))
    }

    /// One event, asked from the leader; none if it was trimmed or never there.
    pub async fn raw_get(&self, partition: u32, sequence: u64) -> Result<Option<RawMessage>, BrokerError> {
        match self.raw(partition).await?.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(RawMessage {
                sequence: message.sequence,
                timestamp_ms: milliseconds(message.time),
                source: last_token(&message.subject),
                headers: MessageHeaders::read(Some(&message.headers)),
                payload: message.payload,
            })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BrokerError::request(
                format!("event {sequence} of raw partition {partition}"),
                error,
            )),
        }
    }

    /// Finds an event by its id: looks at the headers of what was stored around the id's time.
    /// None also when there was too much to look at.
    pub async fn find_event(
        &self,
        partition: u32,
        event_id: &str,
        created_at_ms: Millis,
    ) -> Result<Option<RawMessage>, BrokerError> {
        let from = from_nanos(i128::from(created_at_ms - FIND_BEFORE_MS) * 1_000_000)
            .map_err(|error| BrokerError::request("the event's time", error))?;
        let policy = DeliverPolicy::ByStartTime { start_time: from };
        let name = format!("find-{:016x}", random_bits());
        let pending = self.create_scan(partition, &name, policy, None).await?;
        let scan = self.scan(partition, &name, pending, event_id, created_at_ms + FIND_AFTER_MS);
        let found = tokio::time::timeout(FIND_TIME_MAX, scan).await;
        self.delete_scan(partition, &name).await;
        match found {
            Ok(Ok(Some(sequence))) => self.raw_get(partition, sequence).await,
            Ok(Ok(None)) | Err(_) => Ok(None),
            Ok(Err(error)) => Err(error),
        }
    }

    /// How many events of a source lie above a sequence, exactly. `source` is the source's id.
    pub async fn pending_by_source(
        &self,
        partition: u32,
        source: &str,
        after_sequence: u64,
    ) -> Result<u64, BrokerError> {
        let policy = DeliverPolicy::ByStartSequence {
            start_sequence: after_sequence + 1,
        };
        let name = format!("count-{:016x}", random_bits());
        let subject = self.names().raw_subject(partition, source);
        let pending = self.create_scan(partition, &name, policy, Some(subject)).await?;
        self.delete_scan(partition, &name).await;
        Ok(pending)
    }

    async fn raw(&self, partition: u32) -> Result<Stream<()>, BrokerError> {
        self.stream_ref(&self.names().raw_stream(partition)).await
    }

    /// Creates a consumer that only looks; gives how many messages are ahead of it.
    async fn create_scan(
        &self,
        partition: u32,
        name: &str,
        deliver_policy: DeliverPolicy,
        filter: Option<String>,
    ) -> Result<u64, BrokerError> {
        let config = pull::Config {
            name: Some(name.to_owned()),
            deliver_policy,
            ack_policy: AckPolicy::None,
            filter_subject: filter.unwrap_or_default(),
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FIND_INACTIVE,
            ..pull::Config::default()
        };
        let stream = self.names().raw_stream(partition);
        self.jetstream()
            .create_consumer_on_stream(config, &stream)
            .await
            .map(|consumer| consumer.cached_info().num_pending)
            .map_err(|error| BrokerError::request(format!("looking into {stream}"), error))
    }

    async fn delete_scan(&self, partition: u32, name: &str) {
        let stream = self.names().raw_stream(partition);
        if let Err(error) = delete_consumer(self, &stream, name).await {
            tracing::debug!(%error, "a search's consumer is left to the server");
        }
    }

    async fn scan(
        &self,
        partition: u32,
        name: &str,
        pending: u64,
        event_id: &str,
        until_ms: Millis,
    ) -> Result<Option<u64>, BrokerError> {
        let settings = PullSettings {
            stream: self.names().raw_stream(partition),
            consumer: name.to_owned(),
            group: None,
            window_messages: FIND_WINDOW,
            window_bytes: 0,
            check_gaps: true,
        };
        let scan_max = usize::try_from(pending).unwrap_or(usize::MAX).min(FIND_SCAN_MAX);
        let mut feed = PullFeed::open(self, settings).await?;
        for _ in 0..scan_max {
            match feed.next().await {
                Pulled::Message(_, delivered) if delivered.timestamp_ms > until_ms => break,
                Pulled::Message(message, delivered) => {
                    if crate::message::event_id(message.headers.as_ref()) == Some(event_id) {
                        return Ok(Some(delivered.stream_sequence));
                    }
                }
                Pulled::Interrupted(reason) => {
                    return Err(BrokerError::request("searching an event", reason));
                }
                Pulled::Replaced => return Err(BrokerError::request("searching an event", "refused")),
            }
        }
        Ok(None)
    }
}

fn milliseconds(time: DateTime) -> Millis {
    Millis::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(Millis::MAX)
}
