//! Runs one service as a process of its own, against a shared NATS and, where it needs one, a shared PostgreSQL.

use std::future::Future;

use anyhow::Context as _;
use hookrail_broker::{Broker, BrokerSettings};
use hookrail_keyring::KeyRing;
use hookrail_runtime::{ListenAddress, ServiceContext, SettingsError, bootstrap, clock};

use crate::broker_args::{BrokerArgs, CLUSTER_PARTITIONS};
use crate::cli::{ConfigArgs, DispatcherArgs, IngressArgs, ProcessorArgs};
use crate::services::{connect_broker, connect_store, outbound_client};
use crate::{install, key_ring_args, welcome};

/// Runs an ingress until a signal.
///
/// # Errors
/// Wrong settings, or what the service can't live with.
pub(crate) async fn ingress(args: IngressArgs, context: ServiceContext) -> anyhow::Result<()> {
    let key_ring = args.key_ring.shared()?;
    let listener = args.ingress_listen.bind("ingress-listen")?;
    let outbound = outbound_client(args.outbound.on_a_cluster(), args.outbound.proxy()?)?;
    run("ingress", &args.ops_listen, context, |context| async move {
        let Some(broker) = installed_broker("ingress", settings(&args.broker, &key_ring)?, &context).await?
        else {
            return Ok(());
        };
        hookrail_ingress::run(args.ingress, broker, outbound, context, listener).await
    })
    .await
}

/// Runs a processor until a signal.
///
/// # Errors
/// Wrong settings, or what the service can't live with.
pub(crate) async fn processor(args: ProcessorArgs, context: ServiceContext) -> anyhow::Result<()> {
    let database = args.store.shared()?;
    let key_ring = args.key_ring.shared()?;
    let mut settings_of_service = args.processor;
    settings_of_service.sync_outbound_allow = args.outbound.on_a_cluster();
    settings_of_service.sync_sqlite_dir = args.sync.sync_sqlite_dir;
    run("processor", &args.ops_listen, context, |context| async move {
        let ready = context.health.check("processor.start");
        let prepare = async {
            let settings = settings(&args.broker, &key_ring)?;
            let broker = connect_broker(&settings, "processor", &ready).await?;
            let store = connect_store(&database, &broker, &ready).await?;
            key_ring_args::check(&broker, Some(&store)).await?;
            anyhow::Ok((broker, store))
        };
        let Some((broker, store)) = unless_stopped(&context, prepare).await? else {
            return Ok(());
        };
        ready.ready();
        hookrail_processor::run(settings_of_service, broker, store, context).await
    })
    .await
}

/// Runs a dispatcher until a signal.
///
/// # Errors
/// Wrong settings, or what the service can't live with.
pub(crate) async fn dispatcher(args: DispatcherArgs, context: ServiceContext) -> anyhow::Result<()> {
    let key_ring = args.key_ring.shared()?;
    let outbound = outbound_client(args.outbound.on_a_cluster(), args.outbound.proxy()?)?;
    run("dispatcher", &args.ops_listen, context, |context| async move {
        let Some(broker) =
            installed_broker("dispatcher", settings(&args.broker, &key_ring)?, &context).await?
        else {
            return Ok(());
        };
        hookrail_dispatcher::run(args.dispatcher, broker, outbound, context).await
    })
    .await
}

/// Runs a config service until a signal.
///
/// # Errors
/// Wrong settings, or what the service can't live with.
pub(crate) async fn config(args: ConfigArgs, context: ServiceContext) -> anyhow::Result<()> {
    let database = args.store.shared()?;
    let key_ring = args.key_ring.shared()?;
    let outbound = outbound_client(args.outbound.on_a_cluster(), args.outbound.proxy()?)?;
    let listener = args.api_listen.bind("api-listen")?;
    run("config", &args.ops_listen, context, |context| async move {
        let ready = context.health.check("config.start");
        let prepare = async {
            let settings = settings(&args.broker, &key_ring)?;
            let broker = connect_broker(&settings, "config", &ready).await?;
            let store = connect_store(&database, &broker, &ready).await?;
            key_ring_args::check(&broker, Some(&store)).await?;
            let given = args.config.admin_token.as_ref();
            let token = hookrail_config::ensure_admin_token(&store, given, clock::now_ms()).await?;
            anyhow::Ok((broker, store, token))
        };
        let Some((broker, store, token)) = unless_stopped(&context, prepare).await? else {
            return Ok(());
        };
        if let Some(token) = token {
            welcome::print(&welcome::token_text(&token));
        }
        ready.ready();
        let mut settings = args.config;
        settings.sync_sqlite_dir = args.sync.sync_sqlite_dir;
        hookrail_config::run(settings, broker, store, outbound, context, listener).await
    })
    .await
}

async fn run<F, R>(
    name: &'static str,
    ops: &ListenAddress,
    context: ServiceContext,
    service: F,
) -> anyhow::Result<()>
where
    F: FnOnce(ServiceContext) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    let ops = ops.bind("ops-listen")?;
    context.health.announce(name);
    bootstrap::run(name, context, ops, |context| Box::pin(service(context))).await
}

/// The broker of a service that has no database: it waits until config or a processor has installed. `None` when the
/// process is to stop before.
async fn installed_broker(
    service: &str,
    settings: BrokerSettings,
    context: &ServiceContext,
) -> anyhow::Result<Option<Broker>> {
    let ready = context.health.check(&format!("{service}.start"));
    let prepare = async {
        let broker = connect_broker(&settings, service, &ready).await?;
        install::wait_for(&broker, &ready).await?;
        key_ring_args::check(&broker, None).await?;
        anyhow::Ok(broker)
    };
    let broker = unless_stopped(context, prepare)
        .await
        .with_context(|| format!("can't start the {service}"))?;
    ready.ready();
    Ok(broker)
}

/// The settings of a service's connection, with what opens secrets.
fn settings(args: &BrokerArgs, key_ring: &KeyRing) -> Result<BrokerSettings, SettingsError> {
    Ok(BrokerSettings {
        key_ring: key_ring.clone(),
        ..args.settings(CLUSTER_PARTITIONS)?
    })
}

/// What `prepare` gives, or `None` when the process is to stop before.
async fn unless_stopped<T>(
    context: &ServiceContext,
    prepare: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    tokio::select! {
        prepared = prepare => prepared.map(Some),
        () = context.shutdown.cancelled() => Ok(None),
    }
}
