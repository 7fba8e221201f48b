//! The service on a port of its own, over a database and a nats-server of its own.

use std::net::TcpListener;
use std::time::Duration;

use hookrail_broker::Broker;
use hookrail_config::ConfigSettings;
use hookrail_runtime::{Secret, ServiceContext, random};
use hookrail_store::Store;
use hookrail_store::sea_orm::{ConnectionTrait, Database};
use tokio::task::JoinHandle;

use crate::client::{Client, ROOT, loopback_client};
use crate::nats::Nats;

/// Runs `test` on a new SQLite file, and on a new PostgreSQL database on the server that
/// `HOOKRAIL_TEST_POSTGRES_URL` names. Without it PostgreSQL is left out, loudly.
pub(crate) async fn each_database(test: impl AsyncFn(Fixture)) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("test.db").display());
    test(Fixture::start(Store::connect(&url).await.unwrap()).await).await;
    let Ok(server) = std::env::var("HOOKRAIL_TEST_POSTGRES_URL") else {
        eprintln!("NOT TESTED ON POSTGRESQL: HOOKRAIL_TEST_POSTGRES_URL is not set");
        return;
    };
    let name = format!("hookrail_config_{}", random::hex_token::<8>());
    let admin = Database::connect(server.as_str())
        .await
        .expect("HOOKRAIL_TEST_POSTGRES_URL can be reached");
    admin
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    test(Fixture::start(Store::connect(&url_of(&server, &name)).await.unwrap()).await).await;
    admin
        .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}

/// The server's URL with another database's name.
fn url_of(server: &str, name: &str) -> String {
    let (address, query) = server
        .split_once('?')
        .map_or((server, None), |(a, q)| (a, Some(q)));
    let after_scheme = address.find("://").expect("a URL has a scheme") + 3;
    let end = address[after_scheme..]
        .find('/')
        .map_or(address.len(), |at| after_scheme + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &address[..end])
}

pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) nats: Nats,
    pub(crate) broker: Broker,
    pub(crate) store: Store,
    running: Running,
}

struct Running {
    context: ServiceContext,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Fixture {
    async fn start(store: Store) -> Self {
        store.migrate().await.unwrap();
        let nats = Nats::start().await;
        let broker = nats.broker().await;
        let (client, running) = serve(settings(), &broker, &store);
        Self {
            client,
            nats,
            broker,
            store,
            running,
        }
    }

    /// Starts the service again after [`Fixture::stop`].
    pub(crate) fn start_again(&mut self) {
        self.start_with(settings());
    }

    /// As [`Fixture::start_again`], with other settings.
    pub(crate) fn start_with(&mut self, settings: ConfigSettings) {
        (self.client, self.running) = serve(settings, &self.broker, &self.store);
    }

    /// The settings that it starts with.
    pub(crate) fn settings(&self) -> ConfigSettings {
        settings()
    }

    /// Stops the service.
    pub(crate) async fn stop(&mut self) {
        self.running.context.shutdown.cancel();
        (&mut self.running.task).await.unwrap().unwrap();
    }
}

fn serve(settings: ConfigSettings, broker: &Broker, store: &Store) -> (Client, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    let context = ServiceContext::new(Duration::from_secs(5));
    let run = hookrail_config::run(
        settings,
        broker.clone(),
        store.clone(),
        loopback_client(),
        context.clone(),
        listener,
    );
    let task = tokio::spawn(run);
    (client, Running { context, task })
}

/// A rate that no test but one of rates reaches.
fn settings() -> ConfigSettings {
    ConfigSettings {
        admin_token: Some(Secret::from(ROOT.to_owned())),
        public_ingress_url: Some("http://hooks.example.com/".to_owned()),
        api_rate: 10_000,
        ..ConfigSettings::default()
    }
}
