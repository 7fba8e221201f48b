//! Retention with a real nats-server and both databases: under a load that goes on, the log, the journal and
//! the database's file stay as large as they are, and what is owed stays.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use hookrail_broker::{
    Broker, BrokerSettings, DeliveryReader, Lease, OutMessage, Ownership, OwnershipChange, OwnershipSettings,
    StreamLimits, codec,
};
use hookrail_domain::{
    delivery::{Attempt, Delivery, DeliveryStatus},
    destination::{Destination, DestinationSpec},
    event::{Body, Event},
    ids::{DestinationId, EventId, Id, SourceId, WorkspaceId},
    journal::{DeliveryFacts, Record, StateRecord},
    ownership::{Role, WorkerId},
    snapshot::{Definition, Entry, Key},
    source::{Retention, Source, SourceSpec},
    workspace::Workspace,
};
use hookrail_harness::{NatsServer, create_database};
use hookrail_processor::{ProcessorSettings, run};
use hookrail_runtime::{ServiceContext, clock};
use hookrail_store::{
    Store,
    sea_orm::{ConnectionTrait, Statement},
    size,
};
use tokio::task::JoinHandle;

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const DESTINATION: DestinationId = DestinationId::from_u128(2);
/// Keeps its events for a moment only.
const SHORT: SourceId = SourceId::from_u128(10);
/// Keeps them for an hour.
const LONG: SourceId = SourceId::from_u128(11);
/// Keeps them for a moment only, and the destination takes none of them.
const OWED: SourceId = SourceId::from_u128(12);
/// Events of the first source in one round.
const ROUND: u32 = 300;
const ROUNDS: u32 = 3;

/// All that a processor works with.
struct Installation {
    broker: Broker,
    store: Store,
    settings: ProcessorSettings,
    sent: u32,
}

impl Installation {
    async fn start(nats: &NatsServer, store: Store) -> Self {
        let settings = BrokerSettings {
            urls: vec![nats.url()],
            partitions: 2,
            limits: StreamLimits::all(16 * 1024 * 1024),
            duplicate_window_ms: 3_000,
            publish_total_timeout_ms: 1_500,
            ..BrokerSettings::default()
        };
        let broker = Broker::connect(&settings, "test").await.unwrap();
        broker.ensure_topology().await.unwrap();
        define(&broker).await;
        let settings = ProcessorSettings {
            processor_retention_s: 3_600,
            processor_settled_kept_s: 2,
            processor_trim_pause: Duration::from_millis(300),
            ..ProcessorSettings::default()
        };
        Self {
            broker,
            store,
            settings,
            sent: 0,
        }
    }

    fn run(&self, store_max_bytes: u64) -> (ServiceContext, JoinHandle<anyhow::Result<()>>) {
        let settings = ProcessorSettings {
            processor_store_max_bytes: store_max_bytes,
            ..self.settings.clone()
        };
        let ctx = ServiceContext::new(Duration::from_secs(20));
        let running = run(settings, self.broker.clone(), self.store.clone(), ctx.clone());
        (ctx, tokio::spawn(running))
    }

    async fn send(&mut self, source: SourceId, events: u32) {
        let publisher = self.broker.publisher();
        for _ in 0..events {
            self.sent += 1;
            let event = event(source, self.sent % 2, u128::from(self.sent));
            let (id, payload) = (event.id, codec::encode_event(event));
            let id_text = id.to_string();
            let message = OutMessage::plain(&id_text, payload);
            publisher
                .publish_event(id.partition(), &source.to_string(), message)
                .await
                .unwrap();
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.store.backend(), sql);
        let row = self
            .store
            .reader()
            .query_one_raw(statement)
            .await
            .unwrap()
            .unwrap();
        row.try_get("", "n").unwrap()
    }

    async fn rows_of(&self, table: &str, source: SourceId) -> i64 {
        self.number(&format!(
            "SELECT COUNT(*) AS n FROM {table} WHERE source = '{source}'"
        ))
        .await
    }

    /// Events in the log, and their bytes.
    async fn log(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        for partition in 0..self.broker.settings().partitions {
            let state = self.broker.raw_state(partition).await.unwrap();
            sum = (sum.0 + state.messages, sum.1 + state.bytes);
        }
        sum
    }

    async fn file_bytes(&self) -> i64 {
        match size::is_exact(&self.store) {
            true => {
                self.number("SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()")
                    .await
            }
            false => {
                self.number("SELECT pg_database_size(current_database()) AS n")
                    .await
            }
        }
    }
}

