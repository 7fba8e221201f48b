//! A nats-server of its own for one test, and the broker in it.

use hookrail_broker::{Broker, BrokerSettings, StreamLimits};
use hookrail_harness::NatsServer;

const MIB: i64 = 1024 * 1024;

pub(crate) struct Nats {
    pub(crate) server: NatsServer,
    _folder: tempfile::TempDir,
}

impl Nats {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start(folder.path()).await.unwrap();
        Self {
            server,
            _folder: folder,
        }
    }

    pub(crate) async fn broker(&self) -> Broker {
        let settings = BrokerSettings {
            urls: vec![self.server.url()],
            partitions: 2,
            limits: StreamLimits::all(16 * MIB),
            key_ring: hookrail_harness::key_ring(),
            ..BrokerSettings::default()
        };
        let broker = Broker::connect(&settings, "test").await.unwrap();
        broker.ensure_topology().await.unwrap();
        broker
    }
}
