//! The owner's reader of one delivery partition.
//!
//! Gives each message once, in stream order, and keeps it unacknowledged until the owner says so.
//! When messages may have been lost on the way it opens the consumer again by itself; what the
//! owner holds already is then not given twice.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use bytes::Bytes;
use hookrail_domain::Millis;
use tokio::task::JoinSet;

use crate::connection::Broker;
use crate::delivery_acker::{DeliveryAcker, HeldMessages};
use crate::error::{BrokerError, ReaderError};
use crate::fence::move_fence;
use crate::group_consumer::{group_of, replace_consumer, replaced};
use crate::lease::Lease;
use crate::message::MessageHeaders;
use crate::names::CONSUMER_DISPATCHER;
use crate::parked_store::ParkedStore;
use crate::pull::{PullFeed, PullSettings, Pulled};

/// How many deliveries an owner may hold unacknowledged.
const ACK_PENDING_MAX: i64 = 1_000;
/// How many deliveries may be on their way or waiting here.
const WINDOW_MESSAGES: usize = 500;
/// How many bytes one pull may bring.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// Long: this timer is never the way to a retry or to another owner.
const ACK_WAIT: Duration = Duration::from_secs(600);
/// The pause between two tries to open the consumer again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// A delivery that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryMessage {
    /// Its place in the partition, to acknowledge it by.
    pub sequence: u64,
    /// When the broker stored it.
    pub timestamp_ms: Millis,
    /// The encoded delivery.
    pub payload: Bytes,
    /// Its headers.
    pub headers: MessageHeaders,
}

/// Reads a delivery partition under a lease.
pub struct DeliveryReader {
    broker: Broker,
    lease: Lease,
    feed: PullFeed,
    held: Arc<HeldMessages>,
    delivered_before: u64,
    fence_sequence: u64,
    caught_up: bool,
    /// The opening of the consumer anew, while that is under way: one task at most.
    reopening: JoinSet<Result<PullFeed, ReaderError>>,
}

impl DeliveryReader {
    /// Takes the partition over: moves its fence, replaces its consumer, and makes sure that the
    /// lease is still the newest.
    pub async fn open(broker: &Broker, lease: &Lease) -> Result<DeliveryReader, ReaderError> {
        let fence_sequence = move_fence(broker, lease).await?;
        let feed = open_feed(broker, lease).await?;
        // Not what the consumer had given out: an owner that died before it was given anything leaves
        // a consumer with nothing, while what the owner before it sent may still be on its way.
        let delivered_before = match lease.unclean_takeover() {
            true => {
                let stream = broker.names().delivery_stream(lease.partition());
                broker.last_sequence(&stream).await?
            }
            false => 0,
        };
        let caught_up = !lease.unclean_takeover() || has_nothing_pending(broker, lease.partition()).await?;
        Ok(DeliveryReader {
            broker: broker.clone(),
            lease: lease.clone(),
            feed,
            held: Arc::new(HeldMessages::default()),
            delivered_before,
            fence_sequence,
            caught_up,
            reopening: JoinSet::new(),
        })
    }

    /// The highest sequence that owners before may have sent; 0 after a clean hand-over.
    pub fn delivered_before(&self) -> u64 {
        self.delivered_before
    }

    /// The last owner did not hand over: a lane with messages up to
    /// [`DeliveryReader::delivered_before`] must wait one request time-out before its first send.
    pub fn unclean(&self) -> bool {
        self.lease.unclean_takeover()
    }

    /// Whether all that the owner before may have had was given by now.
    pub fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// The parked deliveries of the same partition, for the same owner.
    pub fn parked_store(&self) -> ParkedStore {
        ParkedStore::new(&self.broker, &self.lease, self.fence_sequence)
    }

    /// Acknowledges what this reader gives.
    pub fn acker(&self) -> DeliveryAcker {
        let stream = self.broker.names().delivery_stream(self.lease.partition());
        let (broker, lease) = (self.broker.clone(), self.lease.clone());
        DeliveryAcker::new(broker, lease, stream, Arc::clone(&self.held))
    }

    /// Waits for the next delivery. May be dropped while it waits. Keep calling it: a lost
    /// connection is noticed and mended here.
    pub async fn next(&mut self) -> Result<DeliveryMessage, ReaderError> {
        loop {
            if !self.lease.holds() {
                return Err(replaced(&self.lease));
            }
            if let Some(opened) = self.reopening.join_next().await {
                self.feed = opened.map_err(|error| BrokerError::request("opening a consumer", error))??;
            }
            match self.feed.next().await {
                Pulled::Message(message, delivered) => {
                    let sequence = delivered.stream_sequence;
                    self.caught_up |= delivered.pending == 0;
                    if self.held.came(sequence, message.reply) {
                        return Ok(DeliveryMessage {
                            sequence,
                            timestamp_ms: delivered.timestamp_ms,
                            headers: MessageHeaders::read(message.headers.as_ref()),
                            payload: message.payload,
                        });
                    }
                }
                Pulled::Replaced => return Err(replaced(&self.lease)),
                Pulled::Interrupted(reason) => self.reopen(&reason),
            }
        }
    }

    /// Begins to open the consumer anew. It takes several round trips, and whoever waits in `next` may
    /// give up sooner each time, so it goes on in a task of its own.
    fn reopen(&mut self, reason: &str) {
        let partition = self.lease.partition();
        tracing::info!(
            partition,
            reason,
            "opening the delivery partition's consumer again"
        );
        // Before the consumer is replaced: no acknowledgement of the old one may reach the new.
        self.held.forget_replies();
        self.reopening
            .spawn(open_anew(self.broker.clone(), self.lease.clone()));
    }
}

/// Opens the consumer, until it is open or the lease is over.
async fn open_anew(broker: Broker, lease: Lease) -> Result<PullFeed, ReaderError> {
    let partition = lease.partition();
    loop {
        match open_feed(&broker, &lease).await {
            Err(ReaderError::Broker(error)) if lease.holds() => {
                tracing::warn!(partition, %error, "the delivery partition's consumer is not open");
                tokio::time::sleep(REOPEN_PAUSE).await;
            }
            Err(ReaderError::Broker(_)) => return Err(replaced(&lease)),
            opened => return opened,
        }
    }
}

/// Whether a consumer that was just created has nothing to give.
async fn has_nothing_pending(broker: &Broker, partition: u32) -> Result<bool, ReaderError> {
    let name = broker.names().delivery_stream(partition);
    let failed = |reason: String| BrokerError::request(format!("the consumer of {name}"), reason);
    let stream = broker.stream_ref(&name).await?;
    let info = stream.consumer_info(CONSUMER_DISPATCHER).await;
    Ok(info.map_err(|error| failed(error.to_string()))?.num_pending == 0)
}

async fn open_feed(broker: &Broker, lease: &Lease) -> Result<PullFeed, ReaderError> {
    let stream = broker.names().delivery_stream(lease.partition());
    let config = pull::Config {
        durable_name: Some(CONSUMER_DISPATCHER.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: ACK_PENDING_MAX,
        max_deliver: -1,
        ..pull::Config::default()
    };
    replace_consumer(broker, lease, &stream, config).await?;
    let settings = PullSettings {
        stream,
        consumer: CONSUMER_DISPATCHER.to_owned(),
        group: Some(group_of(lease.epoch())),
        window_messages: WINDOW_MESSAGES,
        window_bytes: WINDOW_BYTES,
        check_gaps: true,
    };
    Ok(PullFeed::open(broker, settings).await?)
}
