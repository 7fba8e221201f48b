//! What is asked of the owner of a delivery partition, and its answers.

use hookrail_broker::codec::{self, Ask, OwnerAnswer, OwnerRequest};
use hookrail_domain::{
    ids::{DeliveryId, DestinationId},
    lane::{CommandAnswer, HoldReason, LaneId, LaneKey, Target, Verb, WaitingLane},
    retry::Progress,
};

use crate::Golden;

pub(crate) fn all() -> Vec<Golden> {
    let target = Target {
        delivery: DeliveryId::from_u128(10),
        destination: DestinationId::from_u128(12),
        lane: Some(LaneKey::from_u64(u64::MAX)),
    };
    let unordered = Target { lane: None, ..target };
    let lanes = Ask::Lanes {
        destination: target.destination,
        after: Some(LaneKey::from_u64(7)),
        most: 51,
    };
    vec![
        request("owner_request_retry", Ask::Command(Verb::Retry, target)),
        request("owner_request_cancel", Ask::Command(Verb::Cancel, unordered)),
        request("owner_request_lanes", lanes),
        answer(
            "owner_answer_outcome",
            OwnerAnswer::Outcome(CommandAnswer::NotHead),
        ),
        answer("owner_answer_lanes", OwnerAnswer::Lanes(vec![waiting(), bare()])),
    ]
}

fn request(name: &'static str, ask: Ask) -> Golden {
    let request = OwnerRequest {
        id: "cmd-1".into(),
        ask,
    };
    let bytes = codec::encode_owner_request(&request);
    Golden::new(name, request, bytes, codec::decode_owner_request)
}

fn answer(name: &'static str, answer: OwnerAnswer) -> Golden {
    let bytes = codec::encode_owner_answer(&answer);
    Golden::new(name, answer, bytes, |bytes| {
        codec::decode_owner_answer(bytes, DestinationId::from_u128(12))
    })
}

fn waiting() -> WaitingLane {
    WaitingLane {
        lane: LaneId {
            destination: DestinationId::from_u128(12),
            key: LaneKey::from_u64(u64::MAX),
        },
        reason: HoldReason::Held,
        head: Some(DeliveryId::from_u128(10)),
        progress: Progress {
            attempts: 5,
            ..Progress::default()
        },
        waiting: 1_000_000,
        next_at: Some(1_764_000_000_000),
    }
}

fn bare() -> WaitingLane {
    WaitingLane {
        head: None,
        progress: Progress::default(),
        waiting: 1,
        next_at: None,
        reason: HoldReason::Overflow,
        ..waiting()
    }
}
