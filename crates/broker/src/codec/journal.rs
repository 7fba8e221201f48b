//! Journal records and dead letters.

use bytes::Bytes;
use hookrail_domain::delivery::Delivery;
use hookrail_domain::journal::{CountRecord, DeliveryFacts, Record, RejectionRecord, StateRecord};
use hookrail_proto::v1;
use prost::Message;

use super::CodecError;
use super::delivery::{
    attempt, entity, failure, from_attempt, from_entity, from_failure, from_message, from_status, status,
    to_message,
};
use super::words::{
    decode, from_origin, from_pairs, needed, origin, pairs, parse, parse_option, text_option,
};
use crate::journal::JournalKind;

/// A dead delivery with its body, on its way to the store.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The delivery.
    pub delivery: Delivery,
    /// What became of it.
    pub state: StateRecord,
}

/// The kind and the bytes of a journal record.
pub fn encode_record(record: &Record) -> (JournalKind, Bytes) {
    use v1::journal_record::Record as Wire;
    let (kind, record) = match record {
        Record::State(record) => (JournalKind::State, Wire::State(state_record(record))),
        Record::Rejection(record) => (JournalKind::Rejection, Wire::Rejection(rejection(record))),
        Record::Count(record) => (JournalKind::Count, Wire::Count(count(record))),
    };
    let message = v1::JournalRecord { record: Some(record) };
    (kind, Bytes::from(message.encode_to_vec()))
}

/// Reads a journal record.
pub fn decode_record(bytes: &[u8]) -> Result<Record, CodecError> {
    use v1::journal_record::Record as Wire;
    let message: v1::JournalRecord = decode("JournalRecord", bytes)?;
    match needed("record", message.record)? {
        Wire::State(record) => {
            let delivery = from_facts(record.delivery)?;
            let state = from_outcome(delivery, record.outcome, record.attempt)?;
            Ok(Record::State(Box::new(state)))
        }
        Wire::Rejection(record) => Ok(Record::Rejection(Box::new(from_rejection(record)?))),
        Wire::Count(record) => Ok(Record::Count(Box::new(from_count(record)?))),
    }
}

