//! The processor against a real nats-server and SQLite: events in, entities and deliveries out, also
//! when it dies between publishing and committing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nats;
mod watch;

use std::time::Duration;

use hookrail_broker::{
    Broker, JournalKind, OutMessage, Ownership, OwnershipChange, OwnershipSettings, codec,
};
use hookrail_domain::{
    delivery::{Delivery, DeliveryStatus},
    destination::{Destination, DestinationSpec},
    event::{Body, Event},
    ids::{DestinationId, EventId, SourceId, WorkspaceId},
    journal::{CountRecord, DeliveryFacts, Record, StateRecord},
    large_body,
    ownership::{Role, WorkerId},
    snapshot::{Definition, Entry, Key},
    source::{Source, SourceSpec},
    workspace::Workspace,
};
use hookrail_processor::{ProcessorSettings, run};
use hookrail_runtime::ServiceContext;
use hookrail_store::{
    Store, partition_progress,
    sea_orm::{ConnectionTrait, Statement, TryGetable},
    source_counters, source_refusals,
    source_warnings::{self, WarningRow},
};
use nats::Nats;
use tokio::task::JoinHandle;
use watch::watch_deliveries;

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const SOURCE: SourceId = SourceId::from_u128(2);
const DESTINATION: DestinationId = DestinationId::from_u128(3);

