//! What is asked of the owner of a delivery partition, and its answers.

use bytes::Bytes;
use hookrail_domain::ids::DestinationId;
use hookrail_domain::lane::{CommandAnswer, LaneId, LaneKey, Target, Verb, WaitingLane};
use hookrail_domain::retry::Progress;
use hookrail_proto::v1;
use prost::Message;

use super::CodecError;
use super::parked::REASONS;
use super::words::{decode, needed, parse, parse_option, text_option};

/// Longest id of a request, bytes.
const ID_MAX_BYTES: usize = 64;

/// Something asked of the owner of a delivery partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRequest {
    /// Names it: the same id twice is done once.
    pub id: String,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To do something with a delivery that waits.
    Command(Verb, Target),
    /// For the parked lanes of a destination, the lowest first.
    Lanes {
        /// The destination.
        destination: DestinationId,
        /// Only lanes above this one.
        after: Option<LaneKey>,
        /// At most so many.
        most: u32,
    },
}

/// The owner's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerAnswer {
    /// What became of a command.
    Outcome(CommandAnswer),
    /// Parked lanes.
    Lanes(Vec<WaitingLane>),
}

/// The bytes of a request.
pub fn encode_owner_request(request: &OwnerRequest) -> Bytes {
    use v1::owner_request::Ask as Wire;
    let ask = match request.ask {
        Ask::Command(verb, target) => Wire::Command(v1::DeliveryCommand {
            verb: word_of(&VERBS, verb).into(),
            delivery: target.delivery.to_string(),
            destination: target.destination.to_string(),
            lane: target.lane.map(LaneKey::as_u64),
        }),
        Ask::Lanes {
            destination,
            after,
            most,
        } => Wire::Lanes(v1::ListLanes {
            destination: destination.to_string(),
            after: after.map(LaneKey::as_u64),
            most,
        }),
    };
    let message = v1::OwnerRequest {
        id: request.id.clone(),
        ask: Some(ask),
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads a request.
pub fn decode_owner_request(bytes: &[u8]) -> Result<OwnerRequest, CodecError> {
    use v1::owner_request::Ask as Wire;
    let message: v1::OwnerRequest = decode("OwnerRequest", bytes)?;
    if message.id.is_empty() || message.id.len() > ID_MAX_BYTES {
        return Err(CodecError::new("id", "has 1 to 64 bytes"));
    }
    let ask = match needed("ask", message.ask)? {
        Wire::Command(command) => {
            let verb = needed("verb", meaning_of(&VERBS, command.verb()))?;
            let target = Target {
                delivery: parse("delivery", &command.delivery)?,
                destination: parse("destination", &command.destination)?,
                lane: command.lane.map(LaneKey::from_u64),
            };
            Ask::Command(verb, target)
        }
        Wire::Lanes(lanes) => Ask::Lanes {
            destination: parse("destination", &lanes.destination)?,
            after: lanes.after.map(LaneKey::from_u64),
            most: lanes.most,
        },
    };
    Ok(OwnerRequest { id: message.id, ask })
}

/// The bytes of an answer.
pub fn encode_owner_answer(answer: &OwnerAnswer) -> Bytes {
    use v1::owner_answer::Answer as Wire;
    let answer = match answer {
        OwnerAnswer::Outcome(outcome) => Wire::Outcome(word_of(&OUTCOMES, *outcome).into()),
        OwnerAnswer::Lanes(lanes) => Wire::Lanes(v1::LaneList {
            lanes: lanes.iter().map(parked_lane).collect(),
        }),
    };
    let message = v1::OwnerAnswer { answer: Some(answer) };
    Bytes::from(message.encode_to_vec())
}

/// Reads an answer about `destination`.
pub fn decode_owner_answer(bytes: &[u8], destination: DestinationId) -> Result<OwnerAnswer, CodecError> {
    use v1::owner_answer::Answer as Wire;
    let message: v1::OwnerAnswer = decode("OwnerAnswer", bytes)?;
    match needed("answer", message.answer)? {
        Wire::Outcome(outcome) => {
            let outcome = v1::CommandOutcome::try_from(outcome).ok();
            let meant = outcome.and_then(|outcome| meaning_of(&OUTCOMES, outcome));
            Ok(OwnerAnswer::Outcome(needed("outcome", meant)?))
        }
        Wire::Lanes(list) => {
            let lanes = list.lanes.into_iter();
            let lanes: Result<Vec<_>, _> = lanes.map(|lane| from_parked_lane(lane, destination)).collect();
            Ok(OwnerAnswer::Lanes(lanes?))
        }
    }
}

fn parked_lane(lane: &WaitingLane) -> v1::ParkedLane {
    v1::ParkedLane {
        lane: lane.lane.key.as_u64(),
        reason: word_of(&REASONS, lane.reason).into(),
        head: text_option(lane.head.as_ref()),
        attempts: lane.progress.attempts,
        waiting: lane.waiting,
        next_at_ms: lane.next_at,
    }
}

fn from_parked_lane(lane: v1::ParkedLane, destination: DestinationId) -> Result<WaitingLane, CodecError> {
    Ok(WaitingLane {
        reason: needed("reason", meaning_of(&REASONS, lane.reason()))?,
        lane: LaneId {
            destination,
            key: LaneKey::from_u64(lane.lane),
        },
        head: parse_option("head", lane.head.as_ref())?,
        progress: Progress {
            attempts: lane.attempts,
            ..Progress::default()
        },
        waiting: lane.waiting,
        next_at: lane.next_at_ms,
    })
}

fn word_of<W: Copy + Default, M: PartialEq>(words: &[(W, M)], meant: M) -> W {
    let found = words.iter().find(|(_, meaning)| *meaning == meant);
    found.map_or_else(W::default, |(word, _)| *word)
}

fn meaning_of<W: PartialEq, M: Copy>(words: &[(W, M)], word: W) -> Option<M> {
    words
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, meaning)| *meaning)
}