async fn define(broker: &Broker) {
    let source = |id: SourceId, events_s| {
        let source = Source {
            id,
            workspace: WORKSPACE,
            workspace_code: "default".into(),
            token: id.to_string(),
            old_names: vec![],
            api_keys: vec![],
            spec: SourceSpec {
                name: format!("s{events_s}"),
                retention: Retention { events_s },
                ..SourceSpec::default()
            },
        };
        (Key::Source(id), Definition::Source(Box::new(source)))
    };
    let spec = r#"{"name": "d", "url": "http://127.0.0.1/", "events": ["webhook.received"]}"#;
    let spec: DestinationSpec = serde_json::from_str(spec).unwrap();
    let destination = Destination {
        id: DESTINATION,
        workspace: WORKSPACE,
        spec,
    };
    let workspace = Workspace {
        id: WORKSPACE,
        code: "default".into(),
    };
    let definitions = [
        (Key::Workspace(WORKSPACE), Definition::Workspace(workspace)),
        source(SHORT, 1),
        source(LONG, 3_600),
        source(OWED, 1),
        (
            Key::Destination(DESTINATION),
            Definition::Destination(Box::new(destination)),
        ),
    ];
    for (revision, (key, definition)) in (1..).zip(definitions) {
        let definition = Some(definition);
        let entry = Entry {
            revision,
            key,
            definition,
        };
        broker.publish_entry(&entry).await.unwrap();
    }
}