/// The bytes of a dead delivery.
pub fn encode_dead(delivery: &Delivery, state: &StateRecord) -> Bytes {
    let message = v1::DeadLetter {
        delivery: Some(to_message(delivery)),
        outcome: Some(outcome(state)),
        attempt: state.attempt.as_deref().map(attempt),
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads a dead delivery.
pub fn decode_dead(bytes: &[u8]) -> Result<DeadLetter, CodecError> {
    let message: v1::DeadLetter = decode("DeadLetter", bytes)?;
    let delivery = from_message(needed("delivery", message.delivery)?)?;
    let state = from_outcome(DeliveryFacts::from(&delivery), message.outcome, message.attempt)?;
    Ok(DeadLetter { delivery, state })
}

fn state_record(record: &StateRecord) -> v1::StateRecord {
    v1::StateRecord {
        delivery: Some(facts(&record.delivery)),
        outcome: Some(outcome(record)),
        attempt: record.attempt.as_deref().map(attempt),
    }
}

fn outcome(record: &StateRecord) -> v1::Outcome {
    v1::Outcome {
        status: status(record.status),
        epoch: record.epoch,
        attempts: record.attempts,
        next_at_ms: record.next_at,
        settled_at_ms: record.settled_at,
        failure: record.failure.as_ref().map(failure),
        generation: record.generation,
    }
}

fn from_outcome(
    delivery: DeliveryFacts,
    outcome: Option<v1::Outcome>,
    attempt: Option<v1::Attempt>,
) -> Result<StateRecord, CodecError> {
    let outcome = needed("outcome", outcome)?;
    Ok(StateRecord {
        delivery,
        status: from_status(outcome.status())?,
        epoch: outcome.epoch,
        attempts: outcome.attempts,
        next_at: outcome.next_at_ms,
        settled_at: outcome.settled_at_ms,
        failure: outcome.failure.map(from_failure).transpose()?,
        generation: outcome.generation,
        attempt: attempt.map(from_attempt).transpose()?.map(Box::new),
    })
}

fn facts(facts: &DeliveryFacts) -> v1::DeliveryFacts {
    v1::DeliveryFacts {
        id: facts.id.to_string(),
        event: facts.event.to_string(),
        event_type: facts.event_type.clone(),
        workspace: facts.workspace.to_string(),
        source: text_option(facts.source.as_ref()),
        destination: facts.destination.to_string(),
        route: text_option(facts.route.as_ref()),
        entity: facts.entity.as_ref().map(entity),
        lane_key: facts.lane_key.clone(),
        origin: Some(origin(facts.origin)),
        accepted_at_ms: facts.accepted_at,
        replay: text_option(facts.replay.as_ref()),
        fetcher: text_option(facts.fetcher.as_ref()),
    }
}

fn from_facts(facts: Option<v1::DeliveryFacts>) -> Result<DeliveryFacts, CodecError> {
    let facts = needed("delivery", facts)?;
    Ok(DeliveryFacts {
        id: parse("delivery.id", &facts.id)?,
        event: parse("delivery.event", &facts.event)?,
        event_type: facts.event_type,
        workspace: parse("delivery.workspace", &facts.workspace)?,
        source: parse_option("delivery.source", facts.source.as_ref())?,
        destination: parse("delivery.destination", &facts.destination)?,
        route: parse_option("delivery.route", facts.route.as_ref())?,
        entity: facts.entity.map(from_entity),
        lane_key: facts.lane_key,
        origin: from_origin(facts.origin)?,
        accepted_at: facts.accepted_at_ms,
        replay: parse_option("delivery.replay", facts.replay.as_ref())?,
        fetcher: parse_option("delivery.fetcher", facts.fetcher.as_ref())?,
    })
}

fn rejection(record: &RejectionRecord) -> v1::RejectionRecord {
    v1::RejectionRecord {
        source: record.source.to_string(),
        workspace: record.workspace.to_string(),
        at_ms: record.at,
        code: record.code.clone(),
        detail: record.detail.clone(),
        remote_addr: record.remote_addr.clone(),
        method: record.method.clone(),
        headers: pairs(&record.headers),
    }
}

fn from_rejection(record: v1::RejectionRecord) -> Result<RejectionRecord, CodecError> {
    Ok(RejectionRecord {
        source: parse("source", &record.source)?,
        workspace: parse("workspace", &record.workspace)?,
        at: record.at_ms,
        code: record.code,
        detail: record.detail,
        remote_addr: record.remote_addr,
        method: record.method,
        headers: from_pairs(record.headers),
    })
}

fn count(record: &CountRecord) -> v1::CountRecord {
    v1::CountRecord {
        instance: record.instance.clone(),
        number: record.number,
        source: record.source.to_string(),
        code: record.code.clone(),
        refused: record.refused,
    }
}

fn from_count(record: v1::CountRecord) -> Result<CountRecord, CodecError> {
    Ok(CountRecord {
        instance: record.instance,
        number: record.number,
        source: parse("source", &record.source)?,
        code: record.code,
        refused: record.refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookrail_domain::delivery::{Attempt, DeliveryStatus, EntityRef, ErrorCode, Failure};
    use hookrail_domain::event::{Body, Origin};
    use hookrail_domain::ids::{DeliveryId, DestinationId, EventId, RouteId, SourceId, WorkspaceId};

    use crate::codec::{decode_delivery, encode_delivery};

    fn delivery() -> Delivery {
        Delivery {
            id: DeliveryId::from_u128(1),
            event: EventId::from_u128(2),
            event_type: "entity.updated".into(),
            workspace: WorkspaceId::from_u128(3),
            source: Some(SourceId::from_u128(4)),
            destination: DestinationId::from_u128(5),
            route: Some(RouteId::from_u128(6)),
            entity: Some(EntityRef {
                entity_type: "customer".into(),
                unique_id: "42".into(),
                version: "0.17".into(),
            }),
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
        }
    }

    fn state() -> StateRecord {
        StateRecord {
            delivery: DeliveryFacts::from(&delivery()),
            status: DeliveryStatus::Dead,
            epoch: 77,
            attempts: 3,
            next_at: None,
            settled_at: Some(5),
            failure: Some(Failure {
                code: ErrorCode::Render,
                detail: "x".into(),
            }),
            generation: 1,
            attempt: None,
        }
    }

    #[test]
    fn deliveries_and_dead_letters_survive_the_wire() {
        let (delivery, state) = (delivery(), state());
        assert_eq!(
            decode_delivery(&encode_delivery(&delivery)).as_ref(),
            Ok(&delivery)
        );
        let dead = DeadLetter { delivery, state };
        assert_eq!(decode_dead(&encode_dead(&dead.delivery, &dead.state)), Ok(dead));
    }

    #[test]
    fn every_kind_of_record_survives_the_wire() {
        let attempt = Attempt {
            number: 1,
            epoch: 77,
            started_at: 1,
            duration_ms: 2,
            method: "POST".into(),
            url: "http://r/".into(),
            request_headers: vec![("a".into(), "b".into())],
            status: Some(503),
            response_headers: Vec::new(),
            response_body: vec![0, 255],
            failure: state().failure,
        };
        let records = [
            Record::State(Box::new(StateRecord {
                attempt: Some(Box::new(attempt)),
                ..state()
            })),
            Record::State(Box::new(state())),
            Record::Rejection(Box::new(RejectionRecord {
                source: SourceId::from_u128(4),
                workspace: WorkspaceId::from_u128(3),
                at: 1,
                code: "unauthorized".into(),
                detail: "no key".into(),
                remote_addr: None,
                method: "POST".into(),
                headers: vec![("a".into(), "b".into())],
            })),
            Record::Count(Box::new(CountRecord {
                instance: "i".into(),
                number: 8,
                source: SourceId::from_u128(4),
                code: "too-large".into(),
                refused: 3,
            })),
        ];
        for record in records {
            let (_, bytes) = encode_record(&record);
            assert_eq!(decode_record(&bytes), Ok(record));
        }
    }
}
