//! Pulling messages from one durable consumer, without ever losing one unnoticed.
//!
//! async-nats's own pull stream hides lost connections and refused groups; an owner of a partition
//! must know both. So this sends the pull requests itself, keeps a window of them open, and ends
//! as soon as a message may be missing: the caller then replaces the consumer, and everything that
//! was not acknowledged comes again, in order.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection::Broker;
use crate::delivered::{Delivered, parse};
use crate::error::BrokerError;

/// How long a pull request stays open at the server.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says that it is still there.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(3);
/// How long without a word the server is called gone.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// The pause after the server refused a pull request for its size or number.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Which consumer to pull from, and how far ahead.
#[derive(Clone, Debug)]
pub(crate) struct PullSettings {
    pub(crate) stream: String,
    pub(crate) consumer: String,
    /// The priority group: the epoch that the consumer was created for.
    pub(crate) group: Option<String>,
    /// How many messages may be asked for and not yet taken.
    pub(crate) window_messages: usize,
    /// How many bytes one request may bring.
    pub(crate) window_bytes: usize,
    /// Whether a gap in the consumer's numbers means a lost message: true for a single reader.
    pub(crate) check_gaps: bool,
}

/// What came of waiting for a message.
#[derive(Debug)]
pub(crate) enum Pulled {
    /// A message.
    Message(Message, Delivered),
    /// Messages may have been lost on the way; the feed is over.
    Interrupted(String),
    /// The consumer belongs to another group; the feed is over.
    Replaced,
}

/// A window of open pull requests and the messages that they brought.
pub(crate) struct PullFeed {
    broker: Broker,
    settings: PullSettings,
    request_subject: String,
    inbox: String,
    subscriber: Subscriber,
    connects: watch::Receiver<u64>,
    outstanding: usize,
    last_consumer_sequence: u64,
    waiting_since: Option<Instant>,
    interrupted: Option<String>,
}

#[derive(Serialize)]
struct PullRequest<'a> {
    batch: usize,
    expires: u64,
    max_bytes: usize,
    idle_heartbeat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

impl PullFeed {
    pub(crate) async fn open(broker: &Broker, settings: PullSettings) -> Result<PullFeed, BrokerError> {
        let mut connects = broker.connects();
        connects.mark_unchanged();
        let inbox = broker.client().new_inbox();
        let subscriber = broker
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(|error| BrokerError::request("subscribing to an inbox", error))?;
        let request = format!("CONSUMER.MSG.NEXT.{}.{}", settings.stream, settings.consumer);
        Ok(PullFeed {
            request_subject: broker.api_subject(&request),
            broker: broker.clone(),
            settings,
            inbox,
            subscriber,
            connects,
            outstanding: 0,
            last_consumer_sequence: 0,
            waiting_since: None,
            interrupted: None,
        })
    }

    /// Waits for the next message. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Pulled {
        loop {
            if let Some(reason) = &self.interrupted {
                return Pulled::Interrupted(reason.clone());
            }
            if self.connects.has_changed().unwrap_or(true) {
                return self.interrupt("the connection was made again");
            }
            if let Err(error) = self.top_up().await {
                return self.interrupt(error.to_string());
            }
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let message = tokio::select! {
                biased;
                message = tokio::time::timeout_at(since + SILENCE_MAX, self.subscriber.next()) => message,
                _ = self.connects.changed() => return self.interrupt("the connection was made again"),
            };
            self.waiting_since = None;
            match message {
                Ok(Some(message)) => match self.sort(message) {
                    Sorted::Pulled(pulled) => return pulled,
                    Sorted::Nothing => {}
                    Sorted::Refused => tokio::time::sleep(REFUSED_PAUSE).await,
                },
                Ok(None) => return self.interrupt("the subscription ended"),
                Err(_) => return self.interrupt("the server fell silent"),
            }
        }
    }

    /// A message that has come already, if any. Never waits.
    pub(crate) fn try_next(&mut self) -> Option<Pulled> {
        loop {
            if self.interrupted.is_some() {
                return None;
            }
            let message = self.subscriber.next().now_or_never()??;
            self.waiting_since = None;
            if let Sorted::Pulled(pulled) = self.sort(message) {
                return Some(pulled);
            }
        }
    }

    fn interrupt(&mut self, reason: impl Into<String>) -> Pulled {
        let reason = reason.into();
        self.interrupted = Some(reason.clone());
        Pulled::Interrupted(reason)
    }

    async fn top_up(&mut self) -> Result<(), BrokerError> {
        let window = self.settings.window_messages;
        if self.outstanding > window / 2 {
            return Ok(());
        }
        let batch = window - self.outstanding;
        let request = PullRequest {
            batch,
            expires: nanoseconds(PULL_EXPIRES),
            max_bytes: self.settings.window_bytes,
            idle_heartbeat: nanoseconds(IDLE_HEARTBEAT),
            group: self.settings.group.as_deref(),
        };
        let request = serde_json::to_vec(&request).expect("a struct of text and numbers is JSON");
        self.broker
            .client()
            .publish_with_reply(
                self.request_subject.clone(),
                self.inbox.clone(),
                Bytes::from(request),
            )
            .await
            .map_err(|error| BrokerError::request("sending a pull request", error))?;
        self.outstanding += batch;
        Ok(())
    }

    fn sort(&mut self, message: Message) -> Sorted {
        match message.status {
            None | Some(StatusCode::OK) => self.sort_message(message),
            Some(status) => self.sort_status(status, &message),
        }
    }

    fn sort_message(&mut self, message: Message) -> Sorted {
        self.outstanding = self.outstanding.saturating_sub(1);
        let Some(delivered) = message.reply.as_deref().and_then(parse) else {
            tracing::warn!(subject = %message.subject, "a message without a JetStream reply");
            return Sorted::Nothing;
        };
        let expected = self.last_consumer_sequence + 1;
        if self.settings.check_gaps && delivered.consumer_sequence > expected {
            return Sorted::Pulled(self.interrupt("a message was lost on the way"));
        }
        self.last_consumer_sequence = self.last_consumer_sequence.max(delivered.consumer_sequence);
        Sorted::Pulled(Pulled::Message(message, delivered))
    }

    fn sort_status(&mut self, status: StatusCode, message: &Message) -> Sorted {
        let description = message.description.as_deref().unwrap_or_default();
        match status.as_u16() {
            100 => Sorted::Nothing,
            400 => {
                self.interrupted = Some(format!("refused: {description}"));
                Sorted::Pulled(Pulled::Replaced)
            }
            409 if description.starts_with("Exceeded") => {
                self.outstanding = 0;
                Sorted::Refused
            }
            409 if description.contains("Deleted") || description.contains("Leadership") => {
                Sorted::Pulled(self.interrupt(description))
            }
            503 => Sorted::Pulled(self.interrupt("the consumer is not there")),
            _ => {
                self.settle_request(message);
                Sorted::Nothing
            }
        }
    }

    /// A request ended before it brought all that it asked for.
    fn settle_request(&mut self, message: &Message) {
        let unfilled = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Pending-Messages"))
            .and_then(|value| value.as_str().parse().ok());
        self.outstanding = self.outstanding.saturating_sub(unfilled.unwrap_or(usize::MAX));
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one call, and most are messages"
)]
enum Sorted {
    Pulled(Pulled),
    Nothing,
    Refused,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
