//! Publishing with an acknowledgement, and honest outcomes.
//!
//! A publish either is on disk, or certainly is not, or nobody knows. Time-outs, missing streams
//! and lost connections are the last kind: they are tried again with the same message id, which
//! the broker recognises, until the time is up.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError as NatsError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use tokio::time::Instant;

use crate::connection::Broker;
use crate::journal::JournalKind;
use crate::message::{HEADER_BODY_HASH, HEADER_EVENT_ID, HEADER_MESSAGE_ID};

/// The first pause before a publish of unknown outcome is tried again; it doubles.
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest such pause.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// What the message's frame and its standard headers take at most, in bytes.
const FRAME_BYTES: usize = 4 * 1024;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct OutMessage<'a> {
    /// The id by which the broker recognises a repetition.
    pub id: &'a str,
    /// A hash of the body as it came, to compare with another message of the same id.
    pub body_hash: Option<&'a str>,
    /// The event's id; for an event whose message has another one.
    pub event_id: Option<&'a str>,
    /// The encoded message.
    pub payload: Bytes,
}

/// A message that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place in the stream; that of the first one if `duplicate`.
    pub sequence: u64,
    /// The broker had a message with this id already.
    pub duplicate: bool,
    /// This call sent it more than once, so the duplicate may be its own.
    pub retried: bool,
}

/// A publish that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Certainly not stored: the stream is full, or the server has no room.
    #[error("refused: {reason}")]
    Refused {
        /// What the server said.
        reason: String,
    },
    /// Certainly not stored: it was written under a fence that has moved on.
    #[error("refused by a newer fence")]
    Fenced,
    /// Certainly not stored: larger than a message may be.
    #[error("{bytes} bytes are more than the {limit} that a message may have")]
    TooLarge {
        /// The payload's size.
        bytes: usize,
        /// The largest that is sent.
        limit: usize,
    },
    /// Perhaps stored: no answer in time.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// Why the last try failed.
        reason: String,
    },
}

/// Publishes over one connection. Cheap to clone; any number of tasks may publish at once.
#[derive(Clone)]
pub struct Publisher {
    broker: Broker,
    attempt_timeout: Duration,
    total_timeout: Duration,
}

impl Publisher {
    pub(crate) fn new(broker: Broker) -> Publisher {
        let settings = broker.settings();
        Publisher {
            attempt_timeout: Duration::from_millis(settings.publish_attempt_timeout_ms),
            total_timeout: Duration::from_millis(settings.publish_total_timeout_ms),
            broker,
        }
    }

