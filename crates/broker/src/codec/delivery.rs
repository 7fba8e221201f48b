//! Deliveries, their attempts and outcomes.

use bytes::Bytes;
use hookrail_domain::delivery::{Attempt, Delivery, DeliveryStatus, EntityRef, ErrorCode, Failure};
use hookrail_proto::v1;
use prost::Message;

use super::CodecError;
use super::words::{
    body, decode, from_body, from_origin, from_pairs, from_reply, needed, origin, pairs, parse, parse_option,
    reply, text_option,
};

/// The bytes of a delivery.
pub fn encode_delivery(delivery: &Delivery) -> Bytes {
    Bytes::from(to_message(delivery).encode_to_vec())
}

/// Reads a delivery.
pub fn decode_delivery(bytes: &[u8]) -> Result<Delivery, CodecError> {
    from_message(decode("Delivery", bytes)?)
}

pub(super) fn to_message(delivery: &Delivery) -> v1::Delivery {
    v1::Delivery {
        id: delivery.id.to_string(),
        event: delivery.event.to_string(),
        event_type: delivery.event_type.clone(),
        workspace: delivery.workspace.to_string(),
        source: text_option(delivery.source.as_ref()),
        destination: delivery.destination.to_string(),
        route: text_option(delivery.route.as_ref()),
        entity: delivery.entity.as_ref().map(entity),
        lane_key: delivery.lane_key.clone(),
        origin: Some(origin(delivery.origin)),
        revision: delivery.revision,
        accepted_at_ms: delivery.accepted_at,
        content_type: delivery.content_type.clone(),
        body: Some(body(&delivery.body)),
        traceparent: delivery.traceparent.clone(),
        replay: text_option(delivery.replay.as_ref()),
        reply: delivery.reply.as_ref().map(reply),
        generation: delivery.generation,
        attempts_before: delivery.attempts_before,
        fetcher: text_option(delivery.fetcher.as_ref()),
        headers: pairs(&delivery.headers),
        was_held: delivery.was_held,
    }
}

pub(super) fn from_message(message: v1::Delivery) -> Result<Delivery, CodecError> {
    Ok(Delivery {
        id: parse("id", &message.id)?,
        event: parse("event", &message.event)?,
        event_type: message.event_type,
        workspace: parse("workspace", &message.workspace)?,
        source: parse_option("source", message.source.as_ref())?,
        destination: parse("destination", &message.destination)?,
        route: parse_option("route", message.route.as_ref())?,
        entity: message.entity.map(from_entity),
        lane_key: message.lane_key,
        origin: from_origin(message.origin)?,
        revision: message.revision,
        accepted_at: message.accepted_at_ms,
        content_type: message.content_type,
        headers: from_pairs(message.headers),
        body: from_body(message.body)?,
        traceparent: message.traceparent,
        replay: parse_option("replay", message.replay.as_ref())?,
        reply: message.reply.map(from_reply),
        generation: message.generation,
        attempts_before: message.attempts_before,
        fetcher: parse_option("fetcher", message.fetcher.as_ref())?,
        was_held: message.was_held,
    })
}

pub(super) fn entity(entity: &EntityRef) -> v1::EntityRef {
    v1::EntityRef {
        entity_type: entity.entity_type.clone(),
        unique_id: entity.unique_id.clone(),
        version: entity.version.clone(),
    }
}

pub(super) fn from_entity(entity: v1::EntityRef) -> EntityRef {
    EntityRef {
        entity_type: entity.entity_type,
        unique_id: entity.unique_id,
        version: entity.version,
    }
}

pub(super) fn attempt(attempt: &Attempt) -> v1::Attempt {
    v1::Attempt {
        number: attempt.number,
        epoch: attempt.epoch,
        started_at_ms: attempt.started_at,
        duration_ms: attempt.duration_ms,
        method: attempt.method.clone(),
        url: attempt.url.clone(),
        request_headers: pairs(&attempt.request_headers),
        status: attempt.status.map(u32::from),
        response_headers: pairs(&attempt.response_headers),
        response_body: attempt.response_body.clone(),
        failure: attempt.failure.as_ref().map(failure),
    }
}

pub(super) fn from_attempt(attempt: v1::Attempt) -> Result<Attempt, CodecError> {
    let status = attempt.status.map(u16::try_from).transpose();
    Ok(Attempt {
        number: attempt.number,
        epoch: attempt.epoch,
        started_at: attempt.started_at_ms,
        duration_ms: attempt.duration_ms,
        method: attempt.method,
        url: attempt.url,
        request_headers: from_pairs(attempt.request_headers),
        status: status.map_err(|error| CodecError::new("status", error))?,
        response_headers: from_pairs(attempt.response_headers),
        response_body: attempt.response_body,
        failure: attempt.failure.map(from_failure).transpose()?,
    })
}

