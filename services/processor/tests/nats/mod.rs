//! A nats-server of the test's own, and the broker in it.

use hookrail_broker::{Broker, BrokerSettings, StreamLimits};
use hookrail_harness::NatsServer;

const MIB: i64 = 1024 * 1024;

pub(crate) struct Nats {
    server: NatsServer,
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

    pub(crate) fn settings(&self) -> BrokerSettings {
        BrokerSettings {
            urls: vec![self.server.url()],
            partitions: 2,
            limits: StreamLimits::all(16 * MIB),
            ..BrokerSettings::default()
        }
    }

    pub(crate) async fn broker(&self) -> Broker {
        let broker = Broker::connect(&self.settings(), "test").await.unwrap();
        broker.ensure_topology().await.unwrap();
        broker
    }
}
