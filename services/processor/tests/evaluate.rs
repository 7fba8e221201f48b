//! What events come to, as tables: no broker, no database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hookrail_domain::{
    delivery::Delivery,
    destination::{Destination, DestinationSpec},
    event::{Body, DedupeKey, Event},
    ids::{DestinationId, EventId, RouteId, SourceId, WorkspaceId},
    route::{Route, RouteSpec},
    snapshot::{Definition, Entry, Key, Snapshot},
    source::{Source, SourceSpec},
    workspace::Workspace,
};
use hookrail_processor::{
    evaluate::{Arrival, Evaluation, Stored, Verdict, entity_keys, evaluate},
    read_event::read,
};
use hookrail_store::{
    entities::{EntityKey, EntityRow},
    event_keys::FirstEvent,
    source_warnings::Finding,
};

#[path = "evaluate/deletions.rs"]
mod deletions;
#[path = "evaluate/fetches.rs"]
mod fetches;
#[path = "evaluate/held.rs"]
mod held;
#[path = "evaluate/repetitions.rs"]
mod repetitions;
#[path = "evaluate/routes.rs"]
mod routes;

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const SOURCE: SourceId = SourceId::from_u128(2);
const LIMIT: usize = 10_000;

const CUSTOMERS: &str = r#"{"name": "crm", "entity": {"type": "customer", "path": "$", "unique_id": "$.id",
    "title": "$.email", "fields": {"active": "$.active"}}}"#;
const ALL: &str = r#"{"name": "all", "url": "http://127.0.0.1/", "ordering": "key",
    "events": ["webhook.received", "entity.created", "entity.updated", "order.paid"]}"#;

fn snapshot(source: &str, destinations: &[&str]) -> Snapshot {
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
    let spec: SourceSpec = serde_json::from_str(source).unwrap();
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
    for (number, destination) in destinations.iter().enumerate() {
        let spec: DestinationSpec = serde_json::from_str(destination).unwrap();
        let id = DestinationId::from_u128(10 + number as u128);
        let destination = Destination {
            id,
            workspace: WORKSPACE,
            spec,
        };
        put(
            Key::Destination(id),
            Definition::Destination(Box::new(destination)),
        );
    }
    snapshot
}

fn arrival(sequence: u64, body: &str) -> Arrival {
    let event = Event {
        id: EventId::from_u128(u128::from(sequence)),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        event_type: "webhook.received".into(),
        revision: 5,
        accepted_at: 1_732_226_400_005,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(body.as_bytes()),
        remote_addr: None,
        credential: None,
        ordering_key: Some("42".into()),
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: "00-aaaa-bb-01".into(),
        reply: None,
        internal: false,
    };
    Arrival {
        event,
        partition: 3,
        sequence,
        stored_at: 1000 + sequence as i64,
    }
}

fn evaluated(snapshot: &Snapshot, arrivals: &[Arrival], stored: Stored) -> Vec<Evaluation> {
    let readings = arrivals
        .iter()
        .map(|arrival| read(snapshot, &arrival.event))
        .collect();
    evaluate(snapshot, arrivals, readings, stored, LIMIT)
}

