//! Which delivery answers an event's caller, as a table: no broker, no database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hookrail_domain::{
    destination::{Destination, DestinationSpec},
    event::{Body, Event, Reply},
    ids::{DestinationId, EventId, ReplayId, RouteId, SourceId, WorkspaceId},
    route::{Route, RouteSpec},
    snapshot::{Definition, Entry, Key, Snapshot},
    source::{Source, SourceSpec},
    workspace::Workspace,
};
use hookrail_processor::{
    evaluate::{Arrival, Evaluation, Stored, evaluate, evaluate_again},
    read_event::read,
};

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const SOURCE: SourceId = SourceId::from_u128(2);
const LIMIT: usize = 10_000;

/// A source with an entity; destinations 10 and 11; one route to each, in this order.
fn snapshot(format: &str, routes: [&str; 2]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut put = |key, definition| {
        snapshot.apply(Entry {
            revision: 5,
            key,
            definition: Some(definition),
        })
    };
    let workspace = Workspace {
        id: WORKSPACE,
        code: "default".into(),
    };
    put(Key::Workspace(WORKSPACE), Definition::Workspace(workspace));
    let spec = r#"{"name": "s", "entity": {"type": "t", "path": "$", "unique_id": "$.id"},
        "filter": {"not": {"path": "$.skip", "op": "exists", "value": true}}}"#;
    let spec: SourceSpec = serde_json::from_str(spec).unwrap();
    let source = Source {
        id: SOURCE,
        workspace: WORKSPACE,
        workspace_code: "default".into(),
        token: "t".into(),
        old_names: vec![],
        api_keys: vec![],
        spec,
    };
    put(Key::Source(SOURCE), Definition::Source(Box::new(source)));
    for (number, route) in (0..).zip(routes) {
        let id = DestinationId::from_u128(10 + number);
        let spec = format!(r#"{{"name": "d{number}", "url": "http://127.0.0.1/", "format": "{format}"}}"#);
        let spec: DestinationSpec = serde_json::from_str(&spec).unwrap();
        let destination = Destination {
            id,
            workspace: WORKSPACE,
            spec,
        };
        put(
            Key::Destination(id),
            Definition::Destination(Box::new(destination)),
        );
        let route: serde_json::Value = serde_json::from_str(route).unwrap();
        let mut route: RouteSpec = serde_json::from_value(route).unwrap();
        (route.source, route.destination) = (Some(SOURCE), Some(id));
        let id = RouteId::from_u128(20 + number);
        let route = Route {
            id,
            workspace: WORKSPACE,
            spec: route,
        };
        put(Key::Route(id), Definition::Route(Box::new(route)));
    }
    snapshot
}

fn arrival(waits: bool) -> Arrival {
    let reply = Reply {
        instance: "i".into(),
        request: "r".into(),
        deadline: 9,
        waits_until: 9,
        drop_late: false,
        body_hash: None,
    };
    let event = Event {
        id: EventId::from_u128(7),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        event_type: "webhook.received".into(),
        revision: 5,
        accepted_at: 1_732_226_400_005,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(&br#"{"id": 1}"#[..]),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: "00-aaaa-bb-01".into(),
        reply: waits.then_some(reply),
        internal: false,
    };
    Arrival {
        event,
        partition: 3,
        sequence: 1,
        stored_at: 1_000,
    }
}

/// The destinations of the deliveries that answer, by their number.
fn answering(evaluation: &Evaluation) -> Vec<u128> {
    let answering = evaluation
        .deliveries
        .iter()
        .filter(|delivery| delivery.reply.is_some());
    answering.map(|delivery| delivery.destination.as_u128()).collect()
}

fn evaluated(snapshot: &Snapshot, waits: bool, replay: Option<ReplayId>) -> Evaluation {
    let arrivals = [arrival(waits)];
    let readings = vec![read(snapshot, &arrivals[0].event)];
    let stored = Stored::default();
    let mut evaluations = match replay {
        Some(replay) => evaluate_again(snapshot, replay, &arrivals, readings, stored, LIMIT),
        None => evaluate(snapshot, &arrivals, readings, stored, LIMIT),
    };
    evaluations.remove(0)
}

fn check(routes: [&str; 2], waits: bool, expected: &[u128]) {
    let evaluation = evaluated(&snapshot("event", routes), waits, None);
    assert_eq!(answering(&evaluation), expected, "{routes:?}");
    assert_eq!(evaluation.responds.is_some(), !expected.is_empty(), "{routes:?}");
}

#[test]
fn the_delivery_of_the_route_that_responds_answers_and_no_other() {
    let (plain, responds) = (r#"{"name": "a"}"#, r#"{"name": "b", "respond": true}"#);
    check([plain, responds], true, &[11]);
    check([responds, plain], true, &[10]);
    check([plain, plain], true, &[]);
    check([plain, responds], false, &[]);
    let other_type = r#"{"name": "b", "respond": true, "events": ["entity.deleted"]}"#;
    check([plain, other_type], true, &[]);
    let filtered = r#"{"name": "b", "respond": true, "filter": {"path": "$.id", "op": "eq", "value": 2}}"#;
    check([plain, filtered], true, &[]);
    let off = r#"{"name": "b", "respond": true, "enabled": false}"#;
    check([plain, off], true, &[]);
}

#[test]
fn of_several_deliveries_of_the_route_the_first_answers() {
    let both = r#"{"name": "b", "respond": true, "events": ["webhook.received", "entity.created"]}"#;
    let evaluation = evaluated(&snapshot("event", [r#"{"name": "a"}"#, both]), true, None);
    let types: Vec<_> = evaluation
        .deliveries
        .iter()
        .map(|delivery| (delivery.event_type.as_str(), delivery.reply.is_some()))
        .collect();
    let expected = [
        ("webhook.received", false),
        ("webhook.received", true),
        ("entity.created", false),
    ];
    assert_eq!(types, expected);
}

#[test]
fn what_is_replayed_answers_nobody_and_what_can_not_be_rendered_is_known_to() {
    let routes = [r#"{"name": "a"}"#, r#"{"name": "b", "respond": true}"#];
    let replayed = evaluated(&snapshot("event", routes), true, Some(ReplayId::from_u128(3)));
    assert_eq!((answering(&replayed), replayed.responds), (vec![], None));
    let unmade = evaluated(&snapshot("mapped", routes), true, None);
    let dead: Vec<_> = unmade.stillborn.iter().map(|record| record.delivery.id).collect();
    assert!(unmade.responds.is_some_and(|responds| dead.contains(&responds)));
}
