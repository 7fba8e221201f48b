//! Messages as they come from the broker: bytes, a sequence, and the headers that are ours.

use async_nats::HeaderMap;
use async_nats::datetime::DateTime;
use bytes::Bytes;
use hookrail_domain::Millis;

/// The id by which JetStream recognises a message that was published before.
pub(crate) const HEADER_MESSAGE_ID: &str = "Nats-Msg-Id";
/// A hash of the body as it was received: same id with another one is a conflict.
pub(crate) const HEADER_BODY_HASH: &str = "Hookrail-Body-Hash";
/// The event's id, where the message's is another, so that an event is found without decoding all.
pub(crate) const HEADER_EVENT_ID: &str = "Hookrail-Event-Id";

/// The headers of a message that Hookrail reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageHeaders {
    /// The message's id.
    pub id: Option<String>,
    /// The body's hash.
    pub body_hash: Option<String>,
    /// The event's id; of an event whose message has another one.
    pub event_id: Option<String>,
}

impl MessageHeaders {
    pub(crate) fn read(headers: Option<&HeaderMap>) -> MessageHeaders {
        let get = |name: &str| {
            headers
                .and_then(|headers| headers.get(name))
                .map(|value| value.as_str().to_owned())
        };
        MessageHeaders {
            id: get(HEADER_MESSAGE_ID),
            body_hash: get(HEADER_BODY_HASH),
            event_id: get(HEADER_EVENT_ID),
        }
    }
}

/// An event as it lies in a raw partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// Its place in the partition.
    pub sequence: u64,
    /// When the broker stored it.
    pub timestamp_ms: Millis,
    /// The token of its source.
    pub source: String,
    /// The encoded event.
    pub payload: Bytes,
    /// Its headers.
    pub headers: MessageHeaders,
}

/// The id of the event in a message of a raw partition.
pub(crate) fn event_id(headers: Option<&HeaderMap>) -> Option<&str> {
    let headers = headers?;
    let id = headers
        .get(HEADER_EVENT_ID)
        .or_else(|| headers.get(HEADER_MESSAGE_ID))?;
    Some(id.as_str())
}

/// The last token of a subject.
pub(crate) fn last_token(subject: &str) -> String {
    subject.rsplit('.').next().unwrap_or_default().to_owned()
}

/// A time as the server writes it.
pub(crate) fn milliseconds(time: DateTime) -> Millis {
    Millis::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(Millis::MAX)
}