#[test]
fn an_event_on_which_the_filter_costs_too_much_fails_and_its_source_warns() {
    let source = r#"{"name": "crm", "filter": {"path": "$.items[?count($.items[*]) == 1]", "op": "exists"}}"#;
    let costly = format!(r#"{{"items": [{}[1]]}}"#, "[1],".repeat(2_000));
    let arrivals = [arrival(1, &costly), arrival(2, r#"{"items": [1]}"#)];
    let found = evaluated(&snapshot(source, &[]), &arrivals, Stored::default());
    let Verdict::Failed(failure) = &found[0].verdict else {
        panic!("{:?}", found[0].verdict)
    };
    assert_eq!(failure.code, "filter.over_budget");
    let said: Vec<bool> = found
        .iter()
        .map(|evaluation| matches!(evaluation.findings[0].1, Finding::Wrong { .. }))
        .collect();
    assert_eq!(said, [true, false]);
}

/// The event types of the deliveries of each body, or how the event ended.
fn outcomes(snapshot: &Snapshot, bodies: &[&str]) -> Vec<String> {
    let arrivals: Vec<_> = (1..)
        .zip(bodies)
        .map(|(sequence, body)| arrival(sequence, body))
        .collect();
    let outcome = |evaluation: &Evaluation| match &evaluation.verdict {
        Verdict::Processed => {
            let types: Vec<&str> = evaluation
                .deliveries
                .iter()
                .map(|delivery| delivery.event_type.as_str())
                .collect();
            types.join(" ")
        }
        Verdict::Failed(failure) => format!("failed {} {}", failure.code, failure.detail),
        other => other.status().as_str().to_owned(),
    };
    evaluated(snapshot, &arrivals, Stored::default())
        .iter()
        .map(outcome)
        .collect()
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.body.bytes().unwrap().to_vec()).unwrap()
}

#[test]
fn an_event_sees_what_those_before_it_in_the_batch_changed() {
    let bodies = [
        r#"{"id": 42, "email": "a@b", "active": true}"#,
        r#"{"id": 42, "email": "a@b", "active": false}"#,
        r#"{"id": 42, "email": "a@b", "active": false}"#,
    ];
    let expected = [
        "webhook.received entity.created",
        "webhook.received entity.updated",
        "webhook.received",
    ];
    assert_eq!(outcomes(&snapshot(CUSTOMERS, &[ALL]), &bodies), expected);
}

#[test]
fn the_same_batch_over_the_same_state_gives_the_same_deliveries() {
    let snapshot = snapshot(CUSTOMERS, &[ALL, ALL]);
    let arrivals = [
        arrival(1, r#"[{"id": 1}, {"id": 2}]"#),
        arrival(2, r#"{"id": 1, "x": 1}"#),
    ];
    let ids = || {
        let all = evaluated(&snapshot, &arrivals, Stored::default());
        all.iter()
            .flat_map(|evaluation| evaluation.deliveries.clone())
            .collect::<Vec<_>>()
    };
    let first = ids();
    assert_eq!(first, ids());
    let unique: std::collections::HashSet<_> = first.iter().map(|delivery| delivery.id).collect();
    assert_eq!((first.len(), unique.len()), (10, 10));
    assert!(first.iter().any(|delivery| delivery.origin.index == 5));
}

#[test]
fn a_bodys_numbers_are_those_that_came_in_and_changes_show_their_values_before() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let bodies = [
        r#"{"id": 820982911946154508, "price": 1.10}"#,
        r#"{"id": 820982911946154508, "price": 1.1}"#,
    ];
    let arrivals = [arrival(1, bodies[0]), arrival(2, bodies[1])];
    let evaluations = evaluated(&snapshot, &arrivals, Stored::default());
    let updated = text(&evaluations[1].deliveries[1]);
    let expected = format!(
        concat!(
            r#"{{"event_time":"2024-11-21T22:00:00.005Z","event_type":"entity.updated","#,
            r#""current_context":{{"workspace":"default","source":"crm","event_id":"{}","#,
            r#""entity":{{"type":"customer","unique_id":"820982911946154508","version":"3.2"}},"#,
            r#""previous_fields":{{"price":1.10}}}},"data":{{"id":820982911946154508,"price":1.1}}}}"#
        ),
        arrivals[1].event.id
    );
    assert_eq!(updated, expected);
    assert_eq!(
        evaluations[0].entities[0].data,
        r#"{"id":820982911946154508,"price":1.10}"#
    );
}

#[test]
fn what_cannot_be_decoded_or_mapped_fails_with_the_fields_name_and_the_rest_goes_on() {
    let bodies = [r#"{"email": "a@b"}"#, r#"{"id": }"#, r#"{"id": 1}"#, "[]"];
    let outcomes = outcomes(&snapshot(CUSTOMERS, &[ALL]), &bodies);
    assert_eq!(outcomes[0], "failed mapping.unresolved unique_id: $.id");
    assert!(
        outcomes[1].starts_with("failed payload.malformed"),
        "{}",
        outcomes[1]
    );
    assert_eq!(outcomes[2], "webhook.received entity.created");
    assert_eq!(outcomes[3], "webhook.received");
}

#[test]
fn a_field_that_does_not_resolve_is_a_warning_and_one_that_does_takes_it_back() {
    let snapshot = snapshot(CUSTOMERS, &[]);
    let arrivals = [arrival(1, r#"{"id": 1, "active": true}"#)];
    let evaluations = evaluated(&snapshot, &arrivals, Stored::default());
    let about = |code: &str, field: &str| {
        let found = evaluations[0]
            .findings
            .iter()
            .find(|(key, _)| key.code == code && key.field == field);
        found.map(|(_, finding)| finding.clone()).unwrap()
    };
    let Finding::Wrong { path, .. } = about("mapping.unresolved", "title") else {
        panic!("title does not resolve")
    };
    assert_eq!(path, "$.email");
    let fine = about("mapping.unresolved", "fields.active");
    assert!(matches!(fine, Finding::Fine { .. }), "{fine:?}");
}

#[test]
fn the_filter_leaves_events_out() {
    let source = r#"{"name": "crm", "filter": {"all": [{"path": "$.type", "op": "eq", "value": "user"}]}}"#;
    let bodies = [r#"{"type": "user"}"#, r#"{"type": "order"}"#];
    assert_eq!(
        outcomes(&snapshot(source, &[ALL]), &bodies),
        ["webhook.received", "filtered"]
    );
}

#[test]
fn an_event_of_a_deleted_source_fails() {
    let mut snapshot = snapshot(CUSTOMERS, &[ALL]);
    snapshot.apply(Entry {
        revision: 6,
        key: Key::Source(SOURCE),
        definition: None,
    });
    assert!(outcomes(&snapshot, &["{}"])[0].starts_with("failed source.deleted"));
}

#[test]
fn a_raw_body_is_the_bytes_that_came_in() {
    let raw =
        r#"{"name": "raw", "url": "http://127.0.0.1/", "format": "raw", "events": ["webhook.received"]}"#;
    let body = "{\"b\" : 1.0,\n\"a\":2}";
    let evaluations = evaluated(
        &snapshot(r#"{"name": "s"}"#, &[raw]),
        &[arrival(1, body)],
        Stored::default(),
    );
    let delivery = &evaluations[0].deliveries[0];
    assert_eq!(
        (text(delivery).as_str(), delivery.content_type.as_deref()),
        (body, Some("application/json"))
    );
}

#[test]
fn a_body_over_the_limit_is_dead_from_the_start() {
    let body = format!(r#"{{"id": 1, "text": "{}"}}"#, "x".repeat(LIMIT));
    let evaluations = evaluated(
        &snapshot(CUSTOMERS, &[ALL]),
        &[arrival(1, &body)],
        Stored::default(),
    );
    assert_eq!(
        (evaluations[0].deliveries.len(), evaluations[0].stillborn.len()),
        (0, 2)
    );
    assert_eq!(evaluations[0].verdict, Verdict::Processed);
}

#[test]
fn a_posted_event_is_planned_under_its_own_type_with_its_own_context() {
    let mut posted = arrival(1, r#"{"order": 1.50}"#);
    posted.event.source = None;
    posted.event.event_type = "order.paid".into();
    posted.event.current_context = Some(r#""shop""#.parse().unwrap());
    let evaluations = evaluated(&snapshot(CUSTOMERS, &[ALL]), &[posted], Stored::default());
    let delivery = &evaluations[0].deliveries[0];
    assert_eq!(delivery.lane_key.as_deref(), Some("42"));
    assert!(
        text(delivery).ends_with(r#""current_context":"shop","data":{"order":1.50}}"#),
        "{}",
        text(delivery)
    );
}

#[test]
fn a_batch_ends_before_the_event_with_which_it_would_be_too_large() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let many = |first: u32, count: u32| {
        let ids: Vec<String> = (first..first + count)
            .map(|id| format!(r#"{{"id":{id}}}"#))
            .collect();
        format!("[{}]", ids.join(","))
    };
    let count = |bodies: [String; 3]| {
        let arrivals: Vec<_> = (1..)
            .zip(&bodies)
            .map(|(sequence, body)| arrival(sequence, body))
            .collect();
        evaluated(&snapshot, &arrivals, Stored::default()).len()
    };
    // An entity, its delivery, and the delivery of the event itself.
    assert_eq!(count([many(0, 1_200), many(2_000, 1_200), many(4_000, 1_200)]), 2);
    assert_eq!(
        count([many(0, 3_000), many(3_000, 1), many(4_000, 1)]),
        1,
        "never none"
    );
    assert_eq!(count([many(0, 10), many(10, 10), many(20, 10)]), 3);
}

#[test]
fn a_get_or_delete_without_a_body_has_an_empty_object_as_its_payload() {
    let without_body = |method: &str| {
        let mut event = arrival(1, "");
        event.event.method = method.into();
        event
    };
    let filtered = r#"{"name": "s", "body_format": "json", "filter": {"all": [{"path": "$.type", "op": "exists", "value": false}]}}"#;
    for (source, method, outcome) in [
        (r#"{"name": "s"}"#, "GET", "processed"),
        (r#"{"name": "s", "body_format": "xml"}"#, "DELETE", "processed"),
        (filtered, "GET", "processed"),
        (r#"{"name": "s"}"#, "POST", "failed"),
    ] {
        let evaluations = evaluated(
            &snapshot(source, &[ALL]),
            &[without_body(method)],
            Stored::default(),
        );
        assert_eq!(
            evaluations[0].verdict.status().as_str(),
            outcome,
            "{method} {source}"
        );
    }
}

#[test]
fn an_older_event_changes_neither_the_entity_nor_tells_of_it() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let arrivals = [arrival(7, r#"{"id": 42}"#)];
    let readings: Vec<_> = arrivals
        .iter()
        .map(|arrival| read(&snapshot, &arrival.event))
        .collect();
    let keys = entity_keys(&snapshot, &arrivals, &readings);
    assert_eq!(keys, [EntityKey::new(WORKSPACE, "customer", "42")]);
    for (partition, sequence, at, changes) in [
        (3, 7, 1007, 0),
        (3, 8, 0, 0),
        (3, 6, 9999, 1),
        (4, 1, 1008, 0),
        (4, 99, 1006, 1),
    ] {
        let row = EntityRow {
            workspace: WORKSPACE.to_string(),
            entity_type: "customer".into(),
            unique_id: "42".into(),
            source: None,
            title: None,
            fields: "{}".into(),
            data: r#"{"id":42,"old":true}"#.into(),
            version_partition: partition,
            version_sequence: sequence,
            version_at: at,
            first_seen_at: 1,
            updated_at: 1,
            last_event_id: EventId::from_u128(1).to_string(),
            deleted_at: None,
            versions: 0,
            terms_rules: None,
        };
        let stored = Stored {
            entities: [(keys[0].clone(), row)].into(),
            ..Stored::default()
        };
        let evaluation = &evaluated(&snapshot, &arrivals, stored)[0];
        let counts = (evaluation.entities.len(), evaluation.deliveries.len());
        assert_eq!(
            counts,
            (changes, 1 + changes),
            "stored {partition}.{sequence} at {at}"
        );
    }
}

const DELETING: &str = r#"{"name": "crm", "entity": {"type": "customer", "path": "$", "unique_id": "$.id",
    "title": "$.email", "fields": {"city": "$.city"}, "history": 3,
    "delete_when": {"path": "$.gone", "op": "eq", "value": true}}}"#;
const CHANGES: &str = r#"{"name": "all", "url": "http://127.0.0.1/", "ordering": "key",
    "events": ["entity.created", "entity.updated", "entity.deleted"]}"#;
