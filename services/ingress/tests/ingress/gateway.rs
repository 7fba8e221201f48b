//! A running ingress with its nats-server, and a look at what it stored.

use std::net::SocketAddr;
use std::time::Duration;

use hookrail_broker::{Broker, BrokerSettings, StreamLimits, codec};
use hookrail_domain::api_key::{ApiKey, hash_key};
use hookrail_domain::event::{Body, Event};
use hookrail_domain::ids::{KeyId, SourceId, WorkspaceId};
use hookrail_domain::partition;
use hookrail_domain::plan::NO_KEY;
use hookrail_domain::snapshot::{Definition, Entry, Key};
use hookrail_domain::source::{Source, SourceAuth, SourceSpec};
use hookrail_harness::{NatsServer, eventually};
use hookrail_ingress::IngressSettings;
use hookrail_outbound::{AddressPolicy, OutboundClient, OutboundLimits};
use hookrail_runtime::ServiceContext;

use crate::connection::{Answer, Connection};

const MIB: i64 = 1024 * 1024;
const GRACE: Duration = Duration::from_secs(5);
/// How long a state of the whole may take to come about, seconds.
const PATIENCE_S: u64 = 20;

/// A nats-server and an ingress. Both end with it.
pub(crate) struct Gateway {
    pub(crate) nats: NatsServer,
    pub(crate) broker: Broker,
    context: ServiceContext,
    address: SocketAddr,
    sources: Vec<Source>,
    revision: u64,
    _folder: tempfile::TempDir,
}

/// A source with nothing but a name.
pub(crate) fn spec(name: &str) -> SourceSpec {
    SourceSpec {
        name: name.to_owned(),
        ..SourceSpec::default()
    }
}

/// A source whose senders show the key `s3cret`.
pub(crate) fn api_key_spec(name: &str, header: Option<&str>, query: Option<&str>) -> SourceSpec {
    let auth = SourceAuth::ApiKey {
        header: header.map(str::to_owned),
        query: query.map(str::to_owned),
    };
    SourceSpec { auth, ..spec(name) }
}

impl Gateway {
    /// Starts both, with these sources in force.
    pub(crate) async fn start(specs: Vec<SourceSpec>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = NatsServer::start(folder.path()).await.unwrap();
        Self::start_with(folder, nats, IngressSettings::default(), specs).await
    }

    /// Starts both, the ingress with these settings.
    pub(crate) async fn start_set(settings: IngressSettings, specs: Vec<SourceSpec>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = NatsServer::start(folder.path()).await.unwrap();
        Self::start_with(folder, nats, settings, specs).await
    }

    /// What an ingress says that can't start with these settings.
    pub(crate) async fn refuses(settings: IngressSettings) -> String {
        let folder = tempfile::tempdir().unwrap();
        let nats = NatsServer::start(folder.path()).await.unwrap();
        let broker = Broker::connect(&self::settings(&nats), "test").await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let context = ServiceContext::new(GRACE);
        let run = hookrail_ingress::run(settings, broker, outbound(), context, listener);
        run.await.unwrap_err().to_string()
    }

    async fn start_with(
        folder: tempfile::TempDir,
        nats: NatsServer,
        ingress_settings: IngressSettings,
        specs: Vec<SourceSpec>,
    ) -> Self {
        let broker = Broker::connect(&settings(&nats), "test").await.unwrap();
        broker.ensure_topology().await.unwrap();
        let sources: Vec<_> = specs
            .into_iter()
            .zip(1..)
            .map(|(spec, number)| source(spec, number))
            .collect();
        for (source, revision) in sources.iter().zip(1..) {
            publish(&broker, source, revision).await;
        }
        let context = ServiceContext::new(GRACE);
        let address = ingress(ingress_settings, &broker, &context);
        let revision = sources.len() as u64;
        let gateway = Self {
            nats,
            broker,
            context,
            address,
            sources,
            revision,
            _folder: folder,
        };
        gateway.until_ready(true).await;
        gateway
    }

    /// Waits until the ingress says that it is ready, or that it isn't.
    pub(crate) async fn until_ready(&self, wanted: bool) {
        let seen = || async { (self.context.health.is_ready() == wanted).then_some(()) };
        eventually("readiness", PATIENCE_S, seen).await.unwrap();
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.connect().await.send(method, target, headers, body).await
    }

    /// Starts one more ingress on the same broker, and gives where it listens once it is ready.
    pub(crate) async fn another_ingress(&self) -> SocketAddr {
        let context = ServiceContext::new(GRACE);
        let address = ingress(IngressSettings::default(), &self.broker, &context);
        let ready = || async { context.health.is_ready().then_some(()) };
        eventually("the other ingress", PATIENCE_S, ready).await.unwrap();
        address
    }

