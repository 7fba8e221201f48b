//! Deleted entities, and the versions that are kept of them.

use super::*;

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
