//! The journal's queues: what happened, on its way to the store.
//!
//! Shared by all writers, in no particular order; what comes twice must not matter to them.

use async_nats::Subject;
use bytes::Bytes;
use hookrail_domain::Millis;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::CONSUMER_JOURNAL;
use crate::pull::{PullFeed, PullSettings, Pulled};

/// How many records may be on their way or waiting here.
const WINDOW_MESSAGES: usize = 500;
/// How many bytes one pull may bring.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// What a journal record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalKind {
    /// A delivery's new state, with the attempt that led to it.
    State,
    /// A request that the ingress refused.
    Rejection,
    /// Numbers of refused requests.
    Count,
}

impl JournalKind {
    const ALL: [JournalKind; 3] = [JournalKind::State, JournalKind::Rejection, JournalKind::Count];

    /// The kind's token in subjects.
    pub fn token(self) -> &'static str {
        match self {
            JournalKind::State => "state",
            JournalKind::Rejection => "rejection",
            JournalKind::Count => "count",
        }
    }

    fn of_subject(subject: &str) -> Option<JournalKind> {
        let mut tokens = subject.rsplit('.');
        let (_partition, kind) = (tokens.next()?, tokens.next()?);
        Self::ALL.into_iter().find(|known| known.token() == kind)
    }
}

/// Which of the two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalStream {
    /// States, rejections and counts.
    Journal,
    /// Dead deliveries with their bodies.
    Dead,
}

impl JournalStream {
    pub(crate) fn name(self, broker: &Broker) -> String {
        match self {
            JournalStream::Journal => broker.names().journal_stream(),
            JournalStream::Dead => broker.names().dead_stream(),
        }
    }
}

/// A record to be written.
#[derive(Clone, Debug)]
pub struct JournalMessage {
    /// Its place in the queue.
    pub sequence: u64,
    /// What it tells; none for a dead delivery.
    pub kind: Option<JournalKind>,
    /// When the broker stored it.
    pub timestamp_ms: Millis,
    /// How often it was given out, this time included.
    pub times_delivered: u64,
    /// The encoded record.
    pub payload: Bytes,
    reply: Option<Subject>,
}

/// One writer's reader of a journal queue.
pub struct JournalReader {
    broker: Broker,
    stream: JournalStream,
    feed: PullFeed,
}

impl JournalReader {
    /// Opens a queue that [`Broker::ensure_topology`] created.
    pub async fn open(broker: &Broker, stream: JournalStream) -> Result<JournalReader, BrokerError> {
        Ok(JournalReader {
            feed: open_feed(broker, stream).await?,
            broker: broker.clone(),
            stream,
        })
    }

    /// The next records: what has come, at most `max_messages`. Waits for the first only. May be
    /// dropped while it waits. After an error, call it again.
    pub async fn next_batch(&mut self, max_messages: usize) -> Result<Vec<JournalMessage>, BrokerError> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            match self.feed.next().await {
                Pulled::Message(message, delivered) => batch.push(self.record(message, &delivered)),
                Pulled::Interrupted(reason) => {
                    tracing::debug!(reason, stream = ?self.stream, "reading the journal anew");
                    // The server gives out again what was lost on the way.
                    self.feed = open_feed(&self.broker, self.stream).await?;
                }
                Pulled::Replaced => {
                    self.feed = open_feed(&self.broker, self.stream).await?;
                    return Err(BrokerError::request("reading the journal", "refused"));
                }
            }
        }
        while batch.len() < max_messages {
            match self.feed.try_next() {
                Some(Pulled::Message(message, delivered)) => {
                    batch.push(self.record(message, &delivered));
                }
                _ => break,
            }
        }
        Ok(batch)
    }

    /// Acknowledges records that are committed. Not confirmed: one that comes again is written
    /// again, to no effect.
    pub async fn ack(&self, messages: &[JournalMessage]) -> Result<(), BrokerError> {
        for reply in messages.iter().filter_map(|message| message.reply.clone()) {
            let sent = self.broker.client().publish(reply, Bytes::from_static(b"+ACK"));
            sent.await
                .map_err(|error| BrokerError::request("acknowledging records", error))?;
        }
        Ok(())
    }

    fn record(
        &self,
        message: async_nats::Message,
        delivered: &crate::delivered::Delivered,
    ) -> JournalMessage {
        let kind = match self.stream {
            JournalStream::Journal => JournalKind::of_subject(&message.subject),
            JournalStream::Dead => None,
        };
        JournalMessage {
            sequence: delivered.stream_sequence,
            kind,
            timestamp_ms: delivered.timestamp_ms,
            times_delivered: delivered.times,
            payload: message.payload,
            reply: message.reply,
        }
    }
}

async fn open_feed(broker: &Broker, stream: JournalStream) -> Result<PullFeed, BrokerError> {
    let settings = PullSettings {
        stream: stream.name(broker),
        consumer: CONSUMER_JOURNAL.to_owned(),
        group: None,
        window_messages: WINDOW_MESSAGES,
        window_bytes: WINDOW_BYTES,
        check_gaps: false,
    };
    PullFeed::open(broker, settings).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;

    #[test]
    fn a_records_kind_is_read_from_its_subject() {
        let names = Names::new("HOOKRAIL");
        for kind in JournalKind::ALL {
            let subject = names.journal_subject(kind, 3);
            assert_eq!(JournalKind::of_subject(&subject), Some(kind));
        }
        assert_eq!(JournalKind::of_subject("hookrail.jrn.other.3"), None);
    }
}
