//! What flows from source to destination: events, deliveries, dead letters.

use hookrail_broker::codec::{self, DeadLetter};
use hookrail_domain::{
    delivery::{Delivery, DeliveryStatus, EntityRef, ErrorCode, Failure},
    event::{Body, DedupeKey, Event, Origin, Reply},
    ids::{
        DeliveryId, DestinationId, EventId, FetcherId, Id, KeyId, ReplayId, RouteId, SourceId, WorkspaceId,
    },
    journal::{DeliveryFacts, StateRecord},
    json::Json,
};

use crate::Golden;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ACCEPTED_AT: i64 = 1_764_000_000_000;

pub(crate) fn all() -> Vec<Golden> {
    let object = Body::Object {
        name: "evt_01KASP9800000000000000000A".into(),
        size: 5_000_000_000,
    };
    let bare = Event {
        source: None,
        event_type: "order.paid".into(),
        body: object,
        ..bare_event()
    };
    let prefers = Event {
        reply: Some(Reply {
            waits_until: ACCEPTED_AT + 2_000,
            drop_late: true,
            body_hash: Some("4o6cnxq".into()),
            ..reply()
        }),
        ..received_event()
    };
    let dead = DeadLetter {
        delivery: delivery(),
        state: dead_state(),
    };
    vec![
        event("inbound_event", received_event()),
        event("inbound_event_bare", bare),
        event("inbound_event_large", large_event()),
        of_delivery("delivery_large", large_delivery()),
        event("inbound_event_prefers", prefers),
        of_delivery("delivery", delivery()),
        of_delivery("delivery_bare", bare_delivery()),
        of_delivery("delivery_again", delivery_again()),
        of_delivery("delivery_fetch", delivery_fetch()),
        of_delivery("delivery_headers", delivery_with_headers()),
        of_delivery("delivery_held", delivery_that_was_held()),
        Golden::new(
            "dead_letter",
            dead.clone(),
            codec::encode_dead(&dead.delivery, &dead.state),
            codec::decode_dead,
        ),
    ]
}

fn event(name: &'static str, event: Event) -> Golden {
    let bytes = codec::encode_event(event.clone());
    Golden::new(name, event, bytes, codec::decode_event)
}

fn of_delivery(name: &'static str, delivery: Delivery) -> Golden {
    let bytes = codec::encode_delivery(&delivery);
    Golden::new(name, delivery, bytes, codec::decode_delivery)
}

