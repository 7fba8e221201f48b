//! Looking through a stream: what lies in it, in order, without taking any of it.
//!
//! A consumer of the look's own brings it, in memory and on one server, acknowledges nothing and is removed
//! at the end. It is served by whichever replica it was placed on: whether a message is still there, only
//! the stream's leader knows. Work queues allow no second consumer and can't be looked through.

use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use tokio::time::Instant;

use crate::connection::Broker;
use crate::delivered::Delivered;
use crate::error::BrokerError;
use crate::group_consumer::delete_consumer;
use crate::pull::{PullFeed, PullSettings, Pulled};
use crate::random::random_bits;

/// How long one look may take: some ten million headers.
const LOOK_TIME_MAX: Duration = Duration::from_secs(60);
/// When the server removes a look's consumer that nobody removed.
const LOOK_INACTIVE: Duration = Duration::from_secs(30);

/// What is looked through.
#[derive(Clone, Debug)]
pub(crate) struct LookPlan {
    /// The stream.
    pub(crate) stream: String,
    /// Where the look begins.
    pub(crate) from: DeliverPolicy,
    /// The subjects that are wanted; none = all.
    pub(crate) filters: Vec<String>,
    /// Whether payloads are left out.
    pub(crate) headers_only: bool,
    /// How many messages are on the way at the most.
    pub(crate) window_messages: usize,
}

/// A look that is open. [`Look::close`] it: one that is dropped is left to the server.
pub(crate) struct Look {
    broker: Broker,
    stream: String,
    consumer: String,
    window_messages: usize,
    first_sequence: u64,
    ahead: u64,
    feed: Option<PullFeed>,
    until: Instant,
}

impl Look {
    /// Opens a look; nothing is read yet.
    pub(crate) async fn open(broker: &Broker, plan: LookPlan) -> Result<Look, BrokerError> {
        let consumer = format!("look-{:016x}", random_bits());
        let config = pull::Config {
            name: Some(consumer.clone()),
            deliver_policy: plan.from,
            ack_policy: AckPolicy::None,
            filter_subjects: plan.filters,
            headers_only: plan.headers_only,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: LOOK_INACTIVE,
            ..pull::Config::default()
        };
        let created = broker
            .jetstream()
            .create_consumer_on_stream(config, &*plan.stream)
            .await;
        let created = created.map_err(|error| failed(&plan.stream, error))?;
        let seen = created.cached_info();
        Ok(Look {
            broker: broker.clone(),
            consumer,
            window_messages: plan.window_messages,
            // The server names the last sequence that is not looked at.
            first_sequence: seen.delivered.stream_sequence + 1,
            ahead: seen.num_pending,
            feed: None,
            until: Instant::now() + LOOK_TIME_MAX,
            stream: plan.stream,
        })
    }

    /// How many messages are ahead of it, as the server last said.
    pub(crate) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// The sequence at which it begins: no wanted message before it has one as high.
    pub(crate) fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// The next message; none once nothing is ahead. What comes into the stream meanwhile is seen too: a look
    /// at one that grows is for the caller to end.
    pub(crate) async fn next(&mut self) -> Result<Option<(Message, Delivered)>, BrokerError> {
        if self.ahead == 0 {
            return Ok(None);
        }
        let until = self.until;
        let next = tokio::time::timeout_at(until, self.pull()).await;
        let (message, delivered) = next.unwrap_or_else(|_| Err(failed(&self.stream, "it took too long")))?;
        self.ahead = delivered.pending;
        Ok(Some((message, delivered)))
    }

    async fn pull(&mut self) -> Result<(Message, Delivered), BrokerError> {
        let feed = match &mut self.feed {
            Some(feed) => feed,
            None => {
                let settings = PullSettings {
                    stream: self.stream.clone(),
                    consumer: self.consumer.clone(),
                    group: None,
                    window_messages: self.window_messages,
                    window_bytes: 0,
                    check_gaps: true,
                };
                self.feed.insert(PullFeed::open(&self.broker, settings).await?)
            }
        };
        match feed.next().await {
            Pulled::Message(message, delivered) => Ok((message, delivered)),
            Pulled::Interrupted(reason) => Err(failed(&self.stream, reason)),
            Pulled::Replaced => Err(failed(&self.stream, "refused")),
        }
    }

    /// Removes what the look needed on the server.
    pub(crate) async fn close(self) {
        if let Err(error) = delete_consumer(&self.broker, &self.stream, &self.consumer).await {
            tracing::debug!(%error, "a look's consumer is left to the server");
        }
    }
}

fn failed(stream: &str, reason: impl std::fmt::Display) -> BrokerError {
    BrokerError::request(format!("looking through {stream}"), reason)
}