fn event(source: SourceId, partition: u32, number: u128) -> Event {
    let now = clock::now_ms();
    Event {
        id: EventId::from_parts(now, number).with_partition(partition),
        workspace: WORKSPACE,
        source: Some(source),
        event_type: "webhook.received".into(),
        revision: 5,
        accepted_at: now,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(format!(r#"{{"n": {number}, "text": "{}"}}"#, "x".repeat(1_000)).into_bytes()),
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

/// Takes deliveries as a dispatcher does, and tells the journal that they are delivered; but not those that
/// are to stay owed.
async fn deliver(broker: &Broker) -> Ownership {
    let settings = OwnershipSettings::new(WorkerId::new("watch").unwrap(), Role::Dispatcher, 2);
    let (ownership, mut changes) = Ownership::start(broker.settings(), settings).await.unwrap();
    let broker = broker.clone();
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            if let OwnershipChange::Gained(lease) = change {
                tokio::spawn(deliver_partition(broker.clone(), lease));
            }
        }
    });
    ownership
}

async fn deliver_partition(broker: Broker, lease: Lease) {
    let mut reader = DeliveryReader::open(&broker, &lease).await.unwrap();
    let acker = Arc::new(reader.acker());
    while let Ok(message) = reader.next().await {
        let delivery = codec::decode_delivery(&message.payload).unwrap();
        if delivery.source == Some(OWED) {
            continue;
        }
        tell(&broker, &delivery).await;
        let acker = Arc::clone(&acker);
        tokio::spawn(async move { acker.ack_confirmed(message.sequence).await });
    }
}

async fn tell(broker: &Broker, delivery: &Delivery) {
    let now = clock::now_ms();
    let attempt = Attempt {
        number: 1,
        epoch: 1,
        started_at: now,
        duration_ms: 1,
        method: "POST".into(),
        url: "http://127.0.0.1/".into(),
        request_headers: vec![],
        status: Some(200),
        response_headers: vec![],
        response_body: vec![b'x'; 500],
        failure: None,
    };
    let record = StateRecord {
        delivery: DeliveryFacts::from(delivery),
        status: DeliveryStatus::Delivered,
        epoch: 1,
        attempts: 1,
        next_at: None,
        settled_at: Some(now),
        failure: None,
        generation: 0,
        attempt: Some(Box::new(attempt)),
    };
    let (kind, payload) = codec::encode_record(&Record::State(Box::new(record)));
    let id = format!("{}.told", delivery.id);
    broker
        .publisher()
        .publish_journal(kind, 0, &id, payload)
        .await
        .unwrap();
}

/// Waits until `reached` holds: at most a minute.
async fn eventually(what: &str, reached: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if reached().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within a minute");
}

async fn sqlite(directory: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("test.db").display());
    Store::connect(&url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_all_stays_bounded_and_what_is_owed_stays() {
    let directory = tempfile::tempdir().unwrap();
    stays_bounded(sqlite(&directory).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_all_stays_bounded_and_what_is_owed_stays() {
    match create_database("retention").unwrap() {
        Some(url) => stays_bounded(Store::connect(&url).await.unwrap()).await,
        None => eprintln!("NOT TESTED ON POSTGRESQL: HOOKRAIL_TEST_POSTGRES_URL is not set"),
    }
}

async fn stays_bounded(store: Store) {
    store.migrate().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let nats = NatsServer::start(folder.path()).await.unwrap();
    let mut installation = Installation::start(&nats, store).await;
    let _delivering = deliver(&installation.broker).await;
    let (ctx, running) = installation.run(0);
    let mut files = Vec::new();
    for round in 1..=ROUNDS {
        files.push(one_round(&mut installation, i64::from(round)).await);
    }
    if size::is_exact(&installation.store) {
        let grown = files[2] as f64 / files[1] as f64;
        assert!(
            grown < 1.1,
            "the file is {grown} times as large as a round before: {files:?}"
        );
    }
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
    goes_early_where_it_is_too_large(&mut installation).await;
}

/// Sends, and waits until all that may go is gone; gives the file's size.
async fn one_round(installation: &mut Installation, round: i64) -> i64 {
    installation.send(SHORT, ROUND).await;
    installation.send(LONG, 1).await;
    installation.send(OWED, 1).await;
    let seen = &*installation;
    eventually("all is processed", async || {
        seen.rows_of("deliveries", LONG).await == round && seen.rows_of("events", OWED).await == round
    })
    .await;
    let (messages, bytes) = seen.log().await;
    eprintln!("round {round}: {messages} events in the log, {bytes} bytes");
    eventually("the rows of what is settled are gone", async || {
        seen.rows_of("events", SHORT).await == 0 && seen.rows_of("deliveries", SHORT).await == 0
    })
    .await;
    let kept = u64::try_from(round).unwrap();
    eventually("the log has the long ones only", async || {
        seen.log().await.0 == kept
    })
    .await;
    assert_eq!(
        seen.number("SELECT COUNT(*) AS n FROM attempts").await,
        round,
        "those of what is kept"
    );
    assert_eq!(
        seen.rows_of("events", OWED).await,
        round,
        "a delivery of each is owed"
    );
    assert_eq!(seen.rows_of("deliveries", OWED).await, round);
    let (file, log) = (seen.file_bytes().await, seen.log().await.1);
    let used = size::bytes_in_use(&seen.store).await.unwrap();
    eprintln!("round {round} trimmed: {file} bytes of file, {used} in use, {log} bytes of log");
    file
}

/// With a limit of its size the oldest of what is settled goes, though it would be kept for an hour.
async fn goes_early_where_it_is_too_large(installation: &mut Installation) {
    let before = size::bytes_in_use(&installation.store).await.unwrap();
    let (ctx, running) = installation.run(0);
    installation.send(LONG, 3 * ROUND).await;
    let settled = "SELECT COUNT(*) AS n FROM deliveries WHERE status = 'delivered'";
    let seen = &*installation;
    let all = i64::from(3 * ROUND + ROUNDS);
    eventually("all is settled", async || seen.number(settled).await == all).await;
    eventually("the size is known", async || {
        size::bytes_in_use(&seen.store).await.unwrap() > before + 400_000
    })
    .await;
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
    let full = size::bytes_in_use(&seen.store).await.unwrap();
    let limit = before + (full - before) / 2;
    let (ctx, running) = seen.run(limit);
    eventually("the size is below its limit", async || {
        size::bytes_in_use(&seen.store).await.unwrap() <= limit
    })
    .await;
    let left = seen.rows_of("events", LONG).await;
    assert!(left < all, "the oldest are gone");
    let oldest = format!("SELECT COALESCE(MIN(accepted_at), 0) AS n FROM events WHERE source = '{LONG}'");
    let gone_to = seen.number(&oldest).await;
    let deliveries =
        format!("SELECT COUNT(*) AS n FROM deliveries WHERE source = '{LONG}' AND accepted_at < {gone_to}");
    assert_eq!(
        seen.number(&deliveries).await,
        0,
        "an event goes with its deliveries"
    );
    assert_eq!(
        seen.rows_of("deliveries", OWED).await,
        i64::from(ROUNDS),
        "what is owed stays"
    );
    eprintln!("{full} bytes, limit {limit}: {left} of {all} events left");
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
}
