//! Events.

use bytes::Bytes;
use hookrail_domain::event::{DedupeKey, Event};
use hookrail_domain::json::Json;
use hookrail_proto::v1;
use prost::Message;

use super::CodecError;
use super::words::{
    body, decode, from_body, from_pairs, from_reply, into_pairs, parse, parse_option, reply, text_option,
};

/// The bytes of an event.
pub fn encode_event(event: Event) -> Bytes {
    let message = v1::InboundEvent {
        id: event.id.to_string(),
        workspace: event.workspace.to_string(),
        source: text_option(event.source.as_ref()),
        event_type: event.event_type,
        revision: event.revision,
        accepted_at_ms: event.accepted_at,
        method: event.method,
        query: into_pairs(event.query),
        headers: into_pairs(event.headers),
        content_type: event.content_type,
        body: Some(body(&event.body)),
        remote_addr: event.remote_addr,
        credential: text_option(event.credential.as_ref()),
        ordering_key: event.ordering_key,
        dedupe_window_s: event.dedupe_key.as_ref().map_or(0, |dedupe| dedupe.window_s),
        dedupe_key: event.dedupe_key.map(|dedupe| dedupe.key),
        idempotency_key: event.idempotency_key,
        current_context: event.current_context.as_ref().map(Json::to_compact_vec),
        traceparent: event.traceparent,
        reply: event.reply.as_ref().map(reply),
        internal: event.internal,
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads an event.
pub fn decode_event(bytes: &[u8]) -> Result<Event, CodecError> {
    let message: v1::InboundEvent = decode("InboundEvent", bytes)?;
    let context = message.current_context.as_deref().map(Json::parse).transpose();
    Ok(Event {
        id: parse("id", &message.id)?,
        workspace: parse("workspace", &message.workspace)?,
        source: parse_option("source", message.source.as_ref())?,
        event_type: message.event_type,
        revision: message.revision,
        accepted_at: message.accepted_at_ms,
        method: message.method,
        query: from_pairs(message.query),
        headers: from_pairs(message.headers),
        content_type: message.content_type,
        body: from_body(message.body)?,
        remote_addr: message.remote_addr,
        credential: parse_option("credential", message.credential.as_ref())?,
        ordering_key: message.ordering_key,
        dedupe_key: message.dedupe_key.map(|key| DedupeKey {
            key,
            window_s: message.dedupe_window_s,
        }),
        idempotency_key: message.idempotency_key,
        current_context: context.map_err(|error| CodecError::new("current_context", error))?,
        traceparent: message.traceparent,
        reply: message.reply.map(from_reply),
        internal: message.internal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookrail_domain::event::{Body, Reply};
    use hookrail_domain::ids::{EventId, KeyId, SourceId, WorkspaceId};

    fn event(body: Body) -> Event {
        Event {
            id: EventId::from_u128(5),
            workspace: WorkspaceId::from_u128(1),
            source: Some(SourceId::from_u128(2)),
            event_type: "webhook.received".into(),
            revision: 7,
            accepted_at: 1_764_000_000_000,
            method: "POST".into(),
            query: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            headers: vec![("x-id".into(), "ü".into())],
            content_type: Some("application/json".into()),
            body,
            remote_addr: Some("127.0.0.1".into()),
            credential: Some(KeyId::from_u128(3)),
            ordering_key: Some(String::new()),
            dedupe_key: Some(DedupeKey {
                key: "d".into(),
                window_s: 3600,
            }),
            idempotency_key: Some("k".into()),
            current_context: Some(Json::parse(br#"{"n":12345678901234567890.10}"#).unwrap()),
            traceparent: "00-a-b-01".into(),
            reply: Some(Reply {
                instance: "i".into(),
                request: "r".into(),
                deadline: 9,
                waits_until: 7,
                drop_late: true,
                body_hash: Some("h".into()),
            }),
            internal: true,
        }
    }

    #[test]
    fn events_survive_the_wire_whatever_their_body() {
        let object = Body::Object {
            name: "o".into(),
            size: 1 << 40,
        };
        for body in [Body::inline(&b"\0\xff{}"[..]), Body::inline(&b""[..]), object] {
            let event = event(body);
            assert_eq!(decode_event(&encode_event(event.clone())), Ok(event));
        }
    }

    #[test]
    fn bytes_that_are_no_event_are_refused_by_field() {
        assert_eq!(decode_event(b"\xff").unwrap_err().field, "InboundEvent");
        assert_eq!(decode_event(b"").unwrap_err().field, "id");
        let mut message = v1::InboundEvent::decode(encode_event(event(Body::inline(&b""[..])))).unwrap();
        message.body = None;
        assert_eq!(decode_event(&message.encode_to_vec()).unwrap_err().field, "body");
    }
}
