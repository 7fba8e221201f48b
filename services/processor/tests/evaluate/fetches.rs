//! What webhooks with ids, and the answers to their fetches, come to.

use hookrail_domain::{
    fetcher::{
        Fetcher,
        answer::{self, Fetched},
        as_destination,
    },
    ids::FetcherId,
};
use hookrail_store::source_warnings::WarningKey;

use super::*;

const FETCHER: FetcherId = FetcherId::from_u128(20);

/// A source whose payloads have ids that a fetcher asks for.
fn fetching(rules: &str, on_404: &str) -> Snapshot {
    let source = format!(
        r#"{{"name": "crm", "entity": {{"type": "customer", "build": "fetcher", "title": "$.email",
            "fetcher": "{FETCHER}", {rules}}}}}"#
    );
    let mut snapshot = snapshot(&source, &[ALL]);
    let spec = format!(
        r#"{{"name": "f", "type": "customer", "url": "http://h/{{{{id}}}}", "entity_path": "$.data",
            "unique_id": "$.id", "on_404": "{on_404}"}}"#
    );
    let fetcher = Fetcher {
        id: FETCHER,
        workspace: WORKSPACE,
        spec: serde_json::from_str(&spec).unwrap(),
    };
    snapshot.apply(Entry {
        revision: 6,
        key: Key::Fetcher(FETCHER),
        definition: Some(Definition::Fetcher(Box::new(fetcher))),
    });
    snapshot
}

/// The fetches that were planned for a webhook's body.
fn fetches(snapshot: &Snapshot, body: &str) -> Vec<Delivery> {
    let evaluations = evaluated(snapshot, &[arrival(1, body)], Stored::default());
    let planned = evaluations
        .into_iter()
        .flat_map(|evaluation| evaluation.deliveries);
    planned.filter(|delivery| delivery.fetcher.is_some()).collect()
}

/// The answer to a fetch, in the log.
fn answered(fetch: &Delivery, sequence: u64, status: u16, body: &str) -> Arrival {
    let fetched = Fetched {
        status,
        content_type: Some("text/html".to_owned()),
        body: Body::inline(body.as_bytes()),
        at: 1_732_226_400_100,
        revision: 6,
    };
    Arrival {
        event: answer::event(fetch, FETCHER, fetch.entity.as_ref().unwrap(), fetched, 32),
        ..arrival(sequence, "")
    }
}

