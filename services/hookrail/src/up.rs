//! `hookrail up`: all four services in one process, with a private nats-server and a SQLite file where no others are
//! named. It adds nothing that a cluster hasn't: the services and what they say to each other are the same.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use hookrail_broker::Broker;
use hookrail_outbound::OutboundClient;
use hookrail_runtime::{Readiness, Secret, ServiceContext, bootstrap, clock};
use hookrail_store::Store;
use tokio::task::JoinSet;

use crate::broker_args::{UP_PARTITIONS, urls_of};
use crate::cli::UpArgs;
use crate::data_dir::DataDir;
use crate::nats_config::NatsFiles;
use crate::nats_server::NatsServer;
use crate::welcome::{self, Addresses};
use crate::{key_ring_args, nats_program, services};

/// How often it is looked whether all parts are ready, for the text that says so.
const READY_EVERY: Duration = Duration::from_millis(50);

/// One run of `hookrail up`. The data directory outlives it, so that its lock is held to the end.
struct Up<'a> {
    args: UpArgs,
    data: &'a DataDir,
    context: ServiceContext,
    ingress: TcpListener,
    api: TcpListener,
    addresses: Addresses,
}

/// Runs everything until a signal or a failure.
///
/// # Errors
/// Wrong settings, or the first part that failed.
pub(crate) async fn run(args: UpArgs, context: ServiceContext) -> anyhow::Result<()> {
    args.broker.settings(UP_PARTITIONS)?;
    let data = DataDir::open(&args.data_dir)?;
    data.forget_listeners();
    let ingress = args.ingress_listen.bind("ingress-listen")?;
    let api = args.api_listen.bind("api-listen")?;
    let ops = args.ops_listen.bind("ops-listen")?;
    let addresses = Addresses {
        ingress: ingress.local_addr()?,
        api: api.local_addr()?,
        ops: ops.local_addr()?,
    };
    data.write_listeners(&addresses.to_json())?;
    let up = Up {
        args,
        data: &data,
        context: context.clone(),
        ingress,
        api,
        addresses,
    };
    for service in ["ingress", "processor", "dispatcher", "config"] {
        context.health.announce(service);
    }
    bootstrap::run("up", context, ops, |_| Box::pin(up.with_nats())).await
}

impl Up<'_> {
    /// Starts the private nats-server where no other is named, and stops it after all services.
    async fn with_nats(self) -> anyhow::Result<()> {
        if let Some(url) = self.args.broker.nats_url.clone() {
            return self.with_services(&url).await;
        }
        let shutdown = self.context.shutdown.clone();
        let server = tokio::select! {
            started = self.start_nats() => started?,
            () = shutdown.cancelled() => return Ok(()),
        };
        let result = self.with_services(&server.url().clone()).await;
        server.stop().await;
        result
    }

    async fn start_nats(&self) -> anyhow::Result<NatsServer> {
        let program = nats_program::find(self.args.nats_server.as_deref())?;
        let log = self.data.path().join("nats.log");
        let files = NatsFiles::new(self.data.below("nats")?, log, self.args.nats_sync.clone());
        NatsServer::start(program, files).await
    }

    /// Runs the four services until the first ends, then stops the others.
    async fn with_services(self, nats_url: &Secret) -> anyhow::Result<()> {
        let shutdown = self.context.shutdown.clone();
        let mut running = tokio::select! {
            started = self.start_services(nats_url) => started?,
            () = shutdown.cancelled() => return Ok(()),
        };
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            shutdown.cancel();
            let ended = ended.context("a service panicked").and_then(|own| own);
            result = result.and(ended);
        }
        result
    }

    async fn start_services(self, nats_url: &Secret) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
        let ready = self.context.health.check("up.start");
        let parts = self.connect(nats_url, &ready).await?;
        let given = self.args.config.admin_token.as_ref();
        let new_token = hookrail_config::ensure_admin_token(&parts.store, given, clock::now_ms()).await?;
        if let Some(token) = &new_token {
            welcome::print(&welcome::token_text(token));
        }
        ready.ready();
        let args = with_own_settings(self.args, self.addresses.ingress);
        let data_dir = self.data.path().display().to_string();
        let context = self.context;
        tokio::spawn(welcome_when_ready(
            context.clone(),
            self.addresses,
            data_dir,
            new_token,
        ));
        Ok(spawn_services(args, parts, context, (self.ingress, self.api)))
    }

    async fn connect(&self, nats_url: &Secret, ready: &Readiness) -> anyhow::Result<Parts> {
        let key_ring = self.args.key_ring.own(self.data.path())?;
        let mut settings = self.args.broker.settings(UP_PARTITIONS)?;
        settings.urls = urls_of(nats_url);
        settings.key_ring = key_ring.ring.clone();
        let broker = services::connect_broker(&settings, "up", ready).await?;
        let database = self.args.store.own(self.data.path())?;
        let store = services::connect_store(&database, &broker, ready).await?;
        key_ring_args::check(&broker, Some(&store)).await?;
        key_ring.keep()?;
        let outbound =
            services::outbound_client(self.args.outbound.on_a_laptop(), self.args.outbound.proxy()?)?;
        Ok(Parts {
            broker,
            store,
            outbound,
        })
    }
}

