//! Messages of a raw partition → events with their place in the log.

use hookrail_broker::{RawMessage, codec};
use hookrail_domain::{
    event::{Body, Event},
    ids::{EventId, Id, SourceId, WorkspaceId},
};

use crate::{evaluate::Arrival, read_event::Failure};

/// An event from the log, or what can be said of one that can't be read.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) arrival: Arrival,
    /// The message is not what the contract says.
    pub(crate) unreadable: Option<Failure>,
    /// It is held: nothing is made of it yet.
    pub(crate) is_held: bool,
}

/// Opens a message. One that can't be read becomes an event of which its id, source and place are
/// known, so that it can be recorded as failed.
pub(crate) fn open(partition: u32, message: &RawMessage) -> Opened {
    let arrival = |event| Arrival {
        event,
        partition,
        sequence: message.sequence,
        stored_at: message.timestamp_ms,
    };
    match codec::decode_event(&message.payload) {
        Ok(event) => Opened {
            arrival: arrival(event),
            unreadable: None,
            is_held: false,
        },
        Err(error) => {
            tracing::error!(partition, sequence = message.sequence, %error, "an event in the log can't be read");
            let failure = Failure::new("event.unreadable", error.to_string());
            Opened {
                arrival: arrival(shell(partition, message)),
                unreadable: Some(failure),
                is_held: false,
            }
        }
    }
}

/// What is known of an event without its message.
fn shell(partition: u32, message: &RawMessage) -> Event {
    let place = u128::from(partition) << 64 | u128::from(message.sequence);
    let made = || EventId::from_parts(message.timestamp_ms, place).with_partition(partition);
    let id = message.headers.event_id.as_deref().and_then(|id| id.parse().ok());
    Event {
        id: id.unwrap_or_else(made),
        workspace: WorkspaceId::from_u128(0),
        source: message.source.parse::<SourceId>().ok(),
        event_type: "webhook.received".to_owned(),
        revision: 0,
        accepted_at: message.timestamp_ms,
        method: String::new(),
        query: vec![],
        headers: vec![],
        content_type: None,
        body: Body::inline(Vec::new()),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: String::new(),
        reply: None,
        internal: false,
    }
}
