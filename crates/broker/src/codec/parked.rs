//! Deliveries and lane states in the parked stream.

use std::sync::Arc;

use bytes::Bytes;
use hookrail_domain::delivery::Delivery;
use hookrail_domain::lane::{HoldReason, LaneState};
use hookrail_domain::retry::Progress;
use hookrail_proto::v1;
use prost::Message;

use super::CodecError;
use super::delivery::{from_message, to_message};
use super::words::{decode, needed, parse};

/// A delivery that waits in the parked stream, with what it has behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedDelivery {
    /// The delivery.
    pub delivery: Arc<Delivery>,
    /// The sequence that it had in its partition's queue.
    pub queue_sequence: u64,
    /// The attempts behind it when it was appended.
    pub progress: Progress,
    /// It waits for a person.
    pub held: bool,
}

/// The bytes of a parked delivery.
pub fn encode_parked(parked: &ParkedDelivery) -> Bytes {
    let message = v1::ParkedDelivery {
        delivery: Some(to_message(&parked.delivery)),
        queue_sequence: parked.queue_sequence,
        attempts: parked.progress.attempts,
        first_attempt_at_ms: parked.progress.first_attempt_at,
        next_at_ms: parked.progress.next_at,
        held: parked.held,
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads a parked delivery.
pub fn decode_parked(bytes: &[u8]) -> Result<ParkedDelivery, CodecError> {
    let message: v1::ParkedDelivery = decode("ParkedDelivery", bytes)?;
    Ok(ParkedDelivery {
        delivery: Arc::new(from_message(needed("delivery", message.delivery)?)?),
        queue_sequence: message.queue_sequence,
        progress: Progress {
            attempts: message.attempts,
            first_attempt_at: message.first_attempt_at_ms,
            next_at: message.next_at_ms,
        },
        held: message.held,
    })
}

/// The bytes of a lane state.
pub fn encode_lane_state(state: &LaneState) -> Bytes {
    let reason = REASONS.iter().find(|(_, reason)| *reason == state.reason);
    let message = v1::LaneState {
        reason: reason.map_or(0, |(reason, _)| i32::from(*reason)),
        delivery: state.delivery.to_string(),
        attempts: state.progress.attempts,
        first_attempt_at_ms: state.progress.first_attempt_at,
        next_at_ms: state.progress.next_at,
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads a lane state.
pub fn decode_lane_state(bytes: &[u8]) -> Result<LaneState, CodecError> {
    let message: v1::LaneState = decode("LaneState", bytes)?;
    let found = REASONS.iter().find(|(reason, _)| *reason == message.reason());
    Ok(LaneState {
        reason: needed("reason", found.map(|(_, reason)| *reason))?,
        delivery: parse("delivery", &message.delivery)?,
        progress: Progress {
            attempts: message.attempts,
            first_attempt_at: message.first_attempt_at_ms,
            next_at: message.next_at_ms,
        },
    })
}

pub(super) const REASONS: [(v1::HoldReason, HoldReason); 6] = [
    (v1::HoldReason::Retry, HoldReason::Retry),
    (v1::HoldReason::Overflow, HoldReason::Overflow),
    (v1::HoldReason::Limit, HoldReason::Limit),
    (v1::HoldReason::Disabled, HoldReason::Disabled),
    (v1::HoldReason::Held, HoldReason::Held),
    (v1::HoldReason::Paused, HoldReason::Paused),
];

#[cfg(test)]
mod tests {
    use hookrail_domain::event::{Body, Origin};
    use hookrail_domain::ids::{DeliveryId, DestinationId, EventId, WorkspaceId};

    use super::*;

    const PROGRESS: Progress = Progress {
        attempts: 3,
        first_attempt_at: 1_764_000_000_000,
        next_at: 1_764_000_060_000,
    };

    #[test]
    fn parked_deliveries_survive_the_wire() {
        let delivery = Delivery {
            id: DeliveryId::from_u128(1),
            event: EventId::from_u128(2),
            event_type: "entity.updated".into(),
            workspace: WorkspaceId::from_u128(3),
            source: None,
            destination: DestinationId::from_u128(5),
            route: None,
            entity: None,
            lane_key: Some(String::new()),
            origin: Origin {
                partition: 3,
                sequence: u64::MAX,
                index: 1,
            },
            revision: 9,
            accepted_at: 1_764_000_000_000,
            content_type: None,
            headers: Vec::new(),
            body: Body::inline(&b"{}"[..]),
            traceparent: "00-a-b-01".into(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        };
        for held in [false, true] {
            let parked = ParkedDelivery {
                delivery: Arc::new(delivery.clone()),
                queue_sequence: u64::MAX,
                progress: PROGRESS,
                held,
            };
            assert_eq!(decode_parked(&encode_parked(&parked)), Ok(parked));
        }
        assert!(decode_parked(b"").is_err());
    }

    #[test]
    fn lane_states_survive_the_wire_whatever_their_reason() {
        for (_, reason) in REASONS {
            let state = LaneState {
                reason,
                delivery: DeliveryId::from_u128(1),
                progress: PROGRESS,
            };
            assert_eq!(decode_lane_state(&encode_lane_state(&state)), Ok(state));
        }
        assert!(decode_lane_state(b"").is_err());
    }
}