fn received_event() -> Event {
    Event {
        id: EventId::from_parts(ACCEPTED_AT, 5).with_partition(9),
        workspace: WorkspaceId::from_u128(1),
        source: Some(SourceId::from_u128(2)),
        event_type: "webhook.received".into(),
        revision: 42,
        accepted_at: ACCEPTED_AT,
        method: "POST".into(),
        query: vec![("a".into(), "1".into()), ("a".into(), "ü".into())],
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("x-shop".into(), "north".into()),
        ],
        content_type: Some("application/json".into()),
        body: Body::inline(&br#"{"id":12345678901234567890.10}"#[..]),
        remote_addr: Some("192.0.2.7".into()),
        credential: Some(KeyId::from_u128(3)),
        ordering_key: Some("42".into()),
        dedupe_key: Some(DedupeKey {
            key: "sender-1".into(),
            // It was not said how long it is remembered.
            window_s: 0,
        }),
        idempotency_key: Some("caller-1".into()),
        current_context: Some(Json::parse(br#"{"b":1.10,"a":null}"#).unwrap()),
        traceparent: TRACE.into(),
        reply: Some(reply()),
        internal: true,
    }
}

/// Its body is in the object store, and its sender's id is remembered for an hour.
fn large_event() -> Event {
    Event {
        body: Body::Object {
            name: "evt_00000000000000000000000001.mfrggzdfmztwq2lknnwg23tpobyxe43u".into(),
            size: 33_554_432,
        },
        dedupe_key: Some(DedupeKey {
            key: "sender-1".into(),
            window_s: 3600,
        }),
        ..received_event()
    }
}

/// Its body is in the object store, and it is sent again after its death.
fn large_delivery() -> Delivery {
    Delivery {
        body: Body::Object {
            name: "dlv_00000000000000000000000001.mfrggzdfmztwq2lknnwg23tpobyxe43u-2".into(),
            size: 33_554_432,
        },
        ..delivery()
    }
}

/// Nothing in it that may be absent.
fn bare_event() -> Event {
    Event {
        query: Vec::new(),
        headers: Vec::new(),
        content_type: None,
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        reply: None,
        internal: false,
        ..received_event()
    }
}

pub(crate) fn delivery() -> Delivery {
    Delivery {
        id: DeliveryId::from_u128(10),
        event: EventId::from_u128(11),
        event_type: "entity.updated".into(),
        workspace: WorkspaceId::from_u128(1),
        source: Some(SourceId::from_u128(2)),
        destination: DestinationId::from_u128(12),
        route: Some(RouteId::from_u128(13)),
        entity: Some(EntityRef {
            entity_type: "customer".into(),
            unique_id: "42".into(),
            version: "3.17".into(),
        }),
        lane_key: Some("42".into()),
        origin: Origin {
            partition: 3,
            sequence: u64::MAX,
            index: 7,
        },
        revision: 42,
        accepted_at: ACCEPTED_AT,
        content_type: Some("application/json".into()),
        headers: Vec::new(),
        body: Body::inline(&b"{\"data\":{}}\0\xff"[..]),
        traceparent: TRACE.into(),
        replay: Some(ReplayId::from_u128(14)),
        reply: Some(reply()),
        generation: 0,
        attempts_before: 0,
        was_held: false,
        fetcher: None,
    }
}

/// Nothing in it that may be absent, but a body that is elsewhere.
fn bare_delivery() -> Delivery {
    Delivery {
        source: None,
        route: None,
        entity: None,
        lane_key: None,
        content_type: None,
        headers: Vec::new(),
        body: Body::Object {
            name: "dlv_0000000000000000000000000A".into(),
            size: 2_000_000,
        },
        replay: None,
        reply: None,
        ..delivery()
    }
}

/// A dead one that a person sent again.
/// The call of a fetcher.
fn delivery_fetch() -> Delivery {
    Delivery {
        destination: DestinationId::from_u128(20),
        fetcher: Some(FetcherId::from_u128(20)),
        route: None,
        body: Body::inline(&br#"{"id":"42","parts":["42"]}"#[..]),
        ..delivery()
    }
}

fn delivery_again() -> Delivery {
    Delivery {
        generation: 2,
        attempts_before: 19,
        ..delivery()
    }
}

/// A CloudEvent in binary mode.
fn delivery_with_headers() -> Delivery {
    Delivery {
        headers: vec![
            ("ce-specversion".into(), "1.0".into()),
            ("ce-subject".into(), "%C3%BC".into()),
        ],
        ..delivery()
    }
}

/// Its source was paused when its event came.
fn delivery_that_was_held() -> Delivery {
    Delivery {
        was_held: true,
        replay: None,
        ..delivery()
    }
}

pub(crate) fn dead_state() -> StateRecord {
    StateRecord {
        delivery: DeliveryFacts::from(&delivery()),
        status: DeliveryStatus::Dead,
        epoch: 77,
        attempts: 19,
        next_at: None,
        settled_at: Some(ACCEPTED_AT + 259_200_000),
        failure: Some(Failure {
            code: ErrorCode::Status,
            detail: "it answered 503".into(),
        }),
        generation: 2,
        attempt: None,
    }
}

fn reply() -> Reply {
    Reply {
        instance: "ingress-1".into(),
        request: "req-1".into(),
        deadline: ACCEPTED_AT + 30_000,
        waits_until: ACCEPTED_AT + 30_000,
        drop_late: false,
        body_hash: None,
    }
}
