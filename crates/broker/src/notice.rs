//! Notices to the config service: what workers found out about definitions.
//!
//! Shared by all config services, in no particular order; one that comes twice must not matter.

use async_nats::Subject;
use bytes::Bytes;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::CONSUMER_CONFIG;
use crate::pull::{PullFeed, PullSettings, Pulled};

/// How many notices may be on their way or waiting here.
const WINDOW_MESSAGES: usize = 50;
/// How many bytes one pull may bring.
const WINDOW_BYTES: usize = 1024 * 1024;

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// A receiver answered 410: it wants no more.
    DestinationGone,
    /// A destination has no more room for waiting deliveries.
    DestinationOverQuota,
}

impl NoticeKind {
    const ALL: [NoticeKind; 2] = [NoticeKind::DestinationGone, NoticeKind::DestinationOverQuota];

    /// The kind as [`crate::Publisher::publish_notice`] takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeKind::DestinationGone => "destination.gone",
            NoticeKind::DestinationOverQuota => "destination.over_quota",
        }
    }
}

/// A notice.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it tells; none for a kind that this version doesn't know.
    pub kind: Option<NoticeKind>,
    /// How often it was given out, this time included.
    pub times_delivered: u64,
    /// What is told.
    pub payload: Bytes,
    reply: Option<Subject>,
}

/// One config service's reader of the notices.
pub struct NoticeReader {
    broker: Broker,
    feed: PullFeed,
}

impl NoticeReader {
    /// Opens the queue that [`Broker::ensure_topology`] created.
    pub async fn open(broker: &Broker) -> Result<NoticeReader, BrokerError> {
        Ok(NoticeReader {
            feed: open_feed(broker).await?,
            broker: broker.clone(),
        })
    }

    /// The next notice. May be dropped while it waits. After an error, call it again.
    pub async fn next(&mut self) -> Result<Notice, BrokerError> {
        loop {
            match self.feed.next().await {
                Pulled::Message(message, delivered) => {
                    return Ok(Notice {
                        kind: self.kind_of(&message.subject),
                        times_delivered: delivered.times,
                        payload: message.payload,
                        reply: message.reply,
                    });
                }
                Pulled::Interrupted(reason) => {
                    tracing::debug!(reason, "reading the notices anew");
                    // The server gives out again what was lost on the way.
                    self.feed = open_feed(&self.broker).await?;
                }
                Pulled::Replaced => {
                    self.feed = open_feed(&self.broker).await?;
                    return Err(BrokerError::request("reading the notices", "refused"));
                }
            }
        }
    }

    /// Acknowledges a notice whose change is committed. Not confirmed: one that comes again changes
    /// nothing.
    pub async fn ack(&self, notice: &Notice) -> Result<(), BrokerError> {
        let Some(reply) = notice.reply.clone() else {
            return Ok(());
        };
        let sent = self.broker.client().publish(reply, Bytes::from_static(b"+ACK"));
        sent.await
            .map_err(|error| BrokerError::request("acknowledging a notice", error))
    }

    fn kind_of(&self, subject: &str) -> Option<NoticeKind> {
        let names = self.broker.names();
        let is_of = |kind: &NoticeKind| names.notice_subject(kind.as_str()) == subject;
        NoticeKind::ALL.into_iter().find(is_of)
    }
}

async fn open_feed(broker: &Broker) -> Result<PullFeed, BrokerError> {
    let settings = PullSettings {
        stream: broker.names().notice_stream(),
        consumer: CONSUMER_CONFIG.to_owned(),
        group: None,
        window_messages: WINDOW_MESSAGES,
        window_bytes: WINDOW_BYTES,
        check_gaps: false,
    };
    PullFeed::open(broker, settings).await
}