    /// The largest body that travels inside a message: see [`Broker::max_inline_bytes`].
    pub fn max_inline_bytes(&self) -> usize {
        self.broker.max_inline_bytes()
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Publishes an event. `source` is the source's id.
    pub async fn publish_event(
        &self,
        partition: u32,
        source: &str,
        message: OutMessage<'_>,
    ) -> Result<Published, PublishError> {
        let subject = self.broker.names().raw_subject(partition, source);
        self.publish(subject, message).await
    }

    /// Publishes a delivery. `destination` is the destination's id, `lane` any text.
    pub async fn publish_delivery(
        &self,
        partition: u32,
        destination: &str,
        lane: &str,
        message: OutMessage<'_>,
    ) -> Result<Published, PublishError> {
        let names = self.broker.names();
        let subject = names.delivery_subject(partition, destination, lane);
        self.publish(subject, message).await
    }

    /// Publishes a journal record.
    pub async fn publish_journal(
        &self,
        kind: JournalKind,
        partition: u32,
        id: &str,
        payload: Bytes,
    ) -> Result<Published, PublishError> {
        let subject = self.broker.names().journal_subject(kind, partition);
        self.publish(subject, OutMessage::plain(id, payload)).await
    }

    /// Hands a dead delivery, with its body, to the journal.
    pub async fn publish_dead(
        &self,
        partition: u32,
        id: &str,
        payload: Bytes,
    ) -> Result<Published, PublishError> {
        let subject = self.broker.names().dead_subject(partition);
        self.publish(subject, OutMessage::plain(id, payload)).await
    }

    /// Publishes a notice to the config service. `kind` is words joined by dots.
    pub async fn publish_notice(
        &self,
        kind: &str,
        id: &str,
        payload: Bytes,
    ) -> Result<Published, PublishError> {
        let subject = self.broker.names().notice_subject(kind);
        self.publish(subject, OutMessage::plain(id, payload)).await
    }

    pub(crate) fn names(&self) -> &crate::Names {
        self.broker.names()
    }

    pub(crate) async fn publish(
        &self,
        subject: String,
        message: OutMessage<'_>,
    ) -> Result<Published, PublishError> {
        self.publish_with(subject, || message.headers(), message.payload.clone())
            .await
    }

    /// Publishes with headers that are complete, the message's id included. They are made for each
    /// try, since nearly always there is one.
    pub(crate) async fn publish_with(
        &self,
        subject: String,
        headers: impl Fn() -> HeaderMap,
        payload: Bytes,
    ) -> Result<Published, PublishError> {
        self.check_size(&payload)?;
        let subject = async_nats::Subject::from(subject);
        let deadline = Instant::now() + self.total_timeout;
        let mut pause = RETRY_PAUSE_FIRST;
        let mut retried = false;
        loop {
            let attempt = self.attempt(subject.clone(), headers(), payload.clone());
            let reason = match attempt.await {
                Ok(ack) => return Ok(published(&ack, retried)),
                Err(AttemptError::Final(error)) if !retried => return Err(error),
                // An earlier try may have been stored, whatever this one was answered.
                Err(AttemptError::Final(error)) => error.to_string(),
                Err(AttemptError::Unknown(reason)) => reason,
            };
            if Instant::now() + pause >= deadline {
                return Err(PublishError::Unknown { reason });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
            retried = true;
        }
    }

    async fn attempt(
        &self,
        subject: async_nats::Subject,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PublishAck, AttemptError> {
        let publish = async {
            let jetstream = self.broker.jetstream();
            let sent = jetstream.publish_with_headers(subject, headers, payload).await?;
            sent.await
        };
        match tokio::time::timeout(self.attempt_timeout, publish).await {
            Ok(Ok(ack)) => Ok(ack),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(AttemptError::Unknown("no acknowledgement in time".to_owned())),
        }
    }

    fn check_size(&self, payload: &Bytes) -> Result<(), PublishError> {
        let limit = self.broker.message_max_bytes().saturating_sub(FRAME_BYTES);
        if payload.len() > limit {
            return Err(PublishError::TooLarge {
                bytes: payload.len(),
                limit,
            });
        }
        Ok(())
    }
}

impl<'a> OutMessage<'a> {
    /// A message with nothing but its id.
    pub fn plain(id: &'a str, payload: Bytes) -> OutMessage<'a> {
        OutMessage {
            id,
            body_hash: None,
            event_id: None,
            payload,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_MESSAGE_ID, self.id);
        if let Some(hash) = self.body_hash {
            headers.insert(HEADER_BODY_HASH, hash);
        }
        if let Some(event_id) = self.event_id {
            headers.insert(HEADER_EVENT_ID, event_id);
        }
        headers
    }
}

fn published(ack: &PublishAck, retried: bool) -> Published {
    Published {
        sequence: ack.sequence,
        duplicate: ack.duplicate,
        retried,
    }
}

enum AttemptError {
    /// The server said no.
    Final(PublishError),
    /// Nobody knows.
    Unknown(String),
}

/// Whether a write was refused because its subject's last sequence is not the expected one.
pub(crate) fn is_wrong_sequence(error: &NatsError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence
        || answer(error)
            .is_some_and(|answer| answer.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

fn answer(error: &NatsError) -> Option<&async_nats::jetstream::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

fn classify(error: &NatsError) -> AttemptError {
    match error.kind() {
        _ if is_wrong_sequence(error) => AttemptError::Final(PublishError::Fenced),
        PublishErrorKind::MaxPayloadExceeded => AttemptError::Final(PublishError::Refused {
            reason: error.to_string(),
        }),
        _ => classify_answer(error),
    }
}

/// An answer of the server is final where it says why the message was not stored.
fn classify_answer(error: &NatsError) -> AttemptError {
    match answer(error).filter(|answer| is_refusal(answer.error_code())) {
        Some(answer) => AttemptError::Final(PublishError::Refused {
            reason: answer.to_string(),
        }),
        None => AttemptError::Unknown(error.to_string()),
    }
}

/// Whether an answer's code says that the message was certainly not stored.
pub(crate) fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::STREAM_STORE_FAILED
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
            | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM
            | ErrorCode::STREAM_SEALED
    )
}
