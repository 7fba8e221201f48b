//! The owner's reader of one raw partition.
//!
//! It reads from where the committed work ends, in stream order, each event once. What was
//! committed is kept by the caller; the consumer on the broker is only a means.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use bytes::Bytes;

use crate::connection::Broker;
use crate::delivered::Delivered;
use crate::error::{BrokerError, ReaderError};
use crate::group_consumer::{group_of, replace_consumer, replaced};
use crate::lease::Lease;
use crate::message::{MessageHeaders, RawMessage, last_token};
use crate::names::CONSUMER_PROCESSOR;
use crate::pull::{PullFeed, PullSettings, Pulled};

/// How many events may be on their way or waiting here.
const WINDOW_MESSAGES: usize = 512;
/// How many bytes one pull may bring.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// How many events may be read and not yet acknowledged.
const ACK_PENDING_MAX: i64 = 4_096;
/// Long: a redelivery by this timer is never wanted, and ignored when it comes.
const ACK_WAIT: Duration = Duration::from_secs(600);
/// The pause between two tries to open the consumer again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// Reads a raw partition under a lease.
pub struct RawReader {
    broker: Broker,
    lease: Lease,
    feed: PullFeed,
    last_sequence: u64,
    unacknowledged: VecDeque<(u64, Subject)>,
}

impl RawReader {
    /// Takes the partition's consumer over, to read on after `committed_sequence`. Call it once
    /// the lease's epoch is written to the partition's progress, not before.
    pub async fn open(
        broker: &Broker,
        lease: &Lease,
        committed_sequence: u64,
    ) -> Result<RawReader, ReaderError> {
        let feed = open_feed(broker, lease, committed_sequence).await?;
        Ok(RawReader {
            broker: broker.clone(),
            lease: lease.clone(),
            feed,
            last_sequence: committed_sequence,
            unacknowledged: VecDeque::new(),
        })
    }

    /// The next events: what has come, at most `max_messages`, no more once they have `max_bytes`
    /// together. Waits for the first only. May be dropped while it waits.
    pub async fn next_batch(
        &mut self,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<Vec<RawMessage>, ReaderError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.is_empty() {
            let (message, delivered) = self.first().await?;
            self.take(message, delivered, &mut batch, &mut bytes);
        }
        while batch.len() < max_messages && bytes < max_bytes {
            match self.feed.try_next() {
                Some(Pulled::Message(message, delivered)) => {
                    self.take(message, delivered, &mut batch, &mut bytes);
                }
                // What ended the feed is found again by the next call.
                Some(Pulled::Interrupted(_) | Pulled::Replaced) | None => break,
            }
        }
        Ok(batch)
    }

    /// Acknowledges all events up to `sequence`, which must be committed. Not waited for: were it
    /// lost, the next owner would still begin after what is committed.
    pub async fn ack_through(&mut self, sequence: u64) -> Result<(), ReaderError> {
        let mut newest = None;
        while let Some((_, reply)) = self.unacknowledged.pop_front_if(|(read, _)| *read <= sequence) {
            newest = Some(reply);
        }
        let Some(reply) = newest else {
            return Ok(());
        };
        let sent = self.broker.client().publish(reply, Bytes::from_static(b"+ACK"));
        sent.await
            .map_err(|error| BrokerError::request("acknowledging events", error))?;
        Ok(())
    }

    /// The sequence of the last event read.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    async fn first(&mut self) -> Result<(async_nats::Message, Delivered), ReaderError> {
        loop {
            if !self.lease.holds() {
                return Err(replaced(&self.lease));
            }
            match self.feed.next().await {
                Pulled::Message(message, delivered) => return Ok((message, delivered)),
                Pulled::Replaced => return Err(replaced(&self.lease)),
                Pulled::Interrupted(reason) => self.reopen(&reason).await?,
            }
        }
    }

    fn take(
        &mut self,
        message: async_nats::Message,
        delivered: Delivered,
        batch: &mut Vec<RawMessage>,
        bytes: &mut usize,
    ) {
        let sequence = delivered.stream_sequence;
        if sequence <= self.last_sequence {
            return;
        }
        self.last_sequence = sequence;
        if let Some(reply) = &message.reply {
            self.unacknowledged.push_back((sequence, reply.clone()));
        }
        *bytes += message.payload.len();
        batch.push(RawMessage {
            sequence,
            timestamp_ms: delivered.timestamp_ms,
            source: last_token(&message.subject),
            headers: MessageHeaders::read(message.headers.as_ref()),
            payload: message.payload,
        });
    }

    /// Reads on after the last event read, through a new consumer of the same epoch.
    async fn reopen(&mut self, reason: &str) -> Result<(), ReaderError> {
        let partition = self.lease.partition();
        tracing::info!(partition, reason, "opening the raw partition's consumer again");
        loop {
            match open_feed(&self.broker, &self.lease, self.last_sequence).await {
                Ok(feed) => {
                    // Replies of the consumer that was replaced mean nothing to the new one.
                    self.unacknowledged.clear();
                    self.feed = feed;
                    return Ok(());
                }
                Err(ReaderError::Broker(error)) if self.lease.holds() => {
                    tracing::warn!(partition, %error, "the raw partition's consumer is not open");
                    tokio::time::sleep(REOPEN_PAUSE).await;
                }
                Err(ReaderError::Broker(_)) => return Err(replaced(&self.lease)),
                Err(error) => return Err(error),
            }
        }
    }
}

async fn open_feed(broker: &Broker, lease: &Lease, after_sequence: u64) -> Result<PullFeed, ReaderError> {
    let stream = broker.names().raw_stream(lease.partition());
    let config = pull::Config {
        durable_name: Some(CONSUMER_PROCESSOR.to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: after_sequence + 1,
        },
        ack_policy: AckPolicy::All,
        ack_wait: ACK_WAIT,
        max_ack_pending: ACK_PENDING_MAX,
        max_deliver: -1,
        ..pull::Config::default()
    };
    replace_consumer(broker, lease, &stream, config).await?;
    let settings = PullSettings {
        stream,
        consumer: CONSUMER_PROCESSOR.to_owned(),
        group: Some(group_of(lease.epoch())),
        window_messages: WINDOW_MESSAGES,
        window_bytes: WINDOW_BYTES,
        check_gaps: true,
    };
    Ok(PullFeed::open(broker, settings).await?)
}
