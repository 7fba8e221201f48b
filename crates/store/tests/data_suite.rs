//! The data tables, by the same tests on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use std::collections::{BTreeMap, HashSet};

use databases::{each_database, written};
use hookrail_domain::{
    delivery::{Attempt, Delivery, DeliveryStatus, EntityRef, ErrorCode, Failure},
    event::{Body, Event, EventStatus, Origin},
    ids::{DeliveryId, DestinationId, EventId, SourceId, WorkspaceId},
    journal::{AttemptRecord, CountRecord, DeliveryFacts, RejectionRecord, StateRecord},
};
use hookrail_store::{
    Store, attempts, dead_letters,
    deliveries::{self, DeliveryRow},
    entities::{self, EntityKey, EntityVersion, EntityWrite},
    event_entities::{self, EventEntity},
    event_keys,
    events::{self, EventRow, EventWrite},
    partition_progress, rejections,
    sea_orm::{ConnectionTrait, FromQueryResult, Statement},
    source_counters::{self, Counts},
    source_refusals,
    source_warnings::{self, Finding, WarningKey},
    unsettled_deliveries,
};

const SOURCE: SourceId = SourceId::from_u128(7);
const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);

async fn rows<T: FromQueryResult>(store: &Store, sql: &str) -> Vec<T> {
    let statement = Statement::from_string(store.backend(), sql);
    let rows = store.reader().query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| T::from_query_result(row, "").unwrap())
        .collect()
}

fn facts(id: u128) -> DeliveryFacts {
    DeliveryFacts {
        id: DeliveryId::from_u128(id),
        event: EventId::from_u128(3),
        event_type: "entity.created".into(),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        destination: DestinationId::from_u128(5),
        fetcher: None,
        route: None,
        entity: Some(EntityRef {
            entity_type: "customer".into(),
            unique_id: "42".into(),
            version: "0.9".into(),
        }),
        lane_key: Some("customer:42".into()),
        origin: Origin {
            partition: 0,
            sequence: 9,
            index: 0,
        },
        accepted_at: 1000,
        replay: None,
    }
}

fn state(id: u128, generation: u32, status: DeliveryStatus, epoch: u64, attempts: u32) -> StateRecord {
    StateRecord {
        delivery: facts(id),
        status,
        epoch,
        attempts,
        next_at: None,
        settled_at: status.is_settled().then_some(2000),
        failure: None,
        generation,
        attempt: None,
    }
}

async fn only_delivery(store: &Store) -> DeliveryRow {
    rows(store, &format!("SELECT {} FROM deliveries", deliveries::COLUMNS))
        .await
        .pop()
        .unwrap()
}

fn version(partition: u32, sequence: u64, at: i64) -> EntityVersion {
    EntityVersion {
        partition,
        sequence,
        at,
    }
}

fn entity(unique_id: &str, data: &str, version: EntityVersion) -> EntityWrite {
    EntityWrite {
        key: EntityKey::new(WORKSPACE, "customer", unique_id),
        source: Some(SOURCE),
        title: Some("Ann".into()),
        fields: r#"{"n":9007199254740993}"#.into(),
        data: data.into(),
        version,
        first_seen_at: 100,
        at: version.at,
        event: EventId::from_u128(u128::from(version.sequence)),
        deleted_at: None,
        versions: 0,
        before: None,
    }
}

fn event(id: u128) -> Event {
    Event {
        id: EventId::from_u128(id),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        event_type: "webhook.received".into(),
        revision: 4,
        accepted_at: 1000,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(&b"{}"[..]),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: "00-aaaa-bb-01".into(),
        reply: None,
        internal: false,
    }
}

