//! A paused source, against a real nats-server and both databases: what it accepts waits, and goes on in order,
//! also when the processor dies while it goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../crates/store/tests/databases/mod.rs"]
mod databases;
mod nats;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use databases::each_database;
use hookrail_broker::{Broker, OutMessage, codec};
use hookrail_domain::{
    delivery::Delivery,
    destination::Destination,
    event::{Body, Event},
    ids::{DestinationId, EventId, SourceId, WorkspaceId},
    large_body,
    snapshot::{Definition, Entry, Key},
    source::Source,
    workspace::Workspace,
};
use hookrail_processor::{ProcessorSettings, run};
use hookrail_runtime::ServiceContext;
use hookrail_store::{
    Store, held_events,
    sea_orm::{ConnectionTrait, Statement, TryGetable},
    source_counters,
};
use nats::Nats;
use tokio::task::JoinHandle;
use watch::{Seen, watch_deliveries};

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const PAUSED: SourceId = SourceId::from_u128(2);
const RUNNING: SourceId = SourceId::from_u128(3);
const DESTINATION: DestinationId = DestinationId::from_u128(4);
/// Events that come while the source is paused, and after.
const HELD: u128 = 40;
const LATER: u128 = 20;
/// More than a message takes.
const LARGE_BYTES: usize = 1_500_000;
/// The event with a large body.
const LARGE: u128 = 7;