#[test]
fn each_id_is_asked_for_once_in_the_lane_of_its_entity() {
    let snapshot = fetching(r#""path": "$.users", "unique_id": "$.id""#, "delete");
    let body = r#"{"users": [{"id": 7}, {"id": "a/b"}, {"id": 7}]}"#;
    let planned = fetches(&snapshot, body);
    let keys: Vec<&str> = planned
        .iter()
        .filter_map(|fetch| fetch.lane_key.as_deref())
        .collect();
    assert_eq!(keys, ["customer:7", "customer:a/b"]);
    assert!(
        planned
            .iter()
            .all(|fetch| fetch.destination == as_destination(FETCHER))
    );
    assert_eq!(text(&planned[1]), r#"{"id":"a/b","parts":["a/b"]}"#);
    assert_eq!(
        planned,
        fetches(&snapshot, body),
        "evaluated again, they are the same"
    );
    assert_eq!(planned[0].origin.index, 1, "after the webhook's own delivery");
}

#[test]
fn a_webhook_of_a_fetcher_s_entities_stores_none_and_one_without_an_id_fails() {
    let snapshot = fetching(r#""unique_id": "$.user.id""#, "delete");
    let evaluations = evaluated(
        &snapshot,
        &[arrival(1, r#"{"user": {"id": 7}}"#), arrival(2, r#"{"user": 7}"#)],
        Stored::default(),
    );
    assert!(
        evaluations
            .iter()
            .all(|evaluation| evaluation.entities.is_empty())
    );
    assert_eq!(evaluations[0].verdict, Verdict::Processed);
    assert!(
        matches!(&evaluations[1].verdict, Verdict::Failed(failure) if failure.code == "mapping.unresolved")
    );
}

#[test]
fn an_answer_is_the_entity_and_causes_no_fetch() {
    let snapshot = fetching(r#""unique_id": "$.user.id""#, "delete");
    let fetch = fetches(&snapshot, r#"{"user": {"id": 42}}"#).remove(0);
    let first = answered(
        &fetch,
        8,
        200,
        r#"{"data": {"id": 42, "email": "a"}, "user": {"id": 1}}"#,
    );
    let later = answered(&fetch, 9, 200, r#"{"data": {"id": 42, "email": "b"}}"#);
    let later = Arrival {
        event: Event {
            id: EventId::from_u128(9),
            ..later.event
        },
        ..later
    };
    let evaluations = evaluated(&snapshot, &[first, later], Stored::default());
    let types: Vec<&str> = evaluations
        .iter()
        .flat_map(|evaluation| &evaluation.deliveries)
        .map(|delivery| delivery.event_type.as_str())
        .collect();
    assert_eq!(types, ["entity.created", "entity.updated"]);
    let stored = &evaluations[1].entities[0];
    assert_eq!((stored.title.as_deref(), stored.version.sequence), (Some("b"), 9));
    assert_eq!(stored.source, Some(SOURCE));
    let fetched = evaluations.iter().flat_map(|evaluation| &evaluation.deliveries);
    assert!(fetched.clone().all(|delivery| delivery.fetcher.is_none()));
}

#[test]
fn an_answer_without_the_entity_that_was_asked_for_fails_and_names_the_field() {
    let snapshot = fetching(r#""unique_id": "$.user.id""#, "delete");
    let fetch = fetches(&snapshot, r#"{"user": {"id": 42}}"#).remove(0);
    for (body, code, field) in [
        ("<html>", "fetcher.malformed", "fetcher"),
        ("", "fetcher.malformed", "fetcher"),
        (r#"{"data": {"id": 41}}"#, "fetcher.other_id", "fetcher.unique_id"),
        (r#"{"data": {}}"#, "mapping.unresolved", "fetcher.unique_id"),
        (r#"{"user": {}}"#, "mapping.unresolved", "fetcher.entity_path"),
    ] {
        let evaluation = evaluated(&snapshot, &[answered(&fetch, 8, 200, body)], Stored::default()).remove(0);
        assert!(
            matches!(&evaluation.verdict, Verdict::Failed(failure) if failure.code == code),
            "{body}: {:?}",
            evaluation.verdict
        );
        let wrong = |(key, finding): &(_, Finding)| {
            let key: &WarningKey = key;
            (key.code, key.field.as_str()) == (code, field) && matches!(finding, Finding::Wrong { .. })
        };
        assert!(
            evaluation.findings.iter().any(wrong),
            "{body}: {:?}",
            evaluation.findings
        );
        assert!(
            evaluation.deliveries.is_empty() && evaluation.entities.is_empty(),
            "{body}"
        );
    }
}

#[test]
fn an_entity_that_is_missing_is_marked_where_it_is_known() {
    let snapshot = fetching(r#""unique_id": "$.user.id""#, "mark");
    let fetch = fetches(&snapshot, r#"{"user": {"id": 42}}"#).remove(0);
    let missing = answered(&fetch, 9, 404, "");
    let missing = Arrival {
        event: Event {
            id: EventId::from_u128(9),
            ..missing.event
        },
        ..missing
    };
    let known = answered(&fetch, 8, 200, r#"{"data": {"id": 42, "email": "a"}}"#);
    let evaluations = evaluated(&snapshot, &[known, missing.clone()], Stored::default());
    let marked = &evaluations[1].entities[0];
    assert_eq!(marked.data, r#"{"id":42,"email":"a","_missing":true}"#);
    assert_eq!(
        (marked.title.as_deref(), marked.fields.as_str()),
        (Some("a"), r#"{"_missing":true}"#)
    );
    assert_eq!(evaluations[1].deliveries[0].event_type, "entity.updated");
    let unknown = evaluated(&snapshot, &[missing], Stored::default()).remove(0);
    assert!(unknown.entities.is_empty() && unknown.verdict == Verdict::Processed);
}
