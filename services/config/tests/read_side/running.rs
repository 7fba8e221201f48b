//! A running config service with its broker and store.

use std::time::Duration;

use hookrail_broker::codec::{decode_event, encode_event};
use hookrail_broker::{Broker, BrokerSettings, StreamLimits};
use hookrail_config::ConfigSettings;
use hookrail_domain::event::{Event, EventStatus};
use hookrail_domain::ids::EventId;
use hookrail_harness::{Api, NatsServer, eventually};
use hookrail_outbound::{AddressPolicy, OutboundClient, OutboundLimits};
use hookrail_runtime::{Secret, ServiceContext};
use hookrail_store::events::{self, EventWrite};
use hookrail_store::held_events::{self, HeldWrite};
use hookrail_store::{Store, partition_progress, source_counters};
use serde_json::{Value, json};

const MIB: i64 = 1024 * 1024;
const TOKEN: &str = "root-of-this-test";

/// A config service and all it needs. Everything ends with it.
pub(crate) struct Running {
    pub(crate) api: Api,
    pub(crate) broker: Broker,
    pub(crate) store: Store,
    context: ServiceContext,
    _nats: NatsServer,
    _folder: tempfile::TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = NatsServer::start(&folder.path().join("nats")).await.unwrap();
        let broker = Broker::connect(&settings(&nats), "test").await.unwrap();
        broker.ensure_topology().await.unwrap();
        let database = folder.path().join("test.db");
        let store = Store::connect(&format!("sqlite://{}?mode=rwc", database.display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let listener = std::net::TcpListener::bind(hookrail_harness::ANY_PORT).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let outbound = OutboundClient::new(AddressPolicy::default(), OutboundLimits::default()).unwrap();
        let context = ServiceContext::new(Duration::from_secs(5));
        let settings = ConfigSettings {
            admin_token: Some(Secret::from(TOKEN.to_owned())),
            ..ConfigSettings::default()
        };
        let run = hookrail_config::run(
            settings,
            broker.clone(),
            store.clone(),
            outbound,
            context.clone(),
            listener,
        );
        tokio::spawn(async move { run.await.unwrap() });
        let api = Api::new(&url, &url, TOKEN);
        let running = Self {
            api,
            broker,
            store,
            context,
            _nats: nats,
            _folder: folder,
        };
        let answers = || async { running.api.get("/stats").await.ok() };
        eventually("the API", 20, answers).await.unwrap();
        running
    }

    /// Creates a source; gives its id.
    pub(crate) async fn source(&self, mut body: Value) -> String {
        body["name"] = json!("orders");
        let source = self.api.create("/sources", body).await.unwrap();
        source["id"].as_str().unwrap().to_owned()
    }

    /// Sends a payload into a source; gives the event's id.
    pub(crate) async fn send(&self, source: &str, payload: Value) -> String {
        let body = json!({ "payload": payload });
        let path = format!("/sources/{source}/test-events");
        let answer = self
            .api
            .call("POST", &path, Some(&body))
            .await
            .unwrap()
            .expect(202)
            .unwrap();
        answer["event_id"].as_str().unwrap().to_owned()
    }

    /// An event and its sequence, as the log has them.
    pub(crate) async fn logged(&self, event_id: &str) -> (Event, u64) {
        let id: EventId = event_id.parse().unwrap();
        let found = self
            .broker
            .find_event(id.partition(), event_id, id.time())
            .await
            .unwrap()
            .unwrap();
        (decode_event(&found.payload).unwrap(), found.sequence)
    }

    /// Does what a processor does in the end: the event's row, the counters, the committed sequence.
    pub(crate) async fn process(&self, event_id: &str, status: EventStatus) -> (Event, u64) {
        let (event, sequence) = self.logged(event_id).await;
        let partition = event.id.partition();
        let epoch = sequence;
        partition_progress::take_partition(&self.store, partition, epoch)
            .await
            .unwrap();
        let write = EventWrite {
            event: &event,
            partition,
            sequence,
            status,
            error: (status == EventStatus::Failed).then_some(("mapping", "no unique id")),
            duplicate_of: None,
            processed_at: event.accepted_at,
        };
        let mut counts = source_counters::Counts::default();
        counts.add(status, event.accepted_at);
        let tx = self.store.write().await.unwrap();
        events::insert(&*tx, &[write]).await.unwrap();
        source_counters::raise(&*tx, &[(event.source.unwrap(), counts)].into())
            .await
            .unwrap();
        assert!(
            partition_progress::advance(&*tx, partition, epoch, sequence)
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        (event, sequence)
    }
}

/// Holding events as a processor does.
impl Running {
    /// Holds a queued event; the log has it no more then.
    pub(crate) async fn hold(&self, event_id: &str) {
        let (event, sequence) = self.process(event_id, EventStatus::Received).await;
        let write = HeldWrite {
            partition: event.id.partition(),
            sequence,
            source: event.source.unwrap(),
            event: event.id,
            stored_at: event.accepted_at,
            bytes: 100,
            message: encode_event(event.clone()).to_vec(),
        };
        let tx = self.store.write().await.unwrap();
        held_events::insert(&*tx, &[write]).await.unwrap();
        tx.commit().await.unwrap();
        self.broker
            .trim_raw(event.id.partition(), sequence)
            .await
            .unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.context.shutdown.cancel();
    }
}

fn settings(nats: &NatsServer) -> BrokerSettings {
    BrokerSettings {
        urls: vec![nats.url()],
        partitions: 4,
        limits: StreamLimits::all(8 * MIB),
        key_ring: hookrail_harness::key_ring(),
        ..BrokerSettings::default()
    }
}