#[tokio::test]
async fn migrating_again_and_at_once_changes_nothing() {
    each_database(async |store| {
        let (a, b) = tokio::join!(store.migrate(), store.migrate());
        a.unwrap();
        b.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_partition_is_taken_by_a_newer_epoch_only_and_an_older_one_commits_nothing() {
    each_database(async |store| {
        let take = async |epoch| {
            partition_progress::take_partition(&store, 3, epoch)
                .await
                .unwrap()
        };
        assert_eq!(take(5).await, Some(0));
        assert!(written!(store, tx => partition_progress::advance(&*tx, 3, 5, 10)));
        assert!(
            !written!(store, tx => partition_progress::advance(&*tx, 3, 5, 10)),
            "not twice"
        );
        assert_eq!(take(5).await, None, "the same epoch");
        assert_eq!(take(4).await, None, "an older one");
        assert_eq!(take(6).await, Some(10));
        assert!(
            !written!(store, tx => partition_progress::advance(&*tx, 3, 5, 20)),
            "fenced off"
        );
        assert!(written!(store, tx => partition_progress::advance(&*tx, 3, 6, 11)));
        assert_eq!(
            partition_progress::all_committed(store.reader()).await.unwrap(),
            [(3, 11)]
        );
    })
    .await;
}

#[tokio::test]
async fn a_delivery_is_never_lowered() {
    use DeliveryStatus::{Dead, Delivered, Parked, Pending};
    each_database(async |store| {
        let raise = async |record: StateRecord| written!(store, tx => deliveries::raise(&*tx, std::slice::from_ref(&record)));
        raise(state(1, 0, Parked, 2, 1)).await;
        let both = [facts(1).id, facts(2).id, facts(1).id];
        let known = deliveries::known(store.reader(), &both).await.unwrap();
        assert_eq!(known, HashSet::from([facts(1).id]), "told of by the journal only");
        assert_eq!(written!(store, tx => deliveries::insert_planned(&*tx, &[facts(1)])), 0);
        assert_eq!(only_delivery(&store).await.status, "parked");
        raise(state(1, 0, Pending, 9, 9)).await;
        assert_eq!(only_delivery(&store).await.status, "parked");
        raise(state(1, 0, Parked, 2, 3)).await;
        raise(state(1, 0, Parked, 2, 2)).await;
        assert_eq!(only_delivery(&store).await.attempts, 3);
        let failure = Some(Failure { code: ErrorCode::Status, detail: "500\0".into() });
        raise(StateRecord { failure, ..state(1, 0, Dead, 2, 4) }).await;
        raise(state(1, 0, Parked, 8, 9)).await;
        let row = only_delivery(&store).await;
        assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("dead", Some("status")));
        assert_eq!((row.error_detail.as_deref(), row.settled_at), (Some("500\\u0000"), Some(2000)));
        raise(state(1, 1, Pending, 8, 0)).await;
        assert_eq!(only_delivery(&store).await.status, "pending", "a manual retry takes it back");
        raise(state(1, 1, Delivered, 8, 1)).await;
        // A repetition after a crash, to which the receiver said no.
        raise(state(1, 1, Dead, 9, 2)).await;
        let row = only_delivery(&store).await;
        assert_eq!((row.status.as_str(), row.error_code), ("delivered", None));
    })
    .await;
}

#[tokio::test]
async fn what_a_destination_still_owes_is_counted_up_to_a_limit() {
    use DeliveryStatus::{Dead, Delivered, Parked};
    each_database(async |store| {
        let states = [(1, Parked), (2, Delivered), (3, Dead), (4, Parked)];
        let batch = states.map(|(id, status)| state(id, 0, status, 1, 1));
        written!(store, tx => deliveries::raise(&*tx, &batch));
        written!(store, tx => deliveries::insert_planned(&*tx, &[facts(5)]));
        let destination = facts(1).destination.to_string();
        for (of, most, expected) in [
            (destination.as_str(), 10, 3),
            (&destination, 2, 2),
            ("dst_other", 10, 0),
        ] {
            let count = unsettled_deliveries::count(store.reader(), of, most)
                .await
                .unwrap();
            assert_eq!(count, expected, "{of} {most}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_highest_of_several_records_of_a_delivery_in_one_batch_counts() {
    use DeliveryStatus::{Delivered, Parked};
    each_database(async |store| {
        let batch = [
            state(1, 0, Delivered, 2, 2),
            state(1, 0, Parked, 2, 1),
            state(2, 0, Parked, 2, 1),
        ];
        assert_eq!(written!(store, tx => deliveries::raise(&*tx, &batch)), 2);
        let all: Vec<DeliveryRow> = rows(
            &store,
            &format!("SELECT {} FROM deliveries ORDER BY id", deliveries::COLUMNS),
        )
        .await;
        assert_eq!(
            all.iter().map(|row| row.status.as_str()).collect::<Vec<_>>(),
            ["delivered", "parked"]
        );
        assert_eq!(all[0].lane.len(), 16);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_is_reported_twice_counts_once() {
    each_database(async |store| {
        let attempt = Attempt {
            number: 1,
            epoch: 2,
            started_at: 1,
            duration_ms: 2,
            method: "POST".into(),
            url: "http://127.0.0.1/".into(),
            request_headers: vec![("a".into(), "b\0".into())],
            status: Some(500),
            response_headers: vec![],
            response_body: vec![0, 255],
            failure: None,
        };
        let record = AttemptRecord {
            delivery: facts(1),
            attempt,
        };
        for expected in [1, 0] {
            let batch = [record.clone(), record.clone()];
            assert_eq!(written!(store, tx => attempts::insert(&*tx, &batch)), expected);
        }
        let row: attempts::AttemptRow = rows(&store, &format!("SELECT {} FROM attempts", attempts::COLUMNS))
            .await
            .pop()
            .unwrap();
        assert_eq!((row.status, row.response_body), (Some(500), vec![0, 255]));
    })
    .await;
}

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one() {
    each_database(async |store| {
        let put = async |data: &str, v| {
            let write = vec![entity("42", data, v)];
            written!(store, tx => entities::upsert(&*tx, write.clone()))
        };
        let key = EntityKey::new(WORKSPACE, "customer", "42");
        let stored = async || {
            entities::load(store.reader(), std::slice::from_ref(&key))
                .await
                .unwrap()
                .remove(&key)
                .unwrap()
        };
        for (data, v, wins) in [
            (r#"{"a":1.10}"#, version(1, 10, 100), true),
            (r#"{"a":2}"#, version(1, 10, 100), false),
            (r#"{"a":3}"#, version(1, 9, 900), false),
            (r#"{"a":4}"#, version(1, 11, 90), true),
            (r#"{"a":5}"#, version(2, 99, 89), false),
            (r#"{"a":6}"#, version(2, 3, 91), true),
        ] {
            let before = entities::load(store.reader(), std::slice::from_ref(&key))
                .await
                .unwrap()
                .remove(&key);
            assert_eq!(
                before.is_none_or(|row| v.replaces(&row.version())),
                wins,
                "{data}: the same rule in memory"
            );
            assert_eq!(put(data, v).await == 1, wins, "{data}");
            if wins {
                assert_eq!(stored().await.data, data);
            }
        }
        let row = stored().await;
        assert_eq!((row.first_seen_at, row.updated_at), (100, 91));
        assert_eq!(row.fields, r#"{"n":9007199254740993}"#);
    })
    .await;
}

#[tokio::test]
async fn many_entities_are_stored_and_found_and_nul_is_escaped() {
    each_database(async |store| {
        let writes: Vec<_> = (0..5000)
            .map(|n| entity(&format!("{n}\0"), "{}", version(0, 1, 1)))
            .collect();
        let keys: Vec<_> = writes.iter().map(|write| write.key.clone()).collect();
        assert_eq!(
            written!(store, tx => entities::upsert(&*tx, writes.clone())),
            5000
        );
        let found = entities::load(store.reader(), &keys).await.unwrap();
        assert!(keys.iter().all(|key| found.contains_key(key)));
    })
    .await;
}

#[tokio::test]
async fn an_event_keeps_what_was_written_first() {
    each_database(async |store| {
        let event = event(1);
        let write = EventWrite {
            event: &event,
            partition: 2,
            sequence: 17,
            status: EventStatus::Failed,
            error: Some(("mapping.unresolved", "title")),
            duplicate_of: None,
            processed_at: 1500,
        };
        assert_eq!(
            written!(store, tx => events::insert(&*tx, std::slice::from_ref(&write))),
            1
        );
        let again = EventWrite {
            status: EventStatus::Processed,
            error: None,
            ..write
        };
        assert_eq!(
            written!(store, tx => events::insert(&*tx, std::slice::from_ref(&again))),
            0
        );
        let row: EventRow = rows(&store, &format!("SELECT {} FROM events", events::COLUMNS))
            .await
            .pop()
            .unwrap();
        assert_eq!((row.status.as_str(), row.sequence, row.size), ("failed", 17, 2));
        let pair = EventEntity {
            event: event.id,
            entity: EntityKey::new(WORKSPACE, "customer", "42"),
            change: "created",
        };
        assert_eq!(
            written!(store, tx => event_entities::insert(&*tx, std::slice::from_ref(&pair))),
            1
        );
        assert_eq!(
            written!(store, tx => event_entities::insert(&*tx, std::slice::from_ref(&pair))),
            0
        );
    })
    .await;
}

#[tokio::test]
async fn a_key_belongs_to_its_first_event_until_it_is_forgotten() {
    each_database(async |store| {
        let first = |number, hash: &str, seen_at| event_keys::FirstEvent {
            event: EventId::from_u128(number),
            body_hash: Some(hash.to_owned()),
            seen_at,
        };
        let key = |first, expires_at| event_keys::KeyWrite {
            id: "k".to_owned(),
            first,
            expires_at,
        };
        let load = async || {
            let found = event_keys::load(store.reader(), &["k".to_owned()]).await;
            found.unwrap().remove("k")
        };
        let batch = [key(first(1, "a", 1000), 5000), key(first(2, "b", 3000), 7000)];
        written!(store, tx => event_keys::remember(&*tx, &batch));
        assert_eq!(
            load().await,
            Some(first(2, "b", 3000)),
            "who came when the first was forgotten"
        );
        assert_eq!(written!(store, tx => event_keys::forget(&*tx, 7000, 10)), 0);
        assert_eq!(written!(store, tx => event_keys::forget(&*tx, 7001, 10)), 1);
        assert_eq!(load().await, None);
    })
    .await;
}

#[tokio::test]
async fn counters_rise_and_refusals_count_once() {
    each_database(async |store| {
        let mut counts = Counts::default();
        counts.add(EventStatus::Processed, 100);
        counts.add(EventStatus::Filtered, 50);
        for _ in 0..2 {
            written!(store, tx => source_counters::raise(&*tx, &BTreeMap::from([(SOURCE, counts)])));
        }
        let found = source_counters::of_source(store.reader(), SOURCE).await.unwrap();
        assert_eq!(
            (found.processed, found.filtered, found.failed, found.last_event_at),
            (2, 2, 0, 100)
        );

        let record = |number| CountRecord {
            instance: "i".into(),
            number,
            source: SOURCE,
            code: "unauthorized".into(),
            refused: 10,
        };
        let (one, two) = (record(1), record(2));
        for batch in [vec![&one, &one], vec![&two, &one]] {
            written!(store, tx => source_refusals::count(&*tx, &batch, 5));
        }
        let refused = source_refusals::of_source(store.reader(), SOURCE).await.unwrap();
        assert_eq!(refused, BTreeMap::from([("unauthorized".to_owned(), 20)]));
    })
    .await;
}

#[tokio::test]
async fn the_newest_rejections_of_a_source_are_kept() {
    each_database(async |store| {
        let record = |at| RejectionRecord {
            source: SOURCE,
            workspace: WORKSPACE,
            at,
            code: "unauthorized".into(),
            detail: "no key".into(),
            remote_addr: None,
            method: "POST".into(),
            headers: vec![],
        };
        let all: Vec<_> = (0..150).map(record).collect();
        for chunk in all.chunks(60) {
            let batch: Vec<_> = chunk
                .iter()
                .map(|record| (record.at.unsigned_abs(), record))
                .collect();
            written!(store, tx => rejections::insert(&*tx, &batch));
            written!(store, tx => rejections::insert(&*tx, &batch));
        }
        let kept = rejections::of_source(store.reader(), SOURCE).await.unwrap();
        assert_eq!((kept.len(), kept[0].at, kept[99].at), (100, 149, 50));
    })
    .await;
}

#[tokio::test]
async fn a_warning_stays_until_a_later_event_is_fine_or_the_definition_changes() {
    each_database(async |store| {
        let key = |field: &str| WarningKey {
            source: SOURCE,
            code: "mapping.unresolved",
            field: field.into(),
        };
        let wrong = |event| Finding::Wrong {
            path: "$.x".into(),
            event: EventId::from_u128(event),
            at: event as i64,
        };
        let write = async |findings: BTreeMap<_, _>| {
            written!(store, tx => source_warnings::write(&*tx, &findings));
            let rows = source_warnings::of_source(store.reader(), SOURCE).await.unwrap();
            rows.into_iter()
                .map(|row| (row.field, row.event))
                .collect::<Vec<_>>()
        };
        let id = |event| EventId::from_u128(event).to_string();
        write(BTreeMap::from([
            (key("title"), wrong(1)),
            (key("fields.a"), wrong(1)),
        ]))
        .await;
        let left = write(BTreeMap::from([
            (key("title"), Finding::Fine { at: 2 }),
            (key("fields.a"), wrong(2)),
        ]))
        .await;
        assert_eq!(left, [("fields.a".to_owned(), id(2))]);
        // What comes late from another partition overrules nothing.
        for late in [Finding::Fine { at: 1 }, wrong(1)] {
            let left = write(BTreeMap::from([(key("fields.a"), late)])).await;
            assert_eq!(left, [("fields.a".to_owned(), id(2))]);
        }
        written!(store, tx => source_warnings::clear(&*tx, SOURCE));
        assert_eq!(write(BTreeMap::new()).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_keeps_its_body() {
    each_database(async |store| {
        let facts = facts(1);
        let delivery = Delivery {
            id: facts.id,
            event: facts.event,
            event_type: facts.event_type,
            workspace: WORKSPACE,
            source: None,
            destination: facts.destination,
            route: None,
            entity: None,
            lane_key: None,
            origin: facts.origin,
            revision: 1,
            accepted_at: 1,
            content_type: None,
            headers: Vec::new(),
            body: Body::inline(vec![0, 1, 255]),
            traceparent: String::new(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        };
        for died_at in [10, 30, 20] {
            written!(store, tx => dead_letters::insert(&*tx, &[(&delivery, died_at)]));
        }
        let row: dead_letters::DeadLetterRow = rows(
            &store,
            &format!("SELECT {} FROM dead_letters", dead_letters::COLUMNS),
        )
        .await
        .pop()
        .unwrap();
        assert_eq!((row.died_at, row.body), (30, Some(vec![0, 1, 255])));
    })
    .await;
}

#[tokio::test]
async fn a_constraint_is_a_data_error_and_a_missing_table_is_not() {
    each_database(async |store| {
        let error = async |sql: &str| {
            let tx = store.write().await.unwrap();
            hookrail_store::StoreError::from(tx.execute_unprepared(sql).await.unwrap_err())
        };
        let twice = "INSERT INTO partition_progress (partition, epoch, sequence) VALUES (1, 1, 1), (1, 1, 1)";
        let error_of_twice = error(twice).await;
        assert!(error_of_twice.is_data_error() && error_of_twice.is_unique_violation());
        assert!(
            error("INSERT INTO partition_progress (partition) VALUES (1)")
                .await
                .is_data_error()
        );
        assert!(!error("SELECT * FROM no_such_table").await.is_data_error());
    })
    .await;
}

#[tokio::test]
async fn two_writers_wait_for_each_other() {
    each_database(async |store| {
        assert_eq!(
            partition_progress::take_partition(&store, 1, 1).await.unwrap(),
            Some(0)
        );
        let writers = (1..=20u64).map(|sequence| {
            let store = store.clone();
            tokio::spawn(async move {
                let tx = store.write().await.unwrap();
                let changed = partition_progress::advance(&*tx, 1, 1, sequence).await.unwrap();
                tx.commit().await.unwrap();
                changed
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(
            partition_progress::committed(store.reader(), 1).await.unwrap(),
            Some(20)
        );
    })
    .await;
}