/// Waits until `reached` holds, at most two minutes: events are worked on one by one after a death.
async fn eventually<F: Future<Output = bool>>(what: &str, reached: impl Fn() -> F) {
    for _ in 0..1200 {
        if reached().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within two minutes");
}

/// What a query gives, asked again while those that the killed processors left have all connections.
async fn column<T: TryGetable>(store: &Store, sql: &str) -> Vec<T> {
    for _ in 0..10 {
        let statement = Statement::from_string(store.backend(), sql);
        if let Ok(rows) = store.reader().query_all_raw(statement).await {
            return rows.iter().map(|row| row.try_get("", "x").unwrap()).collect();
        }
    }
    panic!("the database gives no answer: {sql}");
}

async fn count(store: &Store, of: &str) -> i64 {
    column::<i64>(store, &format!("SELECT COUNT(*) AS x FROM {of}")).await[0]
}

async fn put(broker: &Broker, revision: u64, key: Key, definition: Definition) {
    let entry = Entry {
        revision,
        key,
        definition: Some(definition),
    };
    broker.publish_entry(&entry).await.unwrap();
}

async fn define_source(broker: &Broker, revision: u64, id: SourceId, paused: bool) {
    let spec = format!(
        r#"{{"name": "s{}", "paused": {paused}, "entity": {{"type": "customer", "unique_id": "$.id"}}}}"#,
        id.as_u128()
    );
    let source = Source {
        id,
        workspace: WORKSPACE,
        workspace_code: "default".into(),
        token: format!("t{}", id.as_u128()),
        old_names: vec![],
        api_keys: vec![],
        spec: serde_json::from_str(&spec).unwrap(),
    };
    put(
        broker,
        revision,
        Key::Source(id),
        Definition::Source(Box::new(source)),
    )
    .await;
}

async fn define(broker: &Broker) {
    let workspace = Workspace {
        id: WORKSPACE,
        code: "default".into(),
    };
    put(
        broker,
        1,
        Key::Workspace(WORKSPACE),
        Definition::Workspace(workspace),
    )
    .await;
    define_source(broker, 2, PAUSED, true).await;
    define_source(broker, 3, RUNNING, false).await;
    let spec = r#"{"name": "d", "url": "http://127.0.0.1/", "ordering": "key", "events": ["entity.created", "entity.updated"]}"#;
    let destination = Destination {
        id: DESTINATION,
        workspace: WORKSPACE,
        spec: serde_json::from_str(spec).unwrap(),
    };
    let definition = Definition::Destination(Box::new(destination));
    put(broker, 4, Key::Destination(DESTINATION), definition).await;
}

fn event(source: SourceId, number: u128, body: Body) -> Event {
    Event {
        id: EventId::from_u128(number).with_partition(partition_of(number)),
        workspace: WORKSPACE,
        source: Some(source),
        event_type: "webhook.received".into(),
        revision: 4,
        accepted_at: hookrail_runtime::clock::now_ms(),
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

fn partition_of(number: u128) -> u32 {
    u32::try_from(number % 2).unwrap()
}

/// One of six customers of each source, whose events share a partition.
fn payload(source: SourceId, number: u128) -> String {
    let padding = if number == LARGE { LARGE_BYTES } else { 0 };
    let customer = source.as_u128() * 100 + number % 6;
    format!(
        r#"{{"id": {customer}, "number": {number}, "padding": "{}"}}"#,
        "x".repeat(padding)
    )
}

async fn send(broker: &Broker, source: SourceId, number: u128, key: Option<&str>) {
    let bytes = payload(source, number).into_bytes();
    let mut event = event(source, number, Body::inline(bytes.clone()));
    if number == LARGE {
        let name = large_body::object_name(event.id, &bytes, 0);
        let size = bytes.len() as u64;
        broker.publisher().put_object(&name, bytes.into()).await.unwrap();
        event.body = Body::Object { name, size };
    }
    event.idempotency_key = key.map(str::to_owned);
    let (partition, id) = (event.id.partition(), event.id.to_string());
    // Under an id of its own: the broker does not know the repetition.
    let message = OutMessage::plain(&id, codec::encode_event(event));
    let publisher = broker.publisher();
    publisher
        .publish_event(partition, &source.to_string(), message)
        .await
        .unwrap();
}

/// A processor that takes small steps.
fn start(broker: &Broker, store: &Store) -> (ServiceContext, JoinHandle<anyhow::Result<()>>) {
    let settings = ProcessorSettings {
        processor_batch_events: 7,
        processor_orphan_body_s: 1,
        processor_trim_pause: Duration::from_millis(200),
        ..ProcessorSettings::default()
    };
    let ctx = ServiceContext::new(Duration::from_secs(20));
    let running = run(settings, broker.clone(), store.clone(), ctx.clone());
    (ctx, tokio::spawn(running))
}

fn of_paused(seen: &Seen) -> Vec<Delivery> {
    let seen = seen.lock().unwrap();
    let of_paused = seen.iter().filter(|delivery| delivery.source == Some(PAUSED));
    of_paused.cloned().collect()
}

/// Every delivery once, in each lane in the order of the log.
fn check_order(deliveries: &[Delivery]) {
    let ids: BTreeSet<String> = deliveries
        .iter()
        .map(|delivery| delivery.id.to_string())
        .collect();
    assert_eq!(ids.len(), deliveries.len(), "none twice");
    let mut last: BTreeMap<&Option<String>, u64> = BTreeMap::new();
    for delivery in deliveries {
        let before = last.insert(&delivery.lane_key, delivery.origin.sequence);
        assert!(
            before.is_none_or(|before| before < delivery.origin.sequence),
            "{before:?} {delivery:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_source_accepts_waits_and_goes_on_in_order_whatever_dies() {
    each_database(|store| async move {
        let nats = Nats::start().await;
        let broker = nats.broker().await;
        define(&broker).await;
        let (_watching, seen) = watch_deliveries(&nats, &broker).await;
        let (_ctx, running) = start(&broker, &store);
        for number in 1..=HELD {
            send(&broker, PAUSED, number, (number == 2).then_some("key")).await;
        }
        send(&broker, PAUSED, 1_000, Some("other key")).await;
        send(&broker, PAUSED, 1_002, Some("other key")).await;
        send(&broker, RUNNING, 2_001, None).await;
        let held = i64::try_from(HELD).unwrap() + 1;
        eventually("all but the repetition is held", || async {
            count(&store, "held_events").await == held
                && count(&store, "events WHERE status = 'processed'").await == 1
                && count(&store, "events WHERE status = 'failed'").await == 1
        })
        .await;
        assert_eq!(count(&store, "events WHERE status = 'received'").await, held);
        eventually("the other source goes on", || async {
            seen.lock().unwrap().len() == 1
        })
        .await;
        assert!(of_paused(&seen).is_empty());
        let sums = held_events::by_source(store.reader()).await.unwrap();
        assert!(sums[&PAUSED].bytes > LARGE_BYTES as u64, "{sums:?}");

        // The log needs them no more. It dies between publishing what goes on and committing that.
        broker.trim_raw(0, 5).await.unwrap();
        broker.trim_raw(1, 5).await.unwrap();
        let lock = store.write().await.unwrap();
        lock.execute_unprepared("UPDATE partition_progress SET epoch = epoch")
            .await
            .unwrap();
        define_source(&broker, 5, PAUSED, false).await;
        eventually("some of it is published", || async {
            !of_paused(&seen).is_empty()
        })
        .await;
        for number in HELD + 1..=HELD + LATER / 2 {
            send(&broker, PAUSED, number, None).await;
        }
        running.abort();
        let _ = running.await;
        lock.rollback().await.unwrap();
        assert_eq!(count(&store, "held_events").await, held, "nothing is committed");

        let (ctx, running) = start(&broker, &store);
        for number in HELD + LATER / 2 + 1..=HELD + LATER {
            send(&broker, PAUSED, number, None).await;
        }
        let all = held + i64::try_from(LATER).unwrap();
        eventually("all is processed", || async {
            let counts = source_counters::of_source(store.reader(), PAUSED).await;
            counts.is_ok_and(|counts| counts.processed == all)
        })
        .await;
        assert_eq!(
            (
                count(&store, "held_events").await,
                count(&store, "held_sources").await
            ),
            (0, 0)
        );
        assert_eq!(count(&store, "events WHERE status = 'received'").await, 0);
        let counts = source_counters::of_source(store.reader(), PAUSED).await.unwrap();
        assert_eq!((counts.failed, counts.duplicate, counts.filtered), (1, 0, 0));
        eventually("all is published", || async {
            of_paused(&seen).len() as i64 == all
        })
        .await;
        let deliveries = of_paused(&seen);
        check_order(&deliveries);
        let was_held = deliveries.iter().filter(|delivery| delivery.was_held).count();
        assert!(i64::try_from(was_held).unwrap() >= held, "{was_held}");
        let mut stored: Vec<String> = column(
            &store,
            &format!("SELECT id AS x FROM deliveries WHERE source = '{PAUSED}'"),
        )
        .await;
        stored.sort();
        let published: BTreeSet<String> = deliveries
            .iter()
            .map(|delivery| delivery.id.to_string())
            .collect();
        assert_eq!(stored, Vec::from_iter(published), "the same ids");
        ctx.shutdown.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}