/// What the services are given.
struct Parts {
    broker: Broker,
    store: Store,
    outbound: OutboundClient,
}

/// Fills in what only this process knows.
fn with_own_settings(mut args: UpArgs, ingress: SocketAddr) -> UpArgs {
    let scheme = match args.ingress.ingress_tls_cert {
        Some(_) => "https",
        None => "http",
    };
    args.config
        .public_ingress_url
        .get_or_insert_with(|| format!("{scheme}://{ingress}"));
    args.processor.sync_outbound_allow = args.outbound.on_a_laptop();
    args.processor.sync_sqlite_dir = args.sync.sync_sqlite_dir.clone();
    args.config.sync_sqlite_dir = args.sync.sync_sqlite_dir.clone();
    if args.broker.nats_url.is_none() {
        // The data directory's lock says that nobody else is this worker: what it owned is its own again at once.
        args.dispatcher
            .dispatcher_worker
            .get_or_insert_with(|| "up".to_owned());
        args.dispatcher.dispatcher_exclusive = true;
        args.processor
            .processor_worker
            .get_or_insert_with(|| "up".to_owned());
        args.processor.processor_exclusive = true;
    }
    args
}

fn spawn_services(
    args: UpArgs,
    parts: Parts,
    context: ServiceContext,
    (ingress, api): (TcpListener, TcpListener),
) -> JoinSet<anyhow::Result<()>> {
    let Parts {
        broker,
        store,
        outbound,
    } = parts;
    let mut running = JoinSet::new();
    let processor = hookrail_processor::run(args.processor, broker.clone(), store.clone(), context.clone());
    let dispatcher =
        hookrail_dispatcher::run(args.dispatcher, broker.clone(), outbound.clone(), context.clone());
    running.spawn(hookrail_ingress::run(
        args.ingress,
        broker.clone(),
        outbound.clone(),
        context.clone(),
        ingress,
    ));
    running.spawn(processor);
    running.spawn(dispatcher);
    running.spawn(hookrail_config::run(
        args.config,
        broker,
        store,
        outbound,
        context,
        api,
    ));
    running
}

/// Prints where everything is, once all parts are ready.
async fn welcome_when_ready(
    context: ServiceContext,
    addresses: Addresses,
    data_dir: String,
    new_token: Option<String>,
) {
    while !context.health.is_ready() {
        if context.shutdown.is_cancelled() {
            return;
        }
        tokio::time::sleep(READY_EVERY).await;
    }
    welcome::print(&welcome::text(&addresses, &data_dir, new_token.as_deref()));
}
