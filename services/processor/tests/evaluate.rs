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

#[path = "evaluate/fetches.rs"]
mod fetches;

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
fn a_repetition_by_its_key_is_a_duplicate_of_the_first() {
    let keyed = |sequence| {
        let mut keyed = arrival(sequence, "{}");
        keyed.event.idempotency_key = Some("k".into());
        keyed
    };
    let snapshot = snapshot(r#"{"name": "s"}"#, &[]);
    let evaluations = evaluated(&snapshot, &[keyed(1), keyed(2)], Stored::default());
    assert_eq!(evaluations[0].verdict, Verdict::Processed);
    assert_eq!(evaluations[1].verdict, Verdict::Duplicate(EventId::from_u128(1)));
    let message_id = evaluations[0].keys[0].id.clone();
    let stored = |first| Stored {
        first_events: [(message_id.clone(), first_event(first, "{}"))].into(),
        ..Stored::default()
    };
    assert_eq!(
        evaluated(&snapshot, &[keyed(2)], stored(1))[0].verdict,
        Verdict::Duplicate(EventId::from_u128(1))
    );
    assert_eq!(
        evaluated(&snapshot, &[keyed(1)], stored(1))[0].verdict,
        Verdict::Processed,
        "itself again"
    );
}

fn first_event(number: u128, body: &str) -> FirstEvent {
    let event = arrival(1, body).event;
    FirstEvent {
        event: EventId::from_u128(number),
        body_hash: Some(event.body_hash()),
        seen_at: 0,
    }
}

#[test]
fn a_senders_id_is_good_for_as_long_as_its_source_says_whatever_the_body() {
    let with_id = |sequence, body: &str, stored_at| {
        let mut with_id = arrival(sequence, body);
        with_id.stored_at = stored_at;
        with_id.event.dedupe_key = Some(DedupeKey {
            key: "d".into(),
            window_s: 60,
        });
        with_id
    };
    let snapshot = snapshot(r#"{"name": "s"}"#, &[]);
    let arrivals = [
        with_id(1, "{}", 1_000),
        with_id(2, "[]", 61_000),
        with_id(3, "{}", 61_001),
        with_id(4, "{}", 121_001),
        with_id(5, "{}", 121_002),
    ];
    let verdicts = |stored| -> Vec<Verdict> {
        let evaluations = evaluated(&snapshot, &arrivals, stored);
        evaluations
            .into_iter()
            .map(|evaluation| evaluation.verdict)
            .collect()
    };
    let of = |number| Verdict::Duplicate(EventId::from_u128(number));
    let expected = [
        Verdict::Processed,
        of(1),
        Verdict::Processed,
        of(3),
        Verdict::Processed,
    ];
    assert_eq!(verdicts(Stored::default()), expected);
    let id = arrivals[0].event.message_id();
    let first = FirstEvent {
        seen_at: 500,
        ..first_event(9, "{}")
    };
    let stored = Stored {
        first_events: [(id, first)].into(),
        ..Stored::default()
    };
    let expected = [of(9), Verdict::Processed, of(2), Verdict::Processed, of(4)];
    assert_eq!(verdicts(stored), expected, "one was first that is stored");
}

#[test]
fn an_event_with_two_keys_is_known_by_either() {
    let mut both = arrival(1, "{}");
    both.event.idempotency_key = Some("i".into());
    both.event.dedupe_key = Some(DedupeKey {
        key: "d".into(),
        window_s: 60,
    });
    let (mut by_id, mut by_key) = (arrival(2, "{}"), arrival(3, "{}"));
    by_id.event.dedupe_key = both.event.dedupe_key.clone();
    by_key.event.idempotency_key = both.event.idempotency_key.clone();
    let snapshot = snapshot(r#"{"name": "s"}"#, &[]);
    let evaluations = evaluated(&snapshot, &[both, by_id, by_key], Stored::default());
    assert_eq!(evaluations[0].keys.len(), 2);
    for evaluation in &evaluations[1..] {
        assert_eq!(evaluation.verdict, Verdict::Duplicate(EventId::from_u128(1)));
    }
}

#[test]
fn a_key_that_came_before_with_another_body_fails() {
    let keyed = |sequence, body| {
        let mut keyed = arrival(sequence, body);
        keyed.event.idempotency_key = Some("k".into());
        keyed
    };
    let snapshot = snapshot(r#"{"name": "s"}"#, &[ALL]);
    let arrivals = [keyed(1, r#"{"id": 1}"#), keyed(2, r#"{"id": 2}"#)];
    let evaluations = evaluated(&snapshot, &arrivals, Stored::default());
    let check = |evaluation: &Evaluation| {
        let Verdict::Failed(failure) = &evaluation.verdict else {
            panic!("{:?}", evaluation.verdict)
        };
        assert_eq!(failure.code, "idempotency.key_reused");
        assert!(evaluation.deliveries.is_empty() && evaluation.keys.is_empty());
    };
    check(&evaluations[1]);
    let stored = Stored {
        first_events: [(arrivals[0].event.message_id(), first_event(1, r#"{"id": 1}"#))].into(),
        ..Stored::default()
    };
    check(&evaluated(&snapshot, &arrivals[1..], stored)[0]);
}

#[test]
fn an_event_that_is_stored_from_another_place_comes_to_nothing_again() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let one = arrival(7, r#"{"id": 1}"#);
    for (place, verdict) in [((3, 7), Verdict::Processed), ((3, 6), Verdict::Again)] {
        let stored = Stored {
            places: [(one.event.id, place)].into(),
            ..Stored::default()
        };
        let evaluations = evaluated(&snapshot, std::slice::from_ref(&one), stored);
        assert_eq!(evaluations[0].deliveries.is_empty(), verdict == Verdict::Again);
        assert_eq!(evaluations[0].verdict, verdict);
    }
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
fn a_lane_key_that_is_too_long_is_the_hash_that_the_source_keeps() {
    let long = "k".repeat(600);
    let mut snapshot = snapshot(
        r#"{"name": "s"}"#,
        &[r#"{"name": "d", "url": "http://127.0.0.1/", "ordering": "key"}"#],
    );
    let (id, destination) = (RouteId::from_u128(20), DestinationId::from_u128(10));
    let spec: RouteSpec = serde_json::from_str(&format!(
        r#"{{"name": "r", "source": "{SOURCE}", "events": ["webhook.received"], "destination": "{destination}",
            "ordering_key": {{"path": "$.id"}}}}"#
    ))
    .unwrap();
    snapshot.apply(Entry {
        revision: 6,
        key: Key::Route(id),
        definition: Some(Definition::Route(Box::new(Route {
            id,
            workspace: WORKSPACE,
            spec,
        }))),
    });
    let body = format!(r#"{{"id": "{long}"}}"#);
    let evaluations = evaluated(&snapshot, &[arrival(1, &body)], Stored::default());
    let key = hookrail_domain::ordering_key::bounded(long);
    assert_eq!(
        evaluations[0].deliveries[0].lane_key.as_deref(),
        Some(key.as_str())
    );
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

#[test]
fn a_lane_key_that_does_not_resolve_or_is_not_the_sources_is_warned_of() {
    let target = r#"{"name": "d", "url": "http://127.0.0.1/", "ordering": "key"}"#;
    let mut snapshot = snapshot(CUSTOMERS, &[target]);
    let route = |path: &str| -> RouteSpec {
        let destination = DestinationId::from_u128(10);
        serde_json::from_str(&format!(
            r#"{{"name": "r", "source": "{SOURCE}", "events": ["webhook.received"], "destination": "{destination}",
                "ordering_key": {{"path": "{path}"}}}}"#
        ))
        .unwrap()
    };
    for (revision, path, unresolved, mismatch) in [
        (6, "$.id", false, false),
        (7, "$.nothing", true, false),
        (8, "$.other", false, true),
    ] {
        let id = RouteId::from_u128(20);
        let definition = Definition::Route(Box::new(Route {
            id,
            workspace: WORKSPACE,
            spec: route(path),
        }));
        snapshot.apply(Entry {
            revision,
            key: Key::Route(id),
            definition: Some(definition),
        });
        let arrivals = [arrival(1, r#"{"id": 42, "other": 7}"#)];
        let evaluation = &evaluated(&snapshot, &arrivals, Stored::default())[0];
        let wrong = |code: &str| {
            let of_code = evaluation.findings.iter().filter(|(key, _)| key.code == code);
            of_code
                .map(|(_, finding)| !matches!(finding, Finding::Fine { .. }))
                .next_back()
        };
        assert_eq!(wrong("ordering.key_unresolved"), Some(unresolved), "{path}");
        assert_eq!(wrong("ordering.key_mismatch"), Some(mismatch), "{path}");
    }
}

const DELETING: &str = r#"{"name": "crm", "entity": {"type": "customer", "path": "$", "unique_id": "$.id",
    "title": "$.email", "fields": {"city": "$.city"}, "history": 3,
    "delete_when": {"path": "$.gone", "op": "eq", "value": true}}}"#;
const CHANGES: &str = r#"{"name": "all", "url": "http://127.0.0.1/", "ordering": "key",
    "events": ["entity.created", "entity.updated", "entity.deleted"]}"#;

fn numbered(bodies: &[&str]) -> Vec<Arrival> {
    (1..)
        .zip(bodies)
        .map(|(sequence, body)| arrival(sequence, body))
        .collect()
}

#[test]
fn a_batch_sees_its_own_deletions() {
    let snapshot = snapshot(DELETING, &[CHANGES]);
    let gone = r#"{"id": 1, "gone": true}"#;
    let bodies = [
        gone,
        r#"{"id": 1, "city": "Bern"}"#,
        gone,
        gone,
        r#"{"id": 1, "city": "Bonn"}"#,
    ];
    assert_eq!(
        outcomes(&snapshot, &bodies),
        ["", "entity.created", "entity.deleted", "", "entity.created"]
    );
    let evaluations = evaluated(&snapshot, &numbered(&bodies), Stored::default());
    let changes: Vec<&str> = evaluations.iter().map(|e| e.about[0].change).collect();
    assert_eq!(
        changes,
        ["unchanged", "created", "deleted", "unchanged", "created"]
    );
    let deleted: Vec<bool> = evaluations
        .iter()
        .map(|e| e.entities[0].deleted_at.is_some())
        .collect();
    assert_eq!(
        deleted,
        [true, false, true, true, false],
        "an unknown one leaves a tombstone too"
    );
    let lanes: Vec<_> = evaluations
        .iter()
        .flat_map(|e| &e.deliveries)
        .map(|d| &d.lane_key)
        .collect();
    assert!(lanes.windows(2).all(|pair| pair[0] == pair[1]), "{lanes:?}");
}

#[test]
fn what_is_deleted_is_told_as_it_was_last_with_its_fields() {
    let snapshot = snapshot(DELETING, &[CHANGES]);
    let bodies = [
        r#"{"id": 1, "city": "Bern", "n": 9007199254740993}"#,
        r#"{"id": 1, "gone": true}"#,
    ];
    let evaluations = evaluated(&snapshot, &numbered(&bodies), Stored::default());
    let told = text(&evaluations[1].deliveries[0]);
    assert!(told.contains(r#""event_type":"entity.deleted""#), "{told}");
    assert!(told.contains(r#""previous_fields":{"city":"Bern"}"#), "{told}");
    assert!(
        told.ends_with(r#""data":{"id":1,"city":"Bern","n":9007199254740993}}"#),
        "{told}"
    );
}

/// What was stored of an entity by these evaluations, for the events that come next.
fn stored_by(evaluations: &[Evaluation]) -> Stored {
    let entities = evaluations.iter().flat_map(|evaluation| &evaluation.entities);
    let rows = entities.map(|write| {
        let row = EntityRow {
            workspace: WORKSPACE.to_string(),
            entity_type: write.key.entity_type.clone(),
            unique_id: write.key.unique_id.clone(),
            source: None,
            title: write.title.clone(),
            fields: write.fields.clone(),
            data: write.data.clone(),
            version_partition: write.version.partition.into(),
            version_sequence: write.version.sequence as i64,
            version_at: write.version.at,
            first_seen_at: write.first_seen_at,
            updated_at: write.at,
            last_event_id: write.event.to_string(),
            deleted_at: write.deleted_at,
            versions: write.versions as i64,
            terms_rules: Some(1),
        };
        (write.key.clone(), row)
    });
    Stored {
        entities: rows.collect(),
        ..Stored::default()
    }
}

#[test]
fn an_older_event_that_comes_late_never_brings_back_what_was_deleted() {
    let snapshot = snapshot(DELETING, &[CHANGES]);
    let deleted = evaluated(
        &snapshot,
        &[arrival(9, r#"{"id": 1, "gone": true}"#)],
        Stored::default(),
    );
    for (sequence, created) in [(8, false), (9, false), (10, true)] {
        let late = [arrival(sequence, r#"{"id": 1, "city": "Bern"}"#)];
        let evaluation = &evaluated(&snapshot, &late, stored_by(&deleted))[0];
        let counts = (evaluation.entities.len(), evaluation.deliveries.len());
        assert_eq!(counts, (usize::from(created), usize::from(created)), "{sequence}");
    }
}

/// The changes of the versions that are written, with their numbers, and up to which number they are trimmed.
fn history(source: &str, bodies: &[&str]) -> (Vec<(u64, &'static str)>, u64) {
    let snapshot = snapshot(source, &[]);
    let evaluations = evaluated(&snapshot, &numbered(bodies), Stored::default());
    let versions = evaluations.iter().flat_map(|e| &e.versions);
    let trimmed = evaluations.iter().flat_map(|e| &e.trims).map(|trim| trim.through);
    (
        versions.map(|v| (v.number, v.change)).collect(),
        trimmed.max().unwrap_or_default(),
    )
}

#[test]
fn as_many_versions_are_kept_as_the_source_says() {
    let all = [
        r#"{"id": 1, "n": 1}"#,
        r#"{"id": 1, "n": 1}"#,
        r#"{"id": 1, "n": 2}"#,
        r#"{"id": 1, "gone": true}"#,
        r#"{"id": 1, "n": 3}"#,
    ];
    let kept = vec![(1, "created"), (2, "updated"), (3, "deleted"), (4, "created")];
    assert_eq!(history(DELETING, &all), (kept, 1));
    assert_eq!(
        history(DELETING, &all[..2]),
        (vec![], 0),
        "what never changed is its own version"
    );
    for none in ["\"history\": 0", "\"history\": 1"] {
        let source = DELETING.replace("\"history\": 3", none);
        assert_eq!(history(&source, &all), (vec![], 0), "{none}");
    }
    // A limit that was lowered takes effect with the next change.
    let more = snapshot(DELETING, &[]);
    let before = stored_by(&evaluated(&more, &numbered(&all[..3]), Stored::default()));
    let none = snapshot(&DELETING.replace("\"history\": 3", "\"history\": 0"), &[]);
    let next = &evaluated(&none, &[arrival(9, all[4])], before)[0];
    assert_eq!((next.trims[0].through, next.entities[0].versions), (2, 0));
}

#[test]
fn a_person_s_deletion_is_told_as_the_entity_s_and_not_by_itself() {
    let snapshot = snapshot(DELETING, &[CHANGES]);
    let created = evaluated(
        &snapshot,
        &[arrival(1, r#"{"id": 1, "city": "Bern"}"#)],
        Stored::default(),
    );
    let wanted = |body: &str| {
        let mut wanted = arrival(2, body);
        wanted.event.event_type = "entity.deleted".into();
        wanted.event.internal = true;
        [wanted]
    };
    let deletion = wanted(r#"{"type": "customer", "unique_id": "1"}"#);
    let readings: Vec<_> = deletion
        .iter()
        .map(|arrival| read(&snapshot, &arrival.event))
        .collect();
    let keys = entity_keys(&snapshot, &deletion, &readings);
    assert_eq!(keys, [EntityKey::new(WORKSPACE, "customer", "1")]);
    let evaluation = &evaluated(&snapshot, &deletion, stored_by(&created))[0];
    assert_eq!(evaluation.deliveries.len(), 1);
    let told = text(&evaluation.deliveries[0]);
    assert!(told.ends_with(r#""data":{"id":1,"city":"Bern"}}"#), "{told}");
    assert_eq!(evaluation.versions.len(), 2);
    // Nothing stored: nothing told. And what names nothing fails.
    let unknown = &evaluated(&snapshot, &deletion, Stored::default())[0];
    assert_eq!(
        (unknown.about[0].change, unknown.deliveries.len()),
        ("unchanged", 0)
    );
    let verdict = &evaluated(&snapshot, &wanted("{}"), Stored::default())[0].verdict;
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
}
