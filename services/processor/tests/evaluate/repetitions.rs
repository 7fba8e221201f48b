//! What repeats another event comes to, by the keys of senders and callers.

use super::*;

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