    /// Where the ingress listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells the ingress to stop.
    pub(crate) fn stop(&self) {
        self.context.shutdown.cancel();
    }

    /// The text of its metrics.
    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.context.metrics.to_text()).unwrap()
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) fn source(&self, name: &str) -> &Source {
        self.sources
            .iter()
            .find(|source| source.spec.name == name)
            .unwrap()
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.broker.settings().partitions
    }

    /// The newest revision of the definitions.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The event as it lies in the broker.
    pub(crate) async fn stored(&self, event_id: &str) -> Event {
        let id: hookrail_domain::ids::EventId = event_id.parse().unwrap();
        let found = self
            .broker
            .find_event(id.partition(), event_id, id.time())
            .await
            .unwrap();
        codec::decode_event(&found.expect("the event is in its partition").payload).unwrap()
    }

    /// Checks the body of an event, wherever it lies.
    pub(crate) async fn check_body(&self, event_id: &str, expected: &[u8]) {
        let body = match self.stored(event_id).await.body {
            Body::Inline(bytes) => bytes.to_vec(),
            Body::Object { name, size } => {
                let found = self.broker.get_object(&name, size).await.unwrap();
                found.expect("the body is in the object store").to_vec()
            }
        };
        assert!(body == expected, "{} bytes, not {}", body.len(), expected.len());
    }

    /// How many bodies lie in the object store.
    pub(crate) async fn objects(&self) -> usize {
        self.broker.list_objects(0, usize::MAX).await.unwrap().len()
    }

    /// How many events lie in the broker.
    pub(crate) async fn events(&self) -> u64 {
        let mut events = 0;
        for partition in 0..self.partitions() {
            events += self.broker.raw_state(partition).await.unwrap().messages;
        }
        events
    }

    /// Puts another definition in force, within the second that this may take.
    pub(crate) async fn change(&mut self, spec: SourceSpec) {
        let place = self
            .sources
            .iter()
            .position(|source| source.spec.name == spec.name)
            .unwrap();
        self.sources[place].spec = spec;
        self.revision += 1;
        publish(&self.broker, &self.sources[place], self.revision).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Sends a body and checks the key and the partition of its event.
    pub(crate) async fn check_key(
        &self,
        name: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        key: Option<&str>,
    ) {
        let answer = self
            .send("POST", &format!("/default/{name}"), headers, body)
            .await;
        let event = self.stored(&answer.event_id()).await;
        assert_eq!(event.ordering_key.as_deref(), key, "{name}");
        let scope = self.source(name).id.as_u128();
        let wanted = partition::of_key(scope, key.unwrap_or(NO_KEY), self.partitions());
        assert_eq!(event.id.partition(), wanted, "{name} {key:?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.context.shutdown.cancel();
    }
}

/// A client that may call this machine.
fn outbound() -> OutboundClient {
    hookrail_harness::install_tls_provider();
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    OutboundClient::new(policy, OutboundLimits::default()).unwrap()
}

/// Starts an ingress and gives where it listens.
fn ingress(settings: IngressSettings, broker: &Broker, context: &ServiceContext) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let run = hookrail_ingress::run(settings, broker.clone(), outbound(), context.clone(), listener);
    tokio::spawn(async move { run.await.unwrap() });
    address
}

fn settings(nats: &NatsServer) -> BrokerSettings {
    BrokerSettings {
        urls: vec![nats.url()],
        partitions: 4,
        limits: StreamLimits {
            object_max_bytes: 320 * MIB,
            ..StreamLimits::all(4 * MIB)
        },
        key_ring: hookrail_harness::key_ring(),
        ..BrokerSettings::default()
    }
}

fn source(spec: SourceSpec, number: u128) -> Source {
    let api_keys = match spec.auth {
        SourceAuth::ApiKey { .. } => vec![ApiKey {
            id: KeyId::from_u128(number),
            label: "erp".to_owned(),
            hash: hash_key("s3cret"),
            hint: "cret".to_owned(),
            created_at: 0,
        }],
        _ => Vec::new(),
    };
    Source {
        id: SourceId::from_u128(number),
        workspace: WorkspaceId::from_u128(1),
        workspace_code: "default".to_owned(),
        token: format!("token-{number}"),
        old_names: Vec::new(),
        api_keys,
        spec,
    }
}

async fn publish(broker: &Broker, source: &Source, revision: u64) {
    let key = Key::Source(source.id);
    let entry = Entry {
        revision,
        key,
        definition: Some(Definition::Source(Box::new(source.clone()))),
    };
    broker.publish_entry(&entry).await.unwrap();
}
