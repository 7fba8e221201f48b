//! The service on a port of its own, over a database and a nats-server of its own.

use std::net::TcpListener;
use std::time::Duration;

use hookrail_broker::Broker;
use hookrail_config::ConfigSettings;
use hookrail_runtime::{Secret, ServiceContext};
use hookrail_store::Store;
use tokio::task::JoinHandle;

use crate::client::{Client, ROOT, loopback_client};
use crate::nats::Nats;

pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) nats: Nats,
    pub(crate) broker: Broker,
    pub(crate) store: Store,
    running: Running,
    _directory: tempfile::TempDir,
}

struct Running {
    context: ServiceContext,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("test.db").display());
        let store = Store::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let nats = Nats::start();
        let broker = nats.broker().await;
        let (client, running) = serve(&broker, &store);
        Self { client, nats, broker, store, running, _directory: directory }
    }

    /// Starts the service again after [`Fixture::stop`].
    pub(crate) fn start_again(&mut self) {
        (self.client, self.running) = serve(&self.broker, &self.store);
    }

    /// Stops the service.
    pub(crate) async fn stop(&mut self) {
        self.running.context.shutdown.cancel();
        (&mut self.running.task).await.unwrap().unwrap();
    }
}

fn serve(broker: &Broker, store: &Store) -> (Client, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    let settings = ConfigSettings {
        admin_token: Some(Secret::from(ROOT.to_owned())),
        public_ingress_url: Some("http://hooks.example.com/".to_owned()),
    };
    let context = ServiceContext::new(Duration::from_secs(5));
    let run = hookrail_config::run(settings, broker.clone(), store.clone(), loopback_client(), context.clone(), listener);
    let task = tokio::spawn(run);
    (client, Running { context, task })
}