const VERBS: [(v1::CommandVerb, Verb); 4] = [
    (v1::CommandVerb::Retry, Verb::Retry),
    (v1::CommandVerb::Skip, Verb::Skip),
    (v1::CommandVerb::Cancel, Verb::Cancel),
    (v1::CommandVerb::Hold, Verb::Hold),
];

const OUTCOMES: [(v1::CommandOutcome, CommandAnswer); 5] = [
    (v1::CommandOutcome::Done, CommandAnswer::Done),
    (v1::CommandOutcome::NotHead, CommandAnswer::NotHead),
    (v1::CommandOutcome::Delivered, CommandAnswer::Delivered),
    (v1::CommandOutcome::NotFound, CommandAnswer::NotFound),
    (v1::CommandOutcome::Busy, CommandAnswer::Busy),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_outcome_survives_the_wire() {
        let destination = DestinationId::from_u128(5);
        let target = Target {
            delivery: hookrail_domain::ids::DeliveryId::from_u128(1),
            destination,
            lane: None,
        };
        for (_, verb) in VERBS {
            let request = OwnerRequest {
                id: "x".into(),
                ask: Ask::Command(verb, target),
            };
            assert_eq!(decode_owner_request(&encode_owner_request(&request)), Ok(request));
        }
        for (_, outcome) in OUTCOMES {
            let answer = OwnerAnswer::Outcome(outcome);
            let bytes = encode_owner_answer(&answer);
            assert_eq!(decode_owner_answer(&bytes, destination), Ok(answer));
        }
    }

    #[test]
    fn a_request_without_an_id_or_with_a_long_one_is_refused() {
        for id in [String::new(), "x".repeat(65)] {
            let message = v1::OwnerRequest { id, ask: None };
            let refused = decode_owner_request(&message.encode_to_vec()).unwrap_err();
            assert_eq!(refused.field, "id");
        }
    }
}