/// Waits until `reached` holds: at most a minute, which covers the time a dead owner's lease runs.
async fn eventually<F: Future<Output = bool>>(what: &str, reached: impl Fn() -> F) {
    for _ in 0..600 {
        if reached().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within a minute");
}

async fn column<T: TryGetable>(store: &Store, sql: &str) -> Vec<T> {
    let rows = store
        .reader()
        .query_all_raw(Statement::from_string(store.backend(), sql))
        .await
        .unwrap();
    rows.iter().map(|row| row.try_get("", "x").unwrap()).collect()
}

async fn count(store: &Store, table: &str) -> i64 {
    column::<i64>(store, &format!("SELECT COUNT(*) AS x FROM {table}")).await[0]
}

async fn define(broker: &Broker) {
    let source: SourceSpec = serde_json::from_str(
        r#"{"name": "crm", "entity": {"type": "customer", "unique_id": "$.id", "title": "$.email"}}"#,
    )
    .unwrap();
    let destination: DestinationSpec = serde_json::from_str(
        r#"{"name": "d", "url": "http://127.0.0.1/", "ordering": "key", "events": ["entity.created", "entity.updated"]}"#,
    )
    .unwrap();
    let source = Source {
        id: SOURCE,
        workspace: WORKSPACE,
        workspace_code: "default".into(),
        token: "t".into(),
        old_names: vec![],
        api_keys: vec![],
        spec: source,
    };
    let workspace = Workspace {
        id: WORKSPACE,
        code: "default".into(),
    };
    let destination = Destination {
        id: DESTINATION,
        workspace: WORKSPACE,
        spec: destination,
    };
    let definitions = [
        (Key::Workspace(WORKSPACE), Definition::Workspace(workspace)),
        (Key::Source(SOURCE), Definition::Source(Box::new(source))),
        (
            Key::Destination(DESTINATION),
            Definition::Destination(Box::new(destination)),
        ),
    ];
    for (revision, (key, definition)) in (1..).zip(definitions) {
        broker
            .publish_entry(&Entry {
                revision,
                key,
                definition: Some(definition),
            })
            .await
            .unwrap();
    }
}

async fn send(broker: &Broker, partition: u32, number: u128, body: &str) -> EventId {
    let id = EventId::from_u128(number).with_partition(partition);
    send_as(broker, partition, number, body, &id.to_string()).await
}

/// Sends the event under another id of its message: stored again, where the broker has forgotten it.
async fn send_as(broker: &Broker, partition: u32, number: u128, body: &str, message: &str) -> EventId {
    let event = event(partition, number, Body::inline(body.as_bytes()));
    publish(broker, event, message).await
}

fn event(partition: u32, number: u128, body: Body) -> Event {
    let id = EventId::from_u128(number).with_partition(partition);
    Event {
        id,
        workspace: WORKSPACE,
        source: Some(SOURCE),
        event_type: "webhook.received".into(),
        revision: 3,
        accepted_at: 1_732_226_400_005,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body,
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

async fn publish(broker: &Broker, event: Event, message: &str) -> EventId {
    let id = event.id;
    let message = OutMessage::plain(message, codec::encode_event(event));
    broker
        .publisher()
        .publish_event(id.partition(), &SOURCE.to_string(), message)
        .await
        .unwrap();
    id
}

fn start(broker: &Broker, store: &Store) -> (ServiceContext, JoinHandle<anyhow::Result<()>>) {
    start_with(ProcessorSettings::default(), broker, store)
}

fn start_with(
    settings: ProcessorSettings,
    broker: &Broker,
    store: &Store,
) -> (ServiceContext, JoinHandle<anyhow::Result<()>>) {
    let ctx = ServiceContext::new(Duration::from_secs(20));
    let running = run(settings, broker.clone(), store.clone(), ctx.clone());
    (ctx, tokio::spawn(running))
}

async fn store(directory: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("test.db").display());
    let store = Store::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_become_entities_and_deliveries_and_a_crash_before_the_commit_changes_nothing() {
    let (nats, directory) = (Nats::start().await, tempfile::tempdir().unwrap());
    let broker = nats.broker().await;
    let store = store(&directory).await;
    define(&broker).await;
    let (_watching, seen) = watch_deliveries(&nats, &broker).await;
    let seen_ids = || {
        seen.lock()
            .unwrap()
            .iter()
            .map(|delivery| delivery.id.to_string())
            .collect::<Vec<_>>()
    };

    let (_ctx, running) = start(&broker, &store);
    send(
        &broker,
        1,
        1,
        r#"{"id": 820982911946154508, "email": "a@b", "price": 1.10}"#,
    )
    .await;
    send(
        &broker,
        0,
        3,
        r#"[{"id": 1, "email": "x"}, {"id": 2, "email": "y"}]"#,
    )
    .await;
    eventually("two events are processed", || async {
        count(&store, "events").await == 2
    })
    .await;
    send(&broker, 1, 2, r#"{"email": "nobody"}"#).await;
    eventually("three events are processed", || async {
        count(&store, "events").await == 3
    })
    .await;
    let data: Vec<String> = column(
        &store,
        "SELECT data AS x FROM entities ORDER BY unique_id DESC LIMIT 1",
    )
    .await;
    assert_eq!(data, [r#"{"id":820982911946154508,"email":"a@b","price":1.10}"#]);
    let counts = source_counters::of_source(store.reader(), SOURCE).await.unwrap();
    assert_eq!((counts.processed, counts.failed), (2, 1));
    let warnings = source_warnings::of_source(store.reader(), SOURCE).await.unwrap();
    let unresolved =
        |warning: &&WarningRow| warning.code == "mapping.unresolved" && warning.field == "unique_id";
    assert_eq!(warnings.iter().filter(unresolved).count(), 1, "{warnings:?}");
    eventually("three deliveries are seen", || async { seen_ids().len() == 3 }).await;

    // Nothing can be committed now, so what is published next is published before its commit.
    let lock = store.write().await.unwrap();
    send(&broker, 1, 4, r#"{"id": 820982911946154508, "email": "c@d"}"#).await;
    eventually("four deliveries are seen", || async { seen_ids().len() == 4 }).await;
    running.abort();
    let _ = running.await;
    lock.rollback().await.unwrap();
    assert_eq!(count(&store, "events").await, 3);

    let (ctx, running) = start(&broker, &store);
    send(&broker, 1, 5, r#"{"id": 5, "email": "e@f"}"#).await;
    eventually("five events are processed", || async {
        count(&store, "events").await == 5
    })
    .await;
    eventually("the fifth delivery is seen", || async { seen_ids().len() >= 5 }).await;
    let mut stored: Vec<String> = column(&store, "SELECT id AS x FROM deliveries").await;
    let mut published = seen_ids();
    stored.sort();
    published.sort();
    assert_eq!(stored, published, "the same ids, and none twice");
    assert_eq!(count(&store, "entities").await, 4);
    assert_eq!(
        partition_progress::committed(store.reader(), 1).await.unwrap(),
        Some(4),
        "4 of its events"
    );

    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
    let settings = OwnershipSettings::new(WorkerId::new("next").unwrap(), Role::Processor, 2);
    let (_next, mut changes) = Ownership::start(&nats.settings(), settings).await.unwrap();
    for _ in 0..2 {
        let change = tokio::time::timeout(Duration::from_secs(30), changes.recv())
            .await
            .unwrap();
        let Some(OwnershipChange::Gained(lease)) = change else {
            panic!("{change:?}")
        };
        assert!(!lease.unclean_takeover(), "handed over cleanly");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_written_once_whatever_comes_twice() {
    let (nats, directory) = (Nats::start().await, tempfile::tempdir().unwrap());
    let broker = nats.broker().await;
    let store = store(&directory).await;
    define(&broker).await;
    let delivery = Delivery {
        id: hookrail_domain::ids::DeliveryId::from_u128(9),
        event: EventId::from_u128(8),
        event_type: "entity.created".into(),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        destination: DESTINATION,
        route: None,
        entity: None,
        lane_key: None,
        origin: hookrail_domain::event::Origin {
            partition: 0,
            sequence: 1,
            index: 0,
        },
        revision: 3,
        // Just now: a dead letter goes when its time is up.
        accepted_at: hookrail_runtime::clock::now_ms(),
        content_type: None,
        headers: Vec::new(),
        body: Body::inline(&b"body"[..]),
        traceparent: String::new(),
        replay: None,
        reply: None,
        generation: 0,
        attempts_before: 0,
        was_held: false,
        fetcher: None,
    };
    let state = |status, attempts| StateRecord {
        delivery: DeliveryFacts::from(&delivery),
        status,
        epoch: 1,
        attempts,
        next_at: None,
        settled_at: None,
        failure: None,
        generation: 0,
        attempt: None,
    };
    let refused = CountRecord {
        instance: "i".into(),
        number: 1,
        source: SOURCE,
        code: "unauthorized".into(),
        refused: 3,
    };
    let records = [
        Record::State(Box::new(state(DeliveryStatus::Parked, 2))),
        Record::State(Box::new(state(DeliveryStatus::Pending, 1))),
        Record::Count(Box::new(refused)),
    ];
    let publisher = broker.publisher();
    for round in 0..2 {
        for (number, record) in records.iter().enumerate() {
            let (kind, payload) = codec::encode_record(record);
            publisher
                .publish_journal(kind, 0, &format!("{round}-{number}"), payload)
                .await
                .unwrap();
        }
    }
    publisher
        .publish_journal(JournalKind::State, 0, "unreadable", "?".into())
        .await
        .unwrap();
    let (ctx, running) = start(&broker, &store);
    let status = || async { column::<String>(&store, "SELECT status AS x FROM deliveries").await };
    eventually("the delivery is parked", || async {
        status().await == ["parked"]
    })
    .await;
    eventually("the refusals are counted once", || async {
        let refused = source_refusals::of_source(store.reader(), SOURCE).await.unwrap();
        refused.get("unauthorized") == Some(&3)
    })
    .await;

    let dead = codec::encode_dead(&delivery, &state(DeliveryStatus::Dead, 3));
    publisher.publish_dead(0, "dead", dead).await.unwrap();
    eventually("the delivery is dead", || async { status().await == ["dead"] }).await;
    assert_eq!(
        column::<Vec<u8>>(&store, "SELECT body AS x FROM dead_letters").await,
        [b"body".to_vec()]
    );
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// A destination of its own for every event, in this format.
async fn define_format(broker: &Broker, number: u128, format: &str) {
    let spec = format!(
        r#"{{"name": "{format}", "url": "http://127.0.0.1/", "format": "{format}", "events": ["webhook.received"]}}"#
    );
    let id = DestinationId::from_u128(number);
    let destination = Destination {
        id,
        workspace: WORKSPACE,
        spec: serde_json::from_str(&spec).unwrap(),
    };
    let entry = Entry {
        revision: 3,
        key: Key::Destination(id),
        definition: Some(Definition::Destination(Box::new(destination))),
    };
    broker.publish_entry(&entry).await.unwrap();
}

/// Who the bodies in the object store belong to, in the order of their names.
async fn owners(broker: &Broker) -> Vec<String> {
    let found = broker.list_objects(0, 100).await.unwrap();
    let mut owners: Vec<String> = found
        .iter()
        .map(|object| large_body::owner_in(&object.name).to_owned())
        .collect();
    owners.sort();
    owners
}

async fn body_in_store(broker: &Broker, body: &Body) -> Option<Vec<u8>> {
    let Body::Object { name, size } = body else {
        panic!("it is in the message: {} bytes", body.size());
    };
    broker
        .get_object(name, *size)
        .await
        .unwrap()
        .map(|bytes| bytes.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_processed_delivered_kept_with_the_dead_and_removed_when_nobody_owns_it() {
    let (nats, directory) = (Nats::start().await, tempfile::tempdir().unwrap());
    let broker = nats.broker().await;
    let store = store(&directory).await;
    define(&broker).await;
    define_format(&broker, 11, "event").await;
    define_format(&broker, 12, "raw").await;
    let (_watching, seen) = watch_deliveries(&nats, &broker).await;
    let publisher = broker.publisher();
    // What an ingress leaves that died before its event was stored, and a processor.
    for name in [
        "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV.x",
        "dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV.x",
    ] {
        publisher.put_object(name, "orphan".into()).await.unwrap();
    }
    let text = "x".repeat(1_500_000);
    let body = format!(r#"{{"id": 1, "email": "a@b", "text": "{text}"}}"#);
    let id = EventId::from_u128(1).with_partition(1);
    let name = large_body::object_name(id, body.as_bytes(), 0);
    publisher.put_object(&name, body.clone().into()).await.unwrap();
    let place = Body::Object {
        name,
        size: body.len() as u64,
    };
    let settings = ProcessorSettings {
        processor_orphan_body_s: 1,
        ..ProcessorSettings::default()
    };
    let (ctx, running) = start_with(settings, &broker, &store);
    publish(&broker, event(1, 1, place), "large").await;
    eventually("all three deliveries are seen", || async {
        seen.lock().unwrap().len() == 3
    })
    .await;
    let deliveries = seen.lock().unwrap().clone();
    for delivery in &deliveries {
        let found = body_in_store(&broker, &delivery.body).await.expect("it is there");
        let found = String::from_utf8(found).unwrap();
        match delivery.destination == DestinationId::from_u128(12) {
            true => assert!(found == body, "as received"),
            false => assert!(found.contains(&text) && found.starts_with(r#"{"event_time""#)),
        }
    }
    let lengths: Vec<i64> = column(&store, "SELECT LENGTH(data) AS x FROM entities").await;
    assert!(lengths.len() == 1 && lengths[0] > 1_500_000, "{lengths:?}");

    let mut owned: Vec<String> = deliveries
        .iter()
        .map(|delivery| delivery.id.to_string())
        .collect();
    owned.push(id.to_string());
    owned.sort();
    eventually("what nobody owns is removed", || async {
        owners(&broker).await == owned
    })
    .await;

    // One of them dies: the journal has its body, and the object store no more.
    let dead = &deliveries[0];
    let state = StateRecord {
        delivery: DeliveryFacts::from(dead),
        status: DeliveryStatus::Dead,
        epoch: 1,
        attempts: 1,
        next_at: None,
        settled_at: Some(1),
        failure: None,
        generation: 0,
        attempt: None,
    };
    let kept = body_in_store(&broker, &dead.body).await.unwrap();
    for again in ["dead", "dead, once more"] {
        let letter = codec::encode_dead(dead, &state);
        publisher.publish_dead(0, again, letter).await.unwrap();
        owned.retain(|owner| *owner != dead.id.to_string());
        eventually("the body is the journal's", || async {
            owners(&broker).await == owned
        })
        .await;
    }
    let letters: Vec<Vec<u8>> = column(&store, "SELECT body AS x FROM dead_letters").await;
    assert!(letters.len() == 1 && letters[0] == kept);

    broker.trim_raw(1, 1).await.unwrap();
    owned.retain(|owner| *owner != id.to_string());
    eventually("the event's body goes with it", || async {
        owners(&broker).await == owned
    })
    .await;
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_lies_in_the_log_twice_counts_once_whether_in_one_batch_or_not() {
    let (nats, directory) = (Nats::start().await, tempfile::tempdir().unwrap());
    let broker = nats.broker().await;
    let store = store(&directory).await;
    define(&broker).await;
    let body = r#"{"id": 1, "email": "x"}"#;
    send_as(&broker, 1, 1, body, "first").await;
    send_as(&broker, 1, 1, body, "again, in one batch").await;
    let (ctx, running) = start(&broker, &store);
    let committed = async |sequence| {
        eventually("the partition is processed", || async {
            partition_progress::committed(store.reader(), 1).await.unwrap() == Some(sequence)
        })
        .await;
    };
    committed(2).await;
    send_as(&broker, 1, 1, body, "again, in another").await;
    committed(3).await;
    let counts = source_counters::of_source(store.reader(), SOURCE).await.unwrap();
    assert_eq!((counts.processed, counts.duplicate, counts.failed), (1, 0, 0));
    assert_eq!(
        (count(&store, "events").await, count(&store, "deliveries").await),
        (1, 1)
    );
    let sequence: Vec<i64> = column(&store, "SELECT sequence AS x FROM events").await;
    assert_eq!(sequence, [1]);
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_with_more_entities_than_a_commit_takes_is_committed_in_parts() {
    let (nats, directory) = (Nats::start().await, tempfile::tempdir().unwrap());
    let broker = nats.broker().await;
    let store = store(&directory).await;
    define(&broker).await;
    // Without deliveries: it is the entities that are too many.
    let gone = Entry {
        revision: 4,
        key: Key::Destination(DESTINATION),
        definition: None,
    };
    broker.publish_entry(&gone).await.unwrap();
    for number in 0..3_u128 {
        let ids = (0..2_000).map(|n| format!(r#"{{"id":{}}}"#, number * 2_000 + n));
        let body = format!("[{}]", ids.collect::<Vec<_>>().join(","));
        send(&broker, 1, number + 1, &body).await;
    }
    let (ctx, running) = start(&broker, &store);
    eventually("all three events are processed", || async {
        partition_progress::committed(store.reader(), 1).await.unwrap() == Some(3)
    })
    .await;
    let counts = (count(&store, "events").await, count(&store, "entities").await);
    assert_eq!(counts, (3, 6_000));
    let commits: Vec<i64> = column(&store, "SELECT COUNT(DISTINCT processed_at) AS x FROM events").await;
    assert!(commits[0] > 1, "in several commits");
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
}