pub(super) fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        code: code(failure.code).into(),
        detail: failure.detail.clone(),
    }
}

pub(super) fn from_failure(failure: v1::Failure) -> Result<Failure, CodecError> {
    Ok(Failure {
        code: needed("failure.code", from_code(failure.code()))?,
        detail: failure.detail,
    })
}

fn code(code: ErrorCode) -> v1::ErrorCode {
    match code {
        ErrorCode::Dns => v1::ErrorCode::Dns,
        ErrorCode::Connect => v1::ErrorCode::Connect,
        ErrorCode::Tls => v1::ErrorCode::Tls,
        ErrorCode::Timeout => v1::ErrorCode::Timeout,
        ErrorCode::AddressRefused => v1::ErrorCode::AddressRefused,
        ErrorCode::Status => v1::ErrorCode::Status,
        ErrorCode::Body => v1::ErrorCode::Body,
        ErrorCode::Proxy => v1::ErrorCode::Proxy,
        ErrorCode::OverQuota => v1::ErrorCode::OverQuota,
        ErrorCode::Expired => v1::ErrorCode::Expired,
        ErrorCode::Cancelled => v1::ErrorCode::Cancelled,
        ErrorCode::Render => v1::ErrorCode::Render,
        ErrorCode::Auth => v1::ErrorCode::Auth,
    }
}

fn from_code(code: v1::ErrorCode) -> Option<ErrorCode> {
    Some(match code {
        v1::ErrorCode::Unspecified => return None,
        v1::ErrorCode::Dns => ErrorCode::Dns,
        v1::ErrorCode::Connect => ErrorCode::Connect,
        v1::ErrorCode::Tls => ErrorCode::Tls,
        v1::ErrorCode::Timeout => ErrorCode::Timeout,
        v1::ErrorCode::AddressRefused => ErrorCode::AddressRefused,
        v1::ErrorCode::Status => ErrorCode::Status,
        v1::ErrorCode::Body => ErrorCode::Body,
        v1::ErrorCode::Proxy => ErrorCode::Proxy,
        v1::ErrorCode::OverQuota => ErrorCode::OverQuota,
        v1::ErrorCode::Expired => ErrorCode::Expired,
        v1::ErrorCode::Cancelled => ErrorCode::Cancelled,
        v1::ErrorCode::Render => ErrorCode::Render,
        v1::ErrorCode::Auth => ErrorCode::Auth,
    })
}

pub(super) fn status(status: DeliveryStatus) -> i32 {
    let status = match status {
        DeliveryStatus::Pending => v1::DeliveryStatus::Pending,
        DeliveryStatus::Parked => v1::DeliveryStatus::Parked,
        DeliveryStatus::Delivered => v1::DeliveryStatus::Delivered,
        DeliveryStatus::Dead => v1::DeliveryStatus::Dead,
        DeliveryStatus::Cancelled => v1::DeliveryStatus::Cancelled,
    };
    status.into()
}

pub(super) fn from_status(status: v1::DeliveryStatus) -> Result<DeliveryStatus, CodecError> {
    match status {
        v1::DeliveryStatus::Unspecified => Err(CodecError::new("outcome.status", "is missing")),
        v1::DeliveryStatus::Pending => Ok(DeliveryStatus::Pending),
        v1::DeliveryStatus::Parked => Ok(DeliveryStatus::Parked),
        v1::DeliveryStatus::Delivered => Ok(DeliveryStatus::Delivered),
        v1::DeliveryStatus::Dead => Ok(DeliveryStatus::Dead),
        v1::DeliveryStatus::Cancelled => Ok(DeliveryStatus::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_but_none_survives_the_wire() {
        let numbers = 1..;
        let known: Vec<_> = numbers
            .map_while(|number| v1::ErrorCode::try_from(number).ok())
            .collect();
        assert_eq!(known.len(), 13);
        for wire in known {
            assert_eq!(from_code(wire).map(code), Some(wire));
        }
        assert_eq!(from_code(v1::ErrorCode::Unspecified), None);
    }

    #[test]
    fn every_status_but_none_survives_the_wire() {
        use DeliveryStatus::{Cancelled, Dead, Delivered, Parked, Pending};
        for meant in [Pending, Parked, Delivered, Dead, Cancelled] {
            let wire = v1::DeliveryStatus::try_from(status(meant)).unwrap();
            assert_eq!(from_status(wire), Ok(meant));
        }
        assert!(from_status(v1::DeliveryStatus::Unspecified).is_err());
    }
}
