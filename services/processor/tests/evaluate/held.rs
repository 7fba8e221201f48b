//! Events of paused sources: kept first, evaluated later, as if they had not waited.

use hookrail_processor::{
    evaluate::evaluate_held,
    read_event::{Failure, Reading},
};

use super::*;

fn keyed(sequence: u64, body: &str) -> Arrival {
    let mut keyed = arrival(sequence, body);
    keyed.event.idempotency_key = Some("k".into());
    keyed
}

#[test]
fn an_event_that_is_held_comes_to_nothing_yet_but_is_known_by_its_keys() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let arrivals = [
        keyed(1, r#"{"id": 1}"#),
        keyed(2, r#"{"id": 1}"#),
        keyed(3, "other"),
    ];
    let readings = vec![Reading::Held; 3];
    let found = evaluate(&snapshot, &arrivals, readings, Stored::default(), LIMIT);
    assert_eq!(found[0].verdict, Verdict::Held);
    assert_eq!(found[0].keys.len(), 1);
    assert!(found[0].deliveries.is_empty() && found[0].entities.is_empty() && found[0].findings.is_empty());
    assert_eq!(found[1].verdict, Verdict::Duplicate(EventId::from_u128(1)));
    assert!(
        matches!(&found[2].verdict, Verdict::Failed(Failure { code, .. }) if *code == "idempotency.key_reused")
    );
}

#[test]
fn what_was_held_comes_to_what_it_would_have_come_to() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let body = r#"{"id": 1, "email": "a"}"#;
    let at_once = evaluated(&snapshot, &[arrival(1, body)], Stored::default());
    // Its key is a later event's by now, since the time was up for which it was good.
    let held = [keyed(1, body)];
    let id = held[0].event.message_id();
    let first = FirstEvent {
        event: EventId::from_u128(9),
        body_hash: None,
        seen_at: 2_000,
    };
    let stored = Stored {
        first_events: [(id, first)].into(),
        ..Stored::default()
    };
    let readings = vec![read(&snapshot, &held[0].event)];
    let later = evaluate_held(&snapshot, &held, readings, stored, LIMIT);
    assert_eq!(later[0].verdict, Verdict::Processed);
    assert!(later[0].keys.is_empty(), "they are remembered already");
    assert_eq!(later[0].entities, at_once[0].entities);
    let places = |evaluation: &Evaluation| -> Vec<_> {
        let deliveries = evaluation.deliveries.iter();
        deliveries
            .map(|delivery| (delivery.id, delivery.origin))
            .collect()
    };
    assert_eq!(places(&later[0]), places(&at_once[0]));
    let was_held = |evaluation: &Evaluation| {
        let deliveries = evaluation.deliveries.iter();
        deliveries.map(|delivery| delivery.was_held).collect::<Vec<_>>()
    };
    assert_eq!(
        (was_held(&later[0]), was_held(&at_once[0])),
        (vec![true; 2], vec![false; 2])
    );
}

#[test]
fn what_was_held_changes_no_entity_that_is_newer_by_now() {
    let snapshot = snapshot(CUSTOMERS, &[ALL]);
    let newer = evaluated(
        &snapshot,
        &[arrival(9, r#"{"id": 1, "email": "new"}"#)],
        Stored::default(),
    );
    let written = &newer[0].entities[0];
    let row = EntityRow {
        workspace: WORKSPACE.to_string(),
        entity_type: "customer".into(),
        unique_id: "1".into(),
        source: None,
        title: written.title.clone(),
        fields: written.fields.clone(),
        data: written.data.clone(),
        version_partition: 3,
        version_sequence: 9,
        version_at: 1009,
        first_seen_at: 1,
        updated_at: 1,
        last_event_id: EventId::from_u128(9).to_string(),
        deleted_at: None,
        versions: 0,
        terms_rules: Some(1),
    };
    let stored = Stored {
        entities: [(written.key.clone(), row)].into(),
        ..Stored::default()
    };
    let held = [arrival(5, r#"{"id": 1, "email": "old"}"#)];
    let readings = vec![read(&snapshot, &held[0].event)];
    let later = evaluate_held(&snapshot, &held, readings, stored, LIMIT);
    assert!(later[0].entities.is_empty(), "the newer state stays");
    assert_eq!(later[0].about[0].change, "unchanged");
    let types: Vec<&str> = later[0]
        .deliveries
        .iter()
        .map(|delivery| delivery.event_type.as_str())
        .collect();
    assert_eq!(
        types,
        ["webhook.received"],
        "the event itself is told, the entity's state is not"
    );
}
